"""The two-sequence problem: the first elements of a noisy sequence tell its class, which is asked for at its end."""

import torch
from torch import Tensor

from carrousel.errors import UnknownNameError, did_you_mean
from carrousel.nn.checks import whole_number
from carrousel.tasks.ragged import beyond, draw_lengths
from carrousel.tasks.sequences import Sequences

__all__ = [
    "CORRECT_WITHIN",
    "INPUTS",
    "NOISE",
    "NOISY_TARGETS_CORRECT_WITHIN",
    "OUTPUTS",
    "noise_free_target",
    "two_sequence",
]

INPUTS = OUTPUTS = 1

#: Where the noise is, besides the elements that tell nothing: nowhere (3a), on those that tell (3b), on targets (3c).
NOISE = ("none", "inputs", "targets")

#: 3a and 3b: a sequence whose error at the end is larger counts as misclassified.
CORRECT_WITHIN = 0.2

#: 3c: the same, the error being that against the target without noise.
NOISY_TARGETS_CORRECT_WITHIN = 0.1

_INPUT_VARIANCE = 0.2
_TARGET_VARIANCE = 0.1


def two_sequence(
    batch_size: int,
    minimal_length: int = 100,
    informative: int = 3,
    noise: str = "none",
    *,
    generator: torch.Generator | None = None,
) -> Sequences:
    """Draw sequences of the two-sequence problem.

    A sequence has T to T + T/10 elements, T being the minimal length. Both classes are equally likely. The first N
    elements are 1 for class 1 and -1 for class 2, the others are Gaussian with mean 0 and variance (not deviation) 0.2.
    The target at the end is 1 for class 1 and 0 for class 2.

    With noise on the inputs the first N elements have Gaussian noise of variance 0.2 too: with N = 1 no classifier errs
    less often than 1.27 % of the time. With noise on the targets they are 0.2 for class 1 and 0.8 for class 2 plus
    Gaussian noise of variance 0.1, and the inputs that tell have none; `noise_free_target` gives them without noise.

    Args:
        batch_size: the number of sequences.
        minimal_length: T, at least N.
        informative: N, the elements that tell the class.
        noise: "none" (3a), "inputs" (3b) or "targets" (3c).
        generator: the source of randomness; the same seed gives the same batch. None is torch's global one.

    Returns:
        x, lengths and target.

    Shapes:
        - x: (time, batch, 1) with time the longest length of the batch
        - lengths: (batch,), int64
        - target: (batch, 1)

    Raises:
        OptionTypeError: a size is not a whole number.
        OptionError: the batch is empty, N is below 1 or above T.
        UnknownNameError: there is no noise of that name.

    Example:
        >>> x, lengths, target, _, _ = two_sequence(4, generator=torch.Generator().manual_seed(2))
        >>> x[0, :, 0].tolist(), target[:, 0].tolist()
        ([-1.0, 1.0, -1.0, 1.0], [0.0, 1.0, 0.0, 1.0])

    Source:
        Hochreiter & Schmidhuber (1997), Neural Computation 9(8), section 5.3.
    """
    whole_number("two_sequence", "batch_size", batch_size, 1)
    whole_number("two_sequence", "informative", informative, 1)
    whole_number("two_sequence", "minimal_length", minimal_length, informative)
    if noise not in NOISE:
        raise UnknownNameError(
            f"two_sequence - unknown noise {noise!r}; there is {', '.join(NOISE)}.{did_you_mean(str(noise), NOISE)}"
        )
    lengths = draw_lengths(batch_size, minimal_length, generator)
    sign = 2.0 * torch.randint(2, (batch_size, 1), generator=generator) - 1
    x = torch.randn(int(lengths.max()), batch_size, 1, generator=generator) * _INPUT_VARIANCE**0.5
    if noise == "inputs":
        x[:informative] += sign
    else:
        x[:informative] = sign
    x[beyond(lengths, len(x))] = 0
    if noise == "targets":
        target = noise_free_target(x)
        target += torch.randn(batch_size, 1, generator=generator) * _TARGET_VARIANCE**0.5
    else:
        target = (sign + 1) / 2
    return Sequences(x, lengths, target)


def noise_free_target(x: Tensor) -> Tensor:
    """Return what the targets of 3c are without their noise: 0.2 where the first element is positive, else 0.8.

    Args:
        x: of sequences drawn with noise on the targets, whose first elements have none.

    Shapes:
        - x: (time, batch, 1), in a population (time, net, batch, 1)
        - returned: (batch, 1) or (net, batch, 1)

    Example:
        >>> sequences = two_sequence(4, noise="targets", generator=torch.Generator().manual_seed(2))
        >>> noise_free_target(sequences.x).flatten()
        tensor([0.8000, 0.2000, 0.8000, 0.2000])

    Source:
        Hochreiter & Schmidhuber (1997), section 5.3, experiment 3c.
    """
    return torch.where(x[0] > 0, 0.2, 0.8)
