"""The adding problem: remember two marked real numbers over a long time and add them."""

import torch

from carrousel.nn.checks import whole_number
from carrousel.tasks import marked_pairs
from carrousel.tasks.sequences import Sequences

__all__ = ["CORRECT_WITHIN", "INPUTS", "OUTPUTS", "adding", "adding_irnn"]

INPUTS, OUTPUTS = 2, 1

#: The paper of 1997 counts a sequence as learned if the error at its end is below this.
CORRECT_WITHIN = 0.04


def adding(
    batch_size: int,
    minimal_length: int = 100,
    *,
    first_pair: str = "hidden",
    generator: torch.Generator | None = None,
) -> Sequences:
    """Draw a batch of the adding problem.

    A sequence has T to T + T/10 pairs (value, marker), T being the minimal length; values are uniform in [-1, 1]. Two
    pairs are marked by 1: one of the first ten, whose value is X1, then one of the first T/2 - 1 pairs that are still
    unmarked, whose value is X2. The first and the last pair have the marker -1, all others 0. The target at the last
    pair is 0.5 + (X1 + X2) / 4; at least T/2 steps lie between it and the second mark.

    If the first pair is drawn, the paper sets X1 to zero and leaves its marker open. By default ("hidden") the pair
    keeps the marker -1 and its value is zero, whichever of the two draws it was: such a sequence shows one mark, and
    the target is that of the marks that can be seen. `carrousel.tasks.marked_pairs.FIRST_PAIR` lists all readings.

    Args:
        batch_size: the number of sequences.
        minimal_length: T, at least 20.
        first_pair: what becomes of a first pair that is drawn: "hidden"; "hidden_first", the same, but X2 is never
            the first pair; "marked", its marker is 1 and its value zero; "discounted", its marker is 1 and its value
            stays, but counts as zero in the target; "counted", its marker is 1 and its value counts like any other.
        generator: the source of randomness; the same seed gives the same batch. None is torch's global one.

    Returns:
        x, lengths and target.

    Shapes:
        - x: (time, batch, 2) with time the longest length of the batch
        - lengths: (batch,), int64
        - target: (batch, 1)

    Raises:
        OptionTypeError: a size is not a whole number.
        OptionError: the batch is empty, or T is too short for the marks.
        UnknownNameError: there is no reading of that name.

    Example:
        >>> x, lengths, target, _, _ = adding(3, 100, generator=torch.Generator().manual_seed(0))
        >>> x.shape[1:], bool((lengths >= 100).all()), target.shape
        (torch.Size([3, 2]), True, torch.Size([3, 1]))

    Source:
        Hochreiter & Schmidhuber (1997), Neural Computation 9(8), section 5.4.
    """
    pairs = marked_pairs.draw("adding", batch_size, minimal_length, first_pair, -1.0, 0.0, generator)
    return Sequences(pairs.x, pairs.lengths, 0.5 + (pairs.first + pairs.second) / 4)


def adding_irnn(batch_size: int, length: int = 150, *, generator: torch.Generator | None = None) -> Sequences:
    """Draw a batch of the adding problem as later papers pose it.

    All sequences have the same length; values are uniform in [0, 1]. One pair of the first half and one of the second
    half have the marker 1, all others 0. The target is the sum of the two values; always saying 1 has the mean squared
    error 1/6.

    Args:
        batch_size: the number of sequences.
        length: pairs of each sequence, at least 2.
        generator: the source of randomness; the same seed gives the same batch. None is torch's global one.

    Returns:
        x, lengths and target.

    Shapes:
        - x: (time, batch, 2) with time = length
        - lengths: (batch,), int64, all equal to `length`
        - target: (batch, 1)

    Raises:
        OptionTypeError: a size is not a whole number.
        OptionError: the batch is empty, or the sequences are too short for two marks.

    Example:
        >>> x, _, target, _, _ = adding_irnn(3, 150)
        >>> torch.allclose(x.prod(-1).sum(0), target[:, 0])
        True

    Source:
        Le, Jaitly & Hinton (2015), A simple way to initialize recurrent networks of rectified linear units, section 4.
    """
    whole_number("adding_irnn", "batch_size", batch_size, 1)
    whole_number("adding_irnn", "length", length, 2)
    half, rows = length // 2, torch.arange(batch_size)
    x = torch.zeros(length, batch_size, 2)
    x[..., 0] = torch.rand(length, batch_size, generator=generator)
    x[torch.randint(half, (batch_size,), generator=generator), rows, 1] = 1
    x[torch.randint(half, length, (batch_size,), generator=generator), rows, 1] = 1
    return Sequences(x, torch.full((batch_size,), length), x.prod(-1).sum(0)[:, None])
