"""Tables, series and arrays as a panel: roles, order, gaps, and all that can be wrong with them."""

import re
from typing import Any

import numpy as np
import pandas
import polars
import pytest

from carrousel.data.frequency import parse
from carrousel.data.roles import Roles
from carrousel.data.series import Panel, Reading, read_panel
from carrousel.errors import DataError, DataWarning, OptionError

HOURS = pandas.date_range("2020-01-01", periods=50, freq="h")
RAIN = pandas.DataFrame({"when": HOURS, "rain": np.arange(50.0)})
ROWS = np.arange(1, 21)
DAYS = pandas.date_range("2020-01-01", periods=50)
TWO = pandas.concat([RAIN.assign(place=place, rain=RAIN.rain + shift) for place, shift in (("b", 0), ("a", 100))])


def read(data: Any, missing: str = "error", **roles: Any) -> Panel:
    return read_panel(data, Reading(Roles(**{"target": (), **roles}), missing=missing))


@pytest.mark.parametrize(
    "data",
    [
        RAIN,
        polars.from_pandas(RAIN),
        RAIN.assign(when=RAIN.when.astype(str)),
        RAIN.set_index("when"),
        RAIN.set_index("when")["rain"],
        RAIN.set_index(RAIN.when.dt.to_period("h"))["rain"],
    ],
    ids=["pandas", "polars", "text", "index", "series", "periods"],
)
def test_one_series_however_it_comes(data: Any) -> None:
    panel = read(data)
    assert (str(panel.frequency), panel.first.tolist(), panel.ids.tolist()) == ("hour", [0, 50], [""])
    np.testing.assert_array_equal(panel.target[:, 0], np.arange(50.0))
    assert panel.times.text(1) == "2020-01-01 01:00"


def test_arrays_have_steps() -> None:
    panel = read(np.arange(6).reshape(3, 2))
    assert (panel.reading.roles.target, str(panel.frequency)) == (("y1", "y2"), "step")
    np.testing.assert_array_equal(panel.target, [[0, 1], [2, 3], [4, 5]])


@pytest.mark.parametrize("convert", [lambda frame: frame, polars.from_pandas], ids=["pandas", "polars"])
def test_stacked_series_in_any_order(convert: Any) -> None:
    expected = read(TWO)
    assert expected.ids.tolist() == ["b", "a"]
    assert expected.reading.roles == Roles(("rain",), "when", "place")
    by_time = read(convert(TWO.sort_values("when", kind="stable")))
    np.testing.assert_array_equal(by_time.target, expected.target)
    with pytest.warns(DataWarning, match="sorted 100 rows by when"):
        mixed = read(convert(TWO.sample(frac=1, random_state=0)))
    back = np.argsort(mixed.ids)[::-1]
    np.testing.assert_array_equal(mixed.take(back).target, expected.target)


def test_wide_frames_are_several_targets() -> None:
    wide = RAIN.assign(wind=1.0, place="here")
    assert read(wide, target=("all",)).reading.roles.target == ("rain", "wind")


def test_words_and_flags_as_inputs() -> None:
    table = TWO.assign(sky=["grey", "blue"] * 50, wet=True, size=np.repeat(["big", "small"], 50))
    panel = read(table, target=("rain",), past=("sky", "wet"), static=("size",))
    assert panel.past[:2].tolist() == [[0.0, 1.0, 1.0], [1.0, 0.0, 1.0]]
    assert panel.static.tolist() == [[1.0, 0.0], [0.0, 1.0]]
    with pytest.warns(DataWarning, match="column 'sky': 'pink' was not in training and counts as none"):
        again = read_panel(table.assign(sky="pink", wet=False), panel.reading)
    assert again.past[0].tolist() == [0.0, 0.0, 0.0]


def test_years_are_whole_numbers() -> None:
    panel = read(pandas.DataFrame({"YEAR": np.arange(1700, 1720), "spots": np.arange(20.0)}))
    assert panel.reading.roles == Roles(("spots",), "YEAR")
    assert panel.times.next(panel.frequency, 19, 1).values().tolist() == [1720]


def test_gaps_become_missing_values() -> None:
    panel = read(TWO.reset_index().drop(index=[3, 4, 70]), missing="ffill", target=("rain",))
    assert panel.first.tolist() == [0, 50, 100]
    assert np.flatnonzero(np.isnan(panel.target[:, 0])).tolist() == [3, 4, 70]
    assert panel.times.text(4) == "2020-01-01 04:00"


def test_daily_rows_over_a_clock_change_have_no_gap() -> None:
    days = pandas.date_range("2020-03-20", periods=20, freq="D", tz="Europe/Berlin")
    assert str(read(pandas.DataFrame({"day": days, "y": 1.0})).frequency) == "day"


def wrong(name: str) -> tuple[Any, dict[str, Any]]:
    frame, roles = RAIN, {}
    if name == "doubled":
        frame = pandas.concat([RAIN, RAIN.iloc[:1]]).sort_values("when")
    elif name == "doubled in one of two":
        frame = pandas.concat([TWO, TWO.iloc[:1]])
    elif name == "gap":
        frame = RAIN.drop(index=[3])
    elif name == "mixed":
        frame = pandas.concat([RAIN, RAIN.iloc[:1].assign(when=pandas.Timestamp("2020-01-04 00:17"))])
    elif name == "two frequencies":
        frame = RAIN.assign(when=[*HOURS[:49], pandas.Timestamp("2020-09-01")])
    elif name == "several":
        frame = RAIN.assign(wind=1.0)
    elif name == "misspelt":
        roles = {"target": ("rian",)}
    elif name == "twice":
        roles = {"target": ("rain",), "future": ("rain",)}
    elif name == "text":
        frame = RAIN.assign(rain="wet")
    elif name == "no id":
        frame = TWO.assign(place=["b", None] * 50)
    elif name == "changing":
        roles = {"target": ("rain",), "static": ("wind",)}
        frame = RAIN.assign(wind=np.arange(50))
    elif name == "words":
        roles = {"target": ("rain",), "past": ("wind",)}
        later = RAIN.assign(when=RAIN.when + pandas.Timedelta("50h"), wind="other")
        frame = pandas.concat([RAIN.assign(wind=[f"w{k}x" for k in range(50)]), later])
    elif name == "no rows":
        frame = RAIN.iloc[:0]
    elif name == "a dict":
        return {"rain": [1.0]}, {}
    elif name == "three axes":
        return np.zeros((2, 2, 2)), {}
    elif name == "array of text":
        return ["a", "b"], {}
    elif name == "numbered columns":
        return pandas.DataFrame(np.zeros((3, 2))), {}
    elif name == "names for an array":
        return np.zeros(5), {"past": ("rain",)}
    return frame, roles


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "doubled",
            "time 2020-01-01 - it appears 2 times in the series - pass --id (id=) if several series are stacked",
        ),
        ("doubled in one of two", "time 2020-01-01 - it appears 2 times in series 'b' - leave one out"),
        ("gap", "column 'when' - 1 missing hour, the first after 2020-01-01 02:00 - --missing interpolate"),
        (
            "mixed",
            "it is no whole number of steps of one hour - give --freq (freq=), or bring the rows to one frequency",
        ),
        (
            "two frequencies",
            "the series - of 5,857 steps of one hour only 50 have a row: no frequency fits - give --freq",
        ),
        ("several", "target - several columns could be it - choose --target (target=) among: rain, wind"),
        ("misspelt", "no column 'rian' - columns are when, rain - Did you mean rain?"),
        ("twice", "future - 'rain' is the target; it cannot be a future covariate - give every column one role"),
        ("text", "target - no column of numbers is left for it - name one with --target (target=)"),
        ("no id", "column 'place' row 2 - the id is missing - give it, or leave the row out"),
        ("changing", "column 'wind' - it goes from 0 to 49 within the series, expected one value - pass it as past"),
        ("words", "column 'wind' - it has 51 different texts, expected numbers or at most 50 words - leave it out"),
        ("no rows", "data - it has 0 data rows - give at least some"),
        (
            "a dict",
            "data - it is a dict, expected a frame of pandas or polars, a series, an array or a path - convert it",
        ),
        ("three axes", "data - it has 3 axes, shape (2, 2, 2), expected (time,) or (time, target) - reshape it"),
        ("array of text", "data - it is no array of numbers - give one of shape (time,) or (time, target)"),
        ("numbered columns", "data - columns are [0, 1], expected names - rename them to texts"),
        ("names for an array", "data - an array has no names, the columns asked for can not be in it - give a frame"),
    ],
)
@pytest.mark.filterwarnings("ignore::carrousel.errors.DataWarning")
def test_what_is_wrong_is_said(name: str, message: str) -> None:
    data, roles = wrong(name)
    with pytest.raises((DataError, OptionError), match=re.escape(message)):
        read(data, **roles)


@pytest.mark.parametrize(
    ("frame", "roles", "message"),
    [
        (
            RAIN,
            {"time": "rain"},
            "target - 'rain' is the only column of numbers, and is taken as time: nothing remains to forecast - name "
            "another with --time (time=), or leave it out; 'when' has",
        ),
        (
            RAIN,
            {"future": ("rain",)},
            "and is taken as future: nothing remains to forecast - name another with --future",
        ),
        (
            RAIN.assign(wind=1.0),
            {"past": ("rain",), "future": ("wind",), "target": ("all",)},
            "'rain', 'wind' are the only columns of numbers, and are taken as past and future: nothing remains to "
            "forecast - name another with --past (past=) or --future (future=), or leave it out",
        ),
        (
            pandas.DataFrame({"year": range(1900, 1920)}),
            {},
            "'year' is the only column of numbers, and is taken as time: nothing remains to forecast - name it with "
            "--target (target=)",
        ),
        (
            RAIN.assign(rain=[f"${k}" for k in range(50)]),
            {},
            "no column of numbers is left for it - name one with --target (target=); 'rain' has '$0': take '$' out of",
        ),
        (
            RAIN.assign(wind=[f"{k}%" for k in range(10, 60)], day=1),
            {"target": ("rain",), "past": ("wind",)},
            "different texts, expected numbers or at most 50 words - it has '10%': take '%' out of all its numbers, as",
        ),
    ],
)
def test_columns_of_numbers_that_are_not_to_forecast(frame: Any, roles: dict[str, Any], message: str) -> None:
    if "different texts" in message:
        frame = pandas.concat([frame, frame.assign(when=frame.when + pandas.Timedelta("50h"), wind="9%")])
    with pytest.raises(DataError, match=re.escape(message)):
        read(frame, **roles)


@pytest.mark.parametrize("ids", [range(50), [f"row {k}" for k in range(50)]])
def test_a_column_with_another_value_in_each_row_is_no_id(ids: Any) -> None:
    assert read(RAIN.assign(id=ids), target=("rain",)).reading.roles.id is None


HOURS_AND_DAYS = pandas.concat([RAIN.assign(place="a"), RAIN.assign(place="b", when=DAYS)])
THEN_EVERY_THIRD = pandas.concat([RAIN, RAIN[:20].assign(when=HOURS[-1] + pandas.Timedelta("3h") * ROWS)])
DAYS_AND_MONTHS = pandas.concat(
    [RAIN.assign(place="a", when=DAYS), RAIN[:20].assign(place="b", when=DAYS[0] + pandas.offsets.MonthBegin() * ROWS)]
)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (HOURS_AND_DAYS, "one row every hour, but from 2020-01-01 in series 'b' one every day"),
        (THEN_EVERY_THIRD, "one row every hour, but from 2020-01-03 01:00 one every 3 hours"),
        (DAYS_AND_MONTHS, "one row every day, but from 2020-02-01 in series 'b' one every month"),
        (
            RAIN.assign(when=[*range(1, 31), *range(35, 135, 5)]).rename(columns={"when": "step"}),
            "one row every step, but from 30 one every 5 steps",
        ),
    ],
    ids=["hours and days", "every third hour", "days and months", "steps"],
)
def test_two_frequencies_are_named(data: Any, message: str) -> None:
    todo = (
        " - resample the rows to one frequency; or name the finer one with --freq (freq=), and fill it with --missing"
    )
    with pytest.raises(DataError, match=re.escape(message + todo)):
        read(data)
    with pytest.warns(DataWarning, match=re.escape(f"{message}: the steps between those are filled")):
        read(data, missing="ffill")


def test_the_finer_of_two_frequencies_can_not_be_left_out() -> None:
    mixed = pandas.concat([RAIN[:20], RAIN.assign(when=HOURS[19] + pandas.Timedelta("3h") * np.arange(1, 51))])
    for missing in ("error", "ffill"):
        with pytest.raises(DataError, match="one row every 3 hours, but from 2020-01-01 one every hour - resample"):
            read(mixed, missing=missing)
    by_the_hour = read_panel(mixed, Reading(Roles(()), parse("h"), "ffill"))
    assert len(by_the_hour.target) == 20 + 150


def test_a_frequency_that_is_said_is_not_doubted() -> None:
    with pytest.raises(DataError, match="40 missing hours, the first after 2020-01-03 01:00 - --missing interpolate"):
        read_panel(THEN_EVERY_THIRD, Reading(Roles(()), parse("h")))


def test_nights_without_rows_are_gaps() -> None:
    open_hours = pandas.date_range("2020-01-01", periods=400, freq="h")
    shop = pandas.DataFrame({"when": open_hours, "sold": 1.0})[(open_hours.hour > 8) & (open_hours.hour < 18)]
    with pytest.raises(DataError, match=r"missing hours, the first after .* - --missing interpolate"):
        read(shop)


def test_rows_in_one_step_of_the_frequency_asked_for() -> None:
    with pytest.raises(DataError, match=re.escape("2020-01-01 and 2020-01-01 01:00 are in one step of one day - give")):
        read_panel(RAIN, Reading(Roles(()), parse("D")))
