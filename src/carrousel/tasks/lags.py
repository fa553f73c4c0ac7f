"""Long lags: one early symbol decides the last one; between them nothing, nothing regular, or a great deal."""

import torch
from torch import Tensor

from carrousel.nn.checks import whole_number
from carrousel.tasks.ragged import beyond
from carrousel.tasks.sequences import Sequences

__all__ = ["CORRECT_WITHIN", "VERY_LONG_CORRECT_WITHIN", "no_local_regularity", "noise_free", "very_long"]

#: 2a and 2b: all outputs of a sequence that is learned are closer to their targets than this, in 2b the last ones.
CORRECT_WITHIN = 0.25

#: 2c: both outputs of a sequence that is learned are closer to their targets than this.
VERY_LONG_CORRECT_WITHIN = 0.2

_PROBABILITY_OF_TRIGGER = 0.1


def noise_free(batch_size: int, p: int = 100, *, generator: torch.Generator | None = None) -> Sequences:
    """Draw from the two sequences of the noise-free task (2a).

    They are (y, a1, ..., a_p-1, y) and (x, a1, ..., a_p-1, x), equally likely. The input is the sequence without its
    last symbol, the target at every step the next symbol: the lag is p steps.

    Args:
        batch_size: the number of sequences.
        p: symbols of the input, at least 2; the alphabet has p + 1: a1 to a_p-1 are 0 to p - 2, x is p - 1, y is p.
        generator: the source of randomness; the same seed gives the same batch. None is torch's global one.

    Returns:
        x, lengths and target; one symbol is allowed next at every step, the target.

    Shapes:
        - x, target: (time, batch), int64, with time = p
        - lengths: (batch,), int64, all p

    Raises:
        OptionTypeError: a size is not a whole number.
        OptionError: the batch is empty, or p is too small for the symbols.

    Example:
        >>> x, _, target, _, _ = noise_free(1, 5, generator=torch.Generator().manual_seed(0))
        >>> x[:, 0].tolist(), target[:, 0].tolist()
        ([4, 0, 1, 2, 3], [0, 1, 2, 3, 4])

    Source:
        Hochreiter & Schmidhuber (1997), Neural Computation 9(8), section 5.2, task 2a.
    """
    _check("noise_free", batch_size, p)
    mark = torch.randint(p - 1, p + 1, (batch_size,), generator=generator)
    return _framed(mark, torch.arange(p - 1)[:, None].expand(-1, batch_size))


def no_local_regularity(batch_size: int, p: int = 100, *, generator: torch.Generator | None = None) -> Sequences:
    """Draw sequences of the task without local regularities (2b).

    As in `noise_free` the first symbol, x or y, comes again at the end, but the p - 1 symbols between are each drawn
    from a1 to a_p-1. Only the last one can be predicted.

    Args:
        batch_size: the number of sequences.
        p: as in `noise_free`.
        generator: the source of randomness; the same seed gives the same batch. None is torch's global one.

    Returns:
        x, lengths, target and the symbols allowed next.

    Shapes:
        - x, target: (time, batch), int64, with time = p
        - lengths: (batch,), int64, all p
        - allowed: (time, batch, p + 1), bool

    Raises:
        OptionTypeError: a size is not a whole number.
        OptionError: the batch is empty, or p is too small for the symbols.

    Example:
        >>> sequences = no_local_regularity(3, 5)
        >>> bool((sequences.target[-1] == sequences.x[0]).all())
        True
        >>> sequences.allowed[0, 0].tolist()
        [True, True, True, True, False, False]

    Source:
        Hochreiter & Schmidhuber (1997), section 5.2, task 2b.
    """
    _check("no_local_regularity", batch_size, p)
    mark = torch.randint(p - 1, p + 1, (batch_size,), generator=generator)
    sequences = _framed(mark, torch.randint(p - 1, (p - 1, batch_size), generator=generator))
    allowed = torch.zeros(p, batch_size, p + 1, dtype=torch.bool)
    allowed[:-1, :, : p - 1] = True
    allowed[-1, torch.arange(batch_size), mark] = True
    return sequences._replace(allowed=allowed)


def _framed(mark: Tensor, middle: Tensor) -> Sequences:
    """The mark, the middle, the mark; all but the last is input, all but the first is target."""
    symbols = torch.cat([mark[None], middle, mark[None]])
    return Sequences(symbols[:-1], torch.full_like(mark, len(symbols) - 1), symbols[1:])


def very_long(batch_size: int, q: int = 50, p: int = 50, *, generator: torch.Generator | None = None) -> Sequences:
    """Draw sequences of the task with very long time lags (2c).

    A sequence begins with b, then comes the class, x or y, then q distractors drawn from a1 to a_p. After that each
    step brings another distractor with probability 9/10 or the trigger e with 1/10; at e the class is to be said.
    With k further distractors the input has q + k + 3 symbols, and the lag from the class to e is q + k + 1.

    The sequence of the paper has the class as its last symbol, which is the target here: it then has q + k + 4 symbols,
    at least q + 4. The paper gives q + 14 as its mean; its rule, with 9 further distractors on average, gives q + 13.

    Args:
        batch_size: the number of sequences.
        q: distractors that always come, at least 1: the length of the lag.
        p: distractors to draw from. The alphabet has p + 4 symbols: a1 to a_p are 0 to p - 1, e is p, b is p + 1, x is
            p + 2, y is p + 3.
        generator: the source of randomness; the same seed gives the same batch. None is torch's global one.

    Returns:
        x, lengths and target.

    Shapes:
        - x: (time, batch), int64, with time the longest length of the batch
        - lengths: (batch,), int64
        - target: (batch, 2), (1, 0) for x and (0, 1) for y

    Raises:
        OptionTypeError: a size is not a whole number.
        OptionError: a size is below 1.

    Example:
        >>> x, lengths, target, _, _ = very_long(1, q=4, p=10, generator=torch.Generator().manual_seed(0))
        >>> x[:, 0].tolist(), target[0].tolist()
        ([11, 13, 3, 9, 7, 3, 10], [0.0, 1.0])

    Source:
        Hochreiter & Schmidhuber (1997), section 5.2, task 2c.
    """
    whole_number("very_long", "batch_size", batch_size, 1)
    whole_number("very_long", "q", q, 1)
    whole_number("very_long", "p", p, 1)
    trigger, begin, first_class = p, p + 1, p + 2
    until_trigger = torch.empty(batch_size).geometric_(_PROBABILITY_OF_TRIGGER, generator=generator).long()
    lengths = q + 2 + until_trigger
    x = torch.randint(p, (int(lengths.max()), batch_size), generator=generator)
    drawn_class = torch.randint(2, (batch_size,), generator=generator)
    x[0], x[1] = begin, first_class + drawn_class
    x[lengths - 1, torch.arange(batch_size)] = trigger
    x[beyond(lengths, len(x))] = 0
    return Sequences(x, lengths, torch.eye(2)[drawn_class])


def _check(where: str, batch_size: int, p: int) -> None:
    whole_number(where, "batch_size", batch_size, 1)
    whole_number(where, "p", p, 2)
