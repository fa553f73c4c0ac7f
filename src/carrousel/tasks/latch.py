"""The latch problem: the first number says it all, noise follows, and the class is told at the end."""

import torch

from carrousel.nn.checks import whole_number
from carrousel.tasks.ragged import beyond
from carrousel.tasks.sequences import Sequences

__all__ = ["INPUTS", "OUTPUTS", "latch"]

INPUTS = OUTPUTS = 1


def latch(
    batch_size: int,
    target: float = 1.0,
    minimal_length: int = 500,
    maximal_length: int = 600,
    *,
    variance: float = 0.2,
    generator: torch.Generator | None = None,
) -> Sequences:
    """Draw a batch of the latch problem.

    The first element is 1 for the sequences of one class and -1 for those of the other, which are equally likely; all
    others are Gaussian noise with mean 0 and variance 0.2. Lengths are uniform.

    Args:
        batch_size: the number of sequences.
        target: what is to be said at the end of a sequence of the first class; minus that of the other: 1 in variant
            II, 0.8 in variant I.
        minimal_length, maximal_length: of a sequence.
        variance: of the noise.
        generator: the source of randomness; the same seed gives the same batch. None is torch's global one.

    Returns:
        x, lengths and target.

    Shapes:
        - x: (time, batch, 1) with time the longest length
        - lengths: (batch,), int64
        - target: (batch, 1)

    Raises:
        OptionTypeError: a size is not a whole number.
        OptionError: the batch is empty, or the lengths are none.

    Example:
        >>> x, _, target, _, _ = latch(4, 0.8)
        >>> torch.equal(target, 0.8 * x[0])
        True

    Source:
        Bengio, Simard & Frasconi (1994); as Schmidhuber, Hochreiter & Bengio (2001), Evaluating benchmark problems by
        random guessing, pose it.
    """
    whole_number("latch", "batch_size", batch_size, 1)
    whole_number("latch", "minimal_length", minimal_length, 1)
    whole_number("latch", "maximal_length", maximal_length, minimal_length)
    lengths = torch.randint(minimal_length, maximal_length + 1, (batch_size,), generator=generator)
    x = variance**0.5 * torch.randn(int(lengths.max()), batch_size, 1, generator=generator)
    x[0] = 2.0 * torch.randint(2, (batch_size, 1), generator=generator) - 1
    x[beyond(lengths, len(x))] = 0
    return Sequences(x, lengths, target * x[0])
