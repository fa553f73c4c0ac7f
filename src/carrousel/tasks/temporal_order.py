"""Temporal order: tell in which order two or three far apart symbols came."""

import torch
from torch import Tensor

from carrousel.errors import OptionError
from carrousel.nn.checks import whole_number
from carrousel.tasks.ragged import beyond, draw_lengths, end_to_end
from carrousel.tasks.sequences import Sequences

__all__ = ["CLASSES", "CORRECT_WITHIN", "INPUTS", "SYMBOLS", "continual", "temporal_order"]

#: The symbols, in the order of their numbers: start, trigger, the two that matter, four that do not.
SYMBOLS = "EBXYabcd"

INPUTS = len(SYMBOLS)

#: How many symbols matter -> the classes, in the order of XX, XY, YX, YY and of XXX, XXY, XYX, XYY, YXX, YXY, YYX, YYY.
CLASSES = {2: "QRSU", 3: "QRSUVABC"}

#: A sequence counts as learned if all its outputs are closer to their targets than this.
CORRECT_WITHIN = 0.3

#: How many symbols matter -> the percentage of T that each one's position lies between, both included.
_POSITIONS = {2: ((10, 20), (50, 60)), 3: ((10, 20), (33, 43), (66, 76))}

_START, _TRIGGER, _X, _DISTRACTORS = (SYMBOLS.index(symbol) for symbol in "EBXa")


def temporal_order(
    batch_size: int, relevant: int = 2, minimal_length: int = 100, *, generator: torch.Generator | None = None
) -> Sequences:
    """Draw a batch of the temporal order problem.

    A sequence has T to T + T/10 symbols: E first, B last, and between them symbols drawn from a, b, c, d, but for two
    (6a) or three (6b), each X or Y. With T = 100 their positions are uniform in 10-20 and 50-60, or in 10-20, 33-43 and
    66-76, the first symbol being number 1. Which of X and Y came in which order is the class, to be told at the last
    symbol. Other lengths than 100 are not in the paper; the positions are then in proportion.

    Args:
        batch_size: the number of sequences.
        relevant: 2 (6a, four classes) or 3 (6b, eight classes).
        minimal_length: T, at least 20.
        generator: the source of randomness; the same seed gives the same batch. None is torch's global one.

    Returns:
        x, lengths and target.

    Shapes:
        - x: (time, batch), int64, numbers of SYMBOLS; time is the longest length of the batch
        - lengths: (batch,), int64
        - target: (batch, 4) or (batch, 8), 1 for the class and 0 for the others

    Raises:
        OptionTypeError: a size is not a whole number.
        OptionError: the batch is empty, T is too short, or neither two nor three symbols matter.

    Example:
        >>> x, lengths, target, _, _ = temporal_order(1, minimal_length=20, generator=torch.Generator().manual_seed(0))
        >>> "".join(SYMBOLS[number] for number in x[:, 0]), CLASSES[2][int(target[0].argmax())]
        ('EbaXdddbdbcYdcaaacbcdB', 'R')

    Source:
        Hochreiter & Schmidhuber (1997), Neural Computation 9(8), section 5.6.
    """
    x, lengths, drawn_class = _draw("temporal_order", batch_size, relevant, minimal_length, generator)
    return Sequences(x, lengths, torch.eye(2**relevant)[drawn_class])


def continual(
    batch_size: int,
    sequences: int = 100,
    relevant: int = 3,
    minimal_length: int = 100,
    *,
    resets: bool = False,
    generator: torch.Generator | None = None,
) -> Sequences:
    """Draw streams of temporal order sequences: nothing resets the states between them.

    The class is to be told at each sequence's last symbol, B. What is to be said at the other symbols the paper leaves
    open; here it is nothing (an assumption).

    Args:
        batch_size: the number of streams.
        sequences: sequences in each stream.
        relevant, minimal_length: as in `temporal_order`.
        resets: whether to mark the first steps of sequences, for whoever may know them.
        generator: the source of randomness; the same seed gives the same batch. None is torch's global one.

    Returns:
        x, lengths and target.

    Shapes:
        - x: (time, batch), int64, numbers of SYMBOLS; time is the longest stream
        - lengths: (batch,), int64
        - target: (time, batch), int64, the class's number, -1 where there is nothing to be said

    Raises:
        OptionTypeError, OptionError: as of `temporal_order`, or there is no sequence.

    Example:
        >>> streams = continual(2, 10)
        >>> (streams.target >= 0).sum(0).tolist()
        [10, 10]

    Source:
        Gers, Schmidhuber & Cummins (2000), Learning to forget, Neural Computation 12(10), the continual noisy temporal
        order problem.
    """
    whole_number("continual", "batch_size", batch_size, 1)
    whole_number("continual", "sequences", sequences, 1)
    x, lengths, drawn_class = _draw("continual", sequences * batch_size, relevant, minimal_length, generator)
    rows = torch.arange(len(lengths))
    target = torch.full_like(x, -1)
    target[lengths - 1, rows] = drawn_class
    return end_to_end(Sequences(x, lengths, target), rows.view(sequences, batch_size), resets=resets)


def _draw(
    where: str, batch_size: int, relevant: int, minimal_length: int, generator: torch.Generator | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Symbols (time, batch), lengths and the classes' numbers."""
    whole_number(where, "batch_size", batch_size, 1)
    whole_number(where, "minimal_length", minimal_length, 20)
    if whole_number(where, "relevant", relevant, 2) not in _POSITIONS:
        raise OptionError(f"{where} - relevant is {relevant}, expected 2 or 3 - give 2 for 6a, 3 for 6b")
    lengths = draw_lengths(batch_size, minimal_length, generator)
    rows = torch.arange(batch_size)
    x = torch.randint(_DISTRACTORS, len(SYMBOLS), (int(lengths.max()), batch_size), generator=generator)
    drawn_class = torch.zeros_like(lengths)
    for least, most in _POSITIONS[relevant]:
        least, most = least * minimal_length // 100, most * minimal_length // 100
        position = torch.randint(least, most + 1, (batch_size,), generator=generator)
        is_y = torch.randint(2, (batch_size,), generator=generator)
        x[position - 1, rows] = _X + is_y
        drawn_class = 2 * drawn_class + is_y
    x[0] = _START
    x[lengths - 1, rows] = _TRIGGER
    x[beyond(lengths, len(x))] = 0
    return x, lengths, drawn_class
