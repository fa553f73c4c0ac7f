"""Values that are not there: counted, refused or filled."""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from carrousel.errors import OptionError

__all__ = ["WAYS", "check_way", "fill"]

WAYS = ("error", "ffill", "interpolate", "mask")


def check_way(way: str) -> None:
    """Check the option.

    Raises:
        OptionError: there is no such way.
    """
    if way not in WAYS:
        raise OptionError(f"missing - {way!r} is no way to treat missing values - choose {', '.join(WAYS)}")


def fill(values: NDArray[np.float64], first: NDArray[np.int64], way: str) -> NDArray[np.float64]:
    """Fill what is missing, series by series; before the first value of a series stands that value.

    Args:
        values: (row, column), NaN where a value is missing.
        first: (series + 1,), the row at which each series begins, and the number of rows.
        way: "interpolate" draws a straight line between its neighbours, any other holds the value before it.

    Returns:
        The values without NaN, the same array if none was missing; a column of a series with no value at all becomes 0.

    Example:
        >>> fill(np.array([[1.0], [np.nan], [3.0]]), np.array([0, 3]), "interpolate")[:, 0].tolist()
        [1.0, 2.0, 3.0]
    """
    if not np.isnan(values).any():
        return values
    filled = values.copy()
    for begin, end in pairwise(first):
        for column in range(values.shape[1]):
            part = filled[begin:end, column]
            gone = np.isnan(part)
            if gone.all():
                part[:] = 0.0
            elif gone.any():
                part[gone] = _filled(part, gone, way)
    return filled


def _filled(part: NDArray[np.float64], gone: NDArray[np.bool_], way: str) -> NDArray[np.float64]:
    there = np.flatnonzero(~gone)
    rows = np.flatnonzero(gone)
    if way == "interpolate":
        return np.asarray(np.interp(rows, there, part[there]))
    before = np.searchsorted(there, rows) - 1
    return np.asarray(part[there[np.maximum(before, 0)]])
