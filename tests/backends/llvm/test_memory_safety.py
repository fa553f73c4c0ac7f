"""Kernels touch nothing but what they are given: other tests run once more between guard pages (`guards.py`)."""

import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

import guards
from calls import Shape, draw, results
from carrousel import cells
from carrousel.backends.llvm import call as calls_of_kernels
from carrousel.cell import Cell
from definitions import RULES, TRANSFORMED, cell_of_rule

CELLS = {
    "fgr": cells.get("fgr"),
    "slstm": cells.get("slstm"),
    "gru_2014": cells.get("gru_2014"),
    **{name: make() for name, make in TRANSFORMED.items() if "zoneout" in name},
    **{rule: cell_of_rule(rule) for rule in RULES if "mean" in rule or "layer" in rule},
}
TESTS = Path(__file__).parents[2]
edges = pytest.mark.parametrize("edge", ["start", "end"])


def run(edge: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python with guards at hand."""
    environment = {**os.environ, guards.VARIABLE: edge, "PYTHONPATH": os.pathsep.join([str(TESTS), *sys.path])}
    return subprocess.run(
        [sys.executable, *arguments], env=environment, text=True, capture_output=True, cwd=TESTS.parent
    )


@edges
def test_between_guards(edge: str) -> None:
    done = run(edge, "-m", "pytest", "-p", "guards", "-n", "0", "tests/backends/llvm/test_kernels.py")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]


SHORT = """
import guards, torch, carrousel
from carrousel.backends.llvm.plan import Plan
whole = Plan._scratch
Plan._scratch = lambda plan: {{name: n - (name == "{piece}") for name, n in whole(plan).items()}}
guards.install()
carrousel.Recurrent("lstm", 3, 5, backend="llvm")(torch.randn(4, 2, 3))[0].sum().backward()
"""


@pytest.mark.parametrize("piece", ["packed.stage_0", "table", "columns", "gradient_sums", "none"])
def test_guards_bite(piece: str) -> None:
    """A piece of memory that is one element short is noticed."""
    done = run("end", "-c", SHORT.format(piece=piece))
    assert done.returncode == (0 if piece == "none" else -signal.SIGSEGV), done.stderr


@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
def test_nothing_is_read_before_it_is_written(cell: Cell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Results are the same, whatever new memory holds; elsewhere in this suite it is NaN."""
    call = draw(cell, Shape(lengths="some", resets=True, traced=cell.traceable[:2]))
    assert torch.empty(3).isnan().all()
    found = []
    for number in (0.0, 1e30, -math.inf, math.nan):

        def filled(like: Tensor, number: float = number) -> Tensor:
            return torch.full_like(like, number)

        monkeypatch.setattr(calls_of_kernels, "memory", filled)
        found.append(results(call))
    for other in found[1:]:
        assert all(torch.equal(other[name], value) for name, value in found[0].items())
