"""`cell.source("llvm")`: what is shown is what runs, it is readable, and nothing else is compiled."""

import re
from pathlib import Path

import pytest
import torch

from calls import HERE, Shape, draw, results
from carrousel import cells
from carrousel.backends import llvm
from carrousel.backends.llvm import kernel, plan
from carrousel.backends.llvm.target import VARIABLE, host
from carrousel.errors import BackendError, UnknownNameError

DIRECTIONS = ("forward", "backward")
#: What multiplies and adds whole registers.
PRODUCTS = {"avx512": r"vfn?madd\d+ps\s.*%zmm", "avx2": r"vfn?madd\d+ps\s.*%ymm", "neon": r"fmla\s", "sse2": r"mulps\s"}
#: Registers that an instruction set does not have.
WIDER = {"avx512": r"(?!)", "avx2": r"%zmm", "neon": r"%[xyz]mm", "sse2": r"%[yz]mm"}


def names_in(text: str) -> set[str]:
    """The names of values in LLVM's text, without the numbers that make them unique."""
    return set(re.findall(r'%"(\w+)(?:\.\d+)?"', text))


# ---------------------------------------------------------------------- what is shown


@pytest.mark.parametrize("name", ["lstm", "gru", "peephole_lstm"])
def test_the_equations_have_their_names(name: str) -> None:
    cell = cells.get(name)
    forward, backward = (names_in(cell.source("llvm", direction)) for direction in DIRECTIONS)
    assert set(cell.traceable) <= forward
    assert {f"d{quantity}" for quantity in cell.traceable if quantity.startswith("a_")} <= backward


@pytest.mark.parametrize("isa", HERE)
def test_assembly_is_for_this_machine(isa: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, isa)
    text = cells.get("irnn").source("llvm", stage="assembly")
    assert re.search(PRODUCTS[isa], text)
    assert not re.search(WIDER[isa], text)
    assert {"sequence:", "sequence_team:"} <= set(text.split())


def test_ir_is_the_first_stage() -> None:
    cell = cells.get("irnn")
    assert cell.source("llvm") == cell.source("llvm", "forward", "ir") != cell.source("llvm", "backward", "ir")


def test_unknown_names() -> None:
    cell = cells.get("irnn")
    with pytest.raises(UnknownNameError) as caught:
        cell.source("llvm", "sideways")
    assert str(caught.value) == "cell.source - unknown direction 'sideways' - expected 'forward' or 'backward'"
    with pytest.raises(UnknownNameError) as caught:
        cell.source("llvm", stage="ptx")
    assert str(caught.value) == (
        "cell.source - backend 'llvm' has no stage 'ptx', there are ir and assembly - name one of them"
    )


# ---------------------------------------------------------------------- what runs


def test_what_is_shown_is_what_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a layer compiles, with nothing in memory and on disk, is what `source` returns, letter by letter."""
    monkeypatch.setenv("CARROUSEL_CACHE", str(tmp_path))
    monkeypatch.setattr(kernel, "_kernels", {})
    compiled, compile_text = [], kernel.compile_text
    monkeypatch.setattr(kernel, "compile_text", lambda text, isa: compiled.append(text) or compile_text(text, isa))
    plan.plan_for.cache_clear()
    cell = cells.get("irnn")
    results(draw(cell, Shape(batch=2, hidden=host().bits // 32 + 1)), "llvm", torch.float32)
    assert compiled == [cell.source("llvm", direction) for direction in DIRECTIONS]


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_compile_takes_what_was_issued(direction: str) -> None:
    text = cells.get("irnn").source("llvm", direction)
    assert llvm.compile_kernel(text) == llvm.compile_kernel(text)


@pytest.mark.parametrize(
    "change", [lambda text: text + "\n", lambda text: text.replace("fmul", "fadd"), lambda _: "", str.upper]
)
@pytest.mark.parametrize("use", [llvm.compile_kernel, lambda text: kernel.assembly_of(text, host())])
def test_any_other_text_is_refused(change, use) -> None:
    text = change(cells.get("irnn").source("llvm"))
    with pytest.raises(BackendError) as caught:
        use(text)
    assert str(caught.value) == (
        "backend 'llvm' - got a kernel text that it did not write - pass what cell.source('llvm') returned, "
        "unchanged; to change a kernel change the cell's definition"
    )


def test_no_step_as_a_function() -> None:
    """The kernels walk over sequences: `cell.step` has the reference's functions only."""
    with pytest.raises(BackendError) as caught:
        cells.get("irnn").step("llvm")
    assert str(caught.value) == "backend 'llvm' - it has no step as a function on tensors - backend 'eager' has one"
