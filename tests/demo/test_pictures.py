"""The picture of the demo."""

import struct
from pathlib import Path

import pytest

from carrousel.demo import long_lag, pictures
from carrousel.errors import OutputError


@pytest.fixture(scope="module")
def lag() -> long_lag.Report:
    settings = long_lag.Settings(minimal_length=20, hidden_size=2, updates=4, batch_size=4, tests=2, test_size=8)
    return long_lag.run(settings, seed=0)


def width_of(png: Path) -> int:
    head = png.read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    return int(struct.unpack(">I", head[16:20])[0])


def test_picture_can_be_read_at_1200_pixels(lag: long_lag.Report, tmp_path: Path) -> None:
    pictures.draw_long_lag(lag, tmp_path / "lag.png")
    assert width_of(tmp_path / "lag.png") >= 1200


def test_picture_that_can_not_be_written(lag: long_lag.Report, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"demo - can not write .*lag.png: .* - free space there, or name another"):
        pictures.draw_long_lag(lag, tmp_path / "missing" / "lag.png")
