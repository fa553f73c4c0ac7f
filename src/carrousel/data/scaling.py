"""Scales: fitted on the training part, series by series, and undone in the output."""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from carrousel.errors import OptionError

__all__ = ["KINDS", "Scale", "check_kind", "fit_scale"]

Array = NDArray[np.float64]

KINDS = ("standard", "robust", "none")


@dataclass(frozen=True)
class Scale:
    """What is subtracted from each column of each series, and what it is divided by.

    Attributes:
        centre: (series, column).
        width: (series, column), above 0; 1 for a column that never changes.
    """

    centre: Array
    width: Array

    def apply(self, values: Array, lengths: NDArray[np.int64]) -> Array:
        """Return the scaled values.

        Args:
            values: (row, column), series after series.
            lengths: (series,), the rows of each.
        """
        if len(lengths) == 1:
            return (values - self.centre) / self.width
        return (values - np.repeat(self.centre, lengths, 0)) / np.repeat(self.width, lengths, 0)

    def to_dict(self) -> dict[str, Any]:
        """Return what a saved model keeps."""
        return {"centre": self.centre.tolist(), "width": self.width.tolist()}

    @classmethod
    def from_dict(cls, kept: dict[str, Any]) -> "Scale":
        """Return the scale that was kept."""
        return cls(np.array(kept["centre"], float), np.array(kept["width"], float))


def check_kind(kind: str) -> None:
    """Check the option.

    Raises:
        OptionError: there is no such scale.
    """
    if kind not in KINDS:
        raise OptionError(f"scaler - {kind!r} is no scale - choose {', '.join(KINDS)}")


def fit_scale(values: Array, first: NDArray[np.int64], end: NDArray[np.int64], kind: str = "standard") -> Scale:
    """Measure centre and width of each column of each series.

    Args:
        values: (row, column); NaN does not count.
        first, end: (series,), the rows that are measured: `first` to `end - 1`.
        kind: "standard" for mean and standard deviation, "robust" for median and interquartile range (divided by 1.349,
            so that it is the deviation of normal values), "none".

    Example:
        >>> scale = fit_scale(np.array([[1.0], [3.0], [100.0]]), np.array([0]), np.array([2]))
        >>> scale.centre.tolist(), scale.width.tolist()
        ([[2.0]], [[1.0]])
    """
    check_kind(kind)
    shape = (len(first), values.shape[1])
    centre, width = np.zeros(shape), np.ones(shape)
    if kind == "none":
        return Scale(centre, width)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a column of NaN alone
        for series, (begin, stop) in enumerate(zip(first, end, strict=True)):
            part = values[begin:stop]
            if kind == "standard":
                centre[series], width[series] = np.nanmean(part, 0), _deviation(part)
            else:
                low, centre[series], high = np.nanquantile(part, (0.25, 0.5, 0.75), axis=0)
                width[series] = (high - low) / 1.349
                flat = width[series] <= 0
                width[series, flat] = _deviation(part)[flat]
    centre = np.nan_to_num(centre)
    tiny = ~(width > 1e-12 * np.abs(centre))  # in any unit
    return Scale(centre, np.where(tiny, 1.0, width))


def _deviation(values: Array) -> Array:
    """(column,), the standard deviation of values whose squares may be no numbers: 1e-300, 1e200."""
    _, exponent = np.frexp(np.nanmax(np.abs(values), 0, initial=0.0))
    return np.asarray(np.ldexp(np.nanstd(np.ldexp(values, -exponent), 0), exponent))
