"""Sequences of pairs (value, marker) with two marked ones: what the adding and the multiplication problem share."""

from typing import NamedTuple

import torch
from torch import Tensor

from carrousel.errors import UnknownNameError, did_you_mean
from carrousel.nn.checks import whole_number
from carrousel.tasks.ragged import beyond, draw_lengths

__all__ = ["FIRST_PAIR", "MarkedPairs", "draw"]

#: What becomes of the first pair if a mark falls on it: the readings of what the paper leaves open.
#:
#: ==============  ======  ============  ============  ===================
#: reading         marker  value         counts as     may be the second
#: ==============  ======  ============  ============  ===================
#: "hidden"        -1      the neutral   the neutral   yes
#: "hidden_first"  -1      the neutral   the neutral   no, X2 is elsewhere
#: "marked"        1       the neutral   the neutral   yes
#: "discounted"    1       as drawn      the neutral   yes
#: "counted"       1       as drawn      as drawn      yes
#: ==============  ======  ============  ============  ===================
FIRST_PAIR = ("hidden", "hidden_first", "marked", "discounted", "counted")

_FIRST_MARK_AMONG = 10


class MarkedPairs(NamedTuple):
    """Sequences of pairs and the two numbers that are marked in each.

    Shapes:
        x: (time, batch, 2)
        lengths: (batch,), int64
        first, second: (batch, 1), X1 and X2
    """

    x: Tensor
    lengths: Tensor
    first: Tensor
    second: Tensor


def draw(
    where: str,
    batch_size: int,
    minimal_length: int,
    first_pair: str,
    least: float,
    neutral: float,
    generator: torch.Generator | None,
) -> MarkedPairs:
    """Draw sequences of pairs with two marks.

    Args:
        where: the task's name, for messages.
        batch_size: the number of sequences.
        minimal_length: T, at least 20.
        first_pair: one of FIRST_PAIR.
        least: values are uniform from here to 1.
        neutral: the number that changes nothing, 0 in a sum and 1 in a product.
        generator: the source of randomness.

    Returns:
        The sequences with X1 and X2.

    Raises:
        OptionTypeError: a size is not a whole number.
        OptionError: the batch is empty, or T is too short for the marks.
        UnknownNameError: there is no reading of that name.

    Example:
        >>> pairs = draw("adding", 3, 100, "hidden", -1.0, 0.0, None)
        >>> pairs.x.shape[1:], pairs.first.shape
        (torch.Size([3, 2]), torch.Size([3, 1]))

    Source:
        Hochreiter & Schmidhuber (1997), Neural Computation 9(8), sections 5.4 and 5.5.
    """
    whole_number(where, "batch_size", batch_size, 1)
    whole_number(where, "minimal_length", minimal_length, 2 * _FIRST_MARK_AMONG)
    if first_pair not in FIRST_PAIR:
        raise UnknownNameError(
            f"{where} - unknown first_pair {first_pair!r}; the readings are {', '.join(FIRST_PAIR)}."
            f"{did_you_mean(str(first_pair), FIRST_PAIR)}"
        )
    lengths = draw_lengths(batch_size, minimal_length, generator)
    rows, longest = torch.arange(batch_size), int(lengths.max())
    value = least + (1 - least) * torch.rand(longest, batch_size, generator=generator)
    first, second = _marks(batch_size, minimal_length // 2, first_pair == "hidden_first", generator)

    marker = torch.zeros_like(value)
    marker[first, rows] = marker[second, rows] = 1
    on_first_pair = marker[0] == 1
    counted = value[0].clone()
    if first_pair != "counted":
        counted[on_first_pair] = neutral
    if first_pair != "discounted":
        value[0] = counted
    if first_pair in ("hidden", "hidden_first"):
        on_first_pair = torch.zeros_like(on_first_pair)
    marker[0] = torch.where(on_first_pair, 1.0, -1.0)
    marker[lengths - 1, rows] = -1

    x = torch.stack([value, marker], -1)
    x[beyond(lengths, longest)] = 0
    numbers = torch.cat([counted[None], value[1:]])
    return MarkedPairs(x, lengths, numbers[first, rows][:, None], numbers[second, rows][:, None])


def _marks(
    batch_size: int, half: int, first_draw_only: bool, generator: torch.Generator | None
) -> tuple[Tensor, Tensor]:
    """Where the marks are: one of the first ten pairs, then one of the first T/2 that are still unmarked."""
    first = torch.randint(_FIRST_MARK_AMONG, (batch_size,), generator=generator)
    start = int(first_draw_only)
    taken = first >= start
    unmarked = half - start - taken.long()
    second = start + (unmarked * torch.rand(batch_size, generator=generator)).long()
    second += taken & (second >= first)
    return first, second
