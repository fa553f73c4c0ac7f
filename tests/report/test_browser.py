"""Reports in a browser: whole, and no wider than a phone. Left out, visibly, where there is no Chromium."""

import json
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from carrousel import Classifier, Forecaster, Generator
from models.easy import easy

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
    "--window-size=1300,900",
    "--virtual-time-budget=20000",
]
SCHEMES = {"dark": "0", "light": "1"}  # as Chromium numbers them
PICTURES = {"forecast": 5, "classify": 5, "generate": 4}  # at least
WIDTHS = (360, 500, 1200)

#: A report has no script: this one tells the page around it what came out.
TELLS = """<script>addEventListener("load", () => parent.postMessage({
  name: name, width: document.documentElement.scrollWidth, title: document.querySelector("h1").textContent,
  pictures: document.querySelectorAll("svg").length, paper: getComputedStyle(document.body).backgroundColor,
  sticking: [...document.querySelectorAll("body *")].filter(each => !each.closest(".wide, svg")
    && each.getBoundingClientRect().right > innerWidth + 1).map(each => each.tagName),
}, "*"))</script>"""

#: Chromium's own window is no narrower than 500; a frame is as narrow as it is asked to be.
AROUND = """<!doctype html><title></title><script>
const told = {}
addEventListener("message", event => { told[event.data.name] = event.data; document.title = JSON.stringify(told) })
</script>"""

pytestmark = pytest.mark.skipif(not CHROMIUM, reason="no Chromium on this machine")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of each kind, and a page that has each in frames of several widths."""
    folder = tmp_path_factory.mktemp("reports")
    brief: Any = {"hidden_size": 8, "epochs": 1, "verbose": 0}
    X, y = easy(30)
    fitted = (
        Forecaster(3, context=24, **brief).fit(np.sin(np.arange(400) / 4) + np.arange(400) / 100),
        Classifier(refit=False, **brief).fit(X, [f"a class with the long name {name}" for name in y]),
        Generator(**brief).fit("The quick brown fox jumps. " * 60 + "a" * 200),
    )
    for estimator in fitted:
        html = estimator.report(title=f"A <{estimator.kind}>")
        (folder / f"{estimator.kind}.html").write_text(html + TELLS)
    frames = (
        f'<iframe name="{kind}-{width}" src="{kind}.html" width="{width}" height="900" style="border: 0"></iframe>'
        for kind in PICTURES
        for width in WIDTHS
    )
    (folder / "around.html").write_text(AROUND + "".join(frames))
    return folder


@pytest.fixture(scope="module", params=SCHEMES)
def told(request: pytest.FixtureRequest, folder: Path) -> dict[str, Any]:
    """What the frames tell, in the dark and in the light."""
    scheme = f"--blink-settings=preferredColorScheme={SCHEMES[request.param]}"
    own = f"--user-data-dir={folder / request.param}"
    page = (folder / "around.html").as_uri()
    done = subprocess.run(
        [CHROMIUM, *OPTIONS, scheme, own, "--dump-dom", page], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr[-2000:]
    title = re.search(r"<title>(.*?)</title>", done.stdout)
    assert title is not None, done.stdout[:2000]
    return {"scheme": request.param, **json.loads(unescape(title.group(1)))}


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("kind", PICTURES)
def test_nothing_is_wider_than_the_window(told: dict[str, Any], kind: str, width: int) -> None:
    found = told[f"{kind}-{width}"]
    assert found["width"] <= width
    assert found["sticking"] == []
    assert found["title"] == f"A <{kind}>"
    assert found["pictures"] >= PICTURES[kind]
    assert found["paper"] == {"dark": "rgb(20, 22, 26)", "light": "rgb(255, 255, 255)"}[told["scheme"]]
