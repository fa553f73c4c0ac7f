"""The tangent equations of one step: how a change of anything that comes in changes the new states.

Forward accumulation over the named equations, the counterpart of `adjoint`. `t<q>` is the derivative of `q` by
whatever it is asked for; real-time recurrent learning asks for it by every weight. Changes come in through the gates'
net inputs, whose own tangents are products and so are left to whoever calls, and through the previous states.
"""

from dataclasses import dataclass

import sympy

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
        net_inputs: gate -> the name of its net input, `a_i`.
        names: quantity -> the name of its tangent.
    """

    trace: Trace
    lines: tuple[tuple[str, str], ...]
    net_inputs: dict[str, str]
    names: dict[str, str]

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
        OptionError: a product or parameter is no plain term of a gate's net input, as in a GRU, or multiplies a
            quantity of its own step.
    """
    net_inputs = _net_inputs(forward)
    names, taken = {}, set(forward.order)
    for name in forward.order:
        if name.isidentifier():
            names[name] = fresh(f"t{name}", taken)
            taken.add(names[name])
    known = {value: symbol for symbol, value in forward.equations if not value.is_Atom}
    moving = {*net_inputs.values(), *(f"{state}_prev" for state in forward.definition.states)}
    steps, tangents = [], []
    for symbol, value in forward.equations:
        if symbol.name in moving:
            continue
        steps.append((symbol.name, text(value, forward.order)))
        terms = []
        for read in sorted(value.free_symbols, key=lambda s: forward.order[s.name]):
            if read.name in moving:
                partial = sympy.diff(value, read).xreplace(known).replace(stop_gradient.symbol, lambda q: q)
                if partial != 0:
                    terms.append(_times(text(partial, forward.order), partial, names[read.name]))
        if terms:
            moving.add(symbol.name)
            tangents.append((names[symbol.name], " + ".join(terms)))
    return Tangent(forward, (*steps, *tangents), net_inputs, {name: names[name] for name in names if name in moving})


def _times(factor: str, partial: sympy.Expr, name: str) -> str:
    """A partial derivative times a tangent, which comes last: it is much larger than the factors before it."""
    if partial == 1:
        return name
    return f"({factor})*{name}" if partial.is_Add or factor.startswith("-") else f"{factor}*{name}"


def _net_inputs(forward: Trace) -> dict[str, str]:
    """Gate -> the line that holds its products and parameters, each of them as a plain term."""
    found: dict[str, str] = {}
    multiplied = {"x", *(f"{state}_prev" for state in forward.definition.states)}
    for symbol, value in forward.equations:
        terms = value.free_symbols & {*forward.opaque, *forward.parameters}
        if not terms:
            continue
        nodes = [forward.opaque[term] for term in terms if term in forward.opaque]
        gates = {node.gate for node in nodes if isinstance(node, Product)}
        gates |= {str(term).partition(".")[2] for term in terms if term not in forward.opaque}
        is_plain = value == sympy.Add(*terms) and len(gates) == 1 and gates.isdisjoint(found)
        if not is_plain or not {node.operand for node in nodes} <= multiplied:
            raise OptionError(
                f"{forward.definition.name} - real-time recurrent learning takes products and biases as plain terms of "
                f"a gate's net input, got {symbol} = {text(value, forward.order)} - learn through time"
            )
        found[gates.pop()] = symbol.name
    return found
