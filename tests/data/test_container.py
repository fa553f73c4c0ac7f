"""What series come in: an index that says something, lazy frames, tensors, and what is refused."""

import re
from typing import Any

import numpy as np
import pandas
import polars
import pytest
import torch

from carrousel.data.container import open_container
from carrousel.data.labelled import read
from carrousel.data.roles import Roles
from carrousel.data.series import Panel, Reading, read_panel
from carrousel.errors import DataError, DataWarning

DAYS = pandas.date_range("2020-01-01", periods=20)
LONG = pandas.concat([pandas.DataFrame({"id": k, "day": DAYS, "rain": np.arange(20.0)}) for k in "ab"])
LEVELS = LONG.set_index(["id", "day"])


def panel_of(data: Any) -> Panel:
    return read_panel(data, Reading(Roles(())))


@pytest.mark.parametrize("data", [LEVELS, LEVELS["rain"], LONG.set_index("id")], ids=["frame", "series", "one level"])
def test_levels_of_an_index_are_columns(data: Any) -> None:
    panel = panel_of(data)
    assert panel.reading.roles == Roles(("rain",), "day", "id")
    assert (panel.ids.tolist(), panel.first.tolist()) == (["a", "b"], [0, 20, 40])


@pytest.mark.parametrize("name", ["day", None])
def test_an_index_of_texts(name: str | None) -> None:
    rain = pandas.Series(np.arange(20.0), DAYS.astype(str), name="rain").rename_axis(name)
    panel = panel_of(rain)
    assert panel.reading.roles == Roles(("rain",), name or "index")
    assert str(panel.frequency) == "day"


def test_an_index_of_numbers() -> None:
    one = LONG.iloc[:20]
    assert panel_of(one.rename_axis("id")[["day", "rain"]]).reading.roles == Roles(("rain",), "day")
    years = pandas.Series(np.arange(20.0), np.arange(1900, 1920), name="rain").rename_axis("year")
    assert panel_of(years).times.text(19) == "1919"


def test_an_index_of_times_beside_a_column_called_time() -> None:
    frame = pandas.DataFrame({"time": 1.0, "rain": np.arange(20.0)}, index=DAYS)
    assert panel_of(frame[["rain"]].assign(time="x")).reading.roles.time == "index"


def test_lazy_frames_are_computed() -> None:
    lazy = polars.from_pandas(LONG).lazy()
    assert panel_of(lazy).reading.roles == Roles(("rain",), "day", "id")
    assert open_container(lazy).without_frame().backend == "polars"


def test_a_lazy_frame_has_a_frame_for_an_answer() -> None:
    container = open_container(polars.from_pandas(LONG).lazy()).without_frame()
    assert isinstance(container.frame_of({"yhat": np.zeros(2)}, None), polars.DataFrame)


def test_tensors_are_arrays() -> None:
    for kind in (torch.float32, torch.bfloat16):
        steps = torch.arange(5.0, requires_grad=True).to(kind)
        np.testing.assert_array_equal(panel_of(steps).target[:, 0], np.arange(5.0))


def test_what_is_masked_is_missing() -> None:
    for kind in (int, float, np.float16):
        rain = np.ma.masked_array(np.arange(5, dtype=kind), mask=np.arange(5) == 2)
        np.testing.assert_array_equal(panel_of(rain).target[:, 0], [0, 1, np.nan, 3, 4])


@pytest.mark.parametrize(("every", "words"), [("W", "week"), ("Q", "quarter"), ("Y", "year")])
def test_a_column_of_periods_is_times(every: str, words: str) -> None:
    periods = pandas.period_range("2000", periods=9, freq=every)
    panel = panel_of(pandas.DataFrame({"when": periods, "rain": np.arange(9.0)}))
    assert (panel.reading.roles.time, str(panel.frequency)) == ("when", words)
    assert panel.times.text(0) == str(periods[0].start_time.date())


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            LEVELS.rename_axis([None, "day"]),
            "data - its index has 2 levels, called [None, 'day'], expected names - name them, as with",
        ),
        (LEVELS.assign(id=1), "data - 'id' is a column and a level of its index - leave one out"),
        (LONG.set_axis(["id", "day", "day"], axis=1), "data - column 'day' is there twice - rename one of them"),
        (np.ones(5) + 1j, "data - its numbers are complex - give real and imaginary part as two columns"),
        (torch.ones(5) + 1j, "data - its numbers are complex - give real and imaginary part as two columns"),
        (DAYS.to_numpy(), "data - it holds times (datetime64["),
        (
            LONG.assign(id=[("a", 1)] * 40),
            "column 'id' row 1 - the id is ('a', 1), expected a text or a number - write",
        ),
        (LONG.assign(rain=1e200), "column 'rain' row 1 - it is 1e+200, expected at most 1e+150, whose square is a"),
        (LONG.assign(rain=1j), "target - no column of numbers is left for it - name one with --target (target=)"),
    ],
)
def test_what_can_not_be_taken(data: Any, message: str) -> None:
    with pytest.raises(DataError, match=re.escape(message)):
        panel_of(data)


def test_a_doubled_column_of_labelled_sequences() -> None:
    with pytest.raises(DataError, match="table - column 'x' is there twice - rename one of them"):
        read(pandas.DataFrame([[1, 2]], columns=["x", "x"]))


# ---------------------------------------------------------------------- what is no target


def test_row_numbers_and_empty_columns_are_no_targets() -> None:
    frame = LONG.iloc[:20].drop(columns="id").reset_index(names="Unnamed: 0").assign(none=np.nan)
    assert panel_of(frame).reading.roles == Roles(("rain",), "day")
    assert panel_of(polars.from_pandas(frame)).reading.roles == Roles(("rain",), "day")
    wide = read_panel(frame.drop(columns="none"), Reading(Roles(("all",))))
    assert wide.reading.roles.target == ("rain",)


@pytest.mark.parametrize("when", ["2020-W{}", "Week {}"])
def test_a_column_that_is_called_like_times_and_is_not_read_as_such(when: str) -> None:
    frame = pandas.DataFrame({"date": [when.format(k + 10) for k in range(20)], "rain": np.arange(20.0)})
    with pytest.warns(
        DataWarning, match=rf"column 'date': '{when.format(10)}' is not read as a time, rows are taken in"
    ):
        assert panel_of(frame).reading.roles.time is None


def test_what_is_in_the_columns_that_are_none() -> None:
    frame = LONG.iloc[:20][["day"]].assign(rain="1.234,50")
    message = "target - no column of numbers is left for it - name one with --target (target=); 'rain' has '1.234,50'"
    with pytest.raises(DataError, match=re.escape(message)):
        panel_of(frame)
