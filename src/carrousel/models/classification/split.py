"""Examples that are held out: some of each class."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["held_out"]


def held_out(codes: NDArray[np.int64], fraction: float, seed: int) -> NDArray[np.bool_]:
    """Draw the examples that are not trained on.

    Every class gives about its fraction, so that a rare one is held out too, but none gives all it has.

    Args:
        codes: (example,), the number of each one's class.
        fraction: of the examples, from 0 to below 1.
        seed: of the draw.

    Returns:
        (example,) whether it is held out.

    Example:
        >>> held_out(np.array([0] * 10 + [1] * 20 + [2]), 0.1, seed=0).sum()
        np.int64(3)
    """
    rng = np.random.default_rng(seed)
    held = np.zeros(len(codes), bool)
    for code in np.unique(codes):
        rows = rng.permutation(np.flatnonzero(codes == code))
        held[rows[: min(round(fraction * len(rows)), len(rows) - 1)]] = True
    return held
