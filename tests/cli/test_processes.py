"""Commands that train on two processes, of one machine or as of two, end with the weights of one process."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner

from carrousel.cli import app

#: Dropout is drawn by every process for itself; with a time limit that is near, the learning rate follows the clock.
FORECAST = ["forecast", "sales.csv", "--horizon", "3", "--hidden", "4", "--epochs", "3", "--no-report"]
FORECAST += ["--missing", "ffill", "--dropout", "0", "--max-seconds", "1e6"]
SHARED = [*FORECAST, "--batch", "8"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a table, and what one process learns of it with the double batch."""
    folder = tmp_path_factory.mktemp("processes")
    lines = (f"2024-{1 + day // 28:02}-{1 + day % 28:02},{(3 * day + day // 10) % 7}" for day in range(330))
    (folder / "sales.csv").write_text("\n".join(["day,sold", *lines]))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        done = CliRunner().invoke(app, [*FORECAST, "--batch", "16", "--out", "one"])
    assert done.exit_code == 0, done.output
    return folder


def start(folder: Path, *command: str) -> subprocess.Popen:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", *command], cwd=folder, env=environment, text=True, stdout=-1, stderr=subprocess.STDOUT
    )


def ended(process: subprocess.Popen) -> str:
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 0, said
    return str(said)


def weights_of(run: Path) -> torch.Tensor:
    return torch.cat([value.flatten() for _, value in sorted(load_file(run / "weights.safetensors").items())])


def check(folder: Path, run: str) -> None:
    torch.testing.assert_close(weights_of(folder / run), weights_of(folder / "one"), rtol=0, atol=1e-5)
    assert {path.name for path in folder.iterdir()} <= {"sales.csv", "one", "two", "torchrun"}
    assert {path.name for path in (folder / run).iterdir()} == {path.name for path in (folder / "one").iterdir()}


def test_two_devices(folder: Path) -> None:
    said = ended(start(folder, "carrousel", *SHARED, "--devices", "2", "--out", "two"))
    assert said.count("The run: two") == 1  # the other process is silent
    assert "distributed" not in said  # and so is Lightning
    check(folder, "two")


def test_torchrun_as_on_two_machines(folder: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    nodes = [
        start(
            folder, "torch.distributed.run", "--nproc-per-node", "1", "--nnodes", "2", "--node-rank", rank,
            "--master-addr", "127.0.0.1", "--master-port", port, "-m", "carrousel", *SHARED,
            "--devices", "1", "--nodes", "2", "--out", "torchrun",
        )
        for rank in "01"
    ]  # fmt: skip
    said = [ended(node) for node in nodes]
    assert ["The run: torchrun" in each for each in said] == [True, False]
    check(folder, "torchrun")
