"""The continual embedded Reber grammar (Table 2): strings one after the other, and nothing says where one ends."""

from functools import partial
from typing import Any

import torch

from carrousel.experiments.gers_2000.setting import SOURCE, STANDARD, continual, decaying, forgetting, network
from carrousel.experiments.hochreiter_1997.setting import sizes
from carrousel.experiments.streams import Endless, Unbroken
from carrousel.experiments.trials import Published, Row
from carrousel.systems.judgement import Judgement
from carrousel.tasks import reber
from carrousel.tasks.sequences import Sequences

__all__ = ["ROWS", "WRONG"]

#: method -> share of trials with perfect streams, training streams until then; share of those that hold out for more
#: than 1000 symbols on average but not to the end, how long; the rest's length
PUBLISHED: dict[str, tuple[float, int | None, float, int | None, int]] = {
    "standard LSTM, external reset": (0.74, 7_441, 0.0, None, 31),
    "standard LSTM": (0.0, None, 0.01, 1_166, 37),
    "LSTM, state decay 0.9": (0.0, None, 0.0, None, 56),
    "forget gates": (0.18, 18_889, 0.29, 39_171, 145),
    "forget gates, rate decays": (0.62, 14_087, 0.06, 68_464, 30),
}
TRIALS, RATE = 100, 0.5
WEIGHTS = {True: 424, False: 360}

#: method -> memory cell, what it decides
SETTINGS: dict[str, tuple[Any, dict[str, Any]]] = {
    "standard LSTM, external reset": (STANDARD, {"has_resets": True}),
    "standard LSTM": (STANDARD, {}),
    "LSTM, state decay 0.9": (decaying(0.9), {}),
    "forget gates": (forgetting, {}),
    "forget gates, rate decays": (forgetting, {"decay": 0.99}),
}

#: method -> training streams after which a trial of a standard run has failed
LIMITS = {
    "standard LSTM, external reset": 10_000,
    "standard LSTM": 3_000,
    "LSTM, state decay 0.9": 3_000,
    "forget gates": 20_000,
    "forget gates, rate decays": 15_000,
}

#: To say one half twice where the string decides is wrong by a hair.
WRONG = Judgement("sum of squares", within=0.49)

#: Symbols of the test streams, from a first look to the ten that decide.
LENGTHS = (100, 10_000, 100_000)


def legal(drawn: Sequences) -> Sequences:
    """Make all symbols that may come next the target: the criterion can not be met otherwise."""
    assert drawn.allowed is not None
    return drawn._replace(target=drawn.allowed.float(), allowed=None)


def whole(*, generator: torch.Generator) -> Sequences:
    """Draw some 4,000 symbols of whole strings."""
    return legal(reber.continual(1, 3_000, is_whole=True, resets=True, generator=generator))


def streams(count: int, steps: int, *, generator: torch.Generator) -> Sequences:
    """Draw streams to test on."""
    return legal(reber.continual(count, steps, resets=True, generator=generator))


def _row(method: str) -> Row:
    memory_cell, decisions = SETTINGS[method]
    success, presentations, fair, length, rest = PUBLISHED[method]
    has_resets = decisions.get("has_resets", False)
    reached = f"{100 * fair:g} % more hold out for over 1000 symbols on average"
    return Row(
        table="gers-2000",
        name=method,
        reading="literal",
        published=Published(
            {} if presentations is None else {"perfect": presentations},
            success,
            WEIGHTS[memory_cell is forgetting],
            TRIALS,
            {},
            f"{SOURCE}, Table 2",
        ),
        start=continual(network(memory_cell, reber.INPUTS, reber.OUTPUTS), RATE, WRONG, **decisions),
        data=partial(Endless, whole, streams),
        criterion=partial(
            Unbroken,
            wrong=WRONG,
            lengths=LENGTHS,
            milestones=("over 1000", "perfect"),
            fair=1000,
            has_resets=has_resets,
        ),
        limit=sizes(150, LIMITS[method], 30_000),
        trials=sizes(3, 16, TRIALS),
        block=10_000,
        note="sequences are training streams; all symbols that may come next are the target, wrong is a summed squared "
        f"error of {WRONG.within} or more; tested after every 10,000 symbols in which a stream ended, not after every "
        f"stream. Published besides: {reached}{f' ({length:,})' if length else ''}, the rest for {rest}",
    )


ROWS = tuple(_row(method) for method in PUBLISHED)
