"""A cell's equations as one C function: the step of a layer, each line with its equation beside it."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from carrousel.calculus.expressions import ARITHMETIC
from carrousel.calculus.notation import HIDDEN, INPUT, OUTPUT, Equation, is_stopped
from carrousel.exchange.c_text_words import Names, arrays, call, comment, number
from carrousel.exchange.to_c_parts import Layer
from carrousel.functions import TABLE, Function

__all__ = ["Step"]

_NUMBER = "number"
_SUM, _PRODUCT, _SIGN, _ATOM = range(4)
_SIGNS: dict[type[ast.operator], tuple[str, int]] = {
    ast.Add: ("+", _SUM),
    ast.Sub: ("-", _SUM),
    ast.Mult: ("*", _PRODUCT),
    ast.Div: ("/", _PRODUCT),
}


@dataclass
class _Loop:
    """Equations that are computed together, one unit after the other."""

    size: str
    equations: list[Equation] = field(default_factory=list)

    @property
    def names(self) -> set[str]:
        return {equation.name for equation in self.equations}


class Step:
    """Writes the step of one layer.

    A quantity is a scalar inside its loop. It is an array if a matrix multiplies it, if a mean is taken of it, or if
    another loop reads it; such a product or mean needs all units, so it begins a new loop.

    Args:
        layer: cell, weights and sizes.
        place: the layer's place among the parts of the network.
        names: those of the file.
        int8: whether matrices are kept as bytes.

    Attributes:
        name: of the function.
        previous: state -> its name behind the last step, an argument of the function.
        text: the function.
        arrays: its weights.
        stack: bytes of its arrays on the stack.
    """

    def __init__(self, layer: Layer, place: int, names: Names, int8: bool) -> None:
        self.layer, self.int8 = layer, int8
        self.definition = layer.cell.definition
        self.name = names.free(f"layer_{place}")
        self.sizes: dict[str, str] = {"x": INPUT}
        self.sizes |= {f"{state}_prev": size for state, size in self.definition.size.items()}
        self.equations = _alive(layer)
        self.whole = {name for equation in self.equations for name in _parts(equation.value)[1]}
        self.loops, self.constant = self._loops()
        self.stored = self._stored()
        self.weights = {
            f"{group}.{gate}": names.free(f"{group}_{gate}_l{place}")
            for group, gates in layer.weights.items()
            for gate in gates
        }
        self.read: set[str] = set()
        self.means: dict[str, str] = {}
        local = Names(names.taken)
        arguments = ("x", *(f"{state}_prev" for state in layer.cell.states))
        self.called = {"x": "x"} | {n: local.free(n) for n in (*arguments[1:], *(e.name for e in self.equations))}
        self.local = local
        self.previous = {state: self.called[f"{state}_prev"] for state in layer.cell.states}
        body = "".join(f"    {line}\n" if line else "\n" for line in self._body())
        self.text = self._head() + "{\n" + body + "}\n"
        self.arrays = self._arrays()
        self.stack = 4 * sum(self._count(self.sizes[name]) for name in self.stored)

    # ------------------------------------------------------------------ what is computed where

    def _loops(self) -> tuple[list[_Loop], list[Equation]]:
        loops: list[_Loop] = []
        constant = []
        for equation in self.equations:
            size = self.sizes[equation.name] = self._size(equation.value)
            if size == _NUMBER:
                constant.append(equation)
                continue
            if not loops or loops[-1].size != size or loops[-1].names & _parts(equation.value)[1]:
                loops.append(_Loop(size))
            loops[-1].equations.append(equation)
        return loops, constant

    def _stored(self) -> list[str]:
        """The quantities that are arrays, in order."""
        elsewhere = {
            name
            for loop in self.loops
            for equation in loop.equations
            for name in _parts(equation.value)[0] - loop.names
        }
        needed = elsewhere | self.whole | {*self.layer.cell.states}
        return [equation.name for loop in self.loops for equation in loop.equations if equation.name in needed]

    def _size(self, node: ast.expr) -> str:
        match node:
            case ast.Name(id=name):
                return self.sizes.get(name, _NUMBER)
            case ast.Attribute():
                return HIDDEN
            case ast.BinOp(op=ast.MatMult(), left=ast.Attribute(value=ast.Name(id=group))):
                return self.definition.group(group).rows
            case ast.Call():
                return next((s for s in map(self._size, node.args) if s != _NUMBER), _NUMBER)
        children = (self._size(n) for n in ast.iter_child_nodes(node) if isinstance(n, ast.expr))
        return next((size for size in children if size != _NUMBER), _NUMBER)

    def _count(self, size: str) -> int:
        layer = self.layer
        return {INPUT: layer.input_size, HIDDEN: layer.hidden_size, OUTPUT: layer.output_size}[size]

    # ------------------------------------------------------------------ the function

    def _head(self) -> str:
        sizes = [f"const float x[{self.layer.input_size}]"]
        sizes += [f"float {name}[{len(self.layer.initial[state])}]" for state, name in self.previous.items()]
        title = (self.layer.cell.doc.splitlines() or [""])[0]
        about = [f"{self.layer.cell.name}: {title}" if title else self.layer.cell.name, self.layer.cell.paper]
        head = "".join(comment(line) + "\n" for line in about if line)
        return f"{head}static void {self.name}({', '.join(sizes)})\n"

    def _body(self) -> Iterator[str]:
        if not any("x" in part for equation in self.equations for part in _parts(equation.value)):
            yield "(void)x;"
        for name in self.stored:
            yield f"float {self.called[name]}[{self._count(self.sizes[name])}];"
        for equation in self.constant:
            yield comment(str(equation))
            yield f"const float {self.called[equation.name]} = {self._text(equation.value)};"
        for loop in self.loops:
            yield from self._new_means(loop)
            yield f"for (int k = 0; k < {self._count(loop.size)}; ++k) {{"
            for equation in loop.equations:
                name = self.called[equation.name]
                left = f"{name}[k]" if equation.name in self.stored else f"const float {name}"
                yield f"    {comment(str(equation))}"
                yield f"    {left} = {self._text(equation.value)};"
            yield "}"
        for size in dict.fromkeys(self.sizes[state] for state in self.previous):
            yield f"for (int k = 0; k < {self._count(size)}; ++k) {{"
            for state, name in self.previous.items():
                if self.sizes[state] == size:
                    yield f"    {name}[k] = {self.called[state]}[k];"
            yield "}"

    def _new_means(self, loop: _Loop) -> Iterator[str]:
        """The means that a loop is the first to read."""
        for equation in loop.equations:
            for node in ast.walk(equation.value):
                match node:
                    case ast.Call(func=ast.Name(id="mean"), args=[ast.Name(id=of)]):
                        if of not in self.means and self.sizes.get(of, _NUMBER) != _NUMBER:
                            self.means[of] = self.local.free(f"mean_{of}")
                            count = self._count(self.sizes[of])
                            yield f"const float {self.means[of]} = mean({self.called[of]}, {count});"

    def _arrays(self) -> str:
        """The arrays that the body reads, in the order of the groups."""
        text = ""
        for group, gates in self.layer.weights.items():
            for gate, values in gates.items():
                if (key := f"{group}.{gate}") in self.read:
                    text += arrays(self.weights[key], values, self.int8)
        return text

    def _weight(self, group: str, gate: str) -> str:
        self.read.add(f"{group}.{gate}")
        return self.weights[f"{group}.{gate}"]

    # ------------------------------------------------------------------ expressions

    def _text(self, node: ast.expr, outer: int = _SUM) -> str:
        inner, text = self._expression(node)
        return f"({text})" if inner < outer else text

    def _expression(self, node: ast.expr) -> tuple[int, str]:
        if self._is_plain(node):
            text = number(self._value(node))
            return (_SIGN if text.startswith("-") else _ATOM), text
        match node:
            case ast.Name(id=name):
                is_array = name in self.stored or name.endswith("_prev")
                return _ATOM, f"{self.called[name]}[k]" if is_array else self.called[name]
            case ast.Attribute(value=ast.Name(id=group), attr=gate):
                return _ATOM, f"{self._weight(group, gate)}[k]"
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return _SIGN, f"-{self._text(operand, _ATOM)}"
            case ast.UnaryOp(operand=operand):
                return self._expression(operand)
            case ast.BinOp(op=ast.MatMult(), left=ast.Attribute(value=ast.Name(id=group), attr=gate)):
                return self._product(group, gate, _operand(node.right))
            case ast.BinOp(op=ast.Pow()):
                return _ATOM, self._power(node)
            case ast.BinOp():
                sign, level = _SIGNS[type(node.op)]
                return level, f"{self._text(node.left, level)} {sign} {self._text(node.right, level + 1)}"
            case ast.Call(func=ast.Name(id="stop_gradient"), args=[inside]):
                return self._expression(inside)
            case ast.Call(func=ast.Name(id="mean"), args=[ast.Name(id=of)]):
                return _ATOM, self.means.get(of, self.called.get(of, ""))
            case ast.Call(func=ast.Name(id=function)):
                return _ATOM, call(function, [self._text(argument) for argument in node.args])
        raise AssertionError(f"the grammar let {ast.dump(node)} through")

    def _product(self, group: str, gate: str, operand: str) -> tuple[int, str]:
        weight, count = self._weight(group, gate), self._count(self.sizes[operand])
        if self.int8:
            return _PRODUCT, f"{weight}_scale[k] * dot8({weight}[k], {self.called[operand]}, {count})"
        return _ATOM, f"dot({weight}[k], {self.called[operand]}, {count})"

    def _power(self, node: ast.BinOp) -> str:
        exponent = self._value(node.right)
        if exponent == 2:
            return call("square", [self._text(node.left)])
        return call("power", [self._text(node.left), number(exponent)])

    # ------------------------------------------------------------------ numbers

    def _is_plain(self, node: ast.expr) -> bool:
        """Whether an expression is a number that no line names."""
        return not any(
            isinstance(n, ast.Attribute) or (isinstance(n, ast.Name) and n.id in self.called) for n in ast.walk(node)
        )

    def _value(self, node: ast.expr) -> Any:
        match node:
            case ast.Constant(value=value):
                return value
            case ast.Name(id=name):
                return self.definition.constants[name]
            case ast.UnaryOp(op=ast.USub()):
                return -self._value(node.operand)
            case ast.UnaryOp():
                return self._value(node.operand)
            case ast.BinOp():
                return ARITHMETIC[type(node.op)](self._value(node.left), self._value(node.right))
            case ast.Call(func=ast.Name(id=name)):
                function: Function = TABLE[name]
                return function(*(self._value(argument) for argument in node.args))
        raise AssertionError(f"{ast.dump(node)} is no number")


def _operand(node: ast.expr) -> str:
    """The name that a matrix multiplies."""
    named = node.args[0] if isinstance(node, ast.Call) and is_stopped(node) else node
    assert isinstance(named, ast.Name)
    return named.id


def _parts(node: ast.expr) -> tuple[set[str], set[str]]:
    """The names that an expression reads unit by unit, and those of which it needs all units."""
    match node:
        case ast.Name(id=name):
            return {name}, set()
        case ast.Attribute():
            return set(), set()
        case ast.BinOp(op=ast.MatMult()):
            return set(), {_operand(node.right)}
        case ast.Call(func=ast.Name(id="mean"), args=[ast.Name(id=of)]):
            return set(), {of}
        case ast.Call():
            children = [_parts(argument) for argument in node.args]
        case _:
            children = [_parts(n) for n in ast.iter_child_nodes(node) if isinstance(n, ast.expr)]
    return set().union(*(one for one, _ in children)), set().union(*(whole for _, whole in children))


def _alive(layer: Layer) -> list[Equation]:
    """The equations that the new states depend on."""
    needed, found = {*layer.cell.states}, []
    for equation in reversed(layer.cell.equations):
        if equation.name in needed:
            found.append(equation)
            needed |= set().union(*_parts(equation.value))
    return found[::-1]
