"""A row of a table: what is trained on what, how a trial ends, and what the paper reports."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from carrousel.systems.system import Nets
from carrousel.tasks.sequences import Sequences

__all__ = [
    "Counting",
    "Criterion",
    "Data",
    "Draw",
    "Drawn",
    "Published",
    "Row",
    "Stoppable",
    "Table",
    "Trial",
    "Trying",
]

#: Draws sequences of a task: (how many, generator=) -> Sequences.
Draw = Callable[..., Sequences]


@runtime_checkable
class Stoppable(Nets, Protocol):
    """Nets that a criterion can stop between two sequences of a block.

    Attributes:
        w: their weights, (net, weight).
    """

    w: Tensor


@runtime_checkable
class Counting(Nets, Protocol):
    """Nets that decide themselves how much is presented: streams that end with a mistake, weights that are guessed.

    Attributes:
        begun: presentations that each net began in its last `learn`, (net,).
    """

    begun: Tensor


@runtime_checkable
class Trying(Stoppable, Protocol):
    """Nets that are tried, their weights held, on every stream before they learn from it.

    Attributes:
        survived: which got a whole stream of their last `learn` right, (net,).
        survivors: the weights with which they did, (net, weight).
    """

    survived: Tensor
    survivors: Tensor


class Data(Protocol):
    """The data of one trial; they depend on its seed alone."""

    def training(self, count: int) -> Sequences:
        """Draw the next sequences to present, or, with `resets`, the next steps of a stream."""

    def test(self, count: int) -> Sequences:
        """Draw sequences to test on."""


class Drawn:
    """Data that are drawn as they are needed.

    Args:
        draw: draws training sequences.
        seed: of the trial.
        draw_test: draws test sequences; those of `draw` if None.
    """

    def __init__(self, draw: Draw, seed: int, draw_test: Draw | None = None) -> None:
        self._draw, self._draw_test = draw, draw_test or draw
        # other numbers than those that the weights are drawn from
        self._generator = torch.Generator().manual_seed(seed + 2**32)
        self._test_generator = torch.Generator().manual_seed(seed + 2**33)

    def training(self, count: int) -> Sequences:
        """Draw the next sequences to present."""
        return self._draw(count, generator=self._generator)

    def test(self, count: int) -> Sequences:
        """Draw sequences to test on."""
        return self._draw_test(count, generator=self._test_generator)


class Criterion(Protocol):
    """When a trial is over. Milestones are met in order; with the last of them the trial is a success."""

    @property
    def milestones(self) -> tuple[str, ...]:
        """Their names, in order."""

    def begin(self, net: int, data: Data) -> None:
        """Forget what was seen of this net: a new trial begins in its place."""

    def see(self, outputs: Tensor, sequences: Sequences) -> None:
        """Look at the outputs of one presentation to every net."""

    def test(self, nets: Nets) -> None:
        """Test the nets with their weights frozen, at the end of a block of presentations."""

    def met(self) -> np.ndarray:
        """How many milestones each net has met by now, (net,)."""


@dataclass(frozen=True)
class Published:
    """What a paper reports of a row.

    Attributes:
        presentations: milestone -> the mean number of sequences presented until then.
        success: the share of successful trials.
        weights: the weights of the net.
        trials: how many there were.
        test: name of a measure on the test set -> its value.
        source: table and paper.
        failed_until: sequences after which the trials that failed were given up, where that is known.
    """

    presentations: Mapping[str, float]
    success: float | None = None
    weights: int | None = None
    trials: int | None = None
    test: Mapping[str, float] = field(default_factory=dict)
    source: str = ""
    failed_until: int | None = None


@dataclass(frozen=True)
class Trial:
    """What came out of one trial.

    Attributes:
        row: the row's key.
        seed: of weights and data; the trial depends on it and on the row alone.
        milestones: name -> sequences presented until then.
        solved: whether all milestones were met.
        presentations: sequences presented in all.
        limit: after so many the trial would have failed.
        test: measures on the test set, of a solved trial.
        seconds: of one core, its share of what its population took.
    """

    row: str
    seed: int
    milestones: Mapping[str, int]
    solved: bool
    presentations: int
    limit: int
    test: Mapping[str, float]
    seconds: float


@dataclass(frozen=True)
class Row:
    """One row of a table, in one reading of the paper.

    Attributes:
        table: the table's key, "4".
        name: what tells the row from the others, "T=100 N=3".
        reading: "literal", "closest", or the name of a system that was compared with.
        published: what the paper reports.
        start: seeds -> networks.
        data: seed -> the trial's data.
        criterion: how many networks -> the criterion.
        measure: (outputs, sequences) -> measures of each net on a fresh test set, each (net,).
        measured_at: a milestone before the last one at which the same is measured besides, "wrong at n_seq=140".
        tested_on: how many sequences that test set has.
        block: presentations between two looks at `Criterion.test`.
        batch: sequences that are presented at once, a part of a block; the changes that they ask for are summed.
        limit: size of a run ("quick", "standard", "full") -> sequences after which a trial has failed.
        trials: size of a run -> how many trials; where a size is missing, the row is left out of it.
        needs: a library that not every installation has; without it the row is left out where all tables are run.
        note: what the reading decides where the paper is silent.
    """

    table: str
    name: str
    reading: str
    published: Published
    start: Callable[[Sequence[int]], Nets]
    data: Callable[[int], Data]
    criterion: Callable[[int], Criterion]
    limit: Mapping[str, int]
    trials: Mapping[str, int]
    measure: Callable[[Tensor, Sequences], Mapping[str, np.ndarray]] | None = None
    measured_at: str = ""
    tested_on: int = 2560
    block: int = 100
    batch: int = 1
    needs: str = ""
    note: str = ""

    @property
    def key(self) -> str:
        """The row's name in records."""
        return f"{self.table} / {self.name} / {self.reading}"


@dataclass(frozen=True)
class Table:
    """A table of a paper.

    Attributes:
        key: what the command line calls it.
        title: what it shows.
        rows: all readings of all rows, in the paper's order.
    """

    key: str
    title: str
    rows: tuple[Row, ...]
