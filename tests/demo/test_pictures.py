"""The pictures of the demo."""

import struct
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from carrousel.data.temperatures import Temperatures
from carrousel.demo import forecast, long_lag, pictures
from carrousel.errors import OutputError


@pytest.fixture(scope="module")
def report() -> forecast.Report:
    """A series of 60 days without training: the LSTM's error is made to grow from day to day."""
    hours = np.arange(60 * 24)
    series = Temperatures(10 + 5 * np.sin(2 * np.pi * hours / 24), datetime(2013, 1, 1, 6, tzinfo=UTC))
    _, held_out = forecast.split(series, forecast.Settings())
    baselines = {name: held_out.future + 1 for name in forecast.BASELINES}
    growing = held_out.origin[:, None] / 1000
    return forecast.Report(series, held_out, baselines, np.stack([held_out.future + growing] * 2))


@pytest.fixture(scope="module")
def lag() -> long_lag.Report:
    settings = long_lag.Settings(minimal_length=20, hidden_size=2, updates=4, batch_size=4, tests=2, test_size=8)
    return long_lag.run(settings, seed=0)


def width_of(png: Path) -> int:
    head = png.read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    return int(struct.unpack(">I", head[16:20])[0])


def test_typical_week_is_seven_midnights_in_new_york_with_the_median_error(report: forecast.Report) -> None:
    week = pictures.typical_week(report)
    origin = report.held_out.origin[week]
    np.testing.assert_array_equal(np.diff(origin), [24] * 6)
    assert (report.held_out.clock[week] == 5).all()
    midnights = np.flatnonzero(report.held_out.clock == 5)
    starts = midnights[: len(midnights) - 6]
    assert week[0] == starts[len(starts) // 2]


def test_pictures_can_be_read_at_1200_pixels(report: forecast.Report, lag: long_lag.Report, tmp_path: Path) -> None:
    pictures.draw_forecast(report, tmp_path / "forecast.png")
    pictures.draw_long_lag(lag, tmp_path / "lag.png")
    assert width_of(tmp_path / "forecast.png") >= 1200
    assert width_of(tmp_path / "lag.png") >= 1200


def test_picture_that_can_not_be_written(lag: long_lag.Report, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"demo - can not write .*lag.png: .* - free space there, or name another"):
        pictures.draw_long_lag(lag, tmp_path / "missing" / "lag.png")
