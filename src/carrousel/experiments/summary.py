"""What the trials of a row say together: success rate with its interval, presentations, test errors."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from carrousel.experiments.trials import Trial

__all__ = ["Summary", "summary", "wilson"]

#: The normal quantile of a two-sided 95 % interval.
_Z = 1.959964


@dataclass(frozen=True)
class Summary:
    """A row's trials.

    Attributes:
        trials: how many there are.
        solved: how many were solved.
        interval: the Wilson interval of the success rate, 95 %.
        mean: milestone -> mean sequences until then, of the solved trials; a lower bound where some failed.
        median: the same, of all trials: infinite where half of them failed.
        least, most: milestone -> of the solved trials.
        test: measure -> mean over the solved trials.
        seconds: of one core, all trials together.
    """

    trials: int
    solved: int
    interval: tuple[float, float]
    mean: Mapping[str, float]
    median: Mapping[str, float]
    least: Mapping[str, int]
    most: Mapping[str, int]
    test: Mapping[str, float]
    seconds: float


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """Return the Wilson score interval of a success rate, 95 %.

    Args:
        successes: how many of the trials succeeded.
        trials: how many there were.

    Example:
        >>> low, high = wilson(10, 10)
        >>> round(low, 3), round(high, 3)
        (0.722, 1.0)

    Source:
        Wilson (1927), Journal of the American Statistical Association 22, 209-212.
    """
    if not trials:
        return 0.0, 1.0
    share, spread = successes / trials, _Z**2 / trials
    middle = (share + spread / 2) / (1 + spread)
    half = math.sqrt(share * (1 - share) * spread + spread**2 / 4) / (1 + spread)
    return max(0.0, middle - half), min(1.0, middle + half)


def summary(trials: Sequence[Trial]) -> Summary:
    """Summarise trials of one row."""
    solved = [trial for trial in trials if trial.solved]
    names = dict.fromkeys(name for trial in trials for name in trial.milestones)
    reached = {name: [t.milestones[name] for t in trials if name in t.milestones] for name in names}
    measures = dict.fromkeys(name for trial in solved for name in trial.test)
    return Summary(
        len(trials),
        len(solved),
        wilson(len(solved), len(trials)),
        {name: statistics.fmean(counts) for name, counts in reached.items()},
        {name: _median(counts, len(trials)) for name, counts in reached.items()},
        {name: min(counts) for name, counts in reached.items()},
        {name: max(counts) for name, counts in reached.items()},
        {name: statistics.fmean(trial.test[name] for trial in solved) for name in measures},
        math.fsum(trial.seconds for trial in trials),
    )


def _median(counts: Sequence[int], trials: int) -> float:
    return statistics.median([*counts, *[math.inf] * (trials - len(counts))])
