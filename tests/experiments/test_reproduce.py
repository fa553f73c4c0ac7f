"""The command: it runs rows, writes what came out, goes on after a kill, and says what is wrong."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from carrousel.cli import app
from carrousel.errors import OptionError
from carrousel.experiments.record import FILE
from carrousel.experiments.reproduce import reproduce
from carrousel.experiments.tables import tables

TABLE = "2b"
KEYS = ", ".join(tables())
ROWS = [row.key for row in tables()[TABLE].rows]


def trials(folder: Path) -> list[tuple]:
    lines = [json.loads(line) for line in (folder / FILE).read_text().splitlines()]
    return sorted((t["row"], t["seed"], t["presentations"], t["solved"], t["limit"]) for t in lines)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nobody interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    done = CliRunner().invoke(app, ["reproduce", TABLE, "--seeds", "1", "--workers", "1", "--out", str(folder)])
    assert done.exit_code == 0, done.output
    assert "Table 2b" in done.output
    return folder


def test_what_is_written(whole: Path) -> None:
    assert [key for key, *_ in trials(whole)] == sorted(ROWS)
    assert {path.name for path in whole.iterdir()} == {FILE, "report.html", "results.csv", "results.json"}
    assert "<html" in (whole / "report.html").read_text()


def test_a_run_that_is_killed_goes_on(whole: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "carrousel", "reproduce", TABLE, "--seeds", "1", "--workers", "2"]
    command += ["--out", str(tmp_path)]
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    until = time.monotonic() + 120
    while not ((tmp_path / FILE).exists() and (tmp_path / FILE).stat().st_size) and time.monotonic() < until:
        time.sleep(0.02)
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    before = trials(tmp_path)
    assert before
    done = subprocess.run([*command, "--resume"], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert trials(tmp_path) == trials(whole)
    assert set(before) <= set(trials(whole))


def test_nothing_is_run_again(whole: Path) -> None:
    before = (whole / FILE).read_bytes()
    reproduce([TABLE], "quick", whole, trials=1, resume=True, workers=1)
    assert (whole / FILE).read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["99"], f"carrousel: reproduce - unknown table '99'; they are {KEYS}. Did you mean 9?"),
        (["--quick", "--full"], "carrousel: reproduce - got --quick and --full - ask for one size"),
        (["--seeds", "0"], "carrousel: reproduce - seeds is 0, expected at least 1 - give a larger number"),
        (["--workers", "-1"], "carrousel: reproduce - workers is -1, expected at least 1 - give a larger number"),
    ],
)
def test_mistakes(arguments: list[str], message: str, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["reproduce", *arguments, "--out", str(tmp_path / "new")])
    assert done.exit_code == 2
    assert done.output.strip() == message
    assert not (tmp_path / "new").exists()


def test_a_folder_with_trials_is_not_overwritten(whole: Path) -> None:
    done = CliRunner().invoke(app, ["reproduce", TABLE, "--out", str(whole)])
    assert done.exit_code == 2
    assert done.output.strip() == (
        f"carrousel: {whole / FILE} - has {len(ROWS)} trials already - go on with --resume, or name another folder "
        "with --out"
    )


def test_numbers_are_checked_without_the_command_line_as_well(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="workers is 0"):
        reproduce([TABLE], "quick", tmp_path, workers=0)
