"""The Jacobian of one step: the derivatives of the new states by everything that moves, as straight-line code.

The tangent equations are linear in the tangents that come in. Their coefficients are numbers of one hidden unit, while
a tangent has as many columns as there are weights: a kernel computes the coefficients once and multiplies with them.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import sympy

from carrousel.calculus.lower import straight_line
from carrousel.calculus.names import fresh
from carrousel.calculus.program import Operation
from carrousel.calculus.tangent import Tangent

__all__ = ["Jacobian", "jacobian"]


@dataclass(frozen=True)
class Jacobian:
    """A step from the gates' net inputs on, and how its states change with what comes in.

    Attributes:
        given: what comes in and moves, by the names of the tangent: net inputs in the order of the gates, vectors that
            multiply something, previous states.
        operations: straight-line code from what is given to the new states and the derivatives.
        derivatives: state -> what it is moved by -> the name or value of the derivative; zeros are left out.
    """

    given: tuple[str, ...]
    operations: tuple[Operation, ...]
    derivatives: Mapping[str, Mapping[str, str | float]]


def jacobian(derived: Tangent) -> Jacobian:
    """Accumulate the partial derivatives of a step's equations.

    Args:
        derived: the tangent equations.

    Returns:
        The Jacobian.
    """
    definition = derived.trace.definition
    gates = dict.fromkeys(gate for group in definition.groups for gate in group.gates)
    net_inputs = [derived.net_inputs[gate] for gate in gates]
    given = (*net_inputs, *derived.factors.values(), *(f"{state}_prev" for state in definition.states))
    taken = {*given, *(symbol.name for symbol, _ in derived.steps)}
    equations = list(derived.steps)
    by: dict[str, dict[str, sympy.Expr]] = {name: {name: sympy.S.One} for name in given}
    for name, partials in derived.partials.items():
        by[name] = {}
        for moved in given:
            total = sympy.Add(*(partial * by[read].get(moved, 0) for read, partial in partials.items()))
            if total != 0 and not total.is_Atom:
                symbol = sympy.Symbol(fresh(f"d{name}_d{moved}", taken))
                taken.add(symbol.name)
                equations.append((symbol, total))
                total = symbol
            if total != 0:
                by[name][moved] = total
    derivatives = {
        state: {moved: _plain(value) for moved, value in by.get(state, {}).items()} for state in definition.states
    }
    return Jacobian(given, tuple(straight_line(equations)), derivatives)


def _plain(value: sympy.Expr) -> str | float:
    return float(value) if value.is_Number else str(value)
