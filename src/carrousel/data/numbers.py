"""A column of a table as numbers."""

import re
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from carrousel.errors import DataError, DataWarning

__all__ = [
    "check_finite",
    "is_missing_text",
    "LARGEST",
    "is_number_like",
    "remedy_of",
    "to_array",
    "to_numbers",
    "values_of",
]

#: What is larger is infinite when errors are squared.
LARGEST = 1e150

_MARKS = frozenset({"", "na", "n/a", "#n/a", "nan", "null", "none", "-", "--", "?", ".", "missing"})
_DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+")
_THOUSANDS = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?")
#: A number with a currency, a percent sign or a unit before or behind it.
_WITH_SIGN = re.compile(r"([+-]?)([A-Z]{0,3}[^\w\s.,+-]|[A-Z]{3})?\s*([+-]?\d+(?:[.,]\d+)*)\s*([^\d\s.,+-]{1,5})?")


def is_missing_text(text: object) -> bool:
    """Return whether a text is what people write for a value that is not there.

    Example:
        >>> is_missing_text(" n/a"), is_missing_text("0")
        (True, False)
    """
    return text is None or str(text).strip().lower() in _MARKS


def is_number_like(column: Any) -> bool:
    """Return whether a narwhals Series holds numbers, or texts that are numbers but for a few."""
    if column.dtype.is_numeric() or str(column.dtype) == "Boolean":
        return True
    texts = [text for text in values_of(column.head(200)) if not is_missing_text(text)]
    numbers = sum(_is_number(str(text)) for text in texts)
    return bool(texts) and numbers >= 0.5 * len(texts)


def to_numbers(column: Any, name: str, texts_are_missing: bool) -> NDArray[np.float64]:
    """Return a column as numbers; a missing value is NaN.

    Args:
        column: a narwhals Series.
        name: the column's name, for messages.
        texts_are_missing: whether n/a and the like are taken for missing values.

    Raises:
        DataError: a value is no number, or not finite.

    Example:
        >>> import narwhals as nw, pandas
        >>> to_numbers(nw.from_native(pandas.Series(["1", "n/a"]), series_only=True), "rain", True).tolist()
        [1.0, nan]
    """
    if column.dtype.is_numeric() or str(column.dtype) == "Boolean":
        numbers = np.asarray(column.to_numpy())
        if numbers.dtype == object:  # nullable types
            numbers = np.array([np.nan if value is None else float(value) for value in values_of(column)])
        numbers = numbers.astype(np.float64)
    else:
        numbers = _from_texts(values_of(column), name, texts_are_missing)
    check_finite(numbers, name)
    return numbers


def remedy_of(value: object) -> str:
    """Return what to do about a number with a currency, a percent sign or a unit beside it; '' for anything else.

    Example:
        >>> remedy_of("-$10.04")
        "take '$' out of all its numbers, as in -10.04"
    """
    found = _WITH_SIGN.fullmatch(value.strip()) if isinstance(value, str) else None
    if not found or not (found[2] or found[4]):
        return ""
    signs = " and ".join(repr(sign) for sign in (found[2], found[4]) if sign)
    number = found[3].replace(",", "") if "." in found[3] and _THOUSANDS.fullmatch(found[3]) else found[3]
    return f"take {signs} out of all its numbers, as in {found[1]}{number}"


def to_array(data: Any) -> NDArray[Any]:
    """Return data as an array of numpy; what is masked is missing.

    Example:
        >>> to_array(np.ma.masked_array([1, 2], mask=[False, True])).tolist()
        [1, nan]
    """
    if isinstance(data, np.ma.MaskedArray):
        return np.asarray(np.ma.filled(data.astype(object), np.nan))
    if hasattr(data, "detach"):  # of torch, whose bfloat16 numpy has not
        data = data.detach().cpu()
        data = data.double() if data.is_floating_point() else data
    return np.asarray(data)


def values_of(column: Any) -> list[Any]:
    """Return a narwhals Series' values; what is missing, by whatever name its library has for that, is None."""
    values = zip(column.to_list(), column.is_null().to_list(), strict=True)
    return [None if is_gone or value != value else value for value, is_gone in values]


def check_finite(numbers: NDArray[np.float64], name: str) -> None:
    """Check that a column has no infinity, nor what becomes one when errors are squared.

    Raises:
        DataError: it has.
    """
    too_large = np.abs(numbers) > LARGEST
    if too_large.any():
        row = int(too_large.argmax())
        expected = "a number" if np.isinf(numbers[row]) else f"at most {LARGEST:g}, whose square is a number too"
        raise DataError(
            f"column '{name}' row {row + 1} - it is {numbers[row]}, expected {expected} - replace or drop it"
        )


def _from_texts(values: list[Any], name: str, texts_are_missing: bool) -> NDArray[np.float64]:
    values = _with_points(values, name)
    numbers = np.empty(len(values))
    for row, value in enumerate(values):
        try:
            numbers[row] = np.nan if value is None else float(value)
        except (TypeError, ValueError):
            if not is_missing_text(value):
                todo = remedy_of(value) or "correct it"
                raise DataError(
                    f"column '{name}' row {row + 1} - '{value}' is not a number - {todo}, or name another column"
                ) from None
            if not texts_are_missing:
                raise DataError(
                    f"column '{name}' row {row + 1} - '{value}' is not a number - use --missing interpolate "
                    f"(missing='interpolate') to treat '{value}' as missing"
                ) from None
            numbers[row] = np.nan
    return numbers


def _with_points(values: list[Any], name: str) -> list[Any]:
    """3,5 as 3.5, where all numbers of the column are written so."""
    texts = [str(value).strip() for value in values if not is_missing_text(value)]
    numbers = [text for text in texts if _DECIMAL_COMMA.fullmatch(text) or _THOUSANDS.fullmatch(text)]
    if not numbers:
        return values
    sure = next((text for text in numbers if "." in text), None)
    others = len(numbers) < len([text for text in texts if "." in text or "," in text])
    if sure or others or all(_THOUSANDS.fullmatch(text) for text in numbers):
        what = (
            f"'{sure}' has separators of thousands" if sure else f"'{numbers[0]}' may be a decimal comma or thousands"
        )
        raise DataError(f"column '{name}' - {what} - write numbers with a point and without separators of thousands")
    warnings.warn(f"column '{name}': '{numbers[0]}' is read with a decimal comma", DataWarning, stacklevel=2)
    return [value.replace(",", ".") if isinstance(value, str) else value for value in values]


def _is_number(text: str) -> bool:
    if _THOUSANDS.fullmatch(text.strip()):
        return True
    try:
        float(text.replace(",", "."))
    except ValueError:
        return False
    return True
