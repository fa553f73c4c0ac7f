"""The batches of an epoch: drawn from (seed, epoch) alone, so that every process and a resumed run draws the same."""

from collections.abc import Iterator
from typing import Any, Protocol

import torch
from torch import Tensor

__all__ = ["Examples", "InOrder", "Shuffled", "Source"]


class Examples(Protocol):
    """What is trained on, by row."""

    def __len__(self) -> int:
        """Return how many rows there are."""

    def batch(self, rows: Tensor) -> Any:
        """Return what the losses of these rows (row,) are made from: tensors, or a tuple or dataclass of them."""


class Source(Protocol):
    """The batches of any epoch."""

    def __len__(self) -> int:
        """Return how many batches an epoch has."""

    def __call__(self, epoch: int, rank: int, world: int) -> Iterator[tuple[Any, float]]:
        """Draw the part of process `rank` of `world` of every batch.

        Yields:
            The part, and what the sum of its losses is multiplied by, so that the mean over processes is the mean over
            the whole batch.
        """


class InOrder:
    """Batches in the order of the examples.

    Args:
        examples: what the batches are made of.
        batch_size: rows of a batch, over all processes together.
    """

    def __init__(self, examples: Examples, batch_size: int) -> None:
        self.examples, self.batch_size = examples, batch_size

    def __len__(self) -> int:
        return -(-len(self.examples) // self.batch_size)

    def order(self, epoch: int) -> Tensor:
        """Return the rows of an epoch in their order, (row,)."""
        return torch.arange(len(self.examples))

    def __call__(self, epoch: int, rank: int, world: int) -> Iterator[tuple[Any, float]]:
        """Draw the part of process `rank` of `world` of every batch."""
        for rows in self.order(epoch).split(self.batch_size):
            # a process without a row of its own takes one along that does not count
            part = rows[rank::world]
            yield self.examples.batch(part if len(part) else rows[:1]), (world / len(rows) if len(part) else 0.0)


class Shuffled(InOrder):
    """Batches in a new order every epoch.

    Args:
        examples: what the batches are made of.
        batch_size: rows of a batch, over all processes together.
        seed: the order of an epoch depends on it and on the epoch's number.

    Example:
        >>> class Numbers:
        ...     def __len__(self):
        ...         return 5
        ...
        ...     def batch(self, rows):
        ...         return rows.tolist()
        >>> one = [batch for batch, share in Shuffled(Numbers(), 2, seed=0)(epoch=3, rank=0, world=1)]
        >>> len(one), sorted(sum(one, []))
        (3, [0, 1, 2, 3, 4])
    """

    def __init__(self, examples: Examples, batch_size: int, seed: int) -> None:
        super().__init__(examples, batch_size)
        self.seed = seed

    def order(self, epoch: int) -> Tensor:
        """Return the rows of an epoch in their order, (row,)."""
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + epoch)
        return torch.randperm(len(self.examples), generator=generator)
