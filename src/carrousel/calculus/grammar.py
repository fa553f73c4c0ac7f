"""The grammar of the notation: the signature, the lines and the end of a definition."""

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from carrousel.calculus.expressions import CHOICE, HIDDEN, INPUT, NUMBER, OUTPUT, Expressions
from carrousel.calculus.names import clash

__all__ = ["HIDDEN", "INPUT", "OUTPUT", "Grammar", "Group"]

_RULE_OF_LINES = "write one `name = expression` a line, then `return` the new states"

#: What a statement that the notation does not have is called, and what to write instead.
_STATEMENTS: dict[type[ast.stmt], tuple[str, str]] = {
    ast.If: ("an `if` chooses between equations, but a cell's equations are the same at every step", CHOICE),
    ast.Match: ("a `match` chooses between equations, but a cell's equations are the same at every step", CHOICE),
    ast.For: (
        "a definition has no loops; it is one step",
        "write each quantity on a line; the layer walks over the steps",
    ),
    ast.While: (
        "a definition has no loops; it is one step",
        "write each quantity on a line; the layer walks over the steps",
    ),
    ast.AnnAssign: ("a line has no type annotation", "write `name = expression`"),
    ast.Expr: ("this line has a value but no name", _RULE_OF_LINES),
    ast.Import: ("a definition imports nothing", "import above the definition"),
    ast.ImportFrom: ("a definition imports nothing", "import above the definition"),
    ast.FunctionDef: ("a definition has no function inside", _RULE_OF_LINES),
}


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


class Grammar(Expressions):
    """Walks one definition line by line; `check` raises DefinitionError at the first line that breaks a rule."""

    def __init__(self, statement: ast.FunctionDef, surroundings: Mapping[str, Any], has_lines: bool) -> None:
        super().__init__(statement, surroundings, has_lines)
        self.step_inputs: list[str] = []
        self.lines: list[tuple[str, ast.expr, int]] = []
        self.projection: str | None = None

    def check(self) -> None:
        """Check the signature, every line, and that all the arguments are used."""
        self._signature()
        self.projection = self._projecting_group()
        if self.projection:
            self.sizes[f"{self.states[0]}_prev"] = OUTPUT
        body = self.statement.body
        lines = body[1:] if ast.get_docstring(self.statement) is not None else body
        for line in lines[:-1]:
            self.node = line
            if isinstance(line, ast.Return):
                self._fail("lines follow this return", "return once, at the end")
            self._line(line)
        self._returned(lines[-1] if lines else ast.Pass())
        self._whole()

    def parameter_groups(self) -> tuple[Group, ...]:
        """Return the groups in the order of the signature."""
        groups = []
        for name, gates in self.uses.items():
            operands = dict.fromkeys(operand for operands in gates.values() for operand in operands)
            rows = OUTPUT if name == self.projection else HIDDEN
            groups.append(Group(name, tuple(gates), self.columns.get(name), tuple(operands), rows))
        return tuple(groups)

    # ------------------------------------------------------------------ the signature

    def _signature(self) -> None:
        arguments = self.statement.args
        if any([arguments.posonlyargs, arguments.kwonlyargs, arguments.vararg, arguments.kwarg, arguments.defaults]):
            self._fail(
                "the signature has defaults, *args, ** or keyword-only arguments",
                "a definition has plain arguments only: x, <state>_prev..., then the parameter groups; "
                "constants come from around the definition",
            )
        if self.statement.returns or any(a.annotation for a in arguments.args):
            self._fail("the signature has type annotations", "leave them out: the names say what the arguments are")
        names = [a.arg for a in arguments.args]
        if not names or names[0] != "x":
            self._fail(
                f"the first argument is {names[0] if names else 'missing'}, expected x",
                "begin the signature with x, the input of this step",
            )
        self.sizes["x"] = INPUT
        for name in names[1:]:
            self._argument(name)
        if not self.states:
            self._fail(
                "no argument is called <state>_prev, so the cell has no state and nothing recurs",
                "add the output's previous value, for example h_prev, after x",
            )
        self.varying = set(self.sizes)
        for name in (*names, *self.states):
            self._nameable(name)

    def _argument(self, name: str) -> None:
        if name.endswith("_prev"):
            if self.uses or self.step_inputs:
                self._fail(f"{name} stands after a parameter group or step input", "put the states right after x")
            self.states.append(name.removesuffix("_prev"))
            self.sizes[name] = HIDDEN
        elif name.endswith("_t"):
            if self.uses:
                self._fail(f"the step input {name} stands after a parameter group", "put it right after the states")
            self.step_inputs.append(name)
            self.sizes[name] = HIDDEN
        else:
            self.uses[name] = {}

    def _nameable(self, name: str) -> None:
        wrong = clash(name, {*self.sizes, *self.uses, *self.states})
        if wrong:
            self._fail(wrong, f"choose another name for {name}")

    def _projecting_group(self) -> str | None:
        """The group that makes the output by a product with a quantity of this step, clipped or not: `h = P.h @ m`."""
        output = self.states[0]
        for node in self.statement.body:
            match node:
                case ast.Assign([ast.Name(name)], ast.Call(ast.Name("clip"), [made, *_]) | made) if name == output:
                    return self._projects(made)
        return None

    def _projects(self, node: ast.expr) -> str | None:
        """The group of a product with a quantity of this step, None for what is none."""
        match node:
            case ast.BinOp(ast.Attribute(ast.Name(group)), ast.MatMult(), operand):
                read = {n.id for n in ast.walk(operand) if isinstance(n, ast.Name)}
                return group if read & self.bound_at.keys() and f"{self.states[0]}_prev" not in read else None
        return None

    # ------------------------------------------------------------------ the lines

    def _line(self, node: ast.stmt) -> None:
        if isinstance(node, ast.AugAssign):
            name = ast.unparse(node.target)
            self._fail(
                f"{name} would be bound twice", f"write a new name for the new quantity: `{name}2 = {name} + ...`"
            )
        if not isinstance(node, ast.Assign):
            word = ast.unparse(node).split()[0].strip(":")
            self._fail(*_STATEMENTS.get(type(node), (f"a definition has no `{word}` statement", _RULE_OF_LINES)))
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
        if size == NUMBER:
            self.numbers[target.id] = self._value(node.value)
        if self._varies(node.value):
            self.varying.add(target.id)
        self.sizes[target.id] = OUTPUT if self.projection and target.id == self.states[0] else size
        self.lines.append((target.id, node.value, node.lineno))

    def _bindable(self, name: str) -> None:
        quantities = {line[0] for line in self.lines}
        if name in quantities:
            self._fail(
                f"the name {name} is bound twice", "give each quantity a name of its own; it keeps that name everywhere"
            )
        if name in self.uses or name in self.sizes:
            self._fail(f"{name} is an argument and can not be bound", "give the new quantity a name of its own")
        if name.endswith(("_prev", "_t")):
            self._fail(f"{name} ends in _prev or _t, which mark arguments", f"choose another name for {name}")
        self._nameable(name)

    # ------------------------------------------------------------------ the end

    def _returned(self, last: ast.stmt) -> None:
        self.node = last
        if not isinstance(last, ast.Return | ast.Pass):
            self._line(last)
        declared = ", ".join(self.states)
        if not isinstance(last, ast.Return) or last.value is None:
            self.node = self.statement
            self._fail("nothing is returned", f"end with `return {declared}`")
        parts = last.value.elts if isinstance(last.value, ast.Tuple) else [last.value]
        if not all(isinstance(p, ast.Name) for p in parts):
            self._fail(
                "an expression is returned, expected names of states",
                f"name it on a line above, then `return {declared}`",
            )
        for state in self.states:
            if state not in self.bound_at:
                self._fail(
                    f"{state}_prev is an argument, so {state} is a state, but no line computes its new value {state}",
                    f"add a line `{state} = ...`, or take {state}_prev out of the signature",
                )
        got = [ast.unparse(p) for p in parts]
        if got != self.states:
            self._fail(
                f"returns ({', '.join(got)}), expected the states in the order of the signature: ({declared})",
                f"write `return {declared}`",
            )

    def _whole(self) -> None:
        """What only the whole definition shows."""
        self.node = self.statement
        unused = [g for g, gates in self.uses.items() if not gates]
        required = self.step_inputs or ("x",)  # inputs per step may take the place of x
        unused += [n for n in required if n not in self.read_names]
        if unused:
            self._fail(f"the argument {unused[0]} is never used", "use it or take it out of the signature")
        constant = [s for s in self.states if s not in self.varying]
        if constant:
            self._fail(
                f"the state {constant[0]} depends neither on x nor on a previous state",
                f"take {constant[0]}_prev out of the signature and {constant[0]} out of the return",
            )
        if self.projection and len(self.uses[self.projection]) > 1:
            self._fail(
                f"group {self.projection} projects the output and makes other quantities too",
                f"use a group of its own for the projection: {self.states[0]} = P.{self.states[0]} @ ...",
            )
        if self.name in self.constants:
            self._fail(f"{self.name} is both the cell and what its equations use", "give the cell a name of its own")
