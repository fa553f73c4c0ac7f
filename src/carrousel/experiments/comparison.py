"""A row of a table beside what the paper reports: what was measured, and what is not as published, in words."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from carrousel.experiments.record import Record
from carrousel.experiments.summary import Summary, summary
from carrousel.experiments.trials import Row, Trial

__all__ = ["BOUND", "NOTHING", "Comparison", "compare", "name_of"]

#: A mean that is more than so many times the published one, or less than the published one by as much, is remarked on.
BOUND = 1.5

#: Of the ends of an interval, which may be 0.9999999999999999.
_ROUNDING = 1e-9

NOTHING = "-"


@dataclass(frozen=True)
class Comparison:
    """A row of a table: what the paper reports, and what came out.

    Attributes:
        row: the row.
        trials: its trials.
        weights: of our net.
        asked: how many trials there are to be.
    """

    row: Row
    trials: tuple[Trial, ...]
    weights: int
    asked: int = 0

    @cached_property
    def ours(self) -> Summary:
        """The trials' summary."""
        return summary(self.trials)

    @property
    def ratio(self) -> dict[str, float]:
        """Milestone -> our mean number of sequences in units of the published one."""
        published = self.row.published.presentations
        return {name: mean / published[name] for name, mean in self.ours.mean.items() if name in published}

    @property
    def cut_short(self) -> int | None:
        """The limit of trials that failed before the published number of sequences had passed; else None."""
        limits = [trial.limit for trial in self.trials if not trial.solved]
        return max(limits) if limits and max(limits) < self._published_length else None

    @property
    def _published_length(self) -> float:
        """The sequences after which the paper's trials had succeeded or were given up."""
        published = self.row.published
        return max(published.failed_until or 0, *published.presentations.values(), 0)

    @property
    def remarks(self) -> tuple[str, ...]:
        """What is not as published, in words; empty if everything is within bounds."""
        if not self.trials:
            return ("No trials were run.",)
        found = []
        if len(self.trials) < self.asked:
            found.append(f"{len(self.trials)} of {self.asked} trials have ended; the fast ones end first.")
        if self.cut_short is None:
            found += [*self._on_success(), *self._on_sequences(), *self._on_tests()]
        else:
            rest = "no failure, and no success" if self.ours.solved == 0 else "the others neither failed nor succeeded"
            solved = f"{self.ours.solved} had succeeded, " if self.ours.solved else ""
            found.append(
                f"Cut short after {self.cut_short:,} sequences, before the {self._published_length:,.0f} that are "
                f"published: {solved}{rest}."
            )
        return tuple(found)

    def _on_success(self) -> Iterator[str]:
        published, (low, high) = self.row.published.success, self.ours.interval
        if published is None:
            if not self.row.published.presentations and not self.row.published.test:
                yield "No number is published to stand beside it."
        elif not low - _ROUNDING <= published <= high + _ROUNDING:
            yield f"Success rate {'above' if low > published else 'below'} the published {_share(published)}."

    def _on_sequences(self) -> Iterator[str]:
        for name, ratio in self.ratio.items():
            if not 1 / BOUND <= ratio <= BOUND:
                more = f"{ratio:.2g} times as many" if ratio > 1 else f"only {ratio:.2g} times as many"
                yield f"Needs {more} sequences as published ({name}): not within a factor of {BOUND:g}."
        never = [name for name in self.row.published.presentations if name not in self.ours.mean]
        if never:
            yield f"No trial reached {', '.join(never)}."

    def _on_tests(self) -> Iterator[str]:
        for name, published in self.row.published.test.items():
            value = self.ours.test.get(name)
            if value is not None and value > BOUND * published:
                yield f"Test: {name} {_number(value)}, where {_number(published)} is published."

    @property
    def lines(self) -> Iterator[tuple[str, str, str, str]]:
        """What was measured, published, ours, and how they compare."""
        published, ours, has_failed = self.row.published, self.ours, self.ours.solved < self.ours.trials
        of = f" of {published.trials}" if published.trials and published.success is not None else ""
        rate, interval = NOTHING, ""
        if self.trials:
            rate, interval = (
                f"{ours.solved} of {ours.trials}",
                "{:.0f} to {:.0f} %".format(*(100 * end for end in ours.interval)),
            )
            if self.cut_short is not None:
                interval = f"cut short at {self.cut_short:,}"
        yield "solved", NOTHING if published.success is None else _share(published.success) + of, rate, interval
        for name in dict.fromkeys([*published.presentations, *ours.mean]):
            mean = f"{'≥ ' * has_failed}{ours.mean[name]:,.0f}" if name in ours.mean else NOTHING
            ratio = f"{self.ratio[name]:.2f} x" if name in self.ratio else ""
            yield f"{name}, mean", _count(published.presentations.get(name)), mean, ratio
            if name in ours.mean:
                yield f"{name}, median", NOTHING, _count(ours.median[name]), ""
                yield f"{name}, range", NOTHING, f"{ours.least[name]:,} to {ours.most[name]:,}", ""
        for name in dict.fromkeys([*published.test, *ours.test]):
            yield f"test: {name}", _number(published.test.get(name)), _number(ours.test.get(name)), ""
        limit = max((trial.limit for trial in self.trials), default=None)
        yield "given up after", _count(published.failed_until), _count(limit), ""
        yield "weights", _count(published.weights), _count(self.weights), ""
        yield "seconds", NOTHING, f"{ours.seconds:,.1f}" if self.trials else NOTHING, ""


def compare(row: Row, record: Record, asked: int = 0) -> Comparison:
    """Put a row's trials beside what the paper reports.

    Args:
        row: the row.
        record: the trials.
        asked: how many there are to be.
    """
    return Comparison(row, tuple(record.of(row.key)), row.start((0,)).weights, asked)


def name_of(row: Row) -> str:
    """Return the name of a row and its reading."""
    return f"{row.name}, {row.reading}"


def _share(share: float) -> str:
    return f"{100 * share:.3g} %"


def _count(count: float | None) -> str:
    if count is None:
        return NOTHING
    return f"{count:,.0f}" if math.isfinite(count) else "not reached"


def _number(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.3g}"
