"""A pytest plugin: all that a kernel is given lies between pages that nobody may touch.

`CARROUSEL_GUARDS=end pytest -p guards` puts every buffer flush with the page behind it, `start` with the one before it.
A kernel that reads or writes outside of what it was given ends the process. Scratch memory is filled with ones: NaN as
numbers, nowhere as addresses.
"""

import ctypes
import mmap
import os
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from carrousel.backends.llvm import call
from carrousel.backends.llvm.plan import Plan

#: The environment variable that says which side is guarded closely.
VARIABLE = "CARROUSEL_GUARDS"
PAGE, PROT_NONE = mmap.PAGESIZE, 0


def guarded(count: int) -> Tensor:
    """Bytes with a forbidden page on both sides, one of them without a gap."""
    inner = max(1, -(-count // PAGE)) * PAGE
    pages = mmap.mmap(-1, inner + 2 * PAGE)
    whole = torch.frombuffer(pages, dtype=torch.uint8)
    mprotect = ctypes.CDLL(None, use_errno=True).mprotect
    for page in (0, PAGE + inner):
        assert mprotect(ctypes.c_void_p(whole.data_ptr() + page), ctypes.c_size_t(PAGE), PROT_NONE) == 0
    start = PAGE + (inner - count if os.environ[VARIABLE] == "end" else 0)
    return whole[start : start + count].fill_(255)


def copied(tensor: Tensor) -> Tensor:
    """A tensor's memory between guards, in its own strides."""
    extent = (
        1 + sum((n - 1) * step for n, step in zip(tensor.shape, tensor.stride(), strict=True)) if tensor.numel() else 0
    )
    memory = guarded(extent * tensor.itemsize).view(tensor.dtype)
    memory.copy_(tensor.as_strided((extent,), (1,)))
    return memory.as_strided(tensor.shape, tensor.stride())


def lend(plan: Plan) -> tuple[list[Tensor], list[int]]:
    """Scratch memory, every piece of it on pages of its own."""
    sizes = {"table": 8, "gradient_rows": 8}
    pieces = [guarded(n * sizes.get(name, plan.dtype.itemsize)) for name, n in plan._scratch().items()]
    return pieces, [piece.data_ptr() for piece in pieces]


def install() -> None:
    """Guard all calls of this process."""
    run = call.run

    def guarded_run(plan: Plan, x: Tensor, tensors: Sequence[Tensor]) -> None:
        inside = [copied(tensor.detach()) for tensor in tensors]
        run(plan, copied(x.detach()), inside)
        for tensor, copy in zip(tensors, inside, strict=True):
            tensor.copy_(copy)

    call.run, call.lend = guarded_run, lend


def pytest_configure(config: pytest.Config) -> None:
    install()
