"""The forecasts that have to be beaten, and the season that one of them needs."""

import numpy as np
import pytest
import torch

from carrousel.data.temperatures import hourly_temperatures
from carrousel.data.windows import Rows, Windows
from carrousel.models.forecasting.baselines import find_season, fit_linear, last_value, seasonal_naive


def windows_of(values: np.ndarray, begin: int, end: int, context: int = 6, horizon: int = 3) -> Windows:
    series = torch.tensor(values, dtype=torch.float32)[:, None]
    none = torch.zeros(len(series), 0)
    rows = Rows(series, ~series.isnan(), none, none, none, torch.zeros(1, 0), np.array([0, len(series)]))
    at = np.arange(begin + context, end - horizon)
    return Windows(rows, at, np.zeros(len(at), int), context, horizon)


def test_naive_forecasts() -> None:
    known = torch.tensor([[1.0, 2.0, 3.0, 4.0]])
    assert last_value(known, 3).tolist() == [[4.0, 4.0, 4.0]]
    assert seasonal_naive(known, 5, 2).tolist() == [[3.0, 4.0, 3.0, 4.0, 3.0]]


def test_linear_finds_a_linear_law() -> None:
    wave = np.sin(np.arange(400) / 5) + 0.01 * np.arange(400)
    linear = fit_linear(windows_of(wave, 0, 200), windows_of(wave, 200, 300))
    batch = windows_of(wave, 300, 400).batch(torch.arange(50))
    assert float((linear(batch.known) - batch.asked).abs().max()) < 0.01
    assert linear.residuals(windows_of(wave, 0, 200), torch.tensor([0.05, 0.5, 0.95])).shape == (3, 3)


def test_noise_asks_for_a_stronger_ridge() -> None:
    noise = np.random.default_rng(0).normal(size=400)
    wave = np.sin(np.arange(400) / 5)
    ridges = [fit_linear(windows_of(v, 0, 24), windows_of(v, 200, 400)).ridge for v in (noise, wave)]
    assert ridges[0] > ridges[1]
    assert fit_linear(windows_of(wave, 0, 200), None).ridge == 1e-2


@pytest.mark.parametrize(
    ("values", "expected", "found"),
    [
        (lambda t, noise: np.sin(2 * np.pi * t / 24) + noise, 24, 24),
        (lambda t, noise: np.sin(2 * np.pi * t / 24) + np.cumsum(noise), 24, 24),
        (lambda t, noise: t / 50 + np.sin(2 * np.pi * t / 12) + 0.5 * noise, 12, 12),
        (lambda t, noise: np.sin(2 * np.pi * t / 11) + noise, 1, 11),
        (lambda t, noise: np.sin(2 * np.pi * t / 24) + noise, 12, 24),
        (lambda t, noise: 10 * np.sin(2 * np.pi * t / 1440) + noise, 1440, 1),
        (lambda t, noise: noise, 24, 1),
        (lambda t, noise: np.cumsum(noise), 7, 1),
        (lambda t, noise: t * 1.0, 12, 1),
        (lambda t, noise: t * 0.0, 12, 1),
    ],
    ids=[
        "day",
        "day on a random walk",
        "trend",
        "unknown",
        "another",
        "longer than can be",
        "noise",
        "random walk",
        "line",
        "constant",
    ],
)
def test_season(values, expected: int, found: int) -> None:
    noise = np.random.default_rng(0).normal(size=600)
    assert find_season(values(np.arange(600), 0.5 * noise), expected) == found


def test_a_season_of_hours_is_found_without_times() -> None:
    celsius = hourly_temperatures().celsius
    assert find_season(np.nan_to_num(celsius, nan=10.0)[:6000], 1) == 24
