"""Ctrl-C ends the demo also while a lesson learns."""

import signal
import threading
from pathlib import Path

import pytest

from carrousel.demo import lessons


def test_control_c_while_a_lesson_learns(tmp_path: Path) -> None:
    timer = threading.Timer(2.0, signal.raise_signal, (signal.SIGINT,))
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            lessons.manual(tmp_path / "run", 30.0, 0)
    finally:
        timer.cancel()
    assert not (tmp_path / "run").exists()
