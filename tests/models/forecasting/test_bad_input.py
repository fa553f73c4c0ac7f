"""What is wrong with data, parameters and calls is said: where, what, what to do."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest

from carrousel.errors import (
    DataError,
    DataWarning,
    MissingExtraError,
    ModelError,
    NotFittedError,
    OptionError,
    OptionTypeError,
    OutputError,
)
from carrousel.models.forecasting.forecaster import Forecaster
from carrousel.models.loading import load

N = 200
Y = 10 + np.sin(np.arange(N) / 4)
DAYS = pandas.DataFrame({"day": pandas.date_range("2020-01-01", periods=N), "rain": Y, "wind": Y[::-1]})


def small(**options: Any) -> Forecaster:
    return Forecaster(**{"horizon": 6, "epochs": 1, "hidden_size": 4, "verbose": 0, "threads": 1, **options})


@pytest.fixture(scope="module")
def fitted() -> Forecaster:
    return small(future=["wind"]).fit(DAYS, target="rain")


DATA = [
    (Path("rian.csv"), {}, "rian.csv - no such file in"),
    (DAYS.iloc[:0], {}, "data - it has 0 data rows - give at least some"),
    (DAYS, {"target": "rian"}, "no column 'rian' - columns are day, rain, wind - Did you mean rain?"),
    (DAYS, {}, "target - several columns could be it - choose --target (target=) among: rain, wind"),
    (
        DAYS.assign(rain=["n/a", *map(str, Y[1:])]),
        {"target": "rain"},
        "column 'rain' row 1 - 'n/a' is not a number - use --missing interpolate (missing='interpolate') to treat",
    ),
    (
        DAYS.assign(rain=np.where(np.arange(N) > N - 60, np.nan, Y)),
        {"target": "rain"},
        "'rain' - it has 59 missing values (first at 2020-05-21) - choose --missing (missing=) ffill, interpolate",
    ),
    (
        DAYS.assign(rain=np.where(np.arange(N) == 4, np.inf, Y)),
        {"target": "rain"},
        "column 'rain' row 5 - it is inf, expected a number - replace or drop it",
    ),
    (
        DAYS.assign(day=["31/31/2020", *DAYS.day.astype(str)[1:]]),
        {"target": "rain", "time": "day"},
        "column 'day' row 1 - '31/31/2020' is not a date - correct it, or say with --time-format (time_format=)",
    ),
    (
        pandas.concat([DAYS, DAYS]),
        {"target": "rain"},
        "time 2020-01-01 - it appears 2 times in the series - pass --id (id=) if several series are stacked",
    ),
    (
        DAYS.drop(index=[4, 5]),
        {"target": "rain"},
        "column 'day' - 2 missing days, the first after 2020-01-04 - --missing interpolate (missing='interpolate')",
    ),
    (
        DAYS.iloc[:20],
        {"target": "rain"},
        "the series - 20 rows; horizon 6 with context 4 needs at least 4 + 3 * 6 = 22 - the largest workable",
    ),
    (
        pandas.concat([DAYS.iloc[:rows].assign(place=rows) for rows in (10, 8)]),
        {"target": "rain", "id": "place"},
        "the longest series - 10 rows; horizon 6 with context 4 needs at least 4 + 3 * 6 = 22 - the largest workable "
        "horizon is 2",
    ),
    (
        DAYS,
        {"target": "rain", "id": "day"},
        "id - 'day' makes 200 series of 1 row each - name the column that tells series apart with --id (id=), or leave "
        "it out where all rows are one series",
    ),
    (
        DAYS.iloc[:1],
        {"target": "rain"},
        "the series - 1 rows; horizon 6 with context 4 needs at least 4 + 3 * 6 = 22",
    ),
    (
        DAYS.assign(rain=3.0),
        {"target": "rain"},
        "'rain' - it is 3 everywhere: nothing to learn - give a target",
    ),
    (
        DAYS,
        {"target": 3},
        "target - 3, expected names of columns - give texts",
    ),
    (
        DAYS.assign(day=DAYS.day.astype(str)),
        {"target": "rain", "time_format": "%Q"},
        "column 'day' - 'Q' is a bad directive in format '%Q' - write all times alike, or correct --time-format",
    ),
    (
        DAYS,
        {"target": "rain", "freq": "often"},
        "freq - 'often' is no frequency - give one such as h, 15min, D, B, W, MS",
    ),
]


@pytest.mark.parametrize(("data", "options", "message"), DATA, ids=range(len(DATA)))
@pytest.mark.filterwarnings("ignore::carrousel.errors.DataWarning")
def test_data(data: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises((DataError, OptionError), match=re.escape(message)):
        small().fit(data, **options)


def test_nothing_but_missing_values() -> None:
    with pytest.raises(DataError, match=re.escape("'rain' - it has no value at all - name another target")):
        small(missing="ffill").fit(DAYS.assign(rain=np.nan), target="rain")


def test_words_that_are_missing() -> None:
    words = pandas.array(np.where(Y > 10, "hot", "cold"), dtype="string")
    words[4] = pandas.NA
    with pytest.raises(DataError, match=re.escape("'sky' - it has 1 missing value (first at 2020-01-05) - choose")):
        small(past=["sky"]).fit(DAYS.assign(sky=words), target="rain")


def test_fixed_context_that_is_too_long() -> None:
    message = (
        "the series - 200 rows; horizon 6 with context 190 needs at least 190 + 3 * 6 = 208 - the largest workable"
    )
    with pytest.raises(DataError, match=re.escape(message)):
        small(context=190).fit(Y)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"horizon": 0}, "horizon - must be a whole number from 1 to 10000, got 0 - give another"),
        ({"horizon": 2.5}, "horizon - must be a whole number from 1 to 10000, got 2.5 - give another"),
        ({"horizon": 24.5}, "horizon - must be a whole number from 1 to 10000, got 24.5 - give another"),
        ({"horizon": 10_001}, "horizon - must be a whole number from 1 to 10000, got 10001 - give another"),
        ({"level": 100}, "level - 100, expected percent, from 1 to below 100 - give one such as 90, or several"),
        ({"missing": "drop"}, "missing - 'drop' is no way to treat missing values - choose error, ffill, interpolate"),
        ({"scaler": "log"}, "scaler - 'log' is no scale - choose standard, robust, none"),
        ({"subtract": "first"}, "subtract - 'first' can not be taken off - choose last, mean, none"),
        ({"context": "long"}, "context - 'long', expected a whole number of steps from 1, or auto - give one"),
        ({"season": 0}, "season - 0, expected a whole number of steps from 1, or auto - give one"),
        ({"segment": 2.0}, "segment - 2.0, expected a whole number of steps from 1, or auto - give one"),
        ({"context": 24, "segment": 5}, "segment - 5 does not divide the context, 24 - choose one that does"),
        ({"val_fraction": 1.5}, "val_fraction - 1.5, expected a part from 0 to 1 - give one such as 0.15"),
        ({"test_fraction": -0.1}, "test_fraction - -0.1, expected a part from 0 to 1 - give one such as 0.15"),
        ({"past": None}, "past - None, expected names of columns - give texts"),
        ({"past": [1]}, "past - [1], expected names of columns - give texts"),
        ({"batch_size": 0}, "batch_size is 0, expected a whole number from 1"),
        ({"device": "cuda:99"}, "device 'cuda:99'"),
        ({"dropout": 1.0}, "Forecaster - dropout is 1.0, expected at least 0 and below 1 - give 0 for none"),
        ({"dropout": "a"}, "Forecaster - dropout is 'a', expected a number - give one"),
        ({"lr": "fast"}, "Forecaster - lr is 'fast', expected a number - give one"),
        ({"lr": None}, "Forecaster - lr is None, expected a number - give one"),
        ({"max_seconds": "5"}, "Forecaster - max_seconds is '5', expected a number - give one"),
        ({"weight_decay": True}, "Forecaster - weight_decay is True, expected a number - give one"),
        ({"seed": 1.5}, "Forecaster - seed is 1.5, expected a whole number - give one from 0"),
        ({"seed": -1}, "Forecaster - seed is -1, expected 0 to 4294967295 - give another"),
        ({"seed": 10**23}, "Forecaster - seed is 100000000000000000000000, expected 0 to 4294967295 - give another"),
        ({"calendar": "foo"}, "Forecaster - calendar is 'foo', expected 'auto' or False - choose one"),
        ({"linear": "x"}, "Forecaster - linear should be of type bool, got: str - True or False"),
        ({"cell": 3}, "Forecaster - cell is 3, expected a name, a Cell or 'file.py:name'"),
        ({"hidden_size": 2.5}, "Forecaster - hidden_size should be of type int, got: float - give a whole number"),
        ({"num_layers": 0}, "Forecaster - num_layers is 0, expected at least 1 - give a larger number"),
    ],
)
def test_parameters(options: dict[str, Any], message: str) -> None:
    with pytest.raises((OptionError, OptionTypeError), match=re.escape(message)):
        small(**options).fit(Y)


def test_parameters_are_checked_before_anything_is_read() -> None:
    for options in ({"dropout": 2}, {"lr": "fast"}, {"seed": -1}, {"linear": 1}, {"cell": 3}):
        with pytest.raises((OptionError, OptionTypeError), match="Forecaster - "):
            small(**options).fit("nowhere.csv")


def test_the_largest_seed_works() -> None:
    assert small(seed=2**32 - 1).fit(Y).predict().shape == (6,)


def test_a_target_that_is_an_input_too() -> None:
    with pytest.raises(OptionError, match="future - 'rain' is the target; it cannot be a future covariate"):
        small(future=["rain"]).fit(DAYS, target="rain")


# ---------------------------------------------------------------------- after fitting


def test_before_fit(tmp_path: Path) -> None:
    for call in (lambda f: f.predict(), lambda f: f.backtest(), lambda f: f.report(), lambda f: f.save(tmp_path / "x")):
        with pytest.raises(NotFittedError, match=r"Forecaster - is not fitted yet - call fit\(\) first"):
            call(small())


def test_future_values_that_are_not_there(fitted: Forecaster) -> None:
    ahead = pandas.DataFrame({"day": pandas.date_range("2020-07-19", periods=6), "wind": 1.0})
    assert len(fitted.predict(future=ahead)) == 6
    assert len(fitted.predict(future=ahead.iloc[:3], horizon=3)) == 3
    start = "future column 'wind' - it is needed for 6 steps after 2020-07-18; got "
    for given, known in ((None, 0), (ahead.iloc[:4], 4), (ahead.assign(day=ahead.day + pandas.Timedelta("2D")), 4)):
        with pytest.raises(
            DataError, match=re.escape(f"{start}{known} - pass them in a table with --future-data (future=)")
        ):
            fitted.predict(future=given)
    with pytest.raises(DataError, match="future - the column 'wind' is not in the table of future values, its columns"):
        fitted.predict(future=ahead[["day"]])


def test_future_values_are_looked_at_before_training(monkeypatch: pytest.MonkeyPatch) -> None:
    ahead = pandas.DataFrame({"day": pandas.date_range("2020-07-19", periods=6), "wind": 1.0})
    fitted = small(future=["wind"]).fit(DAYS, target="rain", future=ahead)
    pandas.testing.assert_frame_equal(fitted.predict(), fitted.predict(future=ahead))
    assert "future column" not in fitted.report()
    monkeypatch.setattr("carrousel.models.forecasting.fitting.fit", None)  # nothing is trained
    with pytest.raises(DataError, match=r"future column 'wind' - it is needed for 6 steps after 2020-07-18; got 4"):
        small(future=["wind"]).fit(DAYS, target="rain", future=ahead.iloc[:4])


def test_other_columns_than_in_fit(fitted: Forecaster) -> None:
    message = "data - the model was fitted on 2 columns (wind, rain); the data has 1 of them (missing: wind) - add them"
    with pytest.raises(DataError, match=re.escape(message)):
        fitted.predict(DAYS.drop(columns="wind"))
    with pytest.raises(DataError, match="data - the model was fitted on 1 targets; the data has 2 - give as many"):
        small().fit(Y).predict(np.stack([Y, Y], 1))


def test_rows_that_do_not_go_on(fitted: Forecaster) -> None:
    later = DAYS.assign(day=DAYS.day + pandas.Timedelta("205D"))
    message = (
        "the series - 5 days are missing between 2020-07-18, where the model's rows end, and 2020-07-24 - give the"
    )
    with pytest.raises(DataError, match=re.escape(message)):
        fitted.predict(later.iloc[:3])
    with pytest.raises(DataError, match=re.escape("the series - 3 rows, a forecast needs the")):
        fitted.predict(DAYS.iloc[:3])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda f: f.predict(horizon=7), "horizon - 7, the model was fitted for 6 steps - fit it with horizon=7"),
        (lambda f: f.predict(level=80), "level - 80, the model was fitted for 90 - fit it with level=80"),
        (lambda f: f.backtest(windows=0), "backtest - windows is 0, expected a whole number from 1 - give another"),
        (lambda f: f.backtest(step=1.5), "backtest - step is 1.5, expected a whole number from 1 - give another"),
    ],
)
def test_calls(fitted: Forecaster, call: Any, message: str) -> None:
    with pytest.raises(OptionError, match=re.escape(message)):
        call(fitted)


def test_too_little_to_measure(fitted: Forecaster) -> None:
    with pytest.raises(DataError, match=r"data - the longest series has 10 rows; context .* and horizon 6 need"):
        fitted.evaluate(DAYS.iloc[:10])


def test_a_loaded_model_has_no_data(fitted: Forecaster, tmp_path: Path) -> None:
    again = load(fitted.save(tmp_path / "run"))
    for call, todo in ((again.backtest, "pass data="), (again.report, "make it where the model is fitted")):
        with pytest.raises(DataError, match=f"a model that was loaded has no data - {todo}"):
            call()


def test_a_run_whose_files_do_not_go_together(fitted: Forecaster, tmp_path: Path) -> None:
    def refused(message: str, **changed: Any) -> None:
        config = json.loads((fitted.save(tmp_path / "run", overwrite=True) / "config.json").read_text())
        (tmp_path / "run" / "config.json").write_text(json.dumps({**config, **changed}))
        with pytest.raises(ModelError, match=message):
            load(tmp_path / "run")

    refused(
        "config.json - is damaged: Classifier has no parameter calendar, context, .* - train again", kind="classify"
    )
    refused("run - is damaged: 'cell' is missing in its files - train again", params={"horizon": 6})
    refused("run - is of `guess`|is a run of 'guess'", kind="guess")
    # of a version that kept no sums
    kept = json.loads((fitted.save(tmp_path / "run", overwrite=True) / "preprocess.json").read_text())
    for name in ("roles", "plan", "memory", "frequency"):
        fitted.save(tmp_path / "run", overwrite=True)
        (tmp_path / "run" / "preprocess.json").write_text(json.dumps({**kept, name: None}))
        config = json.loads((tmp_path / "run" / "config.json").read_text())
        (tmp_path / "run" / "config.json").write_text(json.dumps({**config, "sha256": {}}))
        with pytest.raises(ModelError, match=r"run - is damaged: \w+Error, .* - train again, or take a copy"):
            load(tmp_path / "run")


def test_a_report_that_can_not_be_written(fitted: Forecaster, tmp_path: Path) -> None:
    with pytest.raises(
        OutputError, match=r"r\.html - can not be written: No such file or directory - name another place"
    ):
        fitted.report(tmp_path / "no" / "r.html")


def test_a_library_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "narwhals", None)
    with pytest.raises(MissingExtraError, match=r'narwhals is not installed, .* pip install "carrousel\[fit\]"'):
        small().fit(Y)
    monkeypatch.setitem(__import__("sys").modules, "pandas", None)
    from carrousel.data.files import read_table

    with pytest.raises(MissingExtraError, match=r'pandas is not installed, .* pip install "carrousel\[fit\]"'):
        read_table("rain.csv")


def test_what_is_measured_is_not_new(fitted: Forecaster) -> None:
    with pytest.warns(DataWarning, match="data - the series begins at 2020-01-01, before the end of what the"):
        fitted.evaluate(DAYS)


@pytest.mark.parametrize("role", ["time", "id"])
def test_a_column_that_is_called_like_a_forecast(role: str) -> None:
    data = DAYS.assign(shop="a").rename(columns={{"time": "day", "id": "shop"}[role]: "yhat"})
    with pytest.raises(OptionError, match=f"{role} - 'yhat' is what a forecast is called in the answer - rename"):
        small().fit(data, target="rain", **{role: "yhat"})


def test_the_last_rows_have_no_target() -> None:
    data = DAYS.assign(rain=DAYS.rain.where(DAYS.index < len(DAYS) - 6))
    with pytest.raises(DataError, match=r"6 missing values .* or mask; or cut these last rows off, and pass"):
        small(future=["wind"]).fit(data, target="rain")


def test_a_static_input_that_is_another_one() -> None:
    data = pandas.concat([DAYS.assign(shop=shop, size=size) for shop, size in (("a", 1.0), ("b", 2.0))])
    fitted = small(static=["size"]).fit(data, target="rain", id="shop")
    new = DAYS.tail(2).assign(day=[DAYS.day.iloc[-1] + pandas.Timedelta(days=n) for n in (1, 2)], shop="a")
    assert len(fitted.predict(new.assign(size=1.0))) == 6
    with pytest.raises(DataError, match="series 'a' - its static 'size' is not what the model's rows have - "):
        fitted.predict(new.assign(size=2.0))
