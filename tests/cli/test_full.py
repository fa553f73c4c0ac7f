"""A disk without room: said in one message, nothing half-written, the earlier run still there; and very many rows."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import carrousel
from carrousel.cli import app

QUICK = ["--hidden", "4", "--horizon", "3", "--no-report", "-q", "--out", "run"]


def limited(folder: Path, *arguments: str, stdout: int | None = subprocess.PIPE) -> subprocess.CompletedProcess:
    """Run a command that can write no file of more than 1,000 bytes."""
    return subprocess.run(
        [sys.executable, "-m", "carrousel", *arguments],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000)),
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a table and a run."""
    folder = tmp_path_factory.mktemp("full")
    (folder / "sales.csv").write_text("sold\n" + "".join(f"{(3 * k + k // 10) % 7}\n" for k in range(330)))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        done = CliRunner().invoke(app, ["forecast", "sales.csv", "--epochs", "1", *QUICK])
    assert done.exit_code == 0, done.output
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_training_goes_on_and_the_earlier_run_stays(folder: Path) -> None:
    before = contents(folder)
    done = limited(folder, "forecast", "sales.csv", "--epochs", "2", *QUICK, "--force")
    assert done.returncode == 1
    checkpoint, run = done.stderr.splitlines()
    assert checkpoint == (
        "warning: run.unfinished/last.ckpt - can not be written: File too large - name another place; training goes "
        "on, after a kill it would begin anew"
    )
    assert run.startswith("carrousel: ")
    assert run.endswith("run - can not be written: File too large - make room, or name another")
    assert contents(folder) == before
    assert not (folder / "run.unfinished").exists()
    assert len(carrousel.load(folder / "run").predict()) == 3


def test_a_forecast_is_written_whole_or_not_at_all(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    Path("new.csv").write_text("sold\n" + "1\n" * 40)
    before = contents(folder)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20, hard))
    try:
        done = CliRunner().invoke(app, ["predict", "run", "new.csv", "--out", "said.csv"])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert done.exit_code == 1
    assert done.output == "carrousel: said.csv - can not be written: File too large - name another place\n"
    assert contents(folder) == before


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a file that is always full")
def test_an_output_that_is_full(folder: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = limited(folder, "info", "run", stdout=full.fileno())
    assert done.returncode == 1
    assert done.stderr == "carrousel: output - can not be written: No space left on device - make room\n"


HUGE = pytest.mark.skipif("not config.getoption('--huge')", reason="takes a minute and 3 GB of memory: --huge runs it")


@pytest.mark.parametrize("rows", [200_000, pytest.param(10_000_000, marks=HUGE)])
def test_many_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    monkeypatch.chdir(tmp_path)
    minutes = np.datetime64("2020-01-01T00:00") + np.arange(rows)
    values = np.sin(np.arange(rows) / 50)
    with Path("load.csv").open("w") as file:
        file.write("when,load\n")
        file.writelines(f"{when},{value:.4f}\n" for when, value in zip(minutes.astype(str), values, strict=True))
    done = CliRunner().invoke(app, ["forecast", "load.csv", "--max-seconds", "0.5", "--context", "16", *QUICK])
    assert done.exit_code == 0, done.output
    assert carrousel.load("run").metrics_["understood"][0].startswith(f"{rows:,} rows, one every minute; 1 series")
    new = minutes[-1] + 1 + np.arange(3)
    Path("new.csv").write_text("when,load\n" + "".join(f"{when},0.5\n" for when in new.astype(str)))
    assert str(carrousel.load("run").predict("new.csv")["when"][0]) == str(new[-1] + 1).replace("T", " ") + ":00"
