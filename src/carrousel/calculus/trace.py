"""Run a definition on symbols: the named equations of one step, ready to be differentiated.

Elementwise lines become SymPy expressions. A product of a matrix with a vector and a mean over the hidden units are
opaque: each is one symbol here, and its adjoint has a rule of its own.
"""

import ast
from dataclasses import dataclass
from typing import Any

import sympy

from carrousel.calculus.expressions import ARITHMETIC
from carrousel.calculus.notation import Definition, is_stopped, normal_form
from carrousel.errors import DefinitionError
from carrousel.functions import TABLE, Function

__all__ = ["Product", "Mean", "Trace", "trace"]


@dataclass(frozen=True)
class Product:
    """The product `group.gate @ operand`.

    Attributes:
        line: the quantity whose equation the product stands in.
        stopped: whether the gradient stops at the operand (truncation).
    """

    group: str
    gate: str
    operand: str
    line: str
    stopped: bool = False

    def __str__(self) -> str:
        operand = f"stop_gradient({self.operand})" if self.stopped else self.operand
        return f"{self.group}.{self.gate} @ {operand}"

    @property
    def variable(self) -> str:
        """A name for the product's value."""
        return f"{self.group}_{self.gate}_{self.operand}"


@dataclass(frozen=True)
class Mean:
    """The mean of `operand` over the hidden units."""

    operand: str
    line: str

    def __str__(self) -> str:
        return f"mean({self.operand})"

    @property
    def variable(self) -> str:
        """A name for the mean's value."""
        return f"mean_{self.operand}"


@dataclass(frozen=True)
class Trace:
    """The equations of one step on symbols.

    Attributes:
        definition: where they come from.
        equations: (symbol, expression), in order; every pre-activation has a name.
        opaque: symbol -> the Product or Mean that it stands for.
        order: every symbol in order of first appearance, for printing.
    """

    definition: Definition
    equations: tuple[tuple[sympy.Symbol, sympy.Expr], ...]
    opaque: dict[sympy.Symbol, Product | Mean]
    order: dict[str, int]

    @property
    def parameters(self) -> tuple[sympy.Symbol, ...]:
        """The vectors of the lower-case groups, `b.i`, as symbols."""
        vectors = (g for g in self.definition.groups if not g.is_matrix)
        return tuple(sympy.Symbol(f"{g.name}.{gate}") for g in vectors for gate in g.gates)


def trace(definition: Definition) -> Trace:
    """Turn a definition's normal form into equations on symbols.

    Args:
        definition: a checked definition.

    Returns:
        The Trace.

    Raises:
        DefinitionError: a denominator cancels to zero, which only the symbols show.
    """
    walk = _Walk(definition)
    for argument in definition.arguments:
        walk.symbol(argument)
    equations = []
    for equation in normal_form(definition):
        walk.line = equation.name
        value = sympy.sympify(walk.value(equation.value))
        if value.has(sympy.zoo, sympy.nan):
            raise DefinitionError(
                definition.name,
                None,
                str(equation),
                "this line divides by what is always zero",
                "take the terms that cancel out of the denominator",
            )
        equations.append((walk.symbol(equation.name), value))
    return Trace(definition, tuple(equations), walk.opaque, walk.order)


class _Walk:
    """Evaluates the syntax tree of a line on symbols."""

    def __init__(self, definition: Definition) -> None:
        self.definition = definition
        self.opaque: dict[sympy.Symbol, Product | Mean] = {}
        self.order: dict[str, int] = {}
        self.line = ""

    def symbol(self, name: str) -> sympy.Symbol:
        self.order.setdefault(name, len(self.order))
        return sympy.Symbol(name)

    def _opaque(self, node: Product | Mean) -> sympy.Symbol:
        symbol = self.symbol(str(node))
        self.opaque.setdefault(symbol, node)
        return symbol

    def value(self, node: ast.expr) -> Any:
        match node:
            case ast.Constant(value=number):
                return sympy.sympify(number)
            case ast.Name(id=name):
                constant = self.definition.constants.get(name)
                if constant is None or name in self.definition.quantities:
                    return self.symbol(name)
                return sympy.sympify(constant)
            case ast.Attribute(value=ast.Name(id=group), attr=gate):
                return self.symbol(f"{group}.{gate}")
            case ast.UnaryOp(op=ast.USub()):
                return -self.value(node.operand)
            case ast.UnaryOp():
                return self.value(node.operand)
            case ast.BinOp(op=ast.MatMult(), left=ast.Attribute(value=ast.Name(id=group), attr=gate)):
                stopped = is_stopped(node.right)
                operand = node.right.args[0] if isinstance(node.right, ast.Call) else node.right
                assert isinstance(operand, ast.Name)
                return self._opaque(Product(group, gate, operand.id, self.line, stopped))
            case ast.BinOp():
                return ARITHMETIC[type(node.op)](self.value(node.left), self.value(node.right))
            case ast.Call(func=ast.Name(id=name)):
                return self._call(TABLE[name], node)
        raise AssertionError(f"the grammar let {ast.dump(node)} through")

    def _call(self, function: Function, node: ast.Call) -> Any:
        if function.is_reduction:
            assert isinstance(node.args[0], ast.Name)
            return self._opaque(Mean(node.args[0].id, self.line))
        return function.symbol(*(self.value(argument) for argument in node.args))
