"""A cell's equations as sums of products, the form in which they can be compared with those of an operator."""

import ast
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from carrousel.calculus.expressions import ARITHMETIC
from carrousel.calculus.notation import Definition, normal_form
from carrousel.functions import TABLE

__all__ = ["Atom", "Call", "Name", "Parameter", "Product", "Sum", "TooLongError", "states_as_sums"]

#: Terms of the longest sum; an equation that takes more is none of an operator.
_LONGEST = 64


class TooLongError(Exception):
    """A sum has too many terms to be one of an operator's equations."""


class Name(NamedTuple):
    """The input, a state of this step or of the last."""

    name: str


class Parameter(NamedTuple):
    """A vector of parameters, `b.i`."""

    group: str
    gate: str


class Product(NamedTuple):
    """`group.gate @ operand`."""

    group: str
    gate: str
    operand: "Sum"


class Call(NamedTuple):
    """A function's value, or a quotient or power that is none of numbers."""

    function: str
    arguments: tuple["Sum", ...]


Atom = Name | Parameter | Product | Call


@dataclass(frozen=True)
class Sum:
    """A sum of products of atoms, in the order of the text; equal to another with the same terms in any order.

    Attributes:
        terms: the atoms of each term, sorted, and its coefficient.
    """

    terms: tuple[tuple[tuple[Atom, ...], float], ...]

    @classmethod
    def of(cls, terms: Iterable[tuple[tuple[Atom, ...], float]]) -> "Sum":
        """Gather equal terms and leave out what is zero."""
        gathered: dict[tuple[Atom, ...], float] = {}
        for atoms, coefficient in terms:
            key = tuple(sorted(atoms, key=repr))
            gathered[key] = gathered.get(key, 0) + coefficient
        kept = tuple((atoms, coefficient) for atoms, coefficient in gathered.items() if coefficient)
        if len(kept) > _LONGEST:
            raise TooLongError
        return cls(kept)

    @classmethod
    def atom(cls, atom: Atom) -> "Sum":
        """The sum of one atom."""
        return cls((((atom,), 1.0),))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sum) and set(self.terms) == set(other.terms)

    def __hash__(self) -> int:
        return hash(frozenset(self.terms))

    def __add__(self, other: "Sum") -> "Sum":
        return Sum.of((*self.terms, *other.terms))

    def __mul__(self, other: "Sum") -> "Sum":
        return Sum.of(((*a, *b), x * y) for a, x in self.terms for b, y in other.terms)

    def scaled(self, factor: float) -> "Sum":
        """This sum times a number."""
        return Sum.of((atoms, coefficient * factor) for atoms, coefficient in self.terms)

    @property
    def number(self) -> float | None:
        """Its value if it is a number."""
        if not self.terms:
            return 0.0
        [(atoms, coefficient), *rest] = self.terms
        return None if atoms or rest else coefficient

    @property
    def single(self) -> Atom | None:
        """The atom if it is nothing else."""
        match self.terms:
            case (((atom,), coefficient),) if coefficient == 1:
                return atom
        return None


def states_as_sums(definition: Definition) -> Mapping[str, Sum]:
    """Return the new value of each state; what it reads of other states of this step is a Name.

    Args:
        definition: a checked definition.

    Returns:
        State -> sum, every other quantity written out, `stop_gradient` left out.

    Raises:
        TooLongError: a sum has too many terms.
    """
    reader = _Reader(definition)
    values: dict[str, Sum] = {}
    for equation in normal_form(definition):
        value = reader.read(equation.value)
        if equation.name in definition.states:
            values[equation.name] = value
            value = Sum.atom(Name(equation.name))
        reader.known[equation.name] = value
    return values


class _Reader:
    """Reads the syntax trees of lines, one after the other."""

    def __init__(self, definition: Definition) -> None:
        self.known = {name: Sum.atom(Name(name)) for name in definition.arguments}
        for name, value in definition.constants.items():
            if isinstance(value, int | float):
                self.known[name] = Sum.of([((), float(value))])

    def read(self, node: ast.expr) -> Sum:
        """The sum that an expression is."""
        match node:
            case ast.Constant(value=int() | float() as number):
                return Sum.of([((), float(number))])
            case ast.Name(id=name):
                return self.known[name]
            case ast.Attribute(value=ast.Name(id=group), attr=gate):
                return Sum.atom(Parameter(group, gate))
            case ast.UnaryOp(op=ast.USub()):
                return self.read(node.operand).scaled(-1)
            case ast.UnaryOp():
                return self.read(node.operand)
            case ast.BinOp(op=ast.MatMult(), left=ast.Attribute(value=ast.Name(id=group), attr=gate)):
                return Sum.atom(Product(group, gate, self.read(node.right)))
            case ast.BinOp():
                return self._arithmetic(node.op, self.read(node.left), self.read(node.right))
            case ast.Call(func=ast.Name(id=function)):
                return self._call(function, tuple(map(self.read, node.args)))
        raise AssertionError(f"the grammar let {ast.dump(node)} through")

    def _arithmetic(self, operation: ast.operator, left: Sum, right: Sum) -> Sum:
        a, b = left.number, right.number
        match operation:
            case ast.Add():
                return left + right
            case ast.Sub():
                return left + right.scaled(-1)
            case ast.Mult():
                return left * right
            case ast.Div() if b:
                return left.scaled(1 / b)
        if a is not None and b is not None:
            return Sum.of([((), float(ARITHMETIC[type(operation)](a, b)))])
        return Sum.atom(Call(type(operation).__name__, (left, right)))

    def _call(self, function: str, arguments: tuple[Sum, ...]) -> Sum:
        if function == "stop_gradient":
            return arguments[0]
        numbers = [argument.number for argument in arguments]
        if all(number is not None for number in numbers):
            return Sum.of([((), float(TABLE[function](*numbers)))])
        return Sum.atom(Call(function, arguments))
