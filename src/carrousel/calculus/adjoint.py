"""The adjoint equations of one step: what back-propagation through time evaluates at each t.

Reverse accumulation over the named equations. `d<q>` is the derivative of the loss by `q`. The two opaque nodes have
rules of their own: a product y = M @ v gives dM = outer(dy, v) and dv = M.T @ dy; a mean is its own adjoint.
"""

from collections.abc import Collection
from dataclasses import dataclass

import sympy

from carrousel.calculus.names import fresh
from carrousel.calculus.printing import text
from carrousel.calculus.trace import Mean, Product, Trace
from carrousel.functions import stop_gradient

__all__ = ["Adjoint", "Outer", "adjoint"]


@dataclass(frozen=True)
class Outer:
    """The gradient of a matrix: the sum of `outer(adjoint, operand)` over its products."""

    group: str
    gate: str
    terms: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        return " + ".join(f"outer({d}, {v})" for d, v in self.terms) or "0"


@dataclass(frozen=True)
class Adjoint:
    """The derived equations of one step backward.

    Attributes:
        trace: the step forward.
        equations: (symbol, expression) in order of evaluation: first the adjoints of the step's quantities, from the
            last to the first, then dx, the previous states' and the vector parameters'.
        opaque: symbol -> the transposed Product or the Mean that it stands for.
        matrices: the gradients of the matrices, each a sum of outer products.
        inputs: the adjoints that come from later steps and the loss, `dh, dc`.
        outputs: the adjoints that go on: `dx`, `dh_prev`, ..., those of the step inputs.
        order: symbol name -> rank, for printing.
    """

    trace: Trace
    equations: tuple[tuple[sympy.Symbol, sympy.Expr], ...]
    opaque: dict[sympy.Symbol, Product | Mean]
    matrices: tuple[Outer, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    order: dict[str, int]

    @property
    def lines(self) -> list[tuple[str, str]]:
        """Every line as (left side, right side)."""
        return [(str(name), text(value, self.order)) for name, value in self.equations] + self.matrix_lines

    @property
    def matrix_lines(self) -> list[tuple[str, str]]:
        """The lines of the matrices' gradients."""
        return [(f"d{m.group}.{m.gate}", str(m)) for m in self.matrices]

    def __str__(self) -> str:
        width = max(len(left) for left, _ in self.lines)
        return "\n".join(f"{left:{width}} = {right}" for left, right in self.lines)


def adjoint(forward: Trace, seeded: Collection[str] = ()) -> Adjoint:
    """Derive the adjoint equations of a step.

    Args:
        forward: the traced equations.
        seeded: quantities that the loss reads besides the states; its derivative by q arrives as `seed_<q>`.

    Returns:
        The Adjoint, without dead equations.
    """
    accumulate = _Accumulation(forward)
    for name in seeded:
        accumulate.seed(name)
    for symbol, value in reversed(forward.equations):
        accumulate.through(symbol, value)
    return accumulate.finish()


def _value(expression: sympy.Expr) -> sympy.Expr:
    """Drop `stop_gradient`: once differentiated, it is the value itself."""
    return expression.replace(stop_gradient.symbol, lambda argument: argument)


class _Accumulation:
    """Collects, from the last equation to the first, what arrives at each symbol."""

    def __init__(self, forward: Trace) -> None:
        self.forward = forward
        self.definition = forward.definition
        self.arriving: dict[sympy.Symbol, sympy.Expr] = {
            sympy.Symbol(s): sympy.Symbol(f"d{s}") for s in self.definition.states
        }
        self.equations: list[tuple[sympy.Symbol, sympy.Expr]] = []
        self.opaque: dict[sympy.Symbol, Product | Mean] = {}
        self.outer: dict[tuple[str, str], list[tuple[str, str]]] = {}
        self.named: dict[sympy.Expr, sympy.Symbol] = {}
        # sigmoid(a_o) inside a derivative is the quantity o itself
        self.known = {value: symbol for symbol, value in forward.equations if not value.is_Atom}
        self.order = dict(self.forward.order)
        self.taken = {name for known in self.order for name in (known, f"d{known}")}
        self.pending = self._uses()

    def _uses(self) -> dict[sympy.Symbol, int]:
        """How many equations still have to contribute to each opaque node before its adjoint is complete."""
        counts: dict[sympy.Symbol, int] = {}
        for _, value in self.forward.equations:
            for symbol in value.free_symbols & self.forward.opaque.keys():
                counts[symbol] = counts.get(symbol, 0) + 1
        return counts

    def seed(self, name: str) -> None:
        """Let the loss read a quantity."""
        symbol = sympy.Symbol(name)
        self.arriving[symbol] = self.arriving.get(symbol, sympy.S.Zero) + sympy.Symbol(f"seed_{name}")

    def through(self, symbol: sympy.Symbol, value: sympy.Expr) -> None:
        """Pass the adjoint of one equation on to what it reads."""
        arrived = self.arriving.get(symbol)
        reads = sorted(value.free_symbols, key=lambda s: self.forward.order[s.name])
        if arrived is not None:
            d = self._name(f"d{symbol}", arrived)
            for read in reads:
                partial = _value(sympy.diff(value, read).xreplace(self.known))
                if partial != 0:
                    self.arriving[read] = self.arriving.get(read, sympy.S.Zero) + d * partial
        for read in reads:
            if read in self.pending:
                self.pending[read] -= 1
                if not self.pending[read]:
                    self._opaque_node(read)

    def _name(self, name: str, value: sympy.Expr) -> sympy.Symbol:
        """Name an adjoint; one that was named before is not computed again."""
        symbol = sympy.Symbol(name)
        if value != symbol:
            self.equations.append((symbol, self.named.get(value, value)))
        if symbol not in value.free_symbols:
            self.named.setdefault(value, symbol)
        return symbol

    def _opaque_node(self, symbol: sympy.Symbol) -> None:
        arrived = self.arriving.pop(symbol, None)
        if arrived is None:
            return
        node = self.forward.opaque[symbol]
        operand = sympy.Symbol(node.operand)
        d = arrived if arrived.is_Symbol else self._name(self._fresh(node), arrived)
        if isinstance(node, Mean):
            back: Product | Mean = Mean(str(d), node.line)
        else:
            self.outer.setdefault((node.group, node.gate), []).append((str(d), node.operand))
            back = Product(f"{node.group}", f"{node.gate}.T", str(d), node.line)
            if node.stopped:
                return
        passed = sympy.Symbol(str(back))
        self.order[str(back)] = self.forward.order[symbol.name]
        self.opaque[passed] = back
        self.arriving[operand] = self.arriving.get(operand, sympy.S.Zero) + passed

    def _fresh(self, node: Product | Mean) -> str:
        """A name for the adjoint of a product or mean; one line may hold several."""
        name = f"dmean_{node.operand}" if isinstance(node, Mean) else f"d{node.line}_{node.group}"
        name = fresh(name, self.taken)
        self.taken.add(name)
        return name

    def finish(self) -> Adjoint:
        """Add the leaves, drop what nothing reads, and return the whole."""
        leaves = ["x", *(f"{s}_prev" for s in self.definition.states), *self.definition.step_inputs]
        outputs = tuple(f"d{leaf}" for leaf in leaves)
        for leaf in (*leaves, *(str(p) for p in self.forward.parameters)):
            value = self.arriving.get(sympy.Symbol(leaf), sympy.S.Zero)
            self.equations.append((sympy.Symbol(f"d{leaf}"), self.named.get(value, value)))
        gates = [(g.name, gate) for g in self.definition.groups if g.is_matrix for gate in g.gates]
        matrices = tuple(Outer(*key, tuple(self.outer.get(key, ()))) for key in gates)
        kept = self._alive({*outputs, *(f"d{p}" for p in self.forward.parameters)}, matrices)
        inputs = tuple(f"d{s}" for s in self.definition.states)
        return Adjoint(self.forward, kept, self.opaque, matrices, inputs, outputs, self.order)

    def _alive(self, wanted: set[str], matrices: tuple[Outer, ...]) -> tuple[tuple[sympy.Symbol, sympy.Expr], ...]:
        wanted |= {d for m in matrices for d, _ in m.terms}
        kept = []
        for symbol, value in reversed(self.equations):
            if str(symbol) in wanted:
                kept.append((symbol, value))
                for read in value.free_symbols:
                    wanted.add(self.opaque[read].operand if read in self.opaque else str(read))
        return tuple(reversed(kept))
