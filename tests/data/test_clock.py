"""Time columns: what they are written in, zones, and the hours that clocks skip and repeat."""

import re
from typing import Any

import narwhals as nw
import numpy as np
import pandas
import polars
import pytest

from carrousel.data.clock import Times, parse_times
from carrousel.data.frequency import parse
from carrousel.errors import DataError, DataWarning

HOURS = pandas.date_range("2020-02-01", periods=30, freq="h")
BERLIN = pandas.date_range("2020-03-28", periods=24 * 230, freq="h", tz="Europe/Berlin")


def column(values: Any) -> Any:
    native = values if isinstance(values, pandas.Series | polars.Series) else pandas.Series(values)
    return nw.from_native(native, series_only=True)


def times_of(values: Any, time_format: str | None = None) -> Times:
    return parse_times(column(values), "when", time_format)


@pytest.mark.parametrize(
    "values",
    [
        HOURS.to_series(),
        HOURS.strftime("%Y-%m-%d %H:%M:%S").to_series(),
        HOURS.strftime("%Y-%m-%dT%H:%M").to_series(),
        HOURS.strftime("%d/%m/%Y %H:%M").to_series(),
        HOURS.strftime("%m/%d/%Y %H:%M").to_series(),
        HOURS.strftime("%d.%m.%Y %H:%M").to_series(),
        polars.Series(HOURS.to_pydatetime().tolist()),
    ],
    ids=["dates", "text", "ISO", "day first", "month first", "dots", "polars"],
)
def test_however_it_is_written(values: Any) -> None:
    found = times_of(values)
    assert found.zone is None
    np.testing.assert_array_equal(found.local.astype("M8[us]"), HOURS.to_numpy().astype("M8[us]"))
    np.testing.assert_array_equal(found.elapsed, found.local)


@pytest.mark.parametrize("written", ["%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y"])
@pytest.mark.parametrize("every", ["MS", "QS", "D", "W"])
def test_days_and_months_in_either_order(written: str, every: str) -> None:
    """The first of every month reads as some days in January, too; months are not of one length."""
    dates = pandas.date_range("2005-01-01", periods=60, freq=every)
    found = times_of(dates.strftime(written).to_series())
    np.testing.assert_array_equal(found.local.astype("M8[us]"), dates.to_numpy().astype("M8[us]"))


def test_ten_days_of_a_month() -> None:
    """They read as the same day of ten months, too."""
    days = pandas.date_range("2020-02-01", periods=10)
    found = times_of(days.strftime("%d/%m/%Y").to_series())
    np.testing.assert_array_equal(found.local.astype("M8[us]"), days.to_numpy().astype("M8[us]"))


def test_a_format_of_its_own() -> None:
    found = times_of(["20_03_01", "20_04_01"], "%y_%m_%d")
    assert found.local.astype("M8[us]").astype("M8[D]").astype(str).tolist() == ["2020-03-01", "2020-04-01"]


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_a_zone_is_kept_and_the_clock_on_the_wall_with_it(library: str) -> None:
    series = BERLIN.to_series(index=range(len(BERLIN)))
    found = times_of(series if library == "pandas" else polars.from_pandas(series))
    assert found.zone == "Europe/Berlin"
    assert set(np.diff(found.elapsed)) == {3_600_000_000}
    np.testing.assert_array_equal(found.local.astype("M8[us]"), BERLIN.tz_localize(None).to_numpy())
    ahead = found[:20].next(parse("h"), 19, 20).values()
    assert list(ahead) == list(BERLIN[20:40])


def test_offsets_in_texts() -> None:
    found = times_of([str(time) for time in BERLIN])
    assert found.zone == "UTC+01:00"
    assert set(np.diff(found.elapsed)) == {3_600_000_000}
    np.testing.assert_array_equal(found.local.astype("M8[us]"), BERLIN.tz_localize(None).to_numpy())
    assert times_of(["2020-01-01T00:00Z", "2020-01-01T01:00Z"]).zone == "UTC"


@pytest.mark.parametrize("every", ["h", "15min"])
def test_clock_changes_without_a_zone(every: str) -> None:
    there = pandas.date_range("2020-03-28", "2020-11-10", freq=every, tz="Europe/Berlin")
    with pytest.warns(DataWarning, match=r"is skipped: taken for a change to or from summer time \(2 in all\)"):
        found = times_of(there.tz_localize(None).to_series())
    assert len(set(np.diff(found.elapsed))) == 1


def test_gaps_by_day_are_no_clock_changes() -> None:
    there = HOURS.delete([10])
    np.testing.assert_array_equal(times_of(there.to_series()).elapsed, times_of(there.to_series()).local)


def test_days_of_a_zone_are_days_of_its_calendar() -> None:
    days = pandas.date_range("2020-03-27", periods=6, freq="D", tz="Europe/Berlin")
    found = times_of(days.to_series())
    assert list(found[:3].next(parse("D"), 2, 3).values()) == list(days[3:])


def test_whole_numbers() -> None:
    found = times_of([1700.0, 1701.0])
    assert (found.is_date, found.values().tolist(), found.text(1)) == (False, [1700, 1701], "1701")


@pytest.mark.parametrize("numbers", [[20240229, 20240301], [20240229.0, 20240301.0]])
def test_whole_numbers_that_are_dates(numbers: list) -> None:
    found = times_of(numbers)
    assert (found.is_date, found.text(0), found.text(1)) == (True, "2024-02-29", "2024-03-01")
    assert not times_of([20240229, 20241301]).is_date


def test_whole_numbers_in_a_format_that_is_said() -> None:
    assert times_of([1999, 2000], "%Y").text(1) == "2000-01-01"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([20240229, 20240230], "column 'when' row 2 - '20240230' is not a date - correct it"),
        (
            ["2020-01-01", "31/31/2020"],
            "column 'when' row 2 - '31/31/2020' is not a date - correct it, or say with --time",
        ),
        (["2020-01-01T00:00", "2020-01-02T00:00Z"], "column 'when' - Mixed timezones detected - write all times alike"),
        (["2020-01-01T00:00Z", "noon+00:00"], "column 'when' row 2 - 'noon+00:00' is not a date"),
        (
            [pandas.Timestamp("2020-01-01"), None],
            "column 'when' row 2 - the time is missing - give it, or leave the row",
        ),
        ([1.0, 1.5], "column 'when' row 2 - 1.5 is no time, expected times or whole numbers - name another column"),
    ],
)
def test_what_is_no_time(values: list, message: str) -> None:
    with pytest.raises(DataError, match=re.escape(message)):
        times_of(values)


@pytest.mark.parametrize("zone", ["America/New_York", "Australia/Lord_Howe", "Etc/GMT+5", "UTC+01:00"])
def test_zones_with_any_sign_in_their_names(zone: str) -> None:
    times = pandas.Series(pandas.date_range("2024-03-01", periods=30, freq="D", tz=zone))
    found = times_of(times)
    assert found.zone == zone
    assert (pandas.DatetimeIndex(times) == found.values()).all()
