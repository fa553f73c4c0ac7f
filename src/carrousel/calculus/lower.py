"""Equations -> stages of straight-line operations; what a step keeps for its backward, what is computed again.

A step is a list of stages. A Product stage multiplies matrices, a Mean stage reduces over the hidden units, and a Map
stage is elementwise: its operations run on registers, one hidden unit at a time. Most cells have one Product and one
Map stage; the original GRU and projections have two of each.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import sympy

from carrousel.calculus.adjoint import Adjoint
from carrousel.calculus.names import fresh
from carrousel.calculus.printing import text
from carrousel.calculus.program import Operation
from carrousel.calculus.trace import Mean, Product, Trace

__all__ = [
    "Stage",
    "Step",
    "backward_lines",
    "backward_step",
    "forward_step",
    "kept",
    "recomputed",
    "straight_line",
    "variables",
]

Equations = tuple[tuple[sympy.Symbol, sympy.Expr], ...]


@dataclass(frozen=True)
class Stage:
    """What can run together.

    Attributes:
        kind: "product", "mean" or "map".
        nodes: the products or means of the stage, (symbol name, node).
        equations: the elementwise equations of a map.
    """

    kind: str
    nodes: tuple[tuple[str, Product | Mean], ...] = ()
    equations: Equations = ()

    @property
    def operations(self) -> list[Operation]:
        """The equations as straight-line code; common parts are computed once."""
        return straight_line(self.equations)


@dataclass(frozen=True)
class Step:
    """One step as stages; `order` ranks the symbols for printing."""

    stages: tuple[Stage, ...]
    order: Mapping[str, int]

    @property
    def lines(self) -> list[tuple[str, str]]:
        """The elementwise lines of all stages, products and means inline."""
        return [(str(s), text(v, self.order)) for stage in self.stages for s, v in stage.equations]


def forward_step(forward: Trace) -> Step:
    """Lower a traced step to stages."""
    return Step(_schedule(forward.equations, forward.opaque, set()), forward.order)


def backward_step(adjoint: Adjoint) -> Step:
    """Lower the adjoint of a step to stages; the forward quantities it reads are inputs."""
    return Step(_schedule(adjoint.equations, adjoint.opaque, set(adjoint.inputs)), adjoint.order)


def kept(adjoint: Adjoint) -> tuple[str, ...]:
    """Return the forward quantities that the backward reads and that must be kept at each step.

    States are kept in any case, being the history; a quantity that follows elementwise from what is kept, as
    `f = 1 - i`, is not kept but computed again.
    """
    return _split(adjoint)[0]


def recomputed(adjoint: Adjoint) -> Equations:
    """Return the forward equations that the backward evaluates again."""
    return _split(adjoint)[1]


def backward_lines(adjoint: Adjoint) -> tuple[list[tuple[str, str]], list[str]]:
    """Write the backward of a step as lines; a product or mean that the forward kept is a plain variable in them.

    Returns:
        The lines as (left side, right side), and the forward values that they read.
    """
    definition, names = adjoint.trace.definition, variables(adjoint)
    named = replace(
        adjoint,
        equations=tuple((symbol, value.xreplace(names)) for symbol, value in adjoint.equations),
        order={**adjoint.order, **{str(v): adjoint.order[str(s)] for s, v in names.items()}},
    )
    keep, again = _split(adjoint)
    lines = [(str(symbol), text(value, adjoint.order)) for symbol, value in again]
    lines += backward_step(named).lines + adjoint.matrix_lines
    read = {str(s) for _, value in (*again, *named.equations) for s in value.free_symbols}
    read |= {operand for matrix in adjoint.matrices for _, operand in matrix.terms}
    saved = (str(names.get(sympy.Symbol(name), name)) for name in keep)
    groups = {group.name for group in definition.groups}
    values = dict.fromkeys((*(a for a in definition.arguments if a not in groups), *definition.states, *saved))
    return lines, [value for value in values if value in read]


def variables(adjoint: Adjoint) -> dict[sympy.Symbol, sympy.Symbol]:
    """Return the plain variable that the backward of a step has for each product and mean of the forward."""
    taken = {*adjoint.order, *(str(symbol) for symbol, _ in adjoint.equations), *adjoint.inputs}
    return {symbol: sympy.Symbol(fresh(node.variable, taken)) for symbol, node in adjoint.trace.opaque.items()}


def _split(adjoint: Adjoint) -> tuple[tuple[str, ...], Equations]:
    forward = adjoint.trace
    definition = forward.definition
    needed = {str(s) for _, value in adjoint.equations for s in value.free_symbols}
    operands = {operand for matrix in adjoint.matrices for _, operand in matrix.terms}
    rows = {"x", *definition.step_inputs, *definition.states, *(f"{s}_prev" for s in definition.states)}
    at_hand = rows | {str(p) for p in forward.parameters}
    keep, again = [], []
    for symbol, value in forward.equations:
        name, reads = str(symbol), {str(s) for s in value.free_symbols}
        for node in sorted(value.free_symbols & forward.opaque.keys(), key=lambda s: forward.order[s.name]):
            if str(node) in needed:
                keep.append(str(node))
        if name in needed | operands and name not in at_hand:
            # an operand needs its rows: tanh(h_prev - h_prev) is the plain number 0 here
            if reads <= at_hand and (name not in operands or reads & rows):
                again.append((symbol, value))
            else:
                keep.append(name)
            at_hand.add(name)
    return tuple(dict.fromkeys(keep)), tuple(again)


def _schedule(
    equations: Equations, opaque: Mapping[sympy.Symbol, Product | Mean], rebound: set[str]
) -> tuple[Stage, ...]:
    """Group equations into stages: each runs as soon as what it reads is there."""
    bound = {str(s) for s, _ in equations}
    waiting = {s: v for s, v in opaque.items() if any(s in value.free_symbols for _, value in equations)}
    left, done, stages = list(equations), set[str](), []
    while left:
        ready = {s: n for s, n in waiting.items() if n.operand not in bound or n.operand in done}
        for kind, of in (("product", Product), ("mean", Mean)):
            nodes = tuple((str(s), n) for s, n in ready.items() if isinstance(n, of))
            if nodes:
                stages.append(Stage(kind, nodes))
        done |= {str(s) for s in ready}
        waiting = {s: n for s, n in waiting.items() if s not in ready}
        here = []
        for symbol, value in list(left):
            reads = {str(s) for s in value.free_symbols} - ({str(symbol)} & rebound)
            if all(r in done or (r not in bound and sympy.Symbol(r) not in opaque) for r in reads):
                here.append((symbol, value))
                done.add(str(symbol))
                left.remove((symbol, value))
        assert here or ready, "the equations of a step depend on each other in a circle"
        if here:
            stages.append(Stage("map", equations=tuple(here)))
    return tuple(stages)


def straight_line(equations: Iterable[tuple[sympy.Symbol, sympy.Expr]]) -> list[Operation]:
    """Turn expressions into operations on names, each subexpression once."""
    code = _StraightLine()
    for symbol, value in equations:
        code.bind(str(symbol), value)
    return code.operations


class _StraightLine:
    def __init__(self) -> None:
        self.operations: list[Operation] = []
        self.known: dict[sympy.Expr, str] = {}

    def bind(self, name: str, value: sympy.Expr) -> None:
        rebinds = sympy.Symbol(name) in value.free_symbols
        result = self._emit(value, name)
        if rebinds:  # `dc = dc + ...`: what was computed from the old value is stale
            self.known = {e: n for e, n in self.known.items() if sympy.Symbol(name) not in e.free_symbols}
        if result != name:
            self.operations.append(Operation(name, "copy", (result,)))

    def _operation(self, op: str, arguments: tuple[str | float, ...], name: str | None) -> str:
        name = name or f"_{len(self.operations)}"
        self.operations.append(Operation(name, op, arguments))
        return name

    def _emit(self, e: sympy.Expr, name: str | None = None) -> str | float:
        if e.is_Symbol:
            return str(e)
        if e.is_Number:
            return float(e)
        if e in self.known:
            return self.known[e]
        if e.is_Add:
            result = self._sum(e, name)
        elif e.is_Mul:
            result = self._product(e, name)
        elif e.is_Pow:
            result = self._power(e, name)
        else:
            result = self._operation(e.func.__name__, tuple(self._emit(a) for a in e.args), name)
        self.known[e] = result
        return result

    def _sum(self, e: sympy.Add, name: str | None) -> str:
        terms = sorted(e.args, key=lambda t: (t.could_extract_minus_sign(), str(t)))
        total = self._emit(terms[0])
        for k, term in enumerate(terms[1:], 2):
            negative = term.could_extract_minus_sign()
            part = self._emit(-term if negative else term)
            total = self._operation("sub" if negative else "add", (total, part), name if k == len(terms) else None)
        return str(total)

    def _product(self, e: sympy.Mul, name: str | None) -> str:
        above = [f for f in e.args if not (f.is_Pow and f.exp.is_negative)]
        below = [1 / f for f in e.args if f.is_Pow and f.exp.is_negative]
        parts = [("mul", self._emit(f)) for f in above] + [("div", self._emit(f)) for f in below]
        total: str | float = parts.pop(0)[1] if above else 1.0
        for k, (op, part) in enumerate(parts, 1):
            total = self._operation(op, (total, part), name if k == len(parts) else None)
        return str(total)

    def _power(self, e: sympy.Pow, name: str | None) -> str:
        if e.exp.is_Integer and e.exp > 0:
            base = total = self._emit(e.base)
            for k in range(2, int(e.exp) + 1):
                total = self._operation("mul", (total, base), name if k == e.exp else None)
            return str(total)
        if e.exp.is_negative:
            return self._operation("div", (1.0, self._emit(1 / e)), name)
        return self._operation("pow", (self._emit(e.base), float(e.exp)), name)
