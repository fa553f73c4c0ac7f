"""Data that everybody has: what comes with carrousel, with Python, and with libraries that are installed."""

import importlib
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from carrousel.data.temperatures import hourly_temperatures
from carrousel.errors import MissingExtraError

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["carbon_dioxide", "handwritten_digits", "python_manual", "sunspots", "temperature_table"]


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


def carbon_dioxide() -> "DataFrame":
    """Return the carbon dioxide over Mauna Loa, week by week from 1958 to 2001.

    Returns:
        Columns `time` and `ppm`, in parts per million; 59 of 2,284 weeks are missing.

    Raises:
        MissingExtraError: statsmodels is not installed.

    Example:
        >>> carbon_dioxide().ppm.isna().sum().item()
        59

    Source:
        Keeling & Whorf (2004), Scripps Institution of Oceanography; the copy inside statsmodels.
    """
    return _of_statsmodels("co2").rename_axis("time").reset_index().rename(columns={"co2": "ppm"})


def sunspots() -> "DataFrame":
    """Return the mean number of sunspots of every year from 1700 to 2008.

    Returns:
        Columns `year` (a date, its first day) and `number`; none is missing.

    Raises:
        MissingExtraError: statsmodels is not installed.

    Example:
        >>> len(sunspots())
        309

    Source:
        WDC-SILSO, Royal Observatory of Belgium; the copy inside statsmodels.
    """
    import pandas as pd

    found = _of_statsmodels("sunspots")
    years = pd.to_datetime(found["YEAR"].astype(int).astype(str), format="%Y")
    return pd.DataFrame({"year": years, "number": found["SUNACTIVITY"]})


def _of_statsmodels(name: str) -> "DataFrame":
    try:
        module = importlib.import_module(f"statsmodels.datasets.{name}")
    except ImportError as error:
        raise MissingExtraError(f"datasets - {name} is read from statsmodels - pip install statsmodels") from error
    return module.load_pandas().data
