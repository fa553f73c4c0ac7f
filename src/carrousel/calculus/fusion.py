"""From equations to programs: which products share an accumulator, and what runs together."""

from collections import ChainMap
from collections.abc import Collection, Iterable, Mapping, Sequence

import sympy

from carrousel.calculus.adjoint import Adjoint
from carrousel.calculus.lower import Equations, kept, recomputed, straight_line, variables
from carrousel.calculus.names import fresh
from carrousel.calculus.notation import HIDDEN, Definition
from carrousel.calculus.once import of_rows, once
from carrousel.calculus.program import Column, Operation, Outer, Program, Stage, Sum
from carrousel.calculus.trace import Mean, Product, Trace

__all__ = ["backward_program", "forward_program"]

X = "x"


def forward_program(adjoint: Adjoint, traced: Collection[str] = ()) -> Program:
    """Turn the equations of a step into a program.

    Args:
        adjoint: of the step; what its backward wants kept is not fused away.
        traced: quantities that are wanted besides.

    Returns:
        The Program.
    """
    forward = adjoint.trace
    names = variables(adjoint)
    keep = tuple(dict.fromkeys(_plain(name, names) for name in kept(adjoint)))
    wanted = {*forward.definition.states, *keep, *traced}
    fused = _Fusion(forward.definition, forward.opaque, names, set(kept(adjoint)), forward.order, wanted)
    equations = fused.equations(forward.equations)
    sizes = _sizes(forward, adjoint, fused, equations)
    stages = _stages(equations, fused, sizes, set())
    whole = {*forward.definition.states, *_operands(adjoint), *traced}
    return once(Program(stages, sizes, tuple(fused.columns), keep), (), whole)


def backward_program(adjoint: Adjoint, traced: Collection[str] = ()) -> Program:
    """Turn the adjoint equations of a step into a program; `seed_<q>` is the loss's derivative by a traced q.

    Args:
        adjoint: of the step, seeded with the traced quantities.
        traced: their names.

    Returns:
        The Program.
    """
    forward, definition = adjoint.trace, adjoint.trace.definition
    names = variables(adjoint)
    parameters = {f"d{p}": str(p) for p in forward.parameters}
    leaves = [(s, v) for s, v in adjoint.equations if str(s) in parameters]
    vectors = {parameters[str(s)]: "" if v == 0 else str(v) if v.is_Symbol else str(s) for s, v in leaves}
    vectors |= {p: "" for p in parameters.values() if p not in vectors}
    aliases = {s for s, v in leaves if v == 0 or v.is_Symbol}
    body = tuple((s, v.xreplace(names)) for s, v in adjoint.equations if str(s) != "dx" and s not in aliases)
    inputs = next((v for s, v in adjoint.equations if str(s) == "dx"), sympy.S.Zero)
    again = tuple((s, v.xreplace(names)) for s, v in recomputed(adjoint))
    fused = _Fusion(definition, adjoint.opaque, {}, set(), adjoint.order)
    equations = (*again, *fused.equations(body))
    sizes = _sizes(forward, adjoint, fused, equations)
    rebound = {*adjoint.inputs}
    wanted = [d for m in adjoint.matrices for d, _ in m.terms] + [d for s in fused.sums for d, _ in s.terms]
    wanted += [*vectors.values(), *(operand for _, operand in fused.means)]
    stages = _stages(equations, fused, sizes, rebound)
    stored = [n for n in wanted if n in rebound and not _binds(equations, n)]
    stages = (*_stored_inputs([*stored, *_overwritten(stages, adjoint.inputs)], sizes), *stages)
    outers = tuple(Outer(f"{m.group}.{m.gate}", m.terms) for m in adjoint.matrices)
    products = sorted(inputs.free_symbols, key=lambda s: adjoint.order[s.name])
    input_terms = tuple((_matrix(adjoint.opaque[s]), adjoint.opaque[s].operand) for s in products)
    keep = tuple(dict.fromkeys(_plain(name, names) for name in kept(adjoint)))
    program = Program(stages, sizes, (), keep, outers, vectors, input_terms)
    rows = {_plain(name, names) for name in of_rows(forward).intersection(kept(adjoint))}
    whole = {*wanted, *adjoint.outputs, *_operands(adjoint), *traced}
    return once(program, rows - whole, whole)


def _operands(adjoint: Adjoint) -> set[str]:
    """What matrices are multiplied with, and means taken of."""
    nodes = (*adjoint.trace.opaque.values(), *adjoint.opaque.values())
    return {node.operand for node in nodes} | {v for matrix in adjoint.matrices for _, v in matrix.terms}


def _plain(name: str, names: Mapping[sympy.Symbol, sympy.Symbol]) -> str:
    return str(names.get(sympy.Symbol(name), name))


def _binds(equations: Equations, name: str) -> bool:
    return any(str(s) == name for s, _ in equations)


def _overwritten(stages: Sequence[Stage], arriving: Iterable[str]) -> list[str]:
    """Adjoints of states that are first read behind the stage that puts the next ones in their place."""

    def first(found: Iterable[bool]) -> int:
        return next((k for k, here in enumerate(found) if here), len(stages))

    return [
        name
        for name in arriving
        if first(f"{name}_prev" in s.defined for s in stages) < first(name in s.read for s in stages) < len(stages)
    ]


def _stored_inputs(names: Iterable[str], sizes: Mapping[str, str]) -> tuple[Stage, ...]:
    """Stages that store adjoints which arrive from outside and are multiplied as they are."""
    copies: dict[str, list[Operation]] = {}
    for name in dict.fromkeys(names):
        copies.setdefault(sizes[name], []).append(Operation(name, "copy", (name,)))
    return tuple(Stage(size, operations=tuple(code)) for size, code in copies.items())


class _Fusion:
    """Replaces products by the sums that accumulate them."""

    def __init__(
        self,
        definition: Definition,
        opaque: Mapping[sympy.Symbol, Product | Mean],
        names: Mapping[sympy.Symbol, sympy.Symbol],
        apart: Collection[str],
        order: Mapping[str, int],
        wanted: Collection[str] = (),
    ) -> None:
        self.definition, self.opaque, self.names, self.apart, self.order = definition, opaque, names, apart, order
        self.wanted = wanted
        self.columns: list[Column] = []
        self.sums: list[Sum] = []
        self.copies: list[tuple[sympy.Symbol, sympy.Expr]] = []
        self.means: list[tuple[str, str]] = []
        self.taken = {*order, *(str(n) for n in names.values())}

    def equations(self, equations: Equations) -> Equations:
        """Return the equations on sums; the sums themselves are in `columns` and `sums`."""
        self.count: dict[sympy.Symbol, int] = {}
        for _, value in equations:
            for node in sympy.preorder_traversal(value):
                if node in self.opaque:
                    self.count[node] = self.count.get(node, 0) + 1
        fused = []
        for symbol, value in equations:
            result = self._fused(value, str(symbol), True)
            if result != symbol:  # else the sum has the quantity's own name
                fused.append((symbol, result))
        apart = dict.fromkeys(s for _, v in fused for s in sorted(v.free_symbols, key=str) if s in self.opaque)
        alone = {s: self._alone(s) for s in apart}
        return (*self.copies, *((s, v.xreplace(alone)) for s, v in fused))

    def _fused(self, value: sympy.Expr, line: str, whole: bool) -> sympy.Expr:
        if value.is_Atom:
            fuses = whole and value in self.opaque and self._fuses(value)
            return self._sum([value], [], line, line) if fuses else value
        arguments = list(value.args)
        if value.is_Add:
            products = self._sorted(a for a in arguments if a in self.opaque and self._fuses(a))
            if products:
                rest = [a for a in arguments if a not in products]
                is_input = any(self.opaque[p].operand == X for p in products)
                biases = self._sorted(a for a in rest if is_input and self._is_parameter(a))
                rest = [self._fused(a, line, False) for a in rest if a not in biases]
                name = line if whole and not rest else f"{line}_sum"
                return sympy.Add(self._sum(products, biases, name, line), *rest)
        return value.func(*(self._fused(a, line, False) for a in arguments))

    def _fuses(self, symbol: sympy.Symbol) -> bool:
        is_product = isinstance(self.opaque[symbol], Product)
        return is_product and self.count[symbol] == 1 and str(symbol) not in self.apart

    def _is_parameter(self, expression: sympy.Expr) -> bool:
        return bool(expression.is_Symbol) and "." in str(expression) and "@" not in str(expression)

    def _sorted(self, symbols: Iterable[sympy.Symbol]) -> list[sympy.Symbol]:
        return sorted(symbols, key=lambda s: self.order.get(str(s), 0))

    def _sum(self, products: list[sympy.Symbol], biases: list[sympy.Symbol], name: str, line: str) -> sympy.Symbol:
        if name != line:
            name = fresh(name, self.taken)
        self.taken.add(name)
        nodes = [self.opaque[p] for p in products]
        inputs = tuple(_matrix(n) for n in nodes if n.operand == X)
        terms = tuple((n.operand, _matrix(n)) for n in nodes if n.operand != X)
        column = name
        if not terms and name in self.wanted:  # the projection's memory lasts for a block of steps
            column = fresh(f"{name}_x", self.taken)
            self.copies.append((sympy.Symbol(name), sympy.Symbol(column)))
        if inputs:
            self.columns.append(Column(column, inputs, tuple(str(b) for b in biases)))
        if terms:
            self.sums.append(Sum(name, terms))
        return sympy.Symbol(name)

    def _alone(self, symbol: sympy.Symbol) -> sympy.Symbol:
        """A product that is used in more than a sum, or a mean, under a name of its own."""
        node = self.opaque[symbol]
        name = str(self.names.get(symbol) or fresh(node.variable.replace(".", "_"), self.taken))
        if isinstance(node, Mean):
            self.taken.add(name)
            self.means.append((name, node.operand))
            return sympy.Symbol(name)
        return self._sum([symbol], [], name, name)


def _matrix(node: Product | Mean) -> str:
    assert isinstance(node, Product)
    return f"{node.group}.{node.gate.removesuffix('.T')}"


def _sizes(forward: Trace, adjoint: Adjoint, fused: _Fusion, equations: Equations) -> dict[str, str]:
    """Name -> size: of the states, of what a matrix makes, and of what is computed from these."""
    definition = forward.definition
    sizes: dict[str, str] = {}
    for state, size in definition.size.items():
        sizes |= dict.fromkeys((state, f"{state}_prev", f"d{state}", f"d{state}_prev"), size)
    is_backward = fused.opaque is adjoint.opaque
    made = [(s.name, s.terms[0][1]) for s in fused.sums] + [(c.name, c.matrices[0]) for c in fused.columns]
    for name, matrix in made:
        group = definition.group(matrix.split(".")[0])
        sizes.setdefault(name, str(group.columns) if is_backward else group.rows)
    rows = {str(s): definition.group(p.group).rows for s, p in forward.opaque.items() if isinstance(p, Product)}
    known = ChainMap(sizes, rows)
    for symbol, value in (*forward.equations, *equations):
        reads = sorted(str(s) for s in value.free_symbols)
        sizes.setdefault(str(symbol), next((known[r] for r in reads if r in known), HIDDEN))
    return sizes


def _stages(equations: Equations, fused: _Fusion, sizes: Mapping[str, str], rebound: set[str]) -> tuple[Stage, ...]:
    """Group equations into stages: each quantity as soon as what it reads is there."""
    symbols = {str(s) for s, _ in equations}
    unbound = symbols | {s.name for s in fused.sums} | {n for n, _ in fused.means}
    done: set[str] = set()
    left, sums, means = list(equations), list(fused.sums), list(fused.means)
    stages: list[Stage] = []

    def there(name: str) -> bool:
        return name in done or name not in unbound

    while left or sums or means:
        now_means = [m for m in means if there(m[1])]
        now_sums = [s for s in sums if all(there(operand) for operand, _ in s.terms)]
        done |= {n for n, _ in now_means} | {s.name for s in now_sums}
        means = [m for m in means if m not in now_means]
        sums = [s for s in sums if s not in now_sums]
        here = []
        for symbol, value in list(left):
            if all(there(str(r)) or (r == symbol and str(r) in rebound) for r in value.free_symbols):
                here.append((symbol, value))
                done.add(str(symbol))
                left.remove((symbol, value))
        assert now_means or now_sums or here, "the equations of a step depend on each other in a circle"
        stages += _by_size(now_means, now_sums, here, sizes)
    return tuple(stages)


def _by_size(
    means: list[tuple[str, str]],
    sums: list[Sum],
    equations: list[tuple[sympy.Symbol, sympy.Expr]],
    sizes: Mapping[str, str],
) -> list[Stage]:
    """One stage, or two where some of it has the size of a projected output."""
    found = [*(sizes.get(n, HIDDEN) for n, _ in means), *(sizes[s.name] for s in sums)]
    found += [sizes[str(s)] for s, _ in equations]
    return [
        Stage(
            size,
            means=tuple(m for m in means if sizes.get(m[0], HIDDEN) == size),
            sums=tuple(s for s in sums if sizes[s.name] == size),
            operations=tuple(straight_line((s, v) for s, v in equations if sizes[str(s)] == size)),
        )
        for size in sorted(set(found))
    ]
