"""The reference: the definition run on torch tensors, one step after the other; slow, obvious, right.

The forward kernel is the definition's own text; autograd differentiates it, as often as one likes. The backward kernel
is the derived adjoint printed as Python, kept for inspection and to check the calculus against autograd.
"""

import ast
import functools
import hashlib
import linecache
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from carrousel import calculus, functions
from carrousel.backends.rows import Rows
from carrousel.backends.store import fetch_text, issue, was_issued
from carrousel.calculus.notation import Definition, normal_form
from carrousel.errors import BackendError, UnknownNameError
from carrousel.functions import TABLE, Function

__all__ = ["Matrix", "compile_kernel", "groups", "refusals", "run", "source", "step_of", "tangent_step", "weights_of"]


class Matrix:
    """A weight of shape (..., rows, columns) that multiplies row vectors of shape (..., batch, columns) with @."""

    __slots__ = ("weight",)

    def __init__(self, weight: Tensor) -> None:
        self.weight = weight

    def __matmul__(self, vector: Tensor) -> Tensor:
        return vector @ self.weight.transpose(-2, -1)

    @property
    def T(self) -> "Matrix":
        """The transposed matrix."""
        return Matrix(self.weight.transpose(-2, -1))


class Gates:
    """The gates of a group as attributes, `R.i`: torch.compile does not follow Python's own SimpleNamespace."""

    def __init__(self, gates: Mapping[str, Tensor | Matrix]) -> None:
        for name, value in gates.items():
            setattr(self, name, value)


def groups(parameters: Mapping[str, Mapping[str, Tensor]]) -> dict[str, Gates]:
    """Wrap gates as the groups that a definition is called with.

    Args:
        parameters: group -> gate -> tensor: (..., rows, columns) in a group of matrices, else (hidden,) or a shape
            that broadcasts against (..., batch, hidden).

    Returns:
        group -> an object with one attribute per gate.
    """
    return {
        group: Gates({g: Matrix(w) if group[0].isupper() else w for g, w in gates.items()})
        for group, gates in parameters.items()
    }


def source(
    definition: Definition, direction: str = "forward", traced: Sequence[str] = (), stage: str | None = None
) -> str:
    """Return the text of a step.

    Args:
        definition: the cell's definition.
        direction: "forward", the definition with its imports and constants, or "backward", the derived adjoint.
        traced: quantities that the forward step returns besides the states, as a second tuple.
        stage: None; what runs is the text itself.

    Returns:
        Python source that `compile_kernel` accepts.

    Raises:
        UnknownNameError: there is no such direction or stage.
    """
    if stage is not None:
        raise UnknownNameError(
            f"cell.source - backend 'eager' has no stage {stage!r}, its one text is Python - leave stage out"
        )
    if direction == "forward":
        return issue(_forward(definition, traced))
    if direction == "backward":
        return fetch_text(f"eager backward {_generator()} {definition.identity}", lambda: _backward(definition))
    raise UnknownNameError(f"cell.source - unknown direction {direction!r} - expected 'forward' or 'backward'")


@functools.cache
def _generator() -> str:
    """A hash of the code that writes backward kernels: a text written by other code is not this cell's kernel."""
    writers = [*sorted(Path(calculus.__path__[0]).glob("*.py")), Path(functions.__file__), Path(__file__)]
    return hashlib.sha256(b"".join(path.read_bytes() for path in writers)).hexdigest()


def _forward(definition: Definition, traced: Sequence[str]) -> str:
    called = {n: f for n, f in definition.constants.items() if isinstance(f, Function)}
    text = definition.text
    if traced:
        text = _traced(definition, traced)
        called |= {f.name: f for f in called.values()}  # the normal form calls every function by its own name
    numbers = {n: v for n, v in definition.constants.items() if n not in called}
    imports = ", ".join(f.name if n == f.name else f"{f.name} as {n}" for n, f in called.items())
    head = [f"from carrousel.functions import {imports}"] if imports else []
    if any(v in (float("inf"), float("-inf")) for v in numbers.values()):
        head.append("from math import inf")
    head += [f"{n} = {v!r}" for n, v in numbers.items()]
    return "\n".join([*head, "", "", text] if head else [text])


def _traced(definition: Definition, traced: Sequence[str]) -> str:
    """The definition with every pre-activation named, returning the traced quantities besides the states."""
    lines = [f"    {equation}" for equation in normal_form(definition)]
    returned = f"    return ({', '.join(definition.states)},), ({', '.join(traced)},)"
    return "\n".join([f"def {definition.name}({', '.join(definition.arguments)}):", *lines, returned, ""])


def _backward(definition: Definition) -> str:
    from carrousel.calculus.adjoint import adjoint
    from carrousel.calculus.lower import backward_lines
    from carrousel.calculus.trace import trace

    derived = adjoint(trace(definition))
    lines, values = backward_lines(derived)
    groups = [group.name for group in definition.groups]
    arguments = [*values, *derived.inputs, *groups, *(f"d{group}" for group in groups)]
    return _python(f"{definition.name}_backward", arguments, lines, derived.outputs)


def tangent_step(definition: Definition) -> str:
    """Return the text of a step with its tangent equations: what real-time recurrent learning evaluates at each t.

    Args:
        definition: the cell's definition.

    Returns:
        Python source that `compile_kernel` accepts: `(a_<gate>..., vectors that multiply something..., <state>_prev...,
        inputs per step..., the tangents of net inputs, vectors and states...) -> the new states..., their tangents...`.
        Gates stand in the order of the groups, vectors in the order of their first use.

    Raises:
        OptionError: the cell has no such equations, `carrousel.calculus.tangent` says why.
    """
    from carrousel.calculus.tangent import tangent
    from carrousel.calculus.trace import trace

    derived = tangent(trace(definition))
    gates = dict.fromkeys(gate for group in definition.groups for gate in group.gates)
    given = [
        *(derived.net_inputs[gate] for gate in gates),
        *derived.factors.values(),
        *(f"{state}_prev" for state in definition.states),
        *definition.step_inputs,
    ]
    arguments = [*given, *(derived.names[name] for name in given if name not in definition.step_inputs)]
    moved = (derived.names.get(state, "0") for state in definition.states)  # 0: all that it reads is stopped
    returned = [*definition.states, *moved]
    return issue(_python(f"{definition.name}_tangent", arguments, derived.lines, returned))


def _python(name: str, arguments: Sequence[str], lines: Sequence[tuple[str, str]], returned: Sequence[str]) -> str:
    """A function of straight lines, with what it imports."""
    read = " ".join(right for _, right in lines)
    used = [function for function in TABLE if re.search(rf"\b{function}\(", read)]
    head = [f"from carrousel.functions import {', '.join(used)}"] if used else []
    head += ["from math import inf"] if re.search(r"\binf\b", read) else []
    head += ["", ""] if head else []
    width = max(len(left) for left, _ in lines)
    body = [f"    {left:{width}} = {right}" for left, right in lines]
    return "\n".join([*head, f"def {name}({', '.join(arguments)}):", *body, f"    return {', '.join(returned)}", ""])


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
    tree = ast.fix_missing_locations(_Products().visit(ast.parse(text)))
    exec(compile(tree, filename, "exec"), namespace)
    function = [node for node in tree.body if isinstance(node, ast.FunctionDef)][-1]
    step: Callable[..., Any] = namespace[function.name]
    return step


class _Products(ast.NodeTransformer):
    """Writes `R.i @ h` as a call of a method: torch.compile does not follow the operators of Python's classes."""

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        self.generic_visit(node)
        if not isinstance(node.op, ast.MatMult):
            return node
        method = ast.Attribute(node.left, "__matmul__", ast.Load())
        return ast.copy_location(ast.Call(method, [node.right], []), node)


_steps: dict[tuple[str, tuple[str, ...]], Callable[..., Any]] = {}


def step_of(definition: Definition, traced: tuple[str, ...] = ()) -> Callable[..., Any]:
    """Return the forward step of a definition, as `compile_kernel` does; compiled once.

    Args:
        definition: the cell's definition.
        traced: quantities that it returns besides the states, as a second tuple.
    """
    key = definition.identity, traced
    if key not in _steps:
        _steps[key] = compile_kernel(source(definition, "forward", traced))
    return _steps[key]


def weights_of(definition: Definition, parameters: Mapping[str, Tensor]) -> dict[str, Gates]:
    """Cut stacks into the groups that a step is called with.

    Args:
        definition: the cell's definition.
        parameters: group -> all its gates; a population's (net, gates * hidden) stands against (net, batch, hidden).
    """
    cut = {}
    for group in definition.groups:
        stack = parameters[group.name]
        if not group.is_matrix and stack.dim() == 2:
            stack = stack.unsqueeze(-2)
        parts = stack.chunk(len(group.gates), dim=-2 if group.is_matrix else -1)
        cut[group.name] = dict(zip(group.gates, parts, strict=True))
    return groups(cut)


def refusals(definition: Definition, x: Tensor, traced: Sequence[str]) -> list[str]:
    """Return why a call can not be done: never, this is the reference."""
    return []


def run(
    definition: Definition,
    x: Tensor,
    states: tuple[Tensor, ...],
    parameters: Mapping[str, Tensor],
    step_inputs: Sequence[Tensor],
    rows: Rows,
    reverse: bool,
    traced: Sequence[tuple[str, int]],
) -> tuple[Tensor, tuple[Tensor, ...], tuple[Tensor, ...]]:
    """Run one layer in one direction over a sequence; `carrousel.backends.Backend.run` has arguments and shapes."""
    step = step_of(definition, tuple(name for name, _ in traced))
    time, sizes = x.shape[0], (states[0].shape[-1], *(size for _, size in traced))
    wrapped = weights_of(definition, parameters)
    inside = rows.within(time)
    x, *step_inputs = (rows.padded(value) for value in (x, *step_inputs))
    kept: list[list[Tensor]] = [[] for _ in sizes]
    for t in reversed(range(time)) if reverse else range(time):
        active, boundary = None if inside is None else inside[t], rows.boundary(t, reverse)
        before = _select(boundary, rows.fresh, states) if boundary is not None else states
        if active is not None:
            before = _select(rows.used, before, rows.fresh)
        result = step(x[t], *before, *(s[t] for s in step_inputs), **wrapped)
        new, seen = result if traced else (result if isinstance(result, tuple) else (result,), ())
        new = tuple(s.expand_as(b) for s, b in zip(new, before, strict=True))
        shown = [new[0], *(_for_each_row(v, x[t], size) for v, size in zip(seen, sizes[1:], strict=True))]
        if active is not None:
            new = _select(active, new, states)
            shown = [torch.where(active, value, 0) for value in shown]
        states = new
        for values, value in zip(kept, shown, strict=True):
            values.append(value)
    stacked = [
        torch.stack(v[::-1] if reverse else v) if v else x.new_zeros(*x.shape[:-1], size)
        for v, size in zip(kept, sizes, strict=True)
    ]
    return stacked[0], states, tuple(stacked[1:])


def _for_each_row(value: Tensor | float, x: Tensor, size: int) -> Tensor:
    """A traced quantity, also one of parameters only, or a number as `i = 1` of a variant without input gate."""
    shape = (*x.shape[:-1], size)
    return value.expand(shape) if isinstance(value, Tensor) else x.new_full(shape, value)


def _select(mask: Tensor, yes: Sequence[Tensor], no: Sequence[Tensor]) -> tuple[Tensor, ...]:
    return tuple(torch.where(mask, a, b) for a, b in zip(yes, no, strict=True))
