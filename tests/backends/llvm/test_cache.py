"""Kernels on disk: compiled once for all processes, never trusted when damaged or made for another machine."""

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from calls import Call, Shape, draw, results
from carrousel import cells
from carrousel.backends import store
from carrousel.backends.llvm import kernel, plan

#: What a process does: one small layer forward and backward. It tells how many kernels it compiled, whether SymPy was
#: imported, and what came out.
SCRIPT = """
import json, sys
import torch, carrousel
from carrousel.backends.llvm import kernel
compiled, compile_text = [], kernel.compile_text
kernel.compile_text = lambda text, isa: compiled.append(text) or compile_text(text, isa)
torch.manual_seed(0)
layer = carrousel.Recurrent("irnn", 2, 3, backend="llvm")
output, _ = layer(torch.randn(4, 2, 2))
output.sum().backward()
print(json.dumps([len(compiled), "sympy" in sys.modules, output.tolist(), layer.weight_hh_l0.grad.tolist()]))
"""


def start() -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def told(process: subprocess.Popen) -> list:
    output, complaint = process.communicate(timeout=120)
    assert process.returncode == 0, complaint
    return json.loads(output)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache."""
    monkeypatch.setenv("CARROUSEL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def call() -> Call:
    return draw(cells.get("irnn"), Shape(time=3, hidden=3))


@pytest.fixture
def run(call: Call, monkeypatch: pytest.MonkeyPatch) -> Callable[[], tuple[int, int, dict]]:
    """Run as a new process would: it returns how many programs it derived, how many kernels it compiled, the bits."""
    made = {"_derive": [], "compile_text": []}

    def noted(name: str, function: Callable) -> Callable:
        return lambda *arguments: made[name].append(arguments) or function(*arguments)

    for name in made:
        monkeypatch.setattr(kernel, name, noted(name, getattr(kernel, name)))

    def anew() -> tuple[int, int, dict]:
        monkeypatch.setattr(kernel, "_kernels", {})
        for cached in (kernel.layout_of, plan.plan_for):
            cached.cache_clear()
        for calls in made.values():
            calls.clear()
        found = results(call, "llvm", torch.float32)
        bits = {name: value.numpy().tobytes() for name, value in found.items()}
        return len(made["_derive"]), len(made["compile_text"]), bits

    return anew


# ---------------------------------------------------------------------- processes


def test_second_process_compiles_nothing_and_needs_no_sympy() -> None:
    first, second = told(start()), told(start())
    assert first[:2] == [2, True]
    assert second == [0, False, *first[2:]]


def test_two_processes_at_once(folder: Path) -> None:
    one, other = [told(process) for process in (start(), start())]
    assert one[2:] == other[2:]
    assert len(store.entries()) == len(list(folder.iterdir())) == 4  # two programs, two kernels


# ---------------------------------------------------------------------- what is trusted


def test_everything_is_made_once(run: Callable) -> None:
    derived, compiled, bits = run()
    assert (derived, compiled) == (2, 2)
    assert run() == (0, 0, bits)


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def flip(content: bytes) -> bytes:
    """One bit of the code is another."""
    middle = 65 + (len(content) - 65) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


@pytest.mark.parametrize("damage", [cut, flip, lambda _: b""])
def test_damaged_files_are_made_again(damage: Callable[[bytes], bytes], run: Callable) -> None:
    _, _, bits = run()
    for path in store.entries():
        path.write_bytes(damage(path.read_bytes()))
    assert run() == (2, 2, bits)
    assert run() == (0, 0, bits)


def test_kernels_of_another_cpu_are_not_used(run: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    _, _, bits = run()
    monkeypatch.setattr(kernel, "description", lambda isa: f"{isa.name}, of a newer LLVM and another CPU")
    assert run() == (0, 2, bits)  # equations are the same on all machines
    assert len(store.entries()) == 6


def test_kernels_of_another_version_are_not_used(run: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    _, _, bits = run()
    monkeypatch.setattr(kernel, "_GENERATOR", "another version of the code that writes kernels")
    assert run() == (2, 2, bits)
    assert len(store.entries()) == 8


def test_the_description_has_what_code_depends_on(monkeypatch: pytest.MonkeyPatch) -> None:
    from carrousel.backends.llvm import target

    isa, here = target.host(), target.description(target.host())
    for name, other in (
        ("get_host_cpu_name", lambda: "z80"),
        ("llvm_version_info", (1, 0, 0)),
    ):
        with monkeypatch.context() as patched:
            patched.setattr(target.llvm, name, other)
            assert target.description(isa) != here
    monkeypatch.setattr(target, "_host_features", lambda: frozenset({"sse2"}))
    assert target.description(isa) != here


# ---------------------------------------------------------------------- folders


def test_folder_that_can_not_be_written_costs_time_only(
    run: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, _, bits = run()
    (tmp_path / "file").touch()
    monkeypatch.setenv("CARROUSEL_CACHE", str(tmp_path / "file" / "cache"))
    assert run() == (2, 2, bits)


def test_folder_that_can_only_be_read_gives_what_it_holds(
    folder: Path, run: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, _, bits = run()
    entries = store.entries()
    entries[-1].unlink()

    def refused(*arguments: object, **options: object) -> None:  # root may write where nobody may
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(store.tempfile, "mkstemp", refused)
    folder.chmod(0o500)
    assert run() == (0, 1, bits)
    assert store.entries() == entries[:-1]
    folder.chmod(0o700)
