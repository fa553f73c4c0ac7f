"""What was measured: table, frame and figure of the series that it was measured on; which windows count."""

import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import polars
import pytest

from carrousel.errors import DataError, DataWarning, MissingExtraError, NotFittedError, OptionError, OutputError
from carrousel.models.forecasting.backtest import LAST, LINEAR, SEASONAL, Measured, joined
from carrousel.models.forecasting.forecaster import Forecaster
from carrousel.models.loading import load

N = 300
Y = np.round(10 + 3 * np.sin(np.arange(N) * 2 * np.pi / 7) + np.random.default_rng(0).normal(0, 0.3, N), 2)
DAYS = pandas.DataFrame({"day": pandas.date_range("2020-01-01", periods=N), "rain": Y})
CUT = 240


def small(**options: Any) -> Forecaster:
    return Forecaster(**{"horizon": 6, "epochs": 1, "hidden_size": 4, "verbose": 0, "threads": 1, **options})


@pytest.fixture(scope="module")
def fitted() -> Forecaster:
    return small().fit(DAYS.iloc[:CUT])


def test_a_frame_has_the_times_and_values_of_what_was_forecast(fitted: Forecaster) -> None:
    other = DAYS.assign(day=DAYS.day + pandas.Timedelta("1000D"), rain=DAYS.rain + 50)
    measured = fitted.backtest(other, windows=2)
    assert measured.frame.day.tolist() == other.day[-12:].tolist()
    assert measured.frame.after.tolist() == [other.day[N - 13]] * 6 + [other.day[N - 7]] * 6
    assert measured.frame.y.tolist() == other.rain[-12:].tolist()


def test_what_came_is_written_as_it_was(fitted: Forecaster) -> None:
    assert fitted.backtest().frame.y.tolist() == Y[CUT - 30 : CUT].tolist()


def test_table_and_words(fitted: Forecaster) -> None:
    measured = fitted.backtest(windows=3)
    assert measured.table.model.tolist() == ["LSTM", LAST, SEASONAL, LINEAR]
    assert measured.table.mae.tolist() == [row.mae for row in measured.rows]
    assert measured.table.coverage_90[0] == measured.rows[0].coverage["90"]
    assert measured.table.coverage_90[1:].isna().all()
    assert re.fullmatch(
        r"Measured\(3 forecasts of windows; LSTM: MAE \S+, skill \S+% over 'seasonal naive'\)", repr(measured)
    )
    table = small().fit(polars.from_pandas(DAYS)).result_.table
    assert isinstance(table, polars.DataFrame)


def test_a_figure_shows_the_last_windows(fitted: Forecaster) -> None:
    figure = fitted.backtest(windows=2).plot()
    assert [panel.get_title(loc="left") for panel in figure.axes] == ["rain, from 2020-08-22", "rain, from 2020-08-16"]


def test_a_figure_of_the_test_part_is_written(fitted: Forecaster, tmp_path: Path) -> None:
    figure = fitted.plot(tmp_path / "last.SVG")
    assert figure.axes[0].get_title(loc="left") == "rain, from 2020-08-22"
    assert "<svg" in (tmp_path / "last.SVG").read_text()
    for name in ("last", "last.txt"):
        with pytest.raises(OptionError, match=rf"plot - .*{name} ends in no kind of picture - choose \.png, \.svg or"):
            fitted.plot(tmp_path / name)
    with pytest.raises(OutputError, match="can not be written: No such file or directory - name another place"):
        fitted.plot(tmp_path / "no" / "last.png")


def test_a_figure_that_can_not_be(fitted: Forecaster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotFittedError, match=r"is not fitted yet - call fit\(\) first"):
        small().plot()
    with pytest.raises(DataError, match=r"plot - a model that was loaded has no data - use backtest\(data\)\.plot\(\)"):
        load(fitted.save(tmp_path / "run")).plot()
    for name in ("carrousel.report.figures", "carrousel.report.forecasting"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match=r'matplotlib is not installed, .* pip install "carrousel\[plot\]"'):
        fitted.plot()


def test_together_only_what_all_have(fitted: Forecaster) -> None:
    one = fitted.backtest(windows=1)
    without = small(season=1).fit(DAYS.assign(day=np.arange(N)).iloc[:CUT]).backtest(windows=1)
    assert [row.name for row in without.rows] == ["LSTM", LAST, LINEAR]
    both: Measured = joined([one, without])
    assert [row.name for row in both.rows] == ["LSTM", LAST, LINEAR]
    assert both.rows[2].mae == pytest.approx((one.rows[3].mae + without.rows[2].mae) / 2)
    assert (both.naive, both.rows[1].skill) == (LAST, 0)


# ---------------------------------------------------------------------- the seasonal naive forecast is always there


def test_without_a_clear_season_the_usual_one_is_repeated() -> None:
    walk = np.cumsum(np.random.default_rng(3).normal(size=200))
    model = small(horizon=1).fit(DAYS.iloc[:200].assign(rain=walk))
    assert (model.plan_.season, model.plan_.usual) == (1, 7)
    assert "no clear season ('seasonal naive' repeats the last 7 rows)" in model.understood_[1]
    rows = {row.name: row for row in model.result_.rows}
    assert list(rows) == ["LSTM", LAST, SEASONAL, LINEAR]
    assert (model.result_.naive, rows[LAST].skill) == (LAST, 0)
    at = model.result_.origins
    assert rows[SEASONAL].mae == pytest.approx(np.abs(walk[at] - walk[at - 7]).mean(), rel=1e-5)


def test_a_season_longer_than_the_context() -> None:
    model = small(context=4).fit(DAYS)
    at = model.result_.origins[:, None] + np.arange(6)
    assert model.plan_.season == 7
    assert {row.name: row.mae for row in model.result_.rows}[SEASONAL] == pytest.approx(
        np.abs(Y[at] - Y[at - 7]).mean(), rel=1e-5
    )


# ---------------------------------------------------------------------- which windows count


def test_new_rows_are_measured_from_the_models_own(fitted: Forecaster) -> None:
    found = fitted.evaluate(DAYS.iloc[CUT : CUT + 9])
    assert found["windows"] == 4
    said = [fitted.predict(DAYS.iloc[CUT : CUT + k]).yhat if k else fitted.predict().yhat for k in range(4)]
    off = [np.abs(each - Y[CUT + k : CUT + k + 6]).mean() for k, each in enumerate(said)]
    assert found["rows"][0]["mae"] == pytest.approx(np.mean(off), rel=1e-5)


def test_a_history_of_its_own_is_measured_alone(fitted: Forecaster) -> None:
    whole = fitted.evaluate(DAYS)
    assert whole["windows"] == N - fitted.plan_.context - 6 + 1
    with pytest.raises(DataError, match=r"the longest series has \d+ rows; context .* and horizon 6 need \d+"):
        fitted.evaluate(DAYS.iloc[CUT : CUT + 5])


def test_of_many_series_those_that_go_on() -> None:
    two = pandas.concat([DAYS.assign(id="a"), DAYS.assign(id="b", rain=Y[::-1])])
    model = small().fit(two[two.day < DAYS.day[CUT]])
    new = two[(two.day >= DAYS.day[CUT]) & ((two.id == "a") | (two.day < DAYS.day[CUT + 6]))]
    assert model.evaluate(new)["windows"] == N - CUT - 6 + 1 + 1


def test_more_windows_than_there_can_be(fitted: Forecaster) -> None:
    most = (CUT - fitted.plan_.context) // 6
    message = f"windows - {most} of 99 have the {fitted.plan_.context} rows before them that a forecast needs: only"
    with pytest.warns(DataWarning, match=message):
        assert fitted.backtest(windows=99).windows == most


def test_batches_larger_than_all_windows() -> None:
    with pytest.warns(
        DataWarning, match=r"batch_size - 5000, there are \d+ windows to learn from: batches are smaller"
    ):
        large = small(batch_size=5000).fit(DAYS)
    np.testing.assert_array_equal(large.predict().yhat, small().fit(DAYS).predict().yhat)
