"""The grammar of the notation: what a line may say, and a clear word for each way to break it."""

import ast
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from carrousel.errors import DefinitionError, did_you_mean
from carrousel.functions import TABLE, Function

#: The sizes that a value can have.
INPUT, HIDDEN, OUTPUT, NUMBER = "input_size", "hidden_size", "proj_size", "number"

_RULE_OF_LINES = "write one `name = expression` a line, then `return` the new states"
_CHOICE = "use maximum, minimum, clip, relu or step of carrousel.functions: they have a derivative"


@dataclass(frozen=True)
class Group:
    """A parameter group and its gates, in order of first use.

    Attributes:
        name: `W`, `R`, `b`...
        gates: the gates that have parameters in it.
        columns: the size that its matrices multiply (INPUT, HIDDEN or OUTPUT); None for one value per hidden unit.
        operands: what the matrices multiply, by name: `x`, `h_prev`, ...
        rows: the size of each gate's result: HIDDEN, or OUTPUT for the projection of the output.
    """

    name: str
    gates: tuple[str, ...]
    columns: str | None
    operands: tuple[str, ...]
    rows: str

    @property
    def is_matrix(self) -> bool:
        """Whether the group holds matrices."""
        return self.columns is not None


class Grammar:
    """Walks one definition line by line; `check` raises DefinitionError at the first line that breaks a rule."""

    def __init__(self, statement: ast.FunctionDef, surroundings: Mapping[str, Any]) -> None:
        self.statement, self.surroundings = statement, surroundings
        self.name = statement.name
        self.node: ast.AST = statement
        self.states: list[str] = []
        self.step_inputs: list[str] = []
        self.uses: dict[str, dict[str, list[str]]] = {}  # group -> gate -> operands ('' for a vector)
        self.columns: dict[str, str] = {}
        self.constants: dict[str, int | float | Function] = {}
        self.lines: list[tuple[str, ast.expr, int]] = []
        self.sizes: dict[str, str] = {}  # of arguments and quantities
        self.read_names: set[str] = set()
        self.projected = False

    # ------------------------------------------------------------------ the whole

    def check(self) -> None:
        """Check the signature, every line, and that all the arguments are used."""
        self._signature()
        self.projected = self._is_projection()
        if self.projected:
            self.sizes[f"{self.states[0]}_prev"] = OUTPUT
        body = self.statement.body
        start = 1 if ast.get_docstring(self.statement) is not None else 0
        returned = None
        for node in body[start:]:
            self.node = node
            if isinstance(node, ast.Return):
                returned = node
                break
            self._line(node)
        self.node = returned or self.statement
        self._returned(returned.value if returned else None)
        self._all_used()

    def parameter_groups(self) -> tuple[Group, ...]:
        """Return the groups in the order of the signature."""
        rows = {g: OUTPUT if self.projected and g == self._projection_group else HIDDEN for g in self.uses}
        return tuple(
            Group(g, tuple(gates), self.columns.get(g), tuple(dict.fromkeys(sum(gates.values(), []))), rows[g])
            if g[0].isupper()
            else Group(g, tuple(gates), None, (), HIDDEN)
            for g, gates in self.uses.items()
        )

    def _fail(self, what: str, todo: str, node: ast.AST | None = None) -> NoReturn:
        node = node if node is not None and hasattr(node, "lineno") else self.node
        shown = self.node
        if isinstance(shown, ast.FunctionDef):
            text = f"def {self.name}({ast.unparse(shown.args)})"
        else:
            text = ast.unparse(shown).splitlines()[0]
        raise DefinitionError(self.name, getattr(node, "lineno", None), text, what, todo) from None

    # ------------------------------------------------------------------ the signature

    def _signature(self) -> None:
        arguments = self.statement.args
        extra = [*arguments.posonlyargs, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
        if any(extra) or arguments.defaults:
            self._fail(
                "the signature has defaults, *args, ** or keyword-only arguments",
                "a definition has plain arguments only: x, <state>_prev..., then the parameter groups; "
                "constants come from around the definition",
            )
        names = [a.arg for a in arguments.args]
        if not names or names[0] != "x":
            self._fail(
                f"the first argument is {names[0] if names else 'missing'}, expected x",
                "begin the signature with x, the input of this step",
            )
        self.sizes["x"] = INPUT
        for name in names[1:]:
            if name.endswith("_prev"):
                if self.uses or self.step_inputs:
                    self._fail(f"{name} stands after a parameter group or step input", "put the states right after x")
                self.states.append(name.removesuffix("_prev"))
                self.sizes[name] = HIDDEN
            elif name.endswith("_t"):
                self.step_inputs.append(name)
                self.sizes[name] = HIDDEN
            else:
                self.uses[name] = {}
        if not self.states:
            self._fail(
                "no argument is called <state>_prev, so the cell has no state and nothing recurs",
                "add the output's previous value, for example h_prev, after x",
            )

    def _is_projection(self) -> bool:
        """Whether the output is one bare product with a quantity of this step: `h = P.h @ m`."""
        output = self.states[0]
        for node in self.statement.body:
            if not (isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)):
                continue
            value = node.value
            if node.targets[0].id == output and isinstance(value, ast.BinOp) and isinstance(value.op, ast.MatMult):
                named = {a.arg for a in self.statement.args.args}
                if isinstance(value.left, ast.Attribute) and isinstance(value.left.value, ast.Name):
                    self._projection_group = value.left.value.id
                    return not (isinstance(value.right, ast.Name) and value.right.id in named)
        return False

    # ------------------------------------------------------------------ the lines

    def _line(self, node: ast.stmt) -> None:
        if isinstance(node, ast.If):
            self._fail("an `if` chooses between equations, but a cell's equations are the same at every step", _CHOICE)
        if isinstance(node, ast.AugAssign):
            self._fail(
                f"{ast.unparse(node.target)} would be bound twice",
                "write a new name for the new quantity: `c2 = c + ...`",
            )
        if not isinstance(node, ast.Assign):
            self._fail(f"a definition has no {type(node).__name__} statement", _RULE_OF_LINES)
        target = node.targets[0]
        if len(node.targets) > 1 or not isinstance(target, ast.Name):
            self._fail("this line binds more than one plain name", _RULE_OF_LINES)
        self._bindable(target.id)
        size = self._expression(node.value)
        if size == INPUT:
            self._fail(
                f"{target.id} would have input_size values, expected hidden_size",
                "bring x to the hidden size with a matrix: W.gate @ x",
            )
        if self.projected and target.id == self.states[0]:
            size = OUTPUT
        self.sizes[target.id] = size
        self.lines.append((target.id, node.value, node.lineno))

    def _bindable(self, name: str) -> None:
        if name in self.uses or (name in self.sizes and name not in self._quantities()):
            self._fail(f"{name} is an argument and can not be bound", "give the new quantity a name of its own")
        if name in self._quantities():
            self._fail(
                f"the name {name} is bound twice", "give each quantity a name of its own; it keeps that name everywhere"
            )
        if name.endswith(("_prev", "_t")):
            self._fail(f"{name} ends in _prev or _t, which mark arguments", "choose another name for this quantity")
        adjoints = {f"d{known}" for known in (*self.sizes, *self.uses)}
        if name in adjoints or f"d{name}" in self.sizes or f"d{name}" in self.uses:
            self._fail(
                f"{name} collides with an adjoint: d<name> is the derivative of the loss by <name>",
                "choose another name for this quantity",
            )
        if name in TABLE:
            self._fail(f"{name} is a function of carrousel.functions", "choose another name for this quantity")

    def _quantities(self) -> set[str]:
        return {name for name, _, _ in self.lines}

    # ------------------------------------------------------------------ expressions: each returns its size

    def _expression(self, node: ast.expr) -> str:
        match node:
            case ast.Constant():
                return self._constant(node.value, repr(node.value))
            case ast.Name():
                return self._named(node)
            case ast.UnaryOp(op=ast.USub() | ast.UAdd()):
                return self._expression(node.operand)
            case ast.BinOp(op=ast.MatMult()):
                return self._product(node)
            case ast.BinOp(op=ast.Pow()):
                return self._power(node)
            case ast.BinOp(op=ast.Add() | ast.Sub() | ast.Mult() | ast.Div()):
                return self._merge(node, node.left, node.right)
            case ast.Call():
                return self._call(node)
            case ast.Attribute():
                return self._parameter(node)
            case ast.Compare() | ast.BoolOp() | ast.IfExp() | ast.UnaryOp(op=ast.Not()):
                self._fail(f"`{ast.unparse(node)}` is a condition on a symbol, which has no value yet", _CHOICE)
            case _:
                self._fail(
                    f"`{ast.unparse(node)}` is not part of the notation",
                    "use + - * / **, `group.gate @ operand` and the functions of carrousel.functions",
                )

    def _constant(self, value: Any, text: str) -> str:
        if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
            self._fail(
                f"the constant {text} is {'nan' if isinstance(value, float) else 'a ' + type(value).__name__}, "
                "expected a number",
                "constants are int or float; a tensor that learns is a parameter group in the signature",
            )
        return NUMBER

    def _named(self, node: ast.Name) -> str:
        name = node.id
        if name in self.uses:
            kind = f"{name}.i @ ..." if name[0].isupper() else f"{name}.i"
            self._fail(f"{name} is a parameter group, not a value", f"name one of its gates, for example {kind}")
        if name in self.sizes:
            self.read_names.add(name)
            return self.sizes[name]
        if name not in self.surroundings:
            self._unknown(name)
        value = self.surroundings[name]
        if isinstance(value, Function):
            self._fail(f"the function {name} stands without its argument", f"call it: {name}(...)")
        if callable(value) or isinstance(value, type(math)):
            self._fail(
                f"{name} is {_described(value)}, expected a number",
                "constants are int or float; name the previous states, quantities and groups in the signature",
            )
        self._constant(value, f"{name} = {value!r}")
        self.constants[name] = value
        return NUMBER

    def _unknown(self, name: str) -> NoReturn:
        later = {
            n.targets[0].id: n.lineno
            for n in self.statement.body
            if isinstance(n, ast.Assign) and isinstance(n.targets[0], ast.Name)
        }
        if name in later:
            self._fail(
                f"{name} is used before line {later[name]} computes it",
                f"move the line up, or use {name}_prev for its previous value",
            )
        known = [f"{s}_prev" for s in self.states] + sorted(self._quantities())
        self._fail(
            f"unknown name '{name}'; states and quantities at this line are {', '.join(known)}.",
            did_you_mean(name, [*known, "x", *self.step_inputs, *self.uses, *TABLE]).strip()
            or "compute it on a line above, or add it to the signature",
        )

    def _parameter(self, node: ast.Attribute) -> str:
        if isinstance(node.value, ast.Name) and node.value.id in self.uses:
            group, gate = node.value.id, node.attr
            if group[0].isupper():
                self._fail(
                    f"{group}.{gate} is a matrix and is used without @",
                    f"multiply it: {group}.{gate} @ x or {group}.{gate} @ {self.states[0]}_prev; a group with one "
                    f"value per hidden unit has a lower-case name ({group.lower()}.{gate})",
                )
            self.uses[group].setdefault(gate, [])
            return HIDDEN
        owner = ast.unparse(node.value)
        self._fail(
            f"`{ast.unparse(node)}`: {owner} is not a parameter group; the groups are {', '.join(self.uses) or 'none'}",
            f"add {owner} to the signature after the states, or use a name without a dot",
        )

    def _merge(self, node: ast.expr, *parts: ast.expr) -> str:
        sizes = {self._expression(part): ast.unparse(part) for part in parts}
        sizes.pop(NUMBER, None)
        if len(sizes) > 1:
            told = " and ".join(f"`{text}` has {size} values" for size, text in sizes.items())
            self._fail(
                f"these shapes can not be combined: {told}",
                "bring x to the hidden size with W.gate @ x, a projected output with R.gate @",
            )
        return next(iter(sizes), NUMBER)

    def _power(self, node: ast.BinOp) -> str:
        if self._expression(node.right) != NUMBER:
            self._fail(f"the exponent `{ast.unparse(node.right)}` is not a number", "use exp(b * log(a)) for a ** b")
        return self._expression(node.left)

    def _product(self, node: ast.BinOp) -> str:
        left, right = node.left, node.right
        if not (isinstance(left, ast.Attribute) and isinstance(left.value, ast.Name) and left.value.id in self.uses):
            if isinstance(left, ast.Name) and left.id in self.uses:
                self._named(left)
            self._fail(
                f"the left of @ is `{ast.unparse(left)}`, expected a matrix of a parameter group",
                "write the matrix first: W.gate @ x",
            )
        group, gate = left.value.id, left.attr
        if not group[0].isupper():
            self._fail(
                f"{group} is lower-case, so {group}.{gate} holds one value per hidden unit, and is used as a matrix with @",
                f"write {group}.{gate} * ..., or call the group {group.upper()} if it holds matrices",
            )
        if any(isinstance(n, ast.MatMult) for n in ast.walk(right)):
            self._fail(
                f"`{ast.unparse(node)}` is a product of a product",
                "name the inner product on a line of its own and multiply that name",
            )
        size = self._expression(right)
        self._operand(group, gate, right, size)
        return HIDDEN

    def _operand(self, group: str, gate: str, right: ast.expr, size: str) -> None:
        text = ast.unparse(right)
        if size == NUMBER:
            self._fail(
                f"{group}.{gate} multiplies the number {text}",
                "multiply x, a previous state or a quantity of this step",
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
        name = text.rsplit(".", 1)[-1]
        function = self.surroundings.get(text) if isinstance(node.func, ast.Name) else None
        if not isinstance(function, Function):
            if name in TABLE:
                where = (
                    f"`{text}` is not carrousel's"
                    if text in self.surroundings or "." in text
                    else f"`{text}` is not imported"
                )
                self._fail(where, f"from carrousel.functions import {name}: it has a derivative in the calculus")
            self._fail(
                f"`{text}` is not a function of the notation; these are {', '.join(TABLE)}",
                did_you_mean(name, TABLE).strip() or "write it with these and + - * / **",
            )
        if node.keywords or len(node.args) != function.arity:
            self._fail(
                f"{text} takes {function.arity} plain argument(s), got `{ast.unparse(node)}`",
                "give its arguments in order, without keywords",
            )
        self.constants[text] = function
        size = self._merge(node, *node.args)
        if function is TABLE["clip"] and any(self._expression(bound) != NUMBER for bound in node.args[1:]):
            self._fail("the bounds of clip are not numbers", "use maximum and minimum for bounds that are quantities")
        if function.is_reduction and size != HIDDEN:
            self._fail(
                f"{text} runs over the hidden units; `{ast.unparse(node.args[0])}` has {size} values", "take a quantity"
            )
        return size

    # ------------------------------------------------------------------ the end

    def _returned(self, value: ast.expr | None) -> None:
        if value is None:
            self._fail("nothing is returned", f"end with `return {', '.join(self.states)}`")
        parts = value.elts if isinstance(value, ast.Tuple) else [value]
        got = [p.id if isinstance(p, ast.Name) else None for p in parts]
        declared = ", ".join(self.states)
        if None in got:
            self._fail(
                "an expression is returned, expected names of states",
                f"name it on a line above, then `return {declared}`",
            )
        for state in self.states:
            if state not in self._quantities():
                self._fail(
                    f"{state}_prev is an argument, so {state} is a state, but no line computes its new value {state}",
                    f"add a line `{state} = ...`, or take {state}_prev out of the signature",
                )
        if got != self.states:
            self._fail(
                f"returns ({', '.join(str(g) for g in got)}), expected the states in the order of the signature: ({declared})",
                f"write `return {declared}`",
            )

    def _all_used(self) -> None:
        self.node = self.statement
        unused = [g for g, gates in self.uses.items() if not gates]
        unused += [n for n in ("x", *self.step_inputs) if n not in self.read_names]
        if unused:
            self._fail(f"the argument {unused[0]} is never used", "use it or take it out of the signature")


def _described(value: Any) -> str:
    return f"the {type(value).__name__} {getattr(value, '__name__', value)!s}"
