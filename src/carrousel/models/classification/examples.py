"""Labelled sequences as the batches of a classifier, and the loss of each of their rows."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import Module
from torch.nn.functional import cross_entropy

from carrousel.data.ragged import Ragged
from carrousel.learn import Shuffled

__all__ = ["Batch", "Bucketed", "Examples", "losses", "of_similar_length"]

#: Steps, with padding, that are classified at once: a limit for memory.
_AT_ONCE = 1 << 17

#: Batches that are sorted by length together.
_SORTED = 16

#: The target of steps after a sequence's end.
_NONE = -100


class Batch(NamedTuple):
    """Some sequences.

    Shapes:
        - x: (time, batch, channel), zero after a sequence's end
        - lengths: (batch,)
        - target: (batch,), with one label per step (time, batch)
    """

    x: Tensor
    lengths: Tensor
    target: Tensor

    def to(self, device: torch.device) -> "Batch":
        """Return the batch on a device."""
        return Batch(*(value.to(device) for value in self))


class Examples:
    """Sequences with the numbers of their classes.

    Args:
        x: scaled sequences.
        codes: (sequence,), or (step,) with one label per step; None where the classes are asked for.
        per_step: whether there is one label per step.
    """

    def __init__(self, x: Ragged, codes: NDArray[np.int64] | None = None, per_step: bool = False) -> None:
        self.steps = torch.from_numpy(x.steps.astype(np.float32))
        self.lengths, self.starts = torch.from_numpy(x.lengths), torch.from_numpy(x.starts)
        self.per_step = per_step and codes is not None
        self.codes = torch.zeros(len(x), dtype=torch.long) if codes is None else torch.from_numpy(codes)

    def __len__(self) -> int:
        return len(self.lengths)

    def batch(self, rows: Tensor) -> Batch:
        """Return the sequences with these numbers."""
        lengths = self.lengths[rows]
        time = torch.arange(int(lengths.max()))[:, None]
        inside = time < lengths
        steps = (self.starts[rows] + time).clamp(max=len(self.steps) - 1)
        x = self.steps[steps].masked_fill(~inside.unsqueeze(-1), 0.0)
        target = self.codes[steps].masked_fill(~inside, _NONE) if self.per_step else self.codes[rows]
        return Batch(x, lengths, target)


class Bucketed(Shuffled):
    """Shuffled batches of sequences of similar length, so that little of them is padding.

    Every epoch the sequences are shuffled, sorted by length within some batches that follow each other, and these
    batches shuffled again.

    Args:
        examples: the sequences.
        batch_size: sequences of a batch.
        seed: the order of an epoch depends on it and on the epoch's number.
    """

    examples: Examples

    def order(self, epoch: int) -> Tensor:
        """Return the numbers of the sequences in the order of an epoch, (sequence,)."""
        lengths, size = self.examples.lengths, self.batch_size
        chunks = super().order(epoch).split(_SORTED * size)
        batches = [batch for chunk in chunks for batch in chunk[lengths[chunk].argsort(stable=True)].split(size)]
        *whole, last = batches  # which may have fewer rows, and stays where it is
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + epoch)
        return torch.cat([*(whole[k] for k in torch.randperm(len(whole), generator=generator).tolist()), last])


def losses(weights: NDArray[np.float64] | None = None) -> Callable[[Module, Batch], Tensor]:
    """Return the function from a net and a batch to the loss of each sequence, in nats.

    Args:
        weights: what an error in each class counts; None for 1.

    Returns:
        The function; with one label per step it gives the mean over a sequence's steps.
    """
    balance = None if weights is None else torch.tensor(weights, dtype=torch.float32)

    def of_batch(net: Module, batch: Batch) -> Tensor:
        scores = net(batch.x, batch.lengths)
        by_class = None if balance is None else balance.to(scores.device)
        if batch.target.dim() == 1:
            return cross_entropy(scores, batch.target, by_class, reduction="none")
        found = cross_entropy(scores.flatten(0, 1), batch.target.flatten(), by_class, reduction="none")
        return found.view(batch.target.shape).sum(0) / batch.lengths

    return of_batch


def of_similar_length(lengths: NDArray[np.int64]) -> Iterator[Tensor]:
    """Yield the numbers of all sequences, those of similar length together, as many as memory holds."""
    order = np.argsort(lengths, kind="stable")
    while len(order):
        # the last one of a part is its longest
        fits = np.arange(1, len(order) + 1) * lengths[order] <= _AT_ONCE
        count = max(1, int(fits.sum()))
        yield torch.from_numpy(order[:count])
        order = order[count:]
