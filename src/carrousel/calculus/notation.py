"""The notation: read a cell's definition, check it, and derive its states, gates and parameters. No SymPy here.

A definition is a short Python function. Its rules:

1. Arguments: `x`; the previous value of each state, `<state>_prev`; inputs per step (rule 6); the parameter groups.
2. A group with an upper-case first letter holds matrices and is used only as `W.gate @ x`, `R.gate @ <state>_prev`
   or `P.gate @ <quantity of this step>`; a lower-case group holds one value per hidden unit (`b.i`, `p.o`).
3. Each line names one quantity.
4. The new states are returned in the order of the signature; the first is the cell's output.
5. Only arithmetic and the functions of `carrousel.functions`; no `if`; no name is bound twice.
6. An argument `<name>_t` is an input per step and hidden unit.
7. Constants are numbers or functions of `carrousel.functions`, taken from around the definition.
8. The adjoint of `q` is called `dq`, so no definition has both names.
"""

import ast
import contextlib
import functools
import hashlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from carrousel import functions
from carrousel.calculus.grammar import HIDDEN, INPUT, OUTPUT, Grammar, Group
from carrousel.calculus.names import fresh
from carrousel.errors import DefinitionError
from carrousel.functions import Function

__all__ = ["Definition", "Equation", "Group", "HIDDEN", "INPUT", "OUTPUT", "read", "parse"]

Constants = Mapping[str, "int | float | Function"]


@dataclass(frozen=True)
class Equation:
    """One line of a definition: `name = value`."""

    name: str
    value: ast.expr
    line: int

    def __str__(self) -> str:
        return f"{self.name} = {ast.unparse(self.value)}"


@dataclass(frozen=True)
class Definition:
    """A checked definition and all that follows from its text.

    Attributes:
        name: the function's name.
        text: its source, without decorators.
        constants: what the text takes from around it, name -> number or Function.
        doc: its docstring.
        arguments: the signature, in order.
        states: the names of the states; the first is the output.
        step_inputs: the arguments `<name>_t`.
        groups: the parameter groups, gates in order of first use.
        equations: the lines as written.
        projected: whether the output has a size of its own (`h = P.h @ m`, clipped or not).
    """

    name: str
    text: str
    constants: Constants
    doc: str
    arguments: tuple[str, ...]
    states: tuple[str, ...]
    step_inputs: tuple[str, ...]
    groups: tuple[Group, ...]
    equations: tuple[Equation, ...]
    projected: bool

    @property
    def quantities(self) -> tuple[str, ...]:
        """The names that the lines bind, states included."""
        return tuple(equation.name for equation in self.equations)

    @property
    def size(self) -> dict[str, str]:
        """State -> the size that it has: HIDDEN, or OUTPUT for a projected output."""
        return {s: OUTPUT if self.projected and s == self.states[0] else HIDDEN for s in self.states}

    def group(self, name: str) -> Group:
        """Return the group called `name`."""
        return next(g for g in self.groups if g.name == name)

    @functools.cached_property
    def identity(self) -> str:
        """A hash of everything that the equations depend on."""
        parts = [str(functions.VERSION), self.text, *(f"{k}={v!r}" for k, v in sorted(self.constants.items()))]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Definition) and self.identity == other.identity

    def __hash__(self) -> int:
        return hash(self.identity)

    def __deepcopy__(self, memo: dict) -> "Definition":
        return self

    def __reduce__(self) -> tuple:
        return parse, (self.text, dict(self.constants), self.name)


def read(function: Callable[..., Any]) -> Definition:
    """Read and check the definition of a Python function.

    Args:
        function: the function, defined in a file (or notebook cell) so that its source can be read.

    Returns:
        The checked Definition.

    Raises:
        DefinitionError: it breaks a rule of the notation; the message names cell, line and equation.
    """
    name = getattr(function, "__name__", type(function).__name__)
    if hasattr(function, "__wrapped__"):
        raise DefinitionError(
            name,
            None,
            f"def {name}(...)",
            "another decorator stands between @cell and the definition, and would be lost",
            "write @cell right above the `def`; what changes cells goes above @cell",
        )
    try:
        lines, first_line = inspect.getsourcelines(function)
    except (OSError, TypeError):
        raise DefinitionError(
            name,
            None,
            f"def {name}(...)",
            "the source of this definition can not be read; a cell is made from a function's text",
            "define it with `def` in a file or a notebook cell, not with exec, lambda or at the `>>>` prompt",
        ) from None
    margin = lines[0][: len(lines[0]) - len(lines[0].lstrip())]
    text = "".join(line.removeprefix(margin) for line in lines)  # dedent stops at a docstring that is less indented
    return parse(text, _surroundings(function), name, first_line)


def parse(text: str, surroundings: Mapping[str, Any], name: str, first_line: int | None = None) -> Definition:
    """Check the text of a definition.

    Args:
        text: one `def`, decorators allowed.
        surroundings: name -> object, what the text may refer to from around it.
        name: the cell's name for messages.
        first_line: the line of the file at which the text begins; None for a text that is in no file.

    Returns:
        The checked Definition; its constants are those of `surroundings` that the text uses.

    Raises:
        DefinitionError: the text breaks a rule of the notation.
    """
    statement = _statement(text, name, first_line)
    if first_line is not None:
        ast.increment_lineno(statement, first_line - 1)
    grammar = Grammar(statement, surroundings, first_line is not None)
    grammar.check()
    return Definition(
        name=statement.name,
        text=_without_decorators(text, statement.lineno - (first_line or 1)),
        constants=dict(sorted(grammar.constants.items())),
        doc=ast.get_docstring(statement) or "",
        arguments=tuple(a.arg for a in statement.args.args),
        states=tuple(grammar.states),
        step_inputs=tuple(grammar.step_inputs),
        groups=grammar.parameter_groups(),
        equations=tuple(Equation(n, value, line) for n, value, line in grammar.lines),
        projected=grammar.projection is not None,
    )


def normal_form(definition: Definition) -> tuple[Equation, ...]:
    """Return the equations with every pre-activation and every product's operand named.

    The pre-activation of `o` is called `a_o`; an operand that is more than a name, as in `R.n @ (r * h_prev)`, is
    called `u_n` after its line, and so is the base of a power with a fractional exponent.

    Args:
        definition: a checked definition.

    Returns:
        Its equations, in order, with the named parts before the lines that use them.
    """
    taken = {*definition.arguments, *definition.quantities}
    equations: list[Equation] = []
    for equation in definition.equations:
        hoist = _Hoist(equation, definition.constants, taken)
        value = hoist.visit(ast.parse(ast.unparse(equation.value), mode="eval").body)
        equations += [*hoist.named, replace(equation, value=value)]
    return tuple(equations)


def is_stopped(node: ast.expr) -> bool:
    """Whether an operand is `stop_gradient(<name>)`, the operand of a truncated product."""
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "stop_gradient"
        and isinstance(node.args[0], ast.Name)
    )


def _is_whole(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, int)


class _Hoist(ast.NodeTransformer):
    """Gives names to the pre-activations and operands inside one equation."""

    def __init__(self, equation: Equation, constants: Constants, taken: set[str]) -> None:
        self.equation, self.constants, self.taken = equation, constants, taken
        self.named: list[Equation] = []

    def _name(self, prefix: str, value: ast.expr) -> ast.Name:
        name = fresh(f"{prefix}_{self.equation.name}", self.taken)
        self.taken.add(name)
        self.named.append(Equation(name, value, self.equation.line))
        return ast.Name(name, ast.Load())

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        self.generic_visit(node)
        if isinstance(node.op, ast.MatMult) and not isinstance(node.right, ast.Name) and not is_stopped(node.right):
            node.right = self._name("u", node.right)
        if isinstance(node.op, ast.Pow) and not _is_whole(node.right) and self._is_compound(node.left):
            node.left = self._name("u", node.left)  # the derivative of (a*b)**1.5 by a would divide by a
        return node

    def _is_compound(self, node: ast.expr) -> bool:
        """Whether an expression is more than one name, and more than constants."""
        names = (n.id for n in ast.walk(node) if isinstance(n, ast.Name))
        return not isinstance(node, ast.Name | ast.Attribute) and any(name not in self.constants for name in names)

    def visit_Call(self, node: ast.Call) -> ast.expr:
        self.generic_visit(node)
        assert isinstance(node.func, ast.Name)
        function = self.constants[node.func.id]
        assert isinstance(function, Function)
        node.func = ast.Name(function.name, ast.Load())
        for k, argument in enumerate(node.args):
            if function.is_reduction and not isinstance(argument, ast.Name):
                node.args[k] = self._name("u", argument)
            elif any(isinstance(n, ast.MatMult) for n in ast.walk(argument)):
                node.args[k] = self._name("a", argument)
        return node


def _surroundings(function: Callable[..., Any]) -> dict[str, Any]:
    """What the function's text can refer to: module globals, then the closure."""
    code = getattr(function, "__code__", None)
    found = dict(getattr(function, "__globals__", {}))
    for name, box in zip(code.co_freevars if code else (), getattr(function, "__closure__", None) or (), strict=True):
        with contextlib.suppress(ValueError):  # bound below the definition: unknown so far
            found[name] = box.cell_contents
    return found


def _statement(text: str, name: str, first_line: int | None) -> ast.FunctionDef:
    try:
        body = ast.parse(text).body
    except SyntaxError:  # the lines around a lambda need not be whole statements
        body = []
    if len(body) == 1 and isinstance(body[0], ast.FunctionDef):
        return body[0]
    at = body[0].lineno - 1 if body else 0
    raise DefinitionError(
        name,
        None if first_line is None else first_line + at,
        text.split("\n")[at].strip(),
        "a cell is made from one plain function, this is something else",
        "write `def my_cell(x, h_prev, W, R, b): ...`",
    )


def _without_decorators(text: str, count: int) -> str:
    return "\n".join(text.split("\n")[count:]).rstrip() + "\n"
