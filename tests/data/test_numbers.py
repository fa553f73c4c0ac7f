"""Columns as numbers."""

import re
from typing import Any

import narwhals as nw
import numpy as np
import pandas
import polars
import pytest

from carrousel.data.numbers import is_number_like, to_numbers
from carrousel.errors import DataError, DataWarning


def numbers(values: Any, texts_are_missing: bool = False) -> list[float]:
    native = values if isinstance(values, pandas.Series | polars.Series) else pandas.Series(values)
    return to_numbers(nw.from_native(native, series_only=True), "rain", texts_are_missing).tolist()


@pytest.mark.parametrize(
    "values",
    [
        [1, 0],
        [True, False],
        ["1", " 0 "],
        pandas.Series([1, 0], dtype="Int64"),
        polars.Series([1, 0]),
        polars.Series(["1", "0"]),
        ["1e0", "0"],
    ],
)
def test_whatever_they_are(values: Any) -> None:
    assert numbers(values) == [1.0, 0.0]


@pytest.mark.parametrize(
    "values",
    [
        [1.0, None],
        pandas.Series([1, None], dtype="Int64"),
        polars.Series([1, None]),
        polars.Series(["1", None]),
        pandas.Series(["1", None], dtype="string"),
        pandas.Series([True, None], dtype="boolean"),
        pandas.Series([1, pandas.NA], dtype=object),
    ],
)
def test_missing_values_are_nan(values: Any) -> None:
    np.testing.assert_array_equal(numbers(values), [1.0, np.nan])


def test_words_for_missing_values() -> None:
    np.testing.assert_array_equal(numbers(["1", "n/a", "NULL", "-"], True), [1.0, np.nan, np.nan, np.nan])


def test_decimal_commas_are_read_and_said() -> None:
    with pytest.warns(DataWarning, match="column 'rain': '0,5' is read with a decimal comma"):
        assert numbers(["0,5", "1,25", "2"]) == [0.5, 1.25, 2.0]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            ["1", "n/a"],
            "column 'rain' row 2 - 'n/a' is not a number - use --missing interpolate (missing='interpolate')",
        ),
        (["1", "wet"], "column 'rain' row 2 - 'wet' is not a number - correct it, or name another column"),
        (
            ["1", "$10.04"],
            "column 'rain' row 2 - '$10.04' is not a number - take '$' out of all its numbers, as in 10.04, or name",
        ),
        (["10.04%"], "'10.04%' is not a number - take '%' out of all its numbers, as in 10.04, or name another column"),
        (
            ["€ 10,04"],
            "'€ 10,04' is not a number - take '€' out of all its numbers, as in 10,04, or name another column",
        ),
        (["-USD 1,010.04"], "take 'USD' out of all its numbers, as in -1010.04, or name another column"),
        (["A12"], "'A12' is not a number - correct it, or name another column"),
        ([1.0, np.inf], "column 'rain' row 2 - it is inf, expected a number - replace or drop it"),
        (["1", "-inf"], "column 'rain' row 2 - it is -inf, expected a number - replace or drop it"),
        (
            ["1,000", "2,500"],
            "column 'rain' - '1,000' may be a decimal comma or thousands - write numbers with a point",
        ),
        (
            ["10,000.00", "5"],
            "column 'rain' - '10,000.00' has separators of thousands - write numbers with a point and",
        ),
        (["3,5", "10,000.00"], "column 'rain' - '10,000.00' has separators of thousands - write numbers with a point"),
        (["1,5", "2.5"], "column 'rain' - '1,5' may be a decimal comma or thousands - write numbers with a point"),
    ],
)
def test_what_is_no_number(values: list, message: str) -> None:
    with pytest.raises(DataError, match=re.escape(message)):
        numbers(values)


def test_number_like() -> None:
    like = {
        name: is_number_like(nw.from_native(pandas.Series(values), series_only=True))
        for name, values in {
            "text": ["a", "b"],
            "numbers": ["1", "x", "2"],
            "money": ["10,000.00"],
            "nothing": ["", "na"],
        }.items()
    }
    assert like == {"text": False, "numbers": True, "money": True, "nothing": False}
