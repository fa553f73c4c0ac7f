"""Frequencies: read, found, counted, gone on with."""

import re

import numpy as np
import pandas
import pytest

from carrousel.data.frequency import infer, parse
from carrousel.errors import OptionError


def microseconds(times: pandas.DatetimeIndex) -> np.ndarray:
    return times.to_numpy().astype("M8[us]").astype(np.int64)


EVERY = [
    ("10ms", "10 milliseconds", 8_640_000),
    ("15min", "15 minutes", 96),
    ("h", "hour", 24),
    ("6h", "6 hours", 4),
    ("D", "day", 7),
    ("B", "business day", 5),
    ("W-WED", "week", 52),
    ("MS", "month", 12),
    ("ME", "month", 12),
    ("QE", "quarter", 4),
    ("YS", "year", 1),
]


@pytest.mark.parametrize(("text", "words", "season"), EVERY)
def test_found_as_it_is_asked_for_and_gone_on_with_as_pandas_does(text: str, words: str, season: int) -> None:
    index = pandas.date_range("2019-12-30 00:00", periods=40, freq=text)
    times = microseconds(index)
    found = infer(times, times, np.ones(39, bool))
    assert (str(found), found.season) == (words, season)
    assert found == parse(text)
    ahead = found.after(int(times[29]), np.arange(1, 11))
    np.testing.assert_array_equal(ahead, times[30:])
    assert set(np.diff(found.positions(times))) == {1}


def test_months_from_the_thirtieth_do_not_drift() -> None:
    start = int(np.datetime64("2020-01-30", "us").astype(int))
    ahead = parse("MS").after(start, np.arange(1, 4)).astype("M8[us]").astype("M8[D]")
    assert ahead.astype(str).tolist() == ["2020-02-29", "2020-03-30", "2020-04-30"]


def test_the_usual_distance_counts_not_the_gaps() -> None:
    times = microseconds(pandas.date_range("2020-01-01", periods=50, freq="h").delete([7, 20, 21]))
    assert str(infer(times, times, np.ones(46, bool))) == "hour"


def test_what_is_no_frequency() -> None:
    with pytest.raises(
        OptionError, match=re.escape("freq - 'fortnight' is no frequency - give one such as h, 15min, D")
    ):
        parse("fortnight")
