"""Filling, scaling, the calendar, windows: what stands between a table and a network."""

import re

import numpy as np
import pandas
import pytest
import torch

from carrousel.data.calendar import calendar_features, useful_cycles
from carrousel.data.frequency import parse
from carrousel.data.missing import check_way, fill
from carrousel.data.scaling import Scale, check_kind, fit_scale
from carrousel.data.windows import Rows, Windows, check_subtracted, origins
from carrousel.errors import OptionError

NAN = np.nan


@pytest.mark.parametrize(
    ("way", "expected"), [("ffill", [1, 1, 1, 4, 4, 7, 7]), ("interpolate", [1, 1, 2.5, 4, 4, 7, 7]), ("mask", None)]
)
def test_filled_series_by_series(way: str, expected: list | None) -> None:
    values = np.array([NAN, 1, NAN, 4, NAN, NAN, 7])[:, None]
    found = fill(values, np.array([0, 5, 7]), way)[:, 0]
    np.testing.assert_array_equal(found, expected or [1, 1, 1, 4, 4, 7, 7])
    assert np.isnan(values).sum() == 4


def test_a_column_without_values_is_zero() -> None:
    assert fill(np.array([[NAN], [NAN]]), np.array([0, 2]), "ffill").tolist() == [[0.0], [0.0]]


def test_scales_of_their_part_and_back() -> None:
    values = np.random.default_rng(0).normal(5, 3, (100, 2))
    values[60:] = 1e9
    values[3, 0] = NAN
    scale = fit_scale(values, np.array([0, 30]), np.array([30, 60]))
    scaled = scale.apply(values, np.array([30, 70]))
    for part in (scaled[:30], scaled[30:60]):
        np.testing.assert_allclose(np.nanmean(part, 0), 0, atol=1e-12)
        np.testing.assert_allclose(np.nanstd(part, 0), 1)
    kept = Scale.from_dict(scale.to_dict())
    np.testing.assert_array_equal(kept.centre, scale.centre)


def test_robust_scale_ignores_a_spike_and_none_does_nothing() -> None:
    values = np.append(np.random.default_rng(0).normal(5, 3, 10_000), 1e9)[:, None]
    robust = fit_scale(values, np.array([0]), np.array([10_001]), "robust")
    np.testing.assert_allclose([robust.centre[0, 0], robust.width[0, 0]], [5, 3], rtol=0.03)
    none = fit_scale(values, np.array([0]), np.array([10_001]), "none")
    assert (none.centre[0, 0], none.width[0, 0]) == (0, 1)


def test_a_scale_in_any_unit() -> None:
    rain = np.array([[1.0], [2.0], [4.0]])
    for unit in (1e-300, 1e-100, 1e-15, 1e15, 1e200):
        scale = fit_scale(unit * rain, np.array([0]), np.array([3]))
        np.testing.assert_allclose(scale.width / unit, np.std(rain))


def test_a_constant_is_not_divided_by_zero() -> None:
    assert fit_scale(np.full((5, 1), 3.0), np.array([0]), np.array([5])).width.tolist() == [[1.0]]


@pytest.mark.parametrize(
    ("check", "message"),
    [
        (check_way, "missing - 'drop' is no way to treat missing values - choose error, ffill, interpolate, mask"),
        (check_kind, "scaler - 'drop' is no scale - choose standard, robust, none"),
        (check_subtracted, "subtract - 'drop' can not be taken off - choose last, mean, none"),
    ],
)
def test_options_that_can_not_be(check, message: str) -> None:
    with pytest.raises(OptionError, match=re.escape(message)):
        check("drop")


def test_the_calendar_is_that_of_the_wall() -> None:
    noons = pandas.date_range("2020-01-06 12:00", periods=300, freq="D").to_numpy().astype("M8[us]").astype(np.int64)
    found = calendar_features(noons, ("day", "week", "year"))
    np.testing.assert_allclose(found[:, :2], [[0, -1]] * 300, atol=1e-6)
    np.testing.assert_allclose(found[:-7, 2:4], found[7:, 2:4], atol=1e-6)
    np.testing.assert_allclose((found**2).sum(1), 3, rtol=1e-6)


@pytest.mark.parametrize(
    ("freq", "rows", "cycles"),
    [
        ("h", 40, ()),
        ("h", 400, ("day", "week")),
        ("h", 20_000, ("day", "week", "year")),
        ("D", 100, ("week",)),
        ("D", 800, ("week", "year")),
        ("MS", 30, ("year",)),
        ("15min", 30_000, ("hour", "day", "week")),
        ("YS", 300, ()),
    ],
)
def test_cycles_that_can_be_learned(freq: str, rows: int, cycles: tuple) -> None:
    assert useful_cycles(parse(freq), rows) == cycles


# ---------------------------------------------------------------------- windows


def rows_of(values: torch.Tensor, first: list[int]) -> Rows:
    none = torch.zeros(len(values), 0)
    places = torch.arange(float(len(values)))[:, None]
    return Rows(values, ~values.isnan(), none, places, places, torch.zeros(len(first) - 1, 0), np.array(first))


def test_windows_stay_in_their_part_and_series() -> None:
    first, begin, end = np.array([0, 20]), np.array([10, 30]), np.array([20, 40])
    at, series = origins(first, begin, end, context=4, horizon=3)
    assert at.tolist() == [*range(10, 18), *range(30, 38)]
    assert series.tolist() == [0] * 8 + [1] * 8
    assert origins(first, first, np.array([20, 26]), 4, 3)[0].tolist() == [*range(4, 18)]
    assert len(origins(first, begin, end, 4, 3, most=5)[0]) == 5
    assert len(origins(first, begin, np.array([12, 32]), 4, 3)[0]) == 0


@pytest.mark.parametrize(("subtracted", "level"), [("last", 5.0), ("mean", 4.0), ("none", 0.0)])
def test_a_window_by_target(subtracted: str, level: float) -> None:
    ramp = torch.arange(10.0)[:, None]
    windows = Windows(rows_of(torch.cat([ramp, 10 * ramp], 1), [0, 10]), np.array([6]), np.array([0]), 3, 2, subtracted)
    batch = windows.batch(torch.tensor([0, 1]))
    assert len(windows) == 2
    np.testing.assert_allclose(batch.level, [level, 10 * level])
    np.testing.assert_allclose((batch.known + batch.level[:, None])[1], [30, 40, 50])
    np.testing.assert_allclose((batch.asked + batch.level[:, None])[0], [6, 7])
    np.testing.assert_allclose(batch.future[0, :, 0], [3, 4, 5, 6, 7])
    assert batch.static.tolist() == [[1, 0], [0, 1]]


def test_what_is_not_known_does_not_count() -> None:
    rows = rows_of(torch.arange(10.0)[:, None], [0, 10])
    rows.measured[7] = False
    batch = Windows(rows, np.array([6]), np.array([0]), 3, 2).batch(torch.tensor([0]))
    assert (batch.counts.tolist(), batch.asked.tolist()) == ([[1.0, 0.0]], [[1.0, 0.0]])
