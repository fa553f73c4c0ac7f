"""The forecaster: frames in and out, hot start, leaks, saving, backtests."""

import math
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import polars
import pytest
import torch
from sklearn.base import clone

from carrousel.errors import DataWarning
from carrousel.models.forecasting.backtest import LAST, LINEAR, SEASONAL
from carrousel.models.forecasting.forecaster import Forecaster
from carrousel.models.forecasting.output import as_csv
from carrousel.models.loading import load

RANDOM = np.random.default_rng(0)
HOURS = 480
Y = 10 + 3 * np.sin(np.arange(HOURS) * 2 * np.pi / 24) + RANDOM.normal(0, 0.3, HOURS)
#: over the change to summer time on 29 March
WHEN = pandas.date_range("2020-03-12", periods=HOURS, freq="h", tz="Europe/Berlin")
HOURLY = pandas.DataFrame({"when": WHEN, "temp": Y})
DAYS = 160


def small(**options: Any) -> Forecaster:
    return Forecaster(**{"horizon": 6, "epochs": 1, "hidden_size": 4, "verbose": 0, "threads": 1, **options})


def shops() -> pandas.DataFrame:
    weekly = 10 * np.sin(np.arange(DAYS) * 2 * np.pi / 7)
    promo = np.arange(DAYS) % 5 == 0
    parts = [
        pandas.DataFrame(
            {
                "id": name,
                "day": pandas.date_range("2020-01-01", periods=DAYS),
                "sales": 100 * k + weekly + 5 * promo + RANDOM.normal(0, 1, DAYS),
                "promo": promo.astype(float),
                "rain": RANDOM.random(DAYS),
                "sky": np.where(np.arange(DAYS) % 2, "grey", "blue"),
                "town": "big" if k else "small",
            }
        )
        for k, name in enumerate("ABC")
    ]
    return pandas.concat(parts, ignore_index=True)


SHOPS = shops()
AHEAD = pandas.DataFrame(
    {
        "id": np.repeat(list("ABC"), 6),
        "day": np.tile(pandas.date_range("2020-06-09", periods=6), 3),
        "promo": np.tile((np.arange(DAYS, DAYS + 6) % 5 == 0).astype(float), 3),
    }
)


@pytest.fixture(scope="module")
def hourly() -> Forecaster:
    return small().fit(HOURLY.iloc[:420])


@pytest.fixture(scope="module")
def sales() -> Forecaster:
    return small(past=["rain", "sky"], future=["promo"], static=["town"]).fit(SHOPS, target="sales")


# ---------------------------------------------------------------------- in and out


def test_frame_in_frame_out(hourly: Forecaster) -> None:
    said = hourly.predict()
    assert list(said.columns) == ["when", "yhat", "yhat_lo_90", "yhat_hi_90"]
    assert list(said.when) == list(WHEN[420:426])
    assert (said.yhat_lo_90 < said.yhat).all()
    assert (said.yhat < said.yhat_hi_90).all()
    assert list(hourly.predict(horizon=2).yhat) == list(said.yhat[:2])


def test_what_the_columns_are_was_found_in_fit(hourly: Forecaster) -> None:
    said = hourly.predict(HOURLY.iloc[420:].assign(name="added later"))
    assert list(said.columns) == ["when", "yhat", "yhat_lo_90", "yhat_hi_90"]
    pandas.testing.assert_frame_equal(said, hourly.predict(HOURLY.iloc[420:]))


def test_pandas_and_polars_are_one(sales: Forecaster) -> None:
    other = small(past=["rain", "sky"], future=["promo"], static=["town"]).fit(
        polars.from_pandas(SHOPS), target="sales"
    )
    said = other.predict(future=polars.from_pandas(AHEAD))
    assert isinstance(said, polars.DataFrame)
    pandas.testing.assert_frame_equal(said.to_pandas(), sales.predict(future=AHEAD), check_dtype=False)


def test_days_and_periods_come_back(tmp_path: Path) -> None:
    days = polars.DataFrame({"day": [date(2020, 1, 1) + timedelta(days=k) for k in range(200)], "y": Y[:200]})
    fitted = small().fit(days)
    fitted.save(tmp_path / "run")
    for said in (fitted.predict(), load(tmp_path / "run").predict()):
        assert said["day"].dtype == polars.Date
        assert said["day"][0] == days["day"][-1] + timedelta(days=1)
    measured = fitted.result_.frame
    assert {measured[name].dtype for name in ("after", "day")} == {polars.Date}
    months = pandas.period_range("1990-01", periods=200, freq="M", name="month")
    series = pandas.Series(Y[:200], months, name="y")
    for data in (series, series.to_frame(), series.reset_index()):
        said = small().fit(data).predict()
        found = said.get("month", said.index)
        assert str(found.dtype) == "period[M]"
        assert str(found[0]) == "2006-09"


def test_series_arrays_and_index() -> None:
    series = HOURLY.set_index("when")["temp"]
    said = small().fit(series).predict()
    assert said.index[0] == WHEN[-1] + pandas.Timedelta("1h")
    array = small(level=(50, 90)).fit(Y)
    assert array.predict().shape == (6,)
    low, middle, high = array.predict(level=50).T
    wide = array.predict(level=90)
    assert (wide[:, 0] <= low).all()
    assert (low <= middle).all()
    assert (high <= wide[:, 2]).all()
    assert isinstance(small().fit(polars.Series("temp", Y)).predict(), polars.DataFrame)


def test_several_targets_wide() -> None:
    wide = pandas.DataFrame({"a": Y, "b": 100 - Y}, index=WHEN)
    said = small().fit(wide, target="all").predict()
    assert list(said.columns)[:4] == ["a_yhat", "a_yhat_lo_90", "a_yhat_hi_90", "b_yhat"]
    assert said.index.name == "time"
    assert abs(said.b_yhat.mean() - 90) < 5
    assert small().fit(np.stack([Y, Y + 50], 1)).predict(level=90).shape == (6, 2, 3)


def test_long_frame_with_all_kinds_of_inputs(sales: Forecaster) -> None:
    said = sales.predict(future=AHEAD)
    assert list(said.columns[:3]) == ["id", "day", "yhat"]
    assert said.id.tolist() == AHEAD.id.tolist()
    assert said.day.tolist() == AHEAD.day.tolist()
    by_shop = said.groupby("id").yhat.mean()
    np.testing.assert_allclose(by_shop, [1, 101, 201], atol=12)
    part = sales.predict(SHOPS[SHOPS.id == "B"], future=AHEAD)
    np.testing.assert_allclose(part.yhat, said[said.id == "B"].yhat, atol=1e-4)


def test_scikit_learn_protocol() -> None:
    one = small(past=("rain",), level=(50, 90))
    assert clone(one).get_params() == one.get_params()
    assert small().set_params(horizon=3).fit(Y).predict().shape == (3,)


# ---------------------------------------------------------------------- hot start


@pytest.mark.parametrize("first", [420, 419, 400, 300])
def test_new_rows_only_give_what_the_whole_history_gives(hourly: Forecaster, first: int) -> None:
    whole = hourly.predict(HOURLY)
    pandas.testing.assert_frame_equal(hourly.predict(HOURLY.iloc[first:]), whole)
    fresh = small().fit(HOURLY.iloc[:420]).update(HOURLY.iloc[420:450])
    pandas.testing.assert_frame_equal(fresh.predict(HOURLY.iloc[450:]), whole)


@pytest.mark.parametrize("first", [408, 409, 410, 411, 440])
@pytest.mark.filterwarnings("ignore::carrousel.errors.DataWarning")
def test_hot_start_at_a_clock_change_without_a_zone(first: int) -> None:
    by_the_wall = HOURLY.assign(when=WHEN.tz_localize(None))
    model = small().fit(by_the_wall.iloc[:first])
    pandas.testing.assert_frame_equal(model.predict(by_the_wall.iloc[first:]), model.predict(by_the_wall))


@pytest.mark.parametrize("missing", ["ffill", "interpolate", "mask"])
def test_hot_start_with_missing_values(missing: str) -> None:
    holes = HOURLY.drop(index=[30, 31]).copy()
    holes.loc[[5, 100, 378, 379, 425, 479], "temp"] = np.nan
    model = small(missing=missing).fit(holes[holes.index < 420])
    pandas.testing.assert_frame_equal(model.predict(holes[holes.index >= 420]), model.predict(holes))


def test_rows_of_the_past_are_a_history_of_their_own(hourly: Forecaster) -> None:
    changed = HOURLY.copy()
    changed.loc[380:, "temp"] = 1e6
    pandas.testing.assert_frame_equal(hourly.predict(changed.iloc[:380]), hourly.predict(HOURLY.iloc[:380]))
    assert list(hourly.predict(HOURLY.iloc[:380]).when) == list(WHEN[380:386])


def test_an_array_goes_on_where_it_ended() -> None:
    model = small().fit(Y[:400])
    np.testing.assert_allclose(model.predict(Y[400:410]), model.predict(Y[:410]))


# ---------------------------------------------------------------------- honesty


def test_weights_do_not_depend_on_the_test_part() -> None:
    cut = HOURS - round(0.15 * HOURS)
    changed = Y.copy()
    changed[cut:] = 1e6
    one, other = small().fit(Y), small().fit(changed)
    for name, value in one.net_.state_dict().items():
        torch.testing.assert_close(other.net_.state_dict()[name], value, rtol=0, atol=0)
    np.testing.assert_array_equal(one.margin_, other.margin_)
    assert one.preparation_.target.centre == pytest.approx(Y[: cut - 72].mean())


def test_same_seed_same_weights() -> None:
    runs = [small(seed=seed).fit(Y).predict() for seed in (0, 0, 1)]
    np.testing.assert_array_equal(runs[0], runs[1])
    assert not np.array_equal(runs[0], runs[2])


def test_baselines_are_always_there(hourly: Forecaster) -> None:
    rows = {row.name: row for row in hourly.result_.rows}
    assert list(rows) == ["LSTM", LAST, SEASONAL, LINEAR]
    assert hourly.result_.part == "test"
    assert rows[SEASONAL].skill == 0
    off = [abs(Y[k : k + 6] - Y[k - 1]).mean() for k in range(420 - 63, 420 - 5)]
    assert rows[LAST].mae == pytest.approx(np.mean(off), rel=1e-5)
    assert rows["LSTM"].mae == pytest.approx(
        np.abs(hourly.result_.quantiles[..., 1] - hourly.result_.asked).mean(), rel=1e-6
    )
    low, high = hourly.result_.quantiles[..., 0], hourly.result_.quantiles[..., 2]
    inside = ((low <= hourly.result_.asked) & (hourly.result_.asked <= high)).mean()
    assert rows["LSTM"].coverage == {"90": pytest.approx(inside)}


def test_it_says_when_it_does_not_win(hourly: Forecaster) -> None:
    model, *others = hourly.result_.rows
    best = min(others, key=lambda row: row.scaled_mae)

    def verdict(times: float) -> str:
        changed = replace(model, scaled_mae=times * best.scaled_mae)
        return replace(hourly.result_, rows=(changed, *others)).verdict

    loses = f"The LSTM is NOT better than the forecast '{best.name}'"
    assert verdict(1.5) == f"{loses}, its MAE is 50.0% higher: use that."
    assert verdict(0.995) == f"{loses} (MAE within 0.5%): use the simpler."
    assert verdict(0.9) == f"The LSTM's MAE is 10.0% lower than that of the best baseline, '{best.name}'."


def test_a_wave_is_forecast_better_than_naively() -> None:
    wave = small(epochs=4, hidden_size=16).fit(Y)
    skill = {row.name: row.skill for row in wave.result_.rows}
    assert skill["LSTM"] > 0.15
    assert 0.8 < wave.result_.rows[0].coverage["90"] <= 1


@pytest.mark.parametrize(
    ("options", "part"),
    [({"test_fraction": 0.0}, "validation"), ({"test_fraction": 0.0, "val_fraction": 0.0}, "training")],
)
def test_without_a_part_to_measure_on(options: dict[str, float], part: str) -> None:
    assert small(**options).fit(Y).result_.part == part


def test_missing_values_are_not_measured() -> None:
    holes = HOURLY.assign(temp=np.where(np.arange(HOURS) % 10 == 0, np.nan, Y))
    model = small(missing="interpolate").fit(holes)
    counts = model.result_.counts
    assert 0.85 < counts.mean() < 0.95
    assert np.isnan(model.result_.asked[counts == 0]).all()


# ---------------------------------------------------------------------- many series


def test_a_constant_series_is_forecast_as_it_is() -> None:
    flat = SHOPS.assign(sales=SHOPS.sales.where(SHOPS.id != "A", 5.0))[["id", "day", "sales"]]
    with pytest.warns(DataWarning, match=r"'sales' of series 'A' never changes in the training part \(1 in all\)"):
        said = small().fit(flat).predict()
    assert said[said.id == "A"][["yhat", "yhat_lo_90", "yhat_hi_90"]].to_numpy() == pytest.approx(5.0)


def test_short_series_are_left_out_and_named() -> None:
    short = pandas.concat([SHOPS, SHOPS[SHOPS.id == "A"].iloc[:10].assign(id="new")])[["id", "day", "sales"]]
    with pytest.warns(DataWarning, match="1 of 4 series have less than 22 rows and are left out: new"):
        model = small().fit(short)
    assert sorted(set(model.predict().id)) == ["A", "B", "C"]


def test_a_new_series_is_scaled_by_its_own_rows(sales: Forecaster) -> None:
    new = SHOPS[SHOPS.id == "B"].assign(id="new", sales=lambda shop: 1000 * shop.sales)
    ahead = AHEAD[AHEAD.id == "B"].assign(id="new")
    with pytest.warns(DataWarning, match="1 series were not in training, the first is 'new': scaled by their own rows"):
        said = sales.predict(new, future=ahead)
    assert said.yhat.mean() == pytest.approx(1000 * 101, rel=0.2)


# ---------------------------------------------------------------------- saving


@pytest.mark.parametrize("which", ["hourly", "sales"])
def test_saved_and_loaded_says_the_same(which: str, request: pytest.FixtureRequest, tmp_path: Any) -> None:
    model = request.getfixturevalue(which)
    ahead = AHEAD if which == "sales" else None
    again = load(model.save(tmp_path / "run"))
    pandas.testing.assert_frame_equal(again.predict(future=ahead), model.predict(future=ahead))
    assert again.metrics_ == model.metrics_
    data = SHOPS if which == "sales" else HOURLY
    pandas.testing.assert_frame_equal(again.predict(data, future=ahead), model.predict(data, future=ahead))
    assert again.evaluate(data) == model.evaluate(data)
    assert math.isclose(again.score(data), model.evaluate(data)["rows"][0]["skill"])


def test_frames_are_kept_with_the_run(hourly: Forecaster, tmp_path: Any) -> None:
    hourly.keep("forecast.csv", hourly.predict())
    folder = hourly.save(tmp_path / "run")
    said = pandas.read_csv(folder / "forecast.csv")
    np.testing.assert_allclose(said.yhat, hourly.predict().yhat)
    assert as_csv(np.array([1.0, 2.5])) == "yhat\n1\n2.5\n"
    assert as_csv(np.array([[1.0, 2.0]])) == "y1,y2\n1,2\n"
    assert as_csv(pandas.DataFrame({"yhat": [1.5]}, index=WHEN[:1])).splitlines()[0] == "time,yhat"


# ---------------------------------------------------------------------- backtests


def test_rolling_origins(hourly: Forecaster) -> None:
    measured = hourly.backtest(windows=3)
    assert measured.origins.tolist() == [402, 408, 414]
    frame = measured.frame
    assert len(frame) == 18
    np.testing.assert_allclose(frame.y, Y[402:420])
    expected = hourly.predict(HOURLY.iloc[:408]).yhat
    np.testing.assert_allclose(frame.yhat[6:12], expected, atol=1e-5)
    assert hourly.backtest(HOURLY, windows=2, step=1).origins.tolist() == [473, 474]


def test_refitted_models_know_only_what_came_before() -> None:
    # the parts of a refitted model are its own: it is the model of the rows before the origin
    model = small().fit(Y)
    measured = model.backtest(windows=2, step=30, refit=True)
    expected = small().fit(Y[: HOURS - 36]).predict()
    np.testing.assert_allclose(measured.quantiles[0, :, 1], expected, atol=1e-5)
    off = np.abs(measured.quantiles[..., 1] - measured.asked).mean()
    assert measured.rows[0].mae == pytest.approx(off)
