"""The command: it runs rows, writes what came out, goes on after a kill, and says what is wrong."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from carrousel.cli import app
from carrousel.errors import OptionError
from carrousel.experiments.record import FILE, Record, held
from carrousel.experiments.reproduce import reproduce
from carrousel.experiments.tables import tables
from carrousel.experiments.trials import Trial

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


# ---------------------------------------------------------------------- one folder, several sizes


def add(record: Record, row: str, seed: int, limit: int, solved_at: int | None = None) -> None:
    milestones = {"solved": solved_at} if solved_at else {}
    record.add(Trial(row, seed, milestones, solved_at is not None, solved_at or limit, limit, {}, 1.0))


def test_another_size_costs_no_trial(tmp_path: Path) -> None:
    """Ten standard trials, and then somebody forgets --standard: none is lost, and none is counted as a quick one."""
    rows, record = tables()["9"].rows, Record(tmp_path)
    for row in rows:
        for seed in range(10):
            add(record, row.key, seed, row.limit["standard"], row.limit["quick"] + 1 - seed % 2)
        for seed in (0, 2):
            add(record, row.key, seed, row.limit["quick"])
    before = (tmp_path / FILE).read_text()
    asked = ["reproduce", "9", "--resume", "--workers", "1", "--out", str(tmp_path)]
    done = CliRunner().invoke(app, asked)
    assert done.exit_code == 0, done.output
    assert done.output.splitlines()[0] == (
        f"{tmp_path / FILE} - 10 trials had other limits than those of --quick: they are kept, and do not count here - "
        "ask for their size to see them"
    )
    after = (tmp_path / FILE).read_text()
    assert after.startswith(before)
    assert [(t["seed"], t["limit"]) for t in map(json.loads, after[len(before) :].splitlines())] == [
        (1, row.limit["quick"]) for row in rows
    ]
    found = json.loads((tmp_path / "results.json").read_text())
    assert [(row["ours"]["trials"], row["ours"]["solved"]) for row in found["rows"]] == [(3, 1)] * 2
    again = Record(tmp_path, True, {row.key: row.limit["standard"] for row in rows})
    assert [len(again.of(row.key)) for row in rows] == [10, 10]


def test_the_command_is_what_was_asked_for(whole: Path) -> None:
    reproduce([TABLE], "quick", whole, trials=1, resume=True, workers=2, ray="auto")
    environment = json.loads((whole / "results.json").read_text())["environment"]
    assert environment["command"] == f"carrousel reproduce {TABLE} --quick --seeds 1 --workers 2 --ray auto"
    assert environment["size"] == "quick"
    reproduce([TABLE], "quick", whole, trials=1, resume=True)
    environment = json.loads((whole / "results.json").read_text())["environment"]
    assert environment["command"] == f"carrousel reproduce {TABLE} --quick --seeds 1"


# ---------------------------------------------------------------------- a folder that can not be used


def said(folder: Path, *options: str) -> str:
    """What a run says that never begins."""
    done = CliRunner().invoke(app, ["reproduce", TABLE, "--out", str(folder), *options])
    assert done.exit_code == 2, done.output
    return done.output.strip()


def test_a_folder_that_can_not_be_written_is_said_first(tmp_path: Path) -> None:
    (tmp_path / FILE).mkdir()
    assert said(tmp_path) == f"carrousel: {tmp_path} - can not be used: Is a directory - name another folder with --out"


def test_a_damaged_record_is_said_first(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b'{"row": \xff}\n')
    assert said(tmp_path, "--resume") == (
        f"carrousel: {tmp_path / FILE} line 1 - is no trial: it is not UTF-8 - take the line out, or name another "
        "folder with --out"
    )


def test_two_runs_in_one_folder(tmp_path: Path) -> None:
    with held(tmp_path):
        assert said(tmp_path, "--resume") == (
            f"carrousel: {tmp_path} - another run writes its trials there - wait for its end, or name another folder "
            "with --out"
        )


# ---------------------------------------------------------------------- a run that ends early


def children(parent: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has ended
            if int(stat.read_text().rpartition(")")[2].split()[1]) == parent:
                found.append(int(stat.parent.name))
    return found


def until(happens: Callable[[], bool], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not happens() and time.monotonic() < end:
        time.sleep(0.05)
    return happens()


@pytest.fixture
def long(tmp_path: Path) -> Iterator[tuple[subprocess.Popen, list[int]]]:
    """A run of hours on two processes, and these, which a third looks after."""
    command = [
        sys.executable,
        "-m",
        "carrousel",
        "reproduce",
        TABLE,
        "--full",
        "--workers",
        "2",
        "--out",
        str(tmp_path),
    ]
    running = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        assert until(lambda: len(children(running.pid)) >= 3, 60)
        yield running, children(running.pid)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGKILL)
        running.communicate()


linux = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="only Linux lists processes there")


@linux
def test_no_process_is_left_of_a_run_that_is_killed(long: tuple[subprocess.Popen, list[int]]) -> None:
    running, workers = long
    time.sleep(5)  # they compute
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    assert until(lambda: not any(Path(f"/proc/{worker}").exists() for worker in workers), 20)


@linux
@pytest.mark.parametrize("seconds", [0, 5])
def test_an_interrupt_is_one_line(long: tuple[subprocess.Popen, list[int]], seconds: float) -> None:
    """All processes get it, as from a terminal, while they begin and while they compute."""
    running, workers = long
    time.sleep(seconds)
    os.killpg(running.pid, signal.SIGINT)
    _, errors = running.communicate(timeout=30)
    assert (running.returncode, errors) == (130, "\ncarrousel: interrupted\n")
    assert until(lambda: not any(Path(f"/proc/{worker}").exists() for worker in workers), 20)


@linux
def test_a_process_that_is_killed(long: tuple[subprocess.Popen, list[int]]) -> None:
    running, workers = long
    time.sleep(1)
    os.kill(next(pid for pid in workers if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()), signal.SIGKILL)
    _, errors = running.communicate(timeout=30)
    assert (running.returncode, errors) == (
        1,
        "carrousel: reproduce - one of 2 processes was killed; the memory may be too small for so many - go on with "
        "--resume and fewer --workers\n",
    )
