"""The multiplication problem: remember two marked real numbers over a long time and multiply them."""

import torch

from carrousel.tasks import marked_pairs
from carrousel.tasks.sequences import Sequences

__all__ = ["CORRECT_WITHIN", "INPUTS", "OUTPUTS", "multiplication"]

INPUTS, OUTPUTS = 2, 1

#: The paper counts a sequence as processed correctly if the error at its end is at most this.
CORRECT_WITHIN = 0.04


def multiplication(
    batch_size: int,
    minimal_length: int = 100,
    *,
    first_pair: str = "hidden",
    generator: torch.Generator | None = None,
) -> Sequences:
    """Draw a batch of the multiplication problem.

    It is `carrousel.tasks.adding.adding` with values that are uniform in [0, 1] and the target X1 * X2. If the first
    pair is drawn, the paper sets X1 to 1 (there to 0): the number that changes nothing.

    Args:
        batch_size: the number of sequences.
        minimal_length: T, at least 20.
        first_pair: what becomes of a first pair that is drawn, as in the adding problem, with 1 in the place of zero.
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
        >>> x, lengths, target, _, _ = multiplication(3)
        >>> x.shape[1:], target.shape
        (torch.Size([3, 2]), torch.Size([3, 1]))

    Source:
        Hochreiter & Schmidhuber (1997), Neural Computation 9(8), section 5.5.
    """
    pairs = marked_pairs.draw("multiplication", batch_size, minimal_length, first_pair, 0.0, 1.0, generator)
    return Sequences(pairs.x, pairs.lengths, pairs.first * pairs.second)
