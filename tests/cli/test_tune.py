"""`carrousel tune`: all options of the three commands, what is printed and kept, Ctrl-C, and what can not be."""

import json
import os
import signal
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import carrousel
from carrousel.cli import app
from models.easy import easy

DAYS = [date(2024, 1, 1) + timedelta(days=day) for day in range(120)]
QUICK = ["--trials", "2", "--epochs", "1", "--hidden", "4", "--out", "run"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with data of each kind; a search of it draws learning rates alone."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        "carrousel.models.tuning.space_of",
        lambda estimator: {"lr": lambda trial, name: trial.suggest_float(name, 0, 1)},
    )
    rows = [f"{day:%d.%m.%Y},{'' if k == 40 else k % 7},{k % 5},{k % 2}\n" for k, day in enumerate(DAYS)]
    Path("sales.csv").write_text("when,sold,price,promo\n" + "".join(rows[:110]))
    Path("ahead.csv").write_text("when,promo\n" + "".join(f"{row.split(',')[0]},{row[-2]}\n" for row in rows[110:]))
    X, y = easy(24)
    np.savez("channels_first.npz", X=np.stack([np.resize(x, (9, 2)).T for x in X]), y=y)
    Path("texts").mkdir()
    Path("texts/a.txt").write_text("The quick brown fox. " * 80)
    Path("texts/b.md").write_text("none of this\n")
    return tmp_path


def tuned(*arguments: str, code: int = 0) -> Any:
    done = CliRunner().invoke(app, ["tune", *arguments])
    assert done.exit_code == code, done.output
    return done


def contents(run: str = "run") -> set[str]:
    return {path.name for path in Path(run).iterdir()}


PLAIN = {"config.json", "weights.safetensors", "preprocess.json", "metrics.json", "history.csv"}


def test_a_forecast_as_the_command_makes_it(folder: Path) -> None:
    described = ["--target", "sold", "--past", "price", "--future", "promo", "--future-data", "ahead.csv"]
    described += [
        "--level",
        "50,80",
        "--freq",
        "D",
        "--time-format",
        "%d.%m.%Y",
        "--missing",
        "ffill",
        "--horizon",
        "2",
    ]
    said = tuned("forecast", "sales.csv", *described, *QUICK, "--windows", "2").stdout
    assert contents() == PLAIN | {"report.html", "forecast.csv", "backtest.csv", "trials.csv"}
    assert Path("run/forecast.csv").read_text().startswith("when,yhat,yhat_lo_50,yhat_hi_50,yhat_lo_80,yhat_hi_80\n")
    header, *trials = said.split("\n\n")[0].splitlines()
    assert header.split() == ["trial", "validation", "seconds", "lr"]
    assert sorted(line.split()[0] for line in trials) == ["0", "1"]
    losses = [float(line.split()[1]) for line in trials]
    assert losses == sorted(losses)
    for text in ("one every day", "The run: run", "carrousel predict run NEW_ROWS.csv"):
        assert text in said
    best = min((line.split(",") for line in Path("run/trials.csv").read_text().splitlines()[1:]), key=lambda x: x[1])
    found = carrousel.load("run")
    assert found.get_params()["lr"] == float(best[3])
    assert (found.past, found.future, found.level, found.missing) == (("price",), ("promo",), (50, 80), "ffill")


def test_classes_and_all_that_is_printed_is_json(folder: Path) -> None:
    options = ["--layout", "NCT", "--val-fraction", "0.25", "--threads", "1", "--json", "--no-report"]
    found = json.loads(tuned("classify", "channels_first.npz", *options, *QUICK).stdout)
    assert found["run"] == "run"
    assert found["validation"]["count"] == 6
    assert contents() == PLAIN | {"predictions.csv", "trials.csv"}
    assert carrousel.load("run").n_features_in_ == 2


def test_a_text_and_all_that_is_printed_is_what_is_written(folder: Path) -> None:
    options = ["--glob", "*.txt", "--level", "byte", "--length", "20", "--prompt", "The ", "-q"]
    said = tuned("generate", "texts", *options, *QUICK).stdout
    assert contents() == PLAIN | {"report.html", "sample.txt", "trials.csv"}
    assert Path("run/sample.txt").read_text() + "\n" == said
    assert carrousel.load("run").metrics_["symbols"] == Path("texts/a.txt").stat().st_size


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--storage", "nonsense://x"], "storage 'nonsense://x' can not be used: Can't load plugin"),
        (["--trials", "0"], "n_trials (--trials) is 0, expected at least 1"),
        (
            ["--tensorboard", "/proc/x"],
            "/proc/x/trial-0 - can not be written: No such file or directory - name another",
        ),
        (["--devices", "2"], "No such option: --devices"),
        (["--resume"], "No such option: --resume"),
    ],
)
def test_what_can_not_be(folder: Path, options: list[str], said: str) -> None:
    before = set(folder.iterdir())
    output = tuned("classify", "channels_first.npz", "--layout", "NCT", *QUICK, *options, code=2).output
    assert said in output
    assert "Traceback" not in output
    assert set(folder.iterdir()) == before


def test_interrupted_it_stops_and_keeps_the_best(folder: Path) -> None:
    command = [sys.executable, "-m", "carrousel", "tune", "classify", "channels_first.npz", "--layout", "NCT"]
    options = ["--hidden", "4", "--epochs", "100000", "--patience", "100000", "--max-seconds", "1e6", "--out", "run"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen([*command, *options], env=environment, stdout=-1, stderr=-1, text=True)
    assert process.stderr is not None
    for line in process.stderr:  # the names of the columns, then an epoch
        if line.strip()[:1] == "1":
            break
    process.send_signal(signal.SIGINT)
    said, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert said.split("\n\n")[0].splitlines()[1].split()[0] == "0"
    assert len(Path("run/trials.csv").read_text().splitlines()) == 2
    assert carrousel.load("run").history_.stopped == "interrupted"
