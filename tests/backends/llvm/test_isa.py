"""Instruction sets: what this machine has runs in `test_agreement.py` and `test_kernels.py`; here all are inspected."""

import re

import pytest

from carrousel import cells
from carrousel.backends import llvm
from carrousel.backends.llvm.target import ISAS
from carrousel.cell import Cell
from definitions import cell_of_rule

CELLS = {"lstm": cells.get("lstm"), "slstm": cells.get("slstm"), "every function": cell_of_rule("every function")}
#: Name -> registers and instructions that are there, and some that are not; the machine in an object file's header.
MARKS = {
    "avx512": (("zmm", "vfmadd"), (), 62),
    "avx2": (("ymm", "vfmadd"), ("zmm",), 62),
    "sse2": (("xmm", "mulps", "addps"), ("ymm", "vfmadd"), 62),
    "neon": (("fmla", "v0.4s"), (), 183),
}
each = pytest.mark.parametrize("isa", ISAS)


def kernel(cell: Cell, isa: str, monkeypatch: pytest.MonkeyPatch, direction: str, stage: str) -> str:
    monkeypatch.setattr(llvm, "host", lambda: ISAS[isa])
    return llvm.source(cell.definition, direction, stage=stage)


@each
@pytest.mark.parametrize("direction", ["forward", "backward"])
@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
def test_own_instructions_and_no_library(cell: Cell, direction: str, isa: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assembly = kernel(cell, isa, monkeypatch, direction, "assembly")
    present, absent, _ = MARKS[isa]
    assert [mark for mark in present if mark not in assembly] == []
    assert [mark for mark in absent if mark in assembly] == []
    labels = set(re.findall(r'^"?([\w.]+)"?:', assembly, re.MULTILINE))
    called = set(re.findall(r'^\s+(?:callq?|jmp|bl|b)\s+"?([A-Za-z_][\w.]*)', assembly, re.MULTILINE))
    assert called - labels <= {"memset", "memcpy"}


@each
def test_object_file(isa: str, monkeypatch: pytest.MonkeyPatch) -> None:
    code = llvm.compile_kernel(kernel(CELLS["every function"], isa, monkeypatch, "forward", "ir"))
    assert code[:4] == b"\x7fELF"
    assert int.from_bytes(code[18:20], "little") == MARKS[isa][2]
