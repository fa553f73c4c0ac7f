"""Data that everybody has: measured temperatures, scikit-learn's handwriting, the manual inside Python."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from carrousel.data.temperatures import hourly_temperatures

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["handwritten_digits", "python_manual", "temperature_table"]


def temperature_table() -> "DataFrame":
    """Return a year of hourly temperatures as a table.

    Returns:
        Columns `time` (UTC) and `celsius`; 24 of the values are missing.

    Example:
        >>> temperature_table().columns.tolist()
        ['time', 'celsius']

    Source:
        `carrousel.data.temperatures.hourly_temperatures`.
    """
    import pandas as pd

    celsius, start = hourly_temperatures()
    return pd.DataFrame({"time": pd.date_range(start, periods=len(celsius), freq="h"), "celsius": celsius})


def handwritten_digits() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return scikit-learn's handwritten digits, as sequences of rows.

    Returns:
        Images and digits.

    Shapes:
        - images: (image, row, column), 1,797 of 8 x 8, 0 to 16
        - digits: (image,)

    Example:
        >>> images, digits = handwritten_digits()
        >>> images.shape, digits[:3].tolist()
        ((1797, 8, 8), [0, 1, 2])

    Source:
        Alpaydin & Kaynak (1998), Optical recognition of handwritten digits, its test set.
    """
    from sklearn.datasets import load_digits

    found = load_digits()
    return found.images, found.target


def python_manual() -> str:
    """Return the topics of Python's own `help()`: some 700,000 characters of English.

    Example:
        >>> "The \\"assert\\" statement" in python_manual()
        True
    """
    from pydoc_data.topics import topics

    return "\n\n".join(topics[name] for name in sorted(topics))
