"""Which backend does a call: the one that the user names, or the best that can."""

import warnings
from collections.abc import Sequence

import torch
from torch import Tensor

from carrousel import backends
from carrousel.backends import eager
from carrousel.calculus.notation import Definition
from carrousel.cell import Cell
from carrousel.errors import BackendError

__all__ = ["compiled", "of_call", "prepare", "refuse", "warn_once"]


def prepare(*cells: Cell) -> None:
    """Make ready what calls of these cells need: in a call that a compiler traces it would be too late."""
    for name in (*backends.before_reference(), backends.REFERENCE):
        backends.get(name)
    for cell in cells:
        _ = eager.step_of(cell.definition), cell.equations  # kept once they are asked for


def of_call(where: str, backend: str, definition: Definition, x: Tensor, traced: Sequence[str]) -> str | None:
    """Return the backend of the registry that does a call.

    Args:
        where: the layer's name.
        backend: what the user asks for.
        definition: the definition that runs.
        x: the input, its axes in any order.
        traced: quantities that are asked for.

    Returns:
        Its name; None where torch's operator comes first.

    Raises:
        BackendError: the named backend can not do the call.
    """
    if torch.compiler.is_exporting() and torch.onnx.is_in_onnx_export():
        return backends.FOR_ONNX
    if backend == "auto":
        return compiled(definition, x, traced)
    if backend == "torch":
        return None
    refuse(where, backend, backends.get(backend).refusals(definition, x, traced))
    return backend


def compiled(definition: Definition, x: Tensor, traced: Sequence[str]) -> str | None:
    """Return the first backend before the reference that can do a call on the CPU, None if none can."""
    if x.is_cpu:
        for name in backends.before_reference():
            if not backends.get(name).refusals(definition, x, traced):
                return name
    return None


def refuse(where: str, backend: str, reasons: list[str]) -> None:
    """Raise if there are reasons why a backend can not do what is asked of it."""
    if reasons:
        raise BackendError(
            f"{where} - backend {backend!r} can not do {', '.join(reasons)} - use backend='eager' or 'auto'"
        )


_warned: set[str] = set()


def warn_once(message: str) -> None:
    """Warn, once in a process."""
    if message not in _warned:
        _warned.add(message)
        warnings.warn(message, stacklevel=2)
