"""The tangent equations of one step: how a change of anything that comes in changes the new states.

Forward accumulation over the named equations, the counterpart of `adjoint`. `t<q>` is the derivative of `q` by
whatever it is asked for; real-time recurrent learning asks for it by every weight. Changes come in through the gates'
net inputs, whose own tangents are products and so are left to whoever calls, through vectors of weights that multiply
something, as peepholes do, and through the previous states.
"""

from dataclasses import dataclass

import sympy

from carrousel.calculus.lower import Equations
from carrousel.calculus.names import fresh
from carrousel.calculus.printing import text
from carrousel.calculus.trace import Product, Trace
from carrousel.errors import OptionError
from carrousel.functions import stop_gradient

__all__ = ["Tangent", "tangent"]


@dataclass(frozen=True)
class Tangent:
    """A step from the gates' net inputs on, and its derived tangent equations.

    Attributes:
        trace: the step.
        lines: (name, expression) in order of evaluation: the step's quantities, then the tangents.
        net_inputs: gate -> the name of its net input, `a_i`; where something is added to the products and biases,
            `n_i` for their sum.
        factors: vector of weights that multiplies something, `p.i` -> its name, `p_i`.
        names: quantity -> the name of its tangent.
        steps: the step's quantities as equations.
        partials: quantity that moves -> what it reads that moves, and its derivative by that.
    """

    trace: Trace
    lines: tuple[tuple[str, str], ...]
    net_inputs: dict[str, str]
    factors: dict[str, str]
    names: dict[str, str]
    steps: Equations
    partials: dict[str, dict[str, sympy.Expr]]

    def __str__(self) -> str:
        width = max(len(left) for left, _ in self.lines)
        return "\n".join(f"{left:{width}} = {right}" for left, right in self.lines)


def tangent(forward: Trace) -> Tangent:
    """Derive the tangent equations of a step.

    Args:
        forward: the traced equations.

    Returns:
        The Tangent.

    Raises:
        OptionError: a product is no plain term of a gate's net input, as in a GRU, or multiplies a quantity of its own
            step; or a group has vectors of which some multiply something and others do not.
    """
    taken = set(forward.order)
    net_inputs, equations, factors = _net_inputs(forward, taken)
    order = dict(forward.order)
    names: dict[str, str] = {}
    for name in (*forward.order, *net_inputs.values(), *factors.values()):
        order.setdefault(name, len(order))
        if name.isidentifier() and name not in names:
            names[name] = fresh(f"t{name}", taken)
            taken.add(names[name])
    known = {value: symbol for symbol, value in equations if not value.is_Atom}
    moving = {*net_inputs.values(), *factors.values(), *(f"{state}_prev" for state in forward.definition.states)}
    partials: dict[str, dict[str, sympy.Expr]] = {}
    for symbol, value in equations:
        by = {}
        for read in sorted(value.free_symbols, key=lambda s: order[s.name]):
            if read.name in moving:
                partial = sympy.diff(value, read).xreplace(known).replace(stop_gradient.symbol, lambda q: q)
                if partial != 0:
                    by[read.name] = partial
        if by:
            moving.add(symbol.name)
            partials[symbol.name] = by
    lines = [(symbol.name, text(value, order)) for symbol, value in equations]
    for name, by in partials.items():
        terms = [_times(text(partial, order), partial, names[read]) for read, partial in by.items()]
        lines.append((names[name], " + ".join(terms)))
    moved = {name: names[name] for name in names if name in moving}
    return Tangent(forward, tuple(lines), net_inputs, factors, moved, tuple(equations), partials)


def _times(factor: str, partial: sympy.Expr, name: str) -> str:
    """A partial derivative times a tangent, which comes last: it is much larger than the factors before it."""
    if partial == 1:
        return name
    return f"({factor})*{name}" if partial.is_Add or factor.startswith("-") else f"{factor}*{name}"


_Equations = list[tuple[sympy.Symbol, sympy.Expr]]


def _net_inputs(forward: Trace, taken: set[str]) -> tuple[dict[str, str], _Equations, dict[str, str]]:
    """Gate -> the name of the sum of its products and biases, each a plain term; what `_factors` makes of the rest."""
    found: dict[str, str] = {}
    rest: _Equations = []
    weights = {*forward.opaque, *forward.parameters}
    multiplied = {"x", *(f"{state}_prev" for state in forward.definition.states)}
    for symbol, value in forward.equations:
        plain = [term for term in sympy.Add.make_args(value) if term in weights]
        nodes = [forward.opaque[term] for term in plain if term in forward.opaque]
        gates = {node.gate for node in nodes if isinstance(node, Product)}
        gates |= {str(term).partition(".")[2] for term in plain if term not in forward.opaque}
        others = sympy.Add(value, *(-term for term in plain))
        is_clean = others.free_symbols.isdisjoint(forward.opaque) and {node.operand for node in nodes} <= multiplied
        if not is_clean or (plain and (len(gates) != 1 or not gates.isdisjoint(found))):
            raise OptionError(
                f"{forward.definition.name} - real-time recurrent learning takes products and biases as plain terms of "
                f"a gate's net input, got {symbol} = {text(value, forward.order)} - learn through time"
            )
        if not plain:
            rest.append((symbol, value))
        elif others == 0:
            found[gates.pop()] = symbol.name
        else:
            gate = gates.pop()
            found[gate] = fresh(f"n_{gate}", taken)
            taken.add(found[gate])
            rest.append((symbol, sympy.Symbol(found[gate]) + others))
    return found, *_factors(forward, rest, taken)


def _factors(forward: Trace, rest: _Equations, taken: set[str]) -> tuple[_Equations, dict[str, str]]:
    """The equations with names for the vectors of weights that multiply something, and these names."""
    factors: dict[str, str] = {}
    for _, value in rest:
        for read in sorted(value.free_symbols & set(forward.parameters), key=lambda s: forward.order[s.name]):
            if read.name not in factors:
                factors[read.name] = fresh(read.name.replace(".", "_"), taken)
                taken.add(factors[read.name])
    groups = {vector.partition(".")[0] for vector in factors}
    plain = [v for v in map(str, forward.parameters) if v not in factors and v.partition(".")[0] in groups]
    if plain:
        raise OptionError(
            f"{forward.definition.name} - real-time recurrent learning, but {plain[0]} is a bias and {min(factors)} "
            "multiplies something - use a group for each"
        )
    named = {sympy.Symbol(vector): sympy.Symbol(name) for vector, name in factors.items()}
    return [(symbol, value.xreplace(named)) for symbol, value in rest], factors
