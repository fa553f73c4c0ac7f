"""Large pages for large memory, which comes fresh from the system at every call: small ones cost six times as much."""

import ctypes
import mmap
from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["memory"]

#: Bytes from which large pages pay.
LARGE = 4 * 2**20


def memory(like: Tensor) -> Tensor:
    """Return new memory in the shape of a tensor."""
    new = torch.empty_like(like)
    if _advise is not None and new.nbytes >= LARGE:
        start = -(-new.data_ptr() // mmap.PAGESIZE) * mmap.PAGESIZE
        end = (new.data_ptr() + new.nbytes) // mmap.PAGESIZE * mmap.PAGESIZE
        _advise(start, end - start, mmap.MADV_HUGEPAGE)  # a system that has none says so, and nothing is lost
    return new


def _system_call() -> Callable[[int, int, int], int] | None:
    """`madvise`, where the system has large pages."""
    if not hasattr(mmap, "MADV_HUGEPAGE"):
        return None
    advise = ctypes.CDLL(None).madvise
    advise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    return advise


_advise = _system_call()
