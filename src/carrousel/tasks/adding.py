"""The adding problem: remember two marked real numbers over a long time and add them."""

from typing import NamedTuple

import torch
from torch import Tensor

from carrousel.errors import OptionError, OptionTypeError

__all__ = ["CORRECT_WITHIN", "Adding", "adding"]

#: The paper counts a sequence as learned if the error at its end is below this.
CORRECT_WITHIN = 0.04

_FIRST_MARK_AMONG = 10


class Adding(NamedTuple):
    """One batch of the adding problem.

    Shapes:
        x: (time, batch, 2), the pairs (value, marker), zero from a sequence's length on.
        lengths: (batch,), the number of pairs of each sequence; the longest is `time`.
        target: (batch,), what to say at each sequence's last pair.
    """

    x: Tensor
    lengths: Tensor
    target: Tensor


def adding(batch_size: int, minimal_length: int = 100, *, generator: torch.Generator | None = None) -> Adding:
    """Draw a batch of the adding problem.

    A sequence has T to T + T/10 pairs (value, marker), T being the minimal length; values are uniform in [-1, 1]. Two
    pairs are marked by 1: one of the first ten, whose value is X1, then one of the first T/2 - 1 pairs that are still
    unmarked, whose value is X2. The first and the last pair have the marker -1, all others 0. The target at the last
    pair is 0.5 + (X1 + X2) / 4; at least T/2 steps lie between it and the second mark.

    If the first pair is drawn, the paper sets X1 to zero and leaves its marker open. Here the pair keeps the marker -1
    and its value is zero, whichever of the two draws it was: such a sequence shows one mark, and the target is that
    of the marks that can be seen.

    Args:
        batch_size: the number of sequences.
        minimal_length: T, at least 20.
        generator: the source of randomness; the same seed gives the same batch. None is torch's global one.

    Returns:
        x, lengths and target.

    Shapes:
        - x: (time, batch, 2) with time the longest length of the batch
        - lengths: (batch,), int64
        - target: (batch,)

    Raises:
        OptionTypeError: a size is not a whole number.
        OptionError: the batch is empty, or T is too short for the marks.

    Example:
        >>> import torch
        >>> x, lengths, target = adding(3, 100, generator=torch.Generator().manual_seed(0))
        >>> x.shape[1:], bool((lengths >= 100).all()), target.shape
        (torch.Size([3, 2]), True, torch.Size([3]))

    Source:
        Hochreiter & Schmidhuber (1997), Neural Computation 9(8), section 5.4.
    """
    _check("batch_size", batch_size, 1)
    _check("minimal_length", minimal_length, 2 * _FIRST_MARK_AMONG)
    longest = minimal_length + minimal_length // 10
    lengths = torch.randint(minimal_length, longest + 1, (batch_size,), generator=generator)
    value = 2 * torch.rand(longest, batch_size, generator=generator) - 1

    rows = torch.arange(batch_size)
    first = torch.randint(_FIRST_MARK_AMONG, (batch_size,), generator=generator)
    second = torch.randint(minimal_length // 2 - 1, (batch_size,), generator=generator)
    second += second >= first  # counts only pairs that are still unmarked
    marker = torch.zeros_like(value)
    marker[first, rows] = marker[second, rows] = 1

    value[0].masked_fill_(marker[0] == 1, 0)
    target = 0.5 + (marker * value).sum(0) / 4
    marker[0] = marker[lengths - 1, rows] = -1
    x = torch.stack([value, marker], -1)
    x[torch.arange(longest)[:, None] >= lengths] = 0
    return Adding(x[: int(lengths.max())], lengths, target)


def _check(option: str, size: int, least: int) -> None:
    if isinstance(size, bool) or not isinstance(size, int):
        raise OptionTypeError(f"adding - {option} is {size!r}, expected a whole number - give an int")
    if size < least:
        raise OptionError(f"adding - {option} is {size}, expected at least {least} - give a larger one")
