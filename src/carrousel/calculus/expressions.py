"""What the right-hand side of a line may say: every expression has a size, or is a mistake with a clear word for it."""

import ast
import math
import operator
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any, NoReturn

from carrousel.errors import DefinitionError, did_you_mean
from carrousel.functions import TABLE, Function

__all__ = ["HIDDEN", "INPUT", "NUMBER", "OUTPUT", "Expressions"]

#: The sizes that a value can have.
INPUT, HIDDEN, OUTPUT, NUMBER = "input_size", "hidden_size", "proj_size", "number"

CHOICE = "use maximum, minimum, clip, relu or step of carrousel.functions: they have a derivative"

#: Whole numbers beyond it are not exact as floats.
_LARGEST = 2**53

#: operator in the text -> what it does, to numbers and to symbols.
ARITHMETIC: dict[type[ast.operator], Any] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}


class Expressions:
    """Checks expressions, and gathers what they use: groups and gates, constants, arguments."""

    def __init__(self, statement: ast.FunctionDef, surroundings: Mapping[str, Any], has_lines: bool) -> None:
        self.statement, self.surroundings = statement, surroundings
        self.has_lines = has_lines  # false for a text that is in no file
        self.name = statement.name
        self.node: ast.AST = statement  # what an error shows
        self.states: list[str] = []
        self.uses: dict[str, dict[str, list[str]]] = {}  # group -> gate -> what its matrix multiplies
        self.columns: dict[str, str] = {}  # group of matrices -> the size that it multiplies
        self.constants: dict[str, int | float | Function] = {}
        self.sizes: dict[str, str] = {}  # of arguments and quantities
        self.numbers: dict[str, float] = {}  # the values of constants and of quantities that are numbers
        self.varying: set[str] = set()  # the names whose values differ from step to step
        self.read_names: set[str] = set()
        self.bound_at = {
            node.targets[0].id: node.lineno
            for node in reversed(statement.body)
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
        }

    def _fail(self, what: str, todo: str) -> NoReturn:
        if self.node is self.statement:
            text = f"def {self.name}({ast.unparse(self.statement.args)})"
        else:
            text = ast.unparse(self.node).splitlines()[0]
        line = getattr(self.node, "lineno", None) if self.has_lines else None
        raise DefinitionError(self.name, line, text, what, todo)

    def _is_bound(self, name: str) -> bool:
        return name in self.sizes or name in self.uses or name in self.bound_at

    def _varies(self, node: ast.expr) -> bool:
        """Whether an expression has a value of its own for each sequence and step, as a state must."""
        return any(isinstance(n, ast.Name) and n.id in self.varying for n in ast.walk(node))

    def _expression(self, node: ast.expr) -> str:
        """Check an expression and return its size."""
        match node:
            case ast.Constant():
                self._number_of(node.value, ast.unparse(node))
                return NUMBER
            case ast.Name():
                return self._named(node.id)
            case ast.Attribute():
                return self._parameter(node)
            case ast.UnaryOp(op=ast.USub() | ast.UAdd()):
                return self._expression(node.operand)
            case ast.BinOp(op=ast.MatMult()):
                return self._product(node)
            case ast.BinOp(op=ast.Add() | ast.Sub() | ast.Mult() | ast.Div() | ast.Pow()):
                return self._arithmetic(node)
            case ast.Call():
                return self._call(node)
            case ast.Compare() | ast.BoolOp() | ast.IfExp() | ast.UnaryOp(op=ast.Not()):
                self._fail(
                    f"`{ast.unparse(node)}` is a condition, but the equations are the same at every step", CHOICE
                )
            case _:
                self._fail(
                    f"`{ast.unparse(node)}` is not part of the notation",
                    "use + - * / **, `group.gate @ operand` and the functions of carrousel.functions",
                )

    # ------------------------------------------------------------------ numbers

    def _number_of(self, value: Any, shown: str) -> int | float:
        """A constant as a plain number."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            self._fail(
                f"the constant {shown} is of type {type(value).__name__}, expected a number",
                "constants are int or float; a tensor that learns is a parameter group in the signature",
            )
        if isinstance(value, int) and abs(value) > _LARGEST:
            self._fail(f"the whole number {shown} is beyond 2**53, too large to be exact", "write it as a float: 1e30")
        if math.isnan(value):
            self._fail(f"the constant {shown} is not a number (nan)", "constants are int or float, and not nan")
        return int(value) if isinstance(value, int) else float(value)  # a NumPy scalar prints as np.float64(2.0)

    def _value(self, node: ast.expr) -> float:
        """The value of an expression whose size is NUMBER."""
        try:
            value: float = self._evaluate(node)
        except (ArithmeticError, ValueError):
            value = math.nan
        if isinstance(value, complex) or math.isnan(value):
            self._fail(
                f"`{ast.unparse(node)}` is not a number, or too large a one",
                "change its constants; it is the same at every step",
            )
        return value

    def _evaluate(self, node: ast.expr) -> Any:
        match node:
            case ast.Constant(value=int() | float() as value):
                return value
            case ast.Name(id=name):
                return self.numbers[name]
            case ast.UnaryOp(op=ast.USub()):
                return -self._evaluate(node.operand)
            case ast.UnaryOp():
                return self._evaluate(node.operand)
            case ast.BinOp():
                left, right = self._evaluate(node.left), self._evaluate(node.right)
                operation = ARITHMETIC[type(node.op)]
                value = operation(float(left), float(right))
                exact = isinstance(left, int) and isinstance(right, int)
                if exact and abs(value) > _LARGEST:
                    raise OverflowError
                return operation(left, right) if exact else value
            case ast.Call(func=ast.Name(id=name)):
                function = self.constants[name]
                assert isinstance(function, Function)
                return function(*(self._evaluate(argument) for argument in node.args))
        raise AssertionError(f"{ast.dump(node)} is no number")

    # ------------------------------------------------------------------ names and parameters

    def _named(self, name: str) -> str:
        if name in self.uses:
            kind = f"{name}.i @ ..." if name[0].isupper() else f"{name}.i"
            self._fail(f"{name} is a parameter group, not a value", f"name one of its gates, for example {kind}")
        if name in self.sizes:
            self.read_names.add(name)
            return self.sizes[name]
        if name not in self.surroundings or name in self.bound_at:
            self._unknown(name)
        value = self.surroundings[name]
        if isinstance(value, Function):
            self._fail(f"the function {name} stands without its argument", f"call it: {name}(...)")
        self.constants[name] = self.numbers[name] = self._number_of(value, name)
        return NUMBER

    def _unknown(self, name: str) -> NoReturn:
        if name in self.bound_at:
            where = f"line {self.bound_at[name]}" if self.has_lines else "a later line"
            self._fail(
                f"{name} is used before {where} computes it",
                f"use {name}_prev for its value at the last step"
                if name in self.states
                else "move its line above this one",
            )
        known = [n for n in self.sizes if n != "x"]
        stem = name.split("_")[0]
        nearest = next((n for n in (stem, f"{stem}_prev") if n in known), None)
        self._fail(
            f"unknown name '{name}'; states and quantities at this line are {', '.join(known)}.",
            (f"Did you mean {nearest}?" if nearest else did_you_mean(name, [*known, "x", *self.uses, *TABLE]).strip())
            or "compute it on a line above, or add it to the signature",
        )

    def _parameter(self, node: ast.Attribute) -> str:
        owner = ast.unparse(node.value)
        if owner in self.uses:
            self._check_gate(owner, node.attr)
            if owner[0].isupper():
                self._fail(
                    f"{owner}.{node.attr} is a matrix and is used without @",
                    f"multiply it: {owner}.{node.attr} @ x or {owner}.{node.attr} @ {self.states[0]}_prev; "
                    f"a group with one value per hidden unit has a lower-case name ({owner.lower()}.{node.attr})",
                )
            self.uses[owner].setdefault(node.attr, [])
            return HIDDEN
        if isinstance(self.surroundings.get(owner), ModuleType):
            self._fail(
                f"`{ast.unparse(node)}` has a dot, which marks a parameter group",
                f"take it by its own name: from {self.surroundings[owner].__name__} import {node.attr}",
            )
        self._fail(
            f"`{ast.unparse(node)}`: {owner} is not a parameter group; the groups are {', '.join(self.uses) or 'none'}",
            f"add {owner} to the signature after the states" if owner.isidentifier() else "write one dot: group.gate",
        )

    def _check_gate(self, group: str, gate: str) -> None:
        if gate.startswith("_"):
            self._fail(f"the gate {group}.{gate} begins with an underscore", "give the gate a plain name")

    # ------------------------------------------------------------------ operations

    def _merge(self, parts: Sequence[ast.expr], sizes: Sequence[str]) -> str:
        """The size of what combines these parts elementwise."""
        seen: dict[str, str] = {}
        for part, size in zip(parts, sizes, strict=True):
            seen.setdefault(size, ast.unparse(part))
        seen.pop(NUMBER, None)
        if len(seen) > 1:
            told = " and ".join(f"`{text}` has {size} values" for size, text in seen.items())
            self._fail(
                f"these shapes can not be combined: {told}",
                "bring x to the hidden size with a matrix: W.gate @ x"
                if INPUT in seen
                else f"bring the projected output {self.states[0]} back to the hidden size with a matrix: R.gate @ ...",
            )
        return next(iter(seen), NUMBER)

    def _arithmetic(self, node: ast.BinOp) -> str:
        left, right = self._expression(node.left), self._expression(node.right)
        for part, size in ((node.left, left), (node.right, right)):
            if size == NUMBER and math.isinf(self._value(part)):
                self._fail(
                    f"`{ast.unparse(part)}` is infinite, and arithmetic with it has no derivative",
                    "an infinite number may bound maximum, minimum and clip, or begin a state: @cell(initial=...)",
                )
        if isinstance(node.op, ast.Pow):
            self._exponent(node.right, right)
        size = self._merge((node.left, node.right), (left, right))
        if size == NUMBER:
            self._value(node)
        elif isinstance(node.op, ast.Div) and right == NUMBER and self._value(node.right) == 0:
            self._fail(f"`{ast.unparse(node)}` divides by zero", "divide by another number")
        return size

    def _exponent(self, node: ast.expr, size: str) -> None:
        quantities = [n for n in ast.walk(node) if isinstance(n, ast.Name) and n.id in self.sizes]
        if size != NUMBER or quantities:
            self._fail(
                f"the exponent `{ast.unparse(node)}` is not a plain number",
                "write the number itself; for a ** b of two quantities, exp(b * log(a))",
            )

    def _product(self, node: ast.BinOp) -> str:
        left, right = node.left, node.right
        if not (isinstance(left, ast.Attribute) and ast.unparse(left.value) in self.uses):
            self._no_matrix(left, right)
        group, gate = ast.unparse(left.value), left.attr
        self._check_gate(group, gate)
        if not group[0].isupper():
            self._fail(
                f"{group} is lower-case, so {group}.{gate} holds one value per hidden unit; here it is a matrix with @",
                f"write {group}.{gate} * ..., or call the group {group.upper()} if it holds matrices",
            )
        if any(isinstance(n, ast.MatMult) for n in ast.walk(right)):
            self._product_of_product(left, right)
        size = self._expression(right)
        self._operand(group, gate, right, size)
        return HIDDEN

    def _no_matrix(self, left: ast.expr, right: ast.expr) -> NoReturn:
        if isinstance(left, ast.Name) and left.id in self.uses:
            self._named(left.id)
        if any(isinstance(n, ast.MatMult) for n in ast.walk(left)):
            self._product_of_product(left, right)
        if isinstance(left, ast.Attribute):
            self._parameter(left)
        todo = "write the matrix first: W.gate @ x"
        match left:  # @ binds no tighter than *
            case ast.BinOp(right=ast.Attribute() as matrix):
                tight: ast.expr = ast.BinOp(left.left, left.op, ast.BinOp(matrix, ast.MatMult(), right))
                todo = f"@ binds no tighter than the sign before it; use brackets: {ast.unparse(tight)}"
            case ast.UnaryOp(operand=ast.Attribute() as matrix):
                tight = ast.UnaryOp(left.op, ast.BinOp(matrix, ast.MatMult(), right))
                todo = f"the sign before {ast.unparse(matrix)} binds tighter than @; use brackets: {ast.unparse(tight)}"
        self._fail(f"the left of @ is `{ast.unparse(left)}`, expected a matrix of a parameter group", todo)

    def _product_of_product(self, left: ast.expr, right: ast.expr) -> NoReturn:
        self._fail(
            f"`{ast.unparse(ast.BinOp(left, ast.MatMult(), right))}` is a product of a product",
            "name the inner product on a line of its own and multiply that name",
        )

    def _operand(self, group: str, gate: str, right: ast.expr, size: str) -> None:
        text = ast.unparse(right)
        if size == NUMBER or not self._varies(right):
            self._fail(
                f"{group}.{gate} multiplies `{text}`, which depends neither on x nor on a state",
                "multiply x, a previous state or a quantity of this step; a constant needs no matrix",
            )
        if size == INPUT and text != "x":
            self._fail(f"{group}.{gate} multiplies `{text}`", "a matrix multiplies x itself: W.gate @ x")
        if group == "W" and size != INPUT:
            self._fail(
                f"W holds the input weights and multiplies x only; here it multiplies `{text}`",
                f"use the recurrent weights: R.{gate} @ {text}",
            )
        if group == "R" and size == INPUT:
            self._fail("R holds the recurrent weights; here it multiplies x", f"use the input weights: W.{gate} @ x")
        before = self.columns.setdefault(group, size)
        if before != size:
            self._fail(
                f"group {group} multiplies both {before} and {size} values; its matrices have one width",
                f"use a group of its own for `{text}`",
            )
        operands = self.uses[group].setdefault(gate, [])
        if text not in operands:
            operands.append(text)

    def _call(self, node: ast.Call) -> str:
        text = ast.unparse(node.func)
        function = None if self._is_bound(text) else self.surroundings.get(text)
        if not isinstance(function, Function):
            self._no_function(node.func, text)
        if node.keywords or len(node.args) != function.arity:
            self._fail(
                f"{text} takes {function.arity} plain argument{'s'[: function.arity > 1]}, got `{ast.unparse(node)}`",
                "give its arguments in order, without keywords",
            )
        self.constants[text] = function
        sizes = [self._expression(argument) for argument in node.args]
        size = self._merge(node.args, sizes)
        if function is TABLE["clip"] and any(bound != NUMBER for bound in sizes[1:]):
            self._fail("the bounds of clip are not numbers", "use maximum and minimum for bounds that are quantities")
        if function.is_reduction and size != HIDDEN:
            self._fail(
                f"{text} runs over the hidden units; `{ast.unparse(node.args[0])}` has "
                + ("one value" if size == NUMBER else f"{size} values"),
                "take a quantity of this step or a state",
            )
        if size == NUMBER:
            self._value(node)
        return size

    def _no_function(self, called: ast.expr, text: str) -> NoReturn:
        owner, _, name = text.rpartition(".")
        if text in self.uses or owner in self.uses:
            matrix = text if owner else f"{text}.gate"
            self._fail(f"`{text}` is a parameter, not a function", f"use @ for a matrix: {matrix} @ x")
        if self._is_bound(text):
            self._fail(f"`{text}` is a quantity, not a function", "write * for a product")
        if name in TABLE and isinstance(called, ast.Name | ast.Attribute):
            ours = isinstance(getattr(self.surroundings.get(owner), name, None), Function)
            known = text in self.surroundings or owner
            self._fail(
                f"`{text}` is not carrousel's" if known and not ours else f"`{text}` is not imported by its own name",
                f"from carrousel.functions import {name}, and write {name}(...): it has a derivative in the calculus",
            )
        self._fail(
            f"`{text}` is not a function of the notation; these are {', '.join(TABLE)}",
            did_you_mean(name, TABLE).strip() or "write it with these and + - * / **",
        )
