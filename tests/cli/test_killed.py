"""A command that is killed goes on to the weights it would have had; one that is interrupted keeps what it has."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import carrousel

SMALL = ["--hidden", "8", "--embed", "4", "--seq", "8", "--batch", "4", "--max-seconds", "1e6", "--patience", "1000"]


def start(folder: Path, out: str, *options: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "carrousel", "generate", "text.txt", "--out", out, *SMALL, "-q", "--no-report"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [*command, *options], cwd=folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def ended(process: subprocess.Popen) -> int:
    _, err = process.communicate(timeout=240)
    assert "Traceback" not in err, err
    return process.returncode


def wait_for_checkpoint(process: subprocess.Popen, folder: Path, out: str) -> None:
    while not (folder / f"{out}.unfinished" / "last.ckpt").exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.005)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "text.txt").write_text("The quick brown fox jumps over the lazy dog. " * 60)
    return tmp_path


def test_killed_and_gone_on_with(folder: Path) -> None:
    assert ended(start(folder, "whole", "--epochs", "8")) == 0
    killed = start(folder, "killed", "--epochs", "8")
    wait_for_checkpoint(killed, folder, "killed")
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert not (folder / "killed").exists()
    assert ended(start(folder, "killed", "--epochs", "8", "--resume")) == 0
    whole, gone_on = (load_file(folder / run / "weights.safetensors") for run in ("whole", "killed"))
    assert all(torch.equal(whole[name], gone_on[name]) for name in whole)
    assert not (folder / "killed.unfinished").exists()


def test_interrupted(folder: Path) -> None:
    process = start(folder, "run", "--epochs", "1000000")
    wait_for_checkpoint(process, folder, "run")
    process.send_signal(signal.SIGINT)
    assert ended(process) == 130
    assert carrousel.load(folder / "run").history_.stopped == "interrupted"
