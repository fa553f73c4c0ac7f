"""A report in a browser: it is whole, and as narrow as a phone. Left out, visibly, where there is no Chromium."""

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from carrousel import Forecaster

CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), ""
)
OPTIONS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
]

pytestmark = pytest.mark.skipif(not CHROMIUM, reason="no Chromium on this machine")


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    wave = np.sin(np.arange(400) / 4) + np.arange(400) / 100
    path = tmp_path_factory.mktemp("report") / "report.html"
    Forecaster(horizon=3, context=24, hidden_size=8, epochs=1, verbose=0).fit(wave).report(path, title="A <wave>")
    # the page itself has no script: this one says how wide it came out
    path.write_text(path.read_text() + "<script>document.title = document.documentElement.scrollWidth</script>")
    return path


@pytest.mark.parametrize("width", [500, 1200])  # Chromium's own window is no narrower than 500
def test_nothing_is_wider_than_the_window(report: Path, tmp_path: Path, width: int) -> None:
    options = [*OPTIONS, f"--user-data-dir={tmp_path}", f"--window-size={width},900", "--dump-dom"]
    done = subprocess.run([CHROMIUM, *options, report.as_uri()], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    title = re.search(r"<title>(\d+)</title>", done.stdout)
    assert title is not None, done.stdout[:2000]
    assert int(title.group(1)) <= width
    assert "A &lt;wave&gt;" in done.stdout
    assert done.stdout.count("<svg") >= 5
