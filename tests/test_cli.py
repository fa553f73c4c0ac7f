"""The command line: what it prints, what it loads, how it ends."""

import platform
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

import carrousel
from carrousel.cli import app

runner = CliRunner()

LAZY = """
import atexit, sys
atexit.register(lambda: print("loaded", [m for m in ("torch", "sympy", "matplotlib", "numpy") if m in sys.modules]))
from carrousel.cli import main
main()
"""

WITHOUT_MATPLOTLIB = """
import sys
sys.modules["matplotlib"] = None  # as if it were not installed
from carrousel.cli import main
main()
"""


def python(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, *map(str, arguments)], capture_output=True, text=True, cwd=cwd)


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_and_version_load_nothing_heavy(option: str, tmp_path: Path) -> None:
    done = python("-c", LAZY, option, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "loaded []"


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("forecast", "nowhere - no such file in {}"),
        ("classify", "nowhere - no such file in {}"),
        ("info", "nowhere - is not there - name a run's folder"),
    ],
)
def test_a_wrong_path_is_told_before_anything_heavy_is_loaded(command: str, message: str, tmp_path: Path) -> None:
    done = python("-c", LAZY, command, "nowhere", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "loaded []\n")
    assert done.stderr.startswith(f"carrousel: {message.format(tmp_path)}")


def test_python_m_carrousel(tmp_path: Path) -> None:
    done = python("-m", "carrousel", "--version", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, f"carrousel {carrousel.__version__}\n")


def test_help_names_every_command() -> None:
    shown = runner.invoke(app, ["--help"])
    assert shown.exit_code == 0
    for command in ("demo", "cells", "show", "doctor"):
        assert f" {command} " in shown.stdout


@pytest.mark.parametrize("arguments", [["nothing"], ["show"], ["show", "lstm", "--source", "sideways"]])
def test_usage_error(arguments: list[str]) -> None:
    assert runner.invoke(app, arguments).exit_code == 2


# ---------------------------------------------------------------------- cells and show


def test_cells_lists_each_cell_on_one_line_with_its_paper() -> None:
    shown = runner.invoke(app, ["cells"])
    assert shown.exit_code == 0
    lines = shown.stdout.splitlines()
    assert len(lines) == 1 + len(carrousel.cells.names())
    for line, name in zip(lines[1:], carrousel.cells.names(), strict=True):
        assert line.split()[0] == name
        assert line.rstrip().endswith(carrousel.cells.get(name).paper)
    assert "i f z o" in next(line for line in lines if line.startswith("peephole_lstm "))


def test_show_prints_the_equations() -> None:
    shown = runner.invoke(app, ["show", "peephole_lstm"])
    assert (shown.exit_code, shown.stdout) == (0, f"{carrousel.cells.get('peephole_lstm')}\n")


def test_show_adjoint_prints_the_gradient_unwrapped() -> None:
    shown = runner.invoke(app, ["show", "fgr", "--adjoint"])
    cell = carrousel.cells.get("fgr")
    assert shown.stdout.startswith(str(cell))
    assert shown.stdout.endswith(f"\n\n{cell.adjoint}\n")
    assert max(map(len, shown.stdout.splitlines())) > 80


@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_show_source_prints_the_kernel_and_nothing_else(direction: str) -> None:
    shown = runner.invoke(app, ["show", "gru", "--source", direction])
    assert shown.stdout == carrousel.cells.get("gru").source("eager", direction)


@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_show_takes_the_kernel_of_a_backend(direction: str) -> None:
    shown = runner.invoke(app, ["show", "gru", "--backend", "eager", "--source", direction])
    assert (shown.exit_code, shown.stdout) == (0, carrousel.cells.get("gru").source("eager", direction))
    alone = runner.invoke(app, ["show", "gru", "--backend", "eager"])
    assert (alone.exit_code, alone.stdout) == (0, carrousel.cells.get("gru").source("eager"))


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--stage", "assembly"], 2, "backend 'eager' has no stage 'assembly', its one text is Python"),
        (["--backend", "eager", "--source", "backward", "--stage", "ir"], 2, "backend 'eager' has no stage 'ir'"),
        (["--backend", "egaer"], 2, "unknown backend 'egaer'"),
        (["--backend", "torch"], 1, "its kernels are compiled into torch"),
    ],
)
def test_show_refuses_a_kernel_that_has_no_text(arguments: list[str], code: int, message: str) -> None:
    shown = runner.invoke(app, ["show", "gru", *arguments])
    assert (shown.exit_code, shown.stdout) == (code, "")
    assert message in shown.stderr
    assert len(shown.stderr.splitlines()) == 1


def test_unknown_cell() -> None:
    shown = runner.invoke(app, ["show", "lsmt"])
    assert (shown.exit_code, shown.stdout) == (2, "")
    assert "unknown cell 'lsmt'" in shown.stderr
    assert "Did you mean lstm?" in shown.stderr
    assert len(shown.stderr.splitlines()) == 1


def test_closed_pipe_leaves_no_traceback(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "carrousel", "cells"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""


# ---------------------------------------------------------------------- doctor


def rows(text: str) -> dict[str, str]:
    pairs = (line.split(maxsplit=1) for line in text.splitlines())
    return {pair[0]: pair[1].strip() for pair in pairs}


def test_doctor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CARROUSEL_CACHE", str(tmp_path / "a folder"))
    shown = runner.invoke(app, ["doctor"])
    assert shown.exit_code == 0, shown.output
    found = rows(shown.stdout)
    assert found["carrousel"] == carrousel.__version__
    assert found["python"].startswith(platform.python_version())
    assert found["torch"] == torch.__version__
    assert {"numpy", "sympy", "llvmlite", "matplotlib", "CPU", "SIMD"} <= found.keys()
    assert found["threads"].startswith(f"{torch.get_num_threads()} of torch")
    assert "eager" in found["backends"]
    assert found["cache"] == str(tmp_path / "a folder")
    assert found["kernels"] == "0, 0.0 KiB of at most 256 MiB"


def test_doctor_clear_empties_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CARROUSEL_CACHE", str(tmp_path))
    for name in ("gru", "lstm"):
        runner.invoke(app, ["show", name, "--source", "backward"])
    assert rows(runner.invoke(app, ["doctor"]).stdout)["kernels"].startswith("2, ")
    assert rows(runner.invoke(app, ["doctor", "--clear"]).stdout)["kernels"] == "2 deleted"
    assert list(tmp_path.iterdir()) == []


# ---------------------------------------------------------------------- demo


def test_demo_refuses_a_folder_that_can_not_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    shown = runner.invoke(app, ["demo", "--out", str(tmp_path / "file" / "pictures")])
    assert (shown.exit_code, shown.stdout) == (2, "")
    assert shown.stderr.startswith("carrousel: demo - can not write to the folder")
    assert "--out" in shown.stderr


def test_demo_without_matplotlib_names_the_extra(tmp_path: Path) -> None:
    done = python("-c", WITHOUT_MATPLOTLIB, "demo", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.rstrip().endswith('pip install "carrousel[fit]"')
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_control_c_ends_the_demo_without_a_traceback(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "carrousel", "demo"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert any(line.startswith("2. A day ahead") for line in process.stdout)
        for _ in range(10):  # a library that is being imported may swallow one: then one presses again
            process.send_signal(signal.SIGINT)
            try:
                _, said = process.communicate(timeout=10)
                break
            except subprocess.TimeoutExpired:
                continue
    # Python dies of the signal, which a shell calls 130 too, if it went through code that was made by exec
    assert process.returncode in (130, -signal.SIGINT)
    assert said.strip().endswith("carrousel: interrupted")
    assert "Traceback" not in said
