"""The forecast of the demo: baselines, split, and what the LSTM may see."""

import re
from datetime import UTC, datetime

import numpy as np
import pytest
import torch

from carrousel.data.temperatures import Temperatures, hourly_temperatures
from carrousel.demo import forecast
from carrousel.demo.forecast import Report, Settings
from carrousel.errors import OptionError

START = datetime(2013, 1, 1, 6, tzinfo=UTC)
TINY = Settings(context=48, segment=12, hidden_size=4, epochs=2, trainings=2)


def series(celsius: np.ndarray) -> Temperatures:
    return Temperatures(np.asarray(celsius, dtype=float), START)


def noise(hours: int = 600) -> np.ndarray:
    return np.random.default_rng(0).normal(10, 5, hours)


@pytest.fixture(scope="module")
def report() -> Report:
    return forecast.run(series(noise()), TINY, seed=0)


# ---------------------------------------------------------------------- windows


def test_windows_of_a_ramp() -> None:
    train, held_out = forecast.split(series(np.arange(200)), TINY)
    np.testing.assert_array_equal(train.origin, np.arange(48, 160 - 24 + 1))
    np.testing.assert_array_equal(held_out.origin, np.arange(160, 200 - 24 + 1))
    for windows in (train, held_out):
        np.testing.assert_array_equal(windows.known, windows.origin[:, None] + np.arange(-48, 0))
        np.testing.assert_array_equal(windows.future, windows.origin[:, None] + np.arange(24))
        np.testing.assert_array_equal(windows.clock, (windows.origin + 6) % 24)
        np.testing.assert_array_equal(windows.last[:, 0], windows.origin - 1)


def test_missing_hour_is_held_where_known_and_never_asked_for() -> None:
    celsius = np.arange(200.0)
    celsius[[100, 101, 170]] = np.nan
    for windows in forecast.split(series(celsius), TINY):
        assert not np.isnan(windows.known).any()
        assert not np.isnan(windows.future).any()
    train, held_out = forecast.split(series(celsius), TINY)
    assert set(range(48, 137)) - set(train.origin) == set(range(100 - 23, 102))
    assert set(held_out.origin) == {171, 172, 173, 174, 175, 176}
    assert (held_out.known[0, -2:] == 169).all()


@pytest.mark.parametrize("hours", [24, 80])
def test_series_too_short(hours: int) -> None:
    with pytest.raises(OptionError, match=r"forecast - no window of 48 known and 24 asked hours .* longer series"):
        forecast.split(series(noise(hours)), TINY)


@pytest.mark.parametrize("sizes", [(12, 12), (48, 7)])
def test_context_that_can_not_be(sizes: tuple[int, int]) -> None:
    with pytest.raises(OptionError, match=r"forecast - context is \d+ and segment \d+, expected .* - change"):
        Settings(context=sizes[0], segment=sizes[1])


# ---------------------------------------------------------------------- baselines


def test_baselines_of_a_ramp() -> None:
    train, held_out = forecast.split(series(np.arange(400)), TINY)
    naive = forecast.errors(forecast.same_hour_yesterday(held_out), held_out.future)
    assert naive == (24, 24)
    last = forecast.errors(forecast.last_value(held_out), held_out.future)
    np.testing.assert_allclose(last, (12.5, np.sqrt((np.arange(1, 25) ** 2).mean())))
    linear = forecast.errors(forecast.fit_linear(train)(held_out), held_out.future)
    np.testing.assert_allclose(linear, (0, 0), atol=1e-8)


def test_same_hour_yesterday_is_right_about_a_series_that_repeats() -> None:
    train, held_out = forecast.split(series(np.tile(noise(24), 20)), TINY)
    assert forecast.errors(forecast.same_hour_yesterday(held_out), held_out.future) == (0, 0)
    linear = forecast.fit_linear(train)(held_out)
    np.testing.assert_allclose(linear, held_out.future, atol=1e-8)


def test_linear_is_told_the_hour() -> None:
    """A daily wave under values that say nothing: least squares finds the wave, not the noise."""
    hours = np.arange(4000)
    wave = 10 * np.sin(2 * np.pi * (hours + 6) / 24)
    train, held_out = forecast.split(series(wave + noise(4000)), TINY)
    linear = forecast.errors(forecast.fit_linear(train)(held_out), held_out.future)
    assert linear.rmse < 1.1 * 5  # the noise has deviation 5
    assert forecast.errors(forecast.same_hour_yesterday(held_out), held_out.future).rmse > 1.3 * 5


# ---------------------------------------------------------------------- no leak


def test_held_out_hours_change_no_weight() -> None:
    celsius = noise()
    changed = celsius.copy()
    changed[round(600 * 0.8) :] += 1000
    (train, _), (train_changed, other) = (forecast.split(series(c), TINY) for c in (celsius, changed))
    net, net_changed = forecast.fit(train, TINY, seed=0), forecast.fit(train_changed, TINY, seed=0)
    assert net.scale == net_changed.scale
    for name, weight in net.state_dict().items():
        assert torch.equal(weight, net_changed.state_dict()[name]), name
    np.testing.assert_array_equal(forecast.fit_linear(train)(other), forecast.fit_linear(train_changed)(other))


def test_forecast_does_not_see_what_it_asks_for() -> None:
    train, held_out = forecast.split(series(noise()), TINY)
    net = forecast.fit(train, TINY, seed=0)
    before = net.forecast(held_out)
    held_out.future[:] = 0
    np.testing.assert_array_equal(net.forecast(held_out), before)


def test_scale_is_that_of_the_training_part() -> None:
    train, _ = forecast.split(series(noise()), TINY)
    scale = forecast.fit(train, TINY, seed=0).scale
    assert scale == (train.known.mean(), train.known.std())


# ---------------------------------------------------------------------- the LSTM


def test_features() -> None:
    train, _ = forecast.split(series(np.arange(200)), TINY)
    features = forecast.DayAhead(forecast.Scale(50.0, 2.0), TINY).features(train).numpy()
    assert features.shape == (4, len(train.origin), 12 + 3)
    np.testing.assert_allclose(features[3, 0, :12], np.arange(-11, 1) / 2)
    first_hour = 2 * np.pi * (train.clock[0] - 48) / 24
    np.testing.assert_allclose(features[0, 0, 12:], [np.sin(first_hour), np.cos(first_hour), (47 - 50) / 2], atol=1e-6)


def test_lstm_learns_a_daily_wave() -> None:
    hours = np.arange(1000)
    wave = series(15 + 5 * np.sin(2 * np.pi * hours / 24) + np.sin(2 * np.pi * hours / 700))
    quick = Settings(context=48, hidden_size=16, dropout=0.0, batch_size=16, learning_rate=1e-2, trainings=1)
    found = forecast.run(wave, quick, seed=0)
    assert found.errors["LSTM"].mae < 0.2 * found.errors["last value"].mae


def test_seed_decides(report: Report) -> None:
    again, other = (forecast.run(series(noise()), TINY, seed) for seed in (0, 7))
    np.testing.assert_array_equal(report.lstm, again.lstm)
    assert not np.array_equal(report.lstm, other.lstm)
    assert not np.array_equal(report.lstm[0], report.lstm[1])


def test_training_leaves_the_random_numbers_of_the_caller_alone() -> None:
    train, _ = forecast.split(series(noise(300)), TINY)
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    forecast.fit(train, TINY, seed=0)
    assert torch.equal(torch.rand(1), expected)


def test_progress_is_told_once_per_epoch() -> None:
    calls: list[None] = []
    forecast.run(series(noise(300)), TINY, 0, lambda: calls.append(None))
    assert len(calls) == TINY.trainings * TINY.epochs


# ---------------------------------------------------------------------- the report


def test_numbers_of_the_report(report: Report) -> None:
    future = report.held_out.future
    assert list(report.errors) == [*forecast.BASELINES, "LSTM"]
    assert report.lstm.shape == (2, *future.shape)
    each = np.abs(report.lstm - future).mean((1, 2))
    np.testing.assert_allclose(report.errors["LSTM"].mae, each.mean())
    naive = np.abs(report.held_out.known[:, -24:] - future).mean()
    np.testing.assert_allclose(report.skill("LSTM"), 1 - each.mean() / naive)
    assert report.skill("same hour yesterday") == 0


@pytest.mark.parametrize(
    ("offsets", "said"),
    [
        ((1.0, 1.0), "The LSTM won: against the best baseline, 'linear', its MAE is 50.0% lower, better in 2 of 2"),
        ((1.0, 2.5), "The LSTM won on average, not every time: .* its MAE is 12.5% lower, better in 1 of 2"),
        ((3.0, 3.0), "The LSTM did not win; 'linear' is the forecast to use: .* 50.0% higher, better in 0 of 2"),
        ((2.0, 2.0), "The LSTM did not win"),
    ],
)
def test_verdict_is_computed(report: Report, offsets: tuple[float, float], said: str) -> None:
    future = report.held_out.future
    baselines = {"same hour yesterday": future + 4, "last value": future + 3, "linear": future - 2}
    made = Report(report.temperatures, report.held_out, baselines, np.stack([future + offset for offset in offsets]))
    assert np.isclose(made.errors["linear"].mae, 2)
    assert re.match(said, made.verdict)


def test_real_temperatures_split_in_time() -> None:
    train, held_out = forecast.split(hourly_temperatures(), Settings())
    assert train.origin[-1] + 24 <= held_out.origin[0]
    assert held_out.origin[-1] + 24 == 8730
