"""Rows that the user holds out for early stopping: his own, in place of the tail of the data."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest

from carrousel.errors import DataError, DataWarning
from carrousel.models.forecasting.forecaster import Forecaster
from carrousel.models.loading import load

N = 80
Y = 10 + np.sin(np.arange(N) / 2) + np.random.default_rng(0).normal(0, 0.1, N)
DAYS = pandas.DataFrame({"day": pandas.date_range("2020-01-01", periods=N), "rain": Y})
EARLY, LATE = DAYS.iloc[:50], DAYS.iloc[50:]
SHOPS = pandas.concat([DAYS.assign(shop=name) for name in "AB"], ignore_index=True)


def small(**options: Any) -> Forecaster:
    sizes = {"horizon": 3, "context": 8, "hidden_size": 4, "epochs": 1, "verbose": 0, "threads": 1, "test_fraction": 0}
    return Forecaster(**{**sizes, **options})


def test_everything_else_is_learned_from() -> None:
    model = small().fit(EARLY, val=LATE)
    assert model.understood_[-1] == "train 50 / test 0 rows; validation 30 rows of their own"
    assert model.preparation_.target.centre == pytest.approx(EARLY.rain.mean())
    assert model.result_.part == "validation"
    assert sorted(set(model.result_.frame.day)) == list(LATE.day[8:])  # its windows know its own rows alone
    assert model.predict().day[0] == LATE.day.iloc[0]  # and forecasts go on from the data


def test_the_intervals_hold_there() -> None:
    wide = small().fit(EARLY, val=LATE.assign(rain=100 * LATE.rain)).margin_
    assert (wide > 10 * small().fit(EARLY, val=LATE).margin_).all()


def test_the_test_part_is_the_end_of_the_data() -> None:
    model = small(test_fraction=0.2).fit(EARLY, val=LATE)
    assert model.understood_[-1] == "train 40 / test 10 rows; validation 30 rows of their own"
    assert (model.result_.part, model.result_.frame.day.max()) == ("test", EARLY.day.max())


def test_arrays_and_some_of_many_series() -> None:
    assert small().fit(Y[:50], val=Y[50:]).result_.part == "validation"
    many = SHOPS[SHOPS.day < "2020-02-20"]
    some = SHOPS[(SHOPS.day >= "2020-02-20") & ((SHOPS.shop == "B") | (SHOPS.day < "2020-02-25"))]
    with pytest.warns(DataWarning, match="1 of 2 series have less than 11 rows and are left out: A"):
        model = small().fit(many, val=some)
    assert set(model.result_.frame["shop"]) == {"B"}


BAD = [
    (
        EARLY,
        LATE.rename(columns={"rain": "snow"}),
        "val: data - the model was fitted on 1 column (rain); the data has",
    ),
    (EARLY, LATE.iloc[:10], "val: the series - 10 rows; horizon 3 with context 8 needs at least 8 + 1 * 3 = 11"),
    (EARLY, LATE.iloc[::2], "val: column 'day' - one row every day, but from 2020-02-20 one every 2 days"),
    (EARLY, LATE.assign(rain=np.nan), "val: 'rain' - it has 30 missing values (first at 2020-02-20)"),
    (EARLY, LATE.assign(day=range(30)), "val: column 'day' - its times are numbers, expected one row every day"),
    (
        EARLY,
        DAYS.iloc[49:],
        "val - its rows of the series, 2020-02-19 to 2020-03-20, overlap with those of data, 2020-01-01 to 2020-02-19",
    ),
    (SHOPS, LATE.assign(shop="C"), "val - series C are not learned from; those of data are A, B - leave them out"),
    (Y, np.stack([Y, Y], 1), "val: data - the model was fitted on 1 targets; the data has 2 - give as many"),
]


@pytest.mark.parametrize(("data", "val", "message"), BAD, ids=range(len(BAD)))
def test_what_can_not_be_held_out(data: Any, val: Any, message: str) -> None:
    with pytest.raises(DataError, match=re.escape(message)):
        small().fit(data, val=val)


@pytest.mark.parametrize("names", [[7, 3], ["東京", "🚲"], [True, False], list(pandas.date_range("2020", periods=2))])
def test_whatever_series_are_called(names: list, tmp_path: Path) -> None:
    table = pandas.concat([DAYS.assign(shop=name) for name in names])
    model = small().fit(table, id="shop", time="day")
    said, again = model.predict(), load(model.save(tmp_path / "run")).predict()
    assert (
        again["shop"].map(str).tolist() == said["shop"].map(str).tolist() == [str(n) for n in names for _ in range(3)]
    )
    if not isinstance(names[0], pandas.Timestamp):  # a date is kept as a text
        assert again.dtypes.equals(said.dtypes)
    np.testing.assert_array_equal(again.yhat, said.yhat)


def test_a_frequency_without_times() -> None:
    with pytest.raises(DataError, match="freq - no column of times, expected one row every hour - give times"):
        small().fit(DAYS[["rain"]], freq="h")
    with pytest.raises(DataError, match="column 'step' - its times are numbers, expected one row every hour"):
        small().fit(DAYS[["rain"]].assign(step=range(N)), freq="h", time="step")
