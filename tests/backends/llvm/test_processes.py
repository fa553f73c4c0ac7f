"""Kernels in other processes: forked, spawned, and what stays behind in this one."""

import ctypes
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest
import torch

import carrousel
from calls import Shape, draw, results
from carrousel import cells
from carrousel.backends.llvm import kernel, plan

has_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")


def bits(seed: int) -> dict[str, bytes]:
    """All results and gradients of a call."""
    call = draw(cells.get("irnn"), Shape(), seed=seed)
    return {name: value.numpy().tobytes() for name, value in results(call, "llvm", torch.float32).items()}


def in_fork(work: Callable[[], bool]) -> None:
    """Do something in a forked child: it has to answer within a minute."""
    child = multiprocessing.get_context("fork").Process(target=lambda: os._exit(0 if work() else 1))
    child.start()
    child.join(60)
    child.kill()
    child.join()
    assert child.exitcode == 0, child.exitcode


@has_fork
def test_fork_while_another_thread_loads_a_kernel() -> None:
    """The child has no thread that would release the lock."""
    right = bits(0)

    def work() -> bool:
        kernel._kernels.clear()
        plan.plan_for.cache_clear()
        return bits(0) == right

    with kernel._lock:
        in_fork(work)
    assert bits(0) == right


LATE = """
import os, torch, carrousel
from carrousel import nn, backends
assert "carrousel.backends.llvm" not in __import__("sys").modules
torch.set_num_threads(2)
torch.ones(1000, 1000) @ torch.ones(1000, 1000)  # starts OpenMP's threads
if os.fork() == 0:
    layer = carrousel.Recurrent("irnn", 8, 32)
    layer(torch.ones(20, 10, 8))[0].sum().backward()  # enough for two threads here, not for two of torch
    from carrousel.backends.llvm import threads
    os._exit(0 if threads.available() == 1 else 1)
pid, status = os.wait()
raise SystemExit(os.waitstatus_to_exitcode(status))
"""


@has_fork
def test_fork_before_the_backend_is_loaded() -> None:
    done = subprocess.run([sys.executable, "-c", LATE], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_pool_of_spawned_processes() -> None:
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        found = list(pool.map(bits, range(4), timeout=240))
    assert found == [bits(seed) for seed in range(4)]


# ---------------------------------------------------------------------- what stays behind


def test_rounding_is_left_as_it_was() -> None:
    """A caller that rounds up finds that it still does."""
    library = ctypes.CDLL(None)
    if not hasattr(library, "fesetround"):
        pytest.skip("no fesetround here")
    upward = {"x86_64": 0x800, "AMD64": 0x800, "aarch64": 0x400000, "arm64": 0x400000}[os.uname().machine]
    assert library.fegetround() == 0
    library.fesetround(upward)
    try:
        bits(0)
        assert library.fegetround() == upward
    finally:
        library.fesetround(0)


def resident() -> float:
    """This process's memory, in MiB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="no way to measure here")
def test_memory_is_flat_over_calls_of_varying_shapes() -> None:
    layer, draw = carrousel.LSTM(3, 10), torch.Generator().manual_seed(0)

    def calls(count: int) -> None:
        for _ in range(count):
            time, batch, kind = (int(torch.randint(1, most, (), generator=draw)) for most in (40, 16, 5))
            x = torch.randn(time, batch, 3)
            lengths = torch.randint(0, time + 1, (batch,)) if kind == 1 else None
            with torch.set_grad_enabled(kind < 3):
                output, _ = layer(x, lengths=lengths)
            if kind < 3:
                output.sum().backward()

    calls(500)
    before = resident()
    calls(2000)
    assert resident() - before < 4
