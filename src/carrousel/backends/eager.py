"""The reference: the definition run on torch tensors, one step after the other; slow, obvious, right.

The forward kernel is the definition's own text; autograd differentiates it, as often as one likes. The backward kernel
is the derived adjoint printed as Python, kept for inspection and to check the calculus against autograd.
"""

import ast
import hashlib
import linecache
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from carrousel.backends.store import issue, was_issued
from carrousel.calculus.notation import Definition
from carrousel.errors import BackendError
from carrousel.functions import Function

__all__ = ["Matrix", "Row", "groups", "source", "backward_source", "compile_kernel", "within", "run"]


class Matrix:
    """A weight of shape (..., rows, columns) that multiplies row vectors of shape (..., batch, columns) with @."""

    __slots__ = ("weight",)

    def __init__(self, weight: Tensor) -> None:
        self.weight = weight

    def __matmul__(self, vector: Tensor) -> Tensor:
        return vector @ self.weight.mT

    @property
    def T(self) -> "Matrix":
        """The transposed matrix."""
        return Matrix(self.weight.mT)


def groups(parameters: Mapping[str, Mapping[str, Tensor]]) -> dict[str, SimpleNamespace]:
    """Wrap parameters as the groups that a definition is called with.

    Args:
        parameters: group -> gate -> tensor: (..., rows, columns) in a group of matrices, else (hidden,) or a shape
            that broadcasts against (..., batch, hidden).

    Returns:
        group -> namespace with one attribute per gate.
    """
    return {
        group: SimpleNamespace(**{g: Matrix(w) if group[0].isupper() else w for g, w in gates.items()})
        for group, gates in parameters.items()
    }


def source(definition: Definition, traced: Sequence[str] = ()) -> str:
    """Return the text of the forward step: the definition with its imports and constants.

    Args:
        definition: the cell's definition.
        traced: quantities that the step returns besides the states, as a second tuple.

    Returns:
        Python source that `compile_kernel` accepts.
    """
    functions = {n: f for n, f in definition.constants.items() if isinstance(f, Function)}
    numbers = {n: v for n, v in definition.constants.items() if n not in functions}
    imports = ", ".join(f.name if n == f.name else f"{f.name} as {n}" for n, f in functions.items())
    head = [f"from carrousel.functions import {imports}"] if imports else []
    if any(v in (float("inf"), float("-inf")) for v in numbers.values()):
        head.append("from math import inf")
    head += [f"{n} = {v!r}" for n, v in numbers.items()]
    text = definition.text
    if traced:
        function = ast.parse(text).body[0]
        returned = f"return ({', '.join(definition.states)},), ({', '.join(traced)},)"
        assert isinstance(function, ast.FunctionDef)
        function.body[-1] = ast.parse(returned).body[0]
        text = ast.unparse(function) + "\n"
    return issue("\n".join([*head, "", "", text] if head else [text]))


def backward_source(
    arguments: Sequence[str],
    lines: Sequence[tuple[str, str]],
    results: Sequence[str],
    functions: Sequence[str],
    name: str,
) -> str:
    """Return the text of the backward step: the derived adjoint as a Python function.

    Args:
        arguments: its arguments, in order.
        lines: (left side, right side) of each equation.
        results: what it returns.
        functions: the functions of `carrousel.functions` that the lines may call.
        name: the cell's name.

    Returns:
        Python source that `compile_kernel` accepts.
    """
    width = max(len(left) for left, _ in lines)
    read = " ".join(right for _, right in lines)
    used = [f for f in functions if re.search(rf"\b{f}\(", read)]
    head = [f"from carrousel.functions import {', '.join(used)}"] if used else []
    head += ["from math import inf"] if re.search(r"\binf\b", read) else []
    head += ["", ""] if head else []
    body = [f"    {left:{width}} = {right}" for left, right in lines]
    return "\n".join(
        [*head, f"def {name}_backward({', '.join(arguments)}):", *body, f"    return {', '.join(results)}", ""]
    )


def outer(adjoint: Tensor, operand: Tensor) -> Tensor:
    """Sum the outer products of (batch, rows) and (batch, columns) over the batch: (rows, columns)."""
    return adjoint.mT @ operand


def compile_kernel(text: str) -> Callable[..., Any]:
    """Turn a kernel's text into a function.

    Args:
        text: what `Cell.source("eager", ...)` returned, unchanged.

    Returns:
        The step. Forward: `(x, <state>_prev..., step inputs..., groups...) -> new states`. Backward: in the order of
        its text's signature.

    Raises:
        BackendError: the text is not one that this backend wrote.
    """
    if not was_issued(text):
        raise BackendError(
            "backend 'eager' - got a kernel text that it did not write - pass what cell.source('eager') returned, "
            "unchanged; to change a kernel change the cell's definition"
        )
    filename = f"<carrousel kernel {hashlib.sha256(text.encode()).hexdigest()[:12]}>"
    linecache.cache[filename] = (len(text), None, text.splitlines(keepends=True), filename)
    namespace: dict[str, Any] = {"outer": outer}
    exec(compile(text, filename, "exec"), namespace)
    function = [node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)][-1]
    return namespace[function.name]  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Row:
    """What happens to each row of the batch besides the plain recurrence.

    Attributes:
        lengths: (*rows) steps that count; None if all do.
        resets: (time, *rows) true where a boundary lies between t-1 and t; None for none.
        fresh: the states' values after a reset, each broadcastable to (*rows, size).
    """

    lengths: Tensor | None
    resets: Tensor | None
    fresh: tuple[Tensor, ...]

    def within(self, time: int) -> Tensor | None:
        """(time, *rows, 1) whether a step counts; None if all do."""
        return None if self.lengths is None else within(self.lengths, time).unsqueeze(-1)

    def boundary(self, t: int, reverse: bool) -> Tensor | None:
        """(*rows, 1) whether the states are reset before step t, walking in this direction."""
        at = t + 1 if reverse else t
        if self.resets is None or at >= self.resets.shape[0]:
            return None
        here = self.resets[at]
        if self.lengths is not None:
            here = here & (at < self.lengths)
        return here.unsqueeze(-1)


def within(lengths: Tensor, time: int) -> Tensor:
    """Return (time, *rows) whether a step counts, for lengths of shape (*rows,)."""
    return torch.arange(time, device=lengths.device).view(-1, *[1] * lengths.dim()) < lengths


def run(
    step: Callable[..., Any],
    x: Tensor,
    states: tuple[Tensor, ...],
    parameters: Mapping[str, SimpleNamespace],
    step_inputs: Sequence[Tensor],
    rows: Row,
    reverse: bool,
    traced: Sequence[int],
) -> tuple[Tensor, tuple[Tensor, ...], tuple[Tensor, ...]]:
    """Run one layer in one direction over a sequence.

    Args:
        step: a compiled forward kernel, with a second tuple of results if `traced`.
        x: (time, *rows, input).
        states: the states before the first step, each (*rows, size).
        parameters: the groups.
        step_inputs: each (time, *rows, hidden).
        rows: lengths and resets.
        reverse: walk from the last step to the first.
        traced: the size of each traced quantity.

    Returns:
        The output (time, *rows, size), the states after the last step, and the traced quantities (time, *rows, size).
    """
    time, sizes = x.shape[0], (states[0].shape[-1], *traced)
    inside = rows.within(time)
    if inside is not None:  # padding may hold anything, NaN too; at 1 a step input has a logarithm and an inverse
        x = torch.where(inside, x, 0)
        step_inputs = [torch.where(inside, s, 1) for s in step_inputs]
    kept: list[list[Tensor]] = [[] for _ in sizes]
    for t in reversed(range(time)) if reverse else range(time):
        active, boundary = None if inside is None else inside[t], rows.boundary(t, reverse)
        before = _select(boundary, rows.fresh, states) if boundary is not None else states
        if active is not None:
            before = _select(active, before, rows.fresh)
        result = step(x[t], *before, *(s[t] for s in step_inputs), **parameters)
        new, seen = result if traced else (result if isinstance(result, tuple) else (result,), ())
        shown = [new[0], *(_as_tensor(v, x[t], size) for v, size in zip(seen, traced, strict=True))]
        if active is not None:
            new = _select(active, new, states)
            shown = [torch.where(active, value, 0) for value in shown]
        states = tuple(new)
        for values, value in zip(kept, shown, strict=True):
            values.append(value)
    stacked = [
        torch.stack(v[::-1] if reverse else v) if v else x.new_zeros(*x.shape[:-1], size)
        for v, size in zip(kept, sizes, strict=True)
    ]
    return stacked[0], states, tuple(stacked[1:])


def _as_tensor(value: Tensor | float, x: Tensor, size: int) -> Tensor:
    """A traced quantity as a tensor; `i = 1` of a variant without input gate is a number."""
    return value if isinstance(value, Tensor) else x.new_full((*x.shape[:-1], size), value)


def _select(mask: Tensor, yes: Sequence[Tensor], no: Sequence[Tensor]) -> tuple[Tensor, ...]:
    return tuple(torch.where(mask, a, b) for a, b in zip(yes, no, strict=True))
