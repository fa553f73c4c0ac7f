"""A target that is beside the data: `fit(X, y)`, as scikit-learn passes it."""

import re
from typing import Any

import numpy as np
import pandas
import polars
import pytest
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit, cross_val_score

from carrousel.errors import DataError, OptionError
from carrousel.models.forecasting.forecaster import Forecaster

N = 200
Y = 10 + np.sin(np.arange(N) / 4)
FRAME = pandas.DataFrame({"day": pandas.date_range("2020-01-01", periods=N), "rain": Y, "wind": Y[::-1]})
X = FRAME[["day", "wind"]]


def small(**options: Any) -> Forecaster:
    return Forecaster(**{"horizon": 6, "epochs": 1, "hidden_size": 4, "verbose": 0, "threads": 1, **options})


@pytest.fixture(scope="module")
def inside() -> Forecaster:
    return small(past=["wind"]).fit(FRAME, target="rain")


@pytest.mark.parametrize(
    ("x", "y", "options", "name"),
    [
        (X, Y, {}, "y"),
        (X, Y.tolist(), {"target": "mm"}, "mm"),
        (X, FRAME.rain, {}, "rain"),
        (FRAME, FRAME.rain, {}, "rain"),
        (X.set_index("day"), FRAME.set_index("day").rain, {}, "rain"),
        (polars.from_pandas(X), polars.Series("rain", Y), {}, "rain"),
    ],
    ids=["array", "list", "series", "twice", "index", "polars"],
)
def test_as_if_it_were_inside(inside: Forecaster, x: Any, y: Any, options: dict[str, str], name: str) -> None:
    model = small(past=["wind"]).fit(x, y, **options)
    assert model.reading_.roles.target == (name,)
    np.testing.assert_array_equal(model.predict()["yhat"], inside.predict().yhat)
    assert model.score(x, y) == inside.score(FRAME)


def test_an_array_beside_itself() -> None:
    np.testing.assert_array_equal(small().fit(Y, Y).predict(), small().fit(Y).predict())


@pytest.mark.parametrize(
    ("x", "y", "options", "message"),
    [
        (X, Y[:5], {}, "y - its shape is (5,), expected (200,), a value for each row of data"),
        (X, np.stack([Y, Y], 1), {}, "y - its shape is (200, 2), expected (200,), a value for each row of data"),
        (X, FRAME.rain[::-1], {}, "y - its index is not that of data - give both the same, or a y without one"),
        (FRAME, FRAME.wind.rename("rain"), {}, "y - data has a column 'rain' with other values - leave it out, or"),
        (np.arange(N), Y, {}, "y - the data beside it is an array or a series, whose values have no names - give a"),
        (FRAME.wind, Y, {}, "y - the data beside it is an array or a series, whose values have no names - give a"),
        (X, Y, {"target": ["a", "b"]}, "target - a, b: y is one column - name one, or put them all into data"),
    ],
)
def test_what_does_not_fit(x: Any, y: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises((DataError, OptionError), match=re.escape(message)):
        small().fit(x, y, **options)


@pytest.mark.parametrize(("x", "y"), [(Y, None), (X, FRAME.rain), (FRAME[["day", "rain"]], None)])
def test_scikit_learns_searches(x: Any, y: Any) -> None:
    parts = TimeSeriesSplit(2)
    scores = cross_val_score(small(), x, y, cv=parts, error_score="raise")
    search = GridSearchCV(small(), {"hidden_size": [4]}, cv=parts, error_score="raise").fit(x, y)
    assert search.best_score_ == pytest.approx(scores.mean())
