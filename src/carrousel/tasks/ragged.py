"""Sequences of different lengths: drawing the lengths, telling what lies beyond them, joining sequences to streams."""

import torch
from torch import Tensor

from carrousel.errors import InputShapeError
from carrousel.tasks.sequences import Sequences

__all__ = ["beyond", "draw_lengths", "end_to_end"]


def draw_lengths(batch_size: int, minimal_length: int, generator: torch.Generator | None) -> Tensor:
    """Draw lengths uniformly from T to T + T/10, T being the minimal length.

    Args:
        batch_size: how many.
        minimal_length: T.
        generator: the source of randomness.

    Returns:
        The lengths, int64.

    Shapes:
        - returned: (batch,)

    Example:
        >>> draw_lengths(1000, 100, None).unique().tolist()
        [100, 101, 102, 103, 104, 105, 106, 107, 108, 109, 110]

    Source:
        Hochreiter & Schmidhuber (1997), Neural Computation 9(8), sections 5.3 to 5.6.
    """
    return torch.randint(minimal_length, minimal_length + minimal_length // 10 + 1, (batch_size,), generator=generator)


def beyond(lengths: Tensor, time: int) -> Tensor:
    """Tell which steps lie beyond their sequence's length.

    Args:
        lengths: steps of each sequence.
        time: how many steps to look at.

    Shapes:
        - lengths: (batch,)
        - returned: (time, batch), bool

    Example:
        >>> beyond(torch.tensor([1, 3]), 3).T.tolist()
        [[False, True, True], [False, False, False]]
    """
    return torch.arange(time)[:, None] >= lengths


def end_to_end(sequences: Sequences, order: Tensor, *, resets: bool, steps: int | None = None) -> Sequences:
    """Join sequences end to end, so that each row is a stream of them.

    Args:
        sequences: a batch whose targets stand at every step.
        order: which sequences each stream consists of.
        resets: whether to mark the steps before which the states begin anew; without, a stream is continual.
        steps: where to cut the streams, None for nowhere.

    Returns:
        One stream for each column of `order`.

    Shapes:
        - order: (place, batch), int64
        - x and the others of the result: (time, batch, ...) with time the longest stream

    Raises:
        InputShapeError: the targets do not stand at every step.

    Example:
        >>> strings = Sequences(torch.tensor([[1, 3], [2, 0]]), torch.tensor([2, 1]), torch.tensor([[2, 4], [3, -1]]))
        >>> streams = end_to_end(strings, torch.tensor([[0], [1], [0]]), resets=True)
        >>> streams.x.T.tolist(), streams.resets.int().T.tolist()
        ([[1, 2, 3, 1, 2]], [[1, 0, 1, 1, 0]])
    """
    x, target = sequences.x, sequences.target
    if target.shape[:2] != x.shape[:2]:
        raise InputShapeError(
            f"end_to_end - targets have shape {tuple(target.shape)}, expected ({len(x)}, {x.shape[1]}, ...), one at "
            "every step - join sequences whose targets stand at every step"
        )
    lengths = sequences.lengths[order]
    ends = lengths.cumsum(0)
    longest = int(ends[-1].max())
    time = longest if steps is None else min(longest, steps)
    after = beyond(ends[-1], time)

    begins = torch.zeros(longest, order.shape[1], dtype=torch.bool)
    begins[ends - lengths, torch.arange(order.shape[1])] = True
    begins = begins[:time]
    place = begins.long().cumsum(0) - 1
    step = torch.arange(time)[:, None] - (ends - lengths).gather(0, place)
    source = step.clamp_(max=len(x) - 1), order.gather(0, place)

    def joined(values: Tensor, filling: int) -> Tensor:
        found = values[source]
        found[after] = filling
        return found

    return Sequences(
        joined(x, 0),
        ends[-1].clamp(max=time),
        joined(target, 0 if target.is_floating_point() else -1),
        None if sequences.allowed is None else joined(sequences.allowed, 0),
        begins if resets else None,
    )
