"""A command that is killed goes on to the weights it would have had; one that is interrupted keeps what it has."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner

import carrousel
from carrousel.cli import app

COMMANDS = {
    "generate": ["text.txt", "--hidden", "8", "--embed", "4", "--seq", "8", "--batch", "4"],
    "forecast": ["sales.csv", "--missing", "ffill", "--horizon", "3", "--hidden", "4"],
    "classify": ["waves.npz", "--hidden", "4", "--layers", "1"],
}
#: The clock has no part in it, and training does not end by itself.
ENDLESS = ["--max-seconds", "1e6", "--patience", "1000000", "--threads", "1", "--no-report"]


def command_of(kind: str, epochs: int, out: str) -> list[str]:
    return [kind, *COMMANDS[kind], *ENDLESS, "--epochs", str(epochs), "--out", out]


def start(folder: Path, *command: str) -> subprocess.Popen:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "carrousel", *command],
        cwd=folder,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def ended(process: subprocess.Popen) -> tuple[int, str]:
    _, err = process.communicate(timeout=240)
    assert "Traceback" not in err, err
    return process.returncode, err


def run(folder: Path, monkeypatch: pytest.MonkeyPatch, *command: str) -> dict[str, torch.Tensor]:
    """Run a command to its end, in this process, and return the weights."""
    monkeypatch.chdir(folder)
    done = CliRunner().invoke(app, list(command))
    assert done.exit_code == 0, done.output
    return load_file(folder / command[command.index("--out") + 1] / "weights.safetensors")


def wait_for_checkpoint(process: subprocess.Popen, unfinished: Path) -> None:
    while not (unfinished / "last.ckpt").exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.002)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "text.txt").write_text("The quick brown fox jumps over the lazy dog. " * 60)
    lines = (f"2024-{1 + day // 28:02}-{1 + day % 28:02},{(3 * day + day // 10) % 7}" for day in range(330))
    (tmp_path / "sales.csv").write_text("\n".join(["day,sold", *lines]))
    X = np.random.default_rng(0).normal(size=(60, 12, 2)).cumsum(1)
    np.savez(tmp_path / "waves.npz", X=X, y=np.where(X[:, -1, 0] > 0, "up", "down"))
    return tmp_path


@pytest.mark.parametrize(("kind", "epochs", "part"), [("generate", 4, ""), ("classify", 40, "all")])
def test_killed_and_gone_on_with(
    kind: str, epochs: int, part: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed = start(folder, *command_of(kind, epochs, "killed"))
    wait_for_checkpoint(killed, folder / "killed.unfinished" / part)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert not (folder / "killed").exists()
    whole = run(folder, monkeypatch, *command_of(kind, epochs, "whole"))
    gone_on = run(folder, monkeypatch, *command_of(kind, epochs, "killed"), "--resume")
    assert all(torch.equal(whole[name], gone_on[name]) for name in whole)
    assert not (folder / "killed.unfinished").exists()


def test_killed_before_the_first_epoch_was_over(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    command = ["forecast", "sales.csv", "--horizon", "3", "--hidden", "4", "--epochs", "1", "--missing", "ffill"]
    done = CliRunner().invoke(app, [*command, "--no-report", "-q", "--resume", "--out", "run"])
    assert done.exit_code == 0, done.output
    assert done.output == "warning: no checkpoint in run.unfinished to go on from: training begins anew\nrun\n"


def test_which_run_is_to_go_on(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    done = CliRunner().invoke(app, ["generate", "text.txt", "--resume"])
    assert done.exit_code == 2
    assert "resume - goes on with a run that was killed, which one is not said - name its --out" in done.output


def test_interrupted(folder: Path) -> None:
    process = start(folder, *command_of("forecast", 1_000_000, "run"))
    wait_for_checkpoint(process, folder / "run.unfinished")
    process.send_signal(signal.SIGINT)
    code, said = ended(process)
    assert code == 130
    assert "interrupted: the best weights are measured and kept; Ctrl-C again stops at once" in said
    assert carrousel.load(folder / "run").history_.stopped == "interrupted"
    assert not (folder / "run.unfinished").exists()


def test_interrupted_twice(folder: Path) -> None:
    process = start(folder, *command_of("generate", 1_000_000, "run"))
    wait_for_checkpoint(process, folder / "run.unfinished")
    for _ in range(3):
        process.send_signal(signal.SIGINT)
        time.sleep(0.005)
    code, said = ended(process)
    assert code == 130
    assert said.endswith("carrousel: interrupted\n")
    assert not (folder / "run").exists()


def test_interrupted_while_a_library_is_loaded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def half_imported(path: Path) -> None:
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            raise ImportError("cannot import name 'DataFrame' from partially initialized module") from None

    monkeypatch.chdir(folder)
    monkeypatch.setattr("carrousel.data.files.read_table", half_imported)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        done = CliRunner().invoke(app, command_of("forecast", 1, "run"))
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert (done.exit_code, done.output) == (130, "\ncarrousel: interrupted\n")
    assert not any(path.name.startswith("run") for path in folder.iterdir())


def test_terminated(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = command_of("forecast", 1_000_000, "run")
    process = start(folder, *command)
    wait_for_checkpoint(process, folder / "run.unfinished")
    process.send_signal(signal.SIGTERM)
    code, said = ended(process)
    assert code == 143
    assert "The epochs so far are kept: the same with --out run --resume goes on." in said
    assert said.endswith("carrousel: terminated\n")
    assert not (folder / "run").exists()
    monkeypatch.chdir(folder)
    again = CliRunner().invoke(app, command)
    assert (again.exit_code, again.output) == (
        2, "carrousel: run.unfinished - is there, of a run that was stopped - go on with it (--resume), or begin anew "
        "(--force)\n",
    )  # fmt: skip
