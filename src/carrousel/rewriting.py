"""A cell's text as a syntax tree, changed and made a cell again: what the transforms are written with."""

import ast
import copy
import textwrap
from collections.abc import Callable, Iterable

from carrousel.calculus.names import fresh
from carrousel.cell import Cell, from_text
from carrousel.errors import DefinitionError

__all__ = [
    "Operands",
    "Truncation",
    "add_step_inputs",
    "cell_of",
    "clipped",
    "function_of",
    "line_of",
    "names_of",
    "right_side",
    "stopped",
    "with_expressions",
]


def function_of(cell: Cell) -> ast.FunctionDef:
    """The syntax tree of a cell's definition, free to change."""
    function = ast.parse(cell.definition.text).body[0]
    assert isinstance(function, ast.FunctionDef)
    return function


def line_of(function: ast.FunctionDef, quantity: str) -> ast.Assign:
    """The line that binds a quantity."""
    for line in function.body:
        match line:
            case ast.Assign(targets=[ast.Name(id=name)]) if name == quantity:
                return line
    raise AssertionError(f"no line binds {quantity}")


def right_side(name: str, quantity: str, text: str) -> ast.expr:
    """The syntax tree of one expression, the new value of `quantity` in the cell called `name`."""
    try:
        return ast.parse(text.strip(), mode="eval").body
    except SyntaxError:
        equation = f"{quantity} = {text}"
        raise DefinitionError(
            name, None, equation, f"`{text}` is not an expression", "write the right-hand side alone"
        ) from None


def add_step_inputs(cell: Cell, function: ast.FunctionDef, names: Iterable[str]) -> None:
    """Put inputs per step right behind the states."""
    place = 1 + len(cell.states)
    function.args.args[place:place] = [ast.arg(name) for name in names]


def names_of(cell: Cell) -> set[str]:
    """Every name that a cell's text gives or takes."""
    return {*cell.definition.arguments, *cell.definition.constants, *cell.quantities}


def cell_of(cell: Cell, name: str, function: ast.FunctionDef, note: str = "") -> Cell:
    """Make the cell of a rewritten function; `note` goes to the end of its title."""
    function.name = name
    doc = ast.get_docstring(function)
    if doc:
        title, *rest = doc.splitlines()
        lines = [f"{title.removesuffix('.')}; {note}." if note else title, *rest, ""]
        function.body[0] = ast.Expr(ast.Constant(textwrap.indent("\n".join(lines), "    ").strip() + "\n    "))
    text = ast.unparse(ast.fix_missing_locations(function))
    returned = ", ".join(cell.states)
    text = text.replace(f"return ({returned})", f"return {returned}")
    return from_text(text + "\n", cell.definition.constants, cell)


def with_expressions(cell: Cell, name: str, change: Callable[[ast.expr], ast.expr], note: str) -> Cell:
    """Apply `change` to every expression of the definition, inner ones first."""

    class Rewrite(ast.NodeTransformer):
        def generic_visit(self, node: ast.AST) -> ast.AST:
            super().generic_visit(node)
            return change(node) if isinstance(node, ast.expr) else node

    function = function_of(cell)
    function.body = [Rewrite().visit(node) if isinstance(node, ast.Assign) else node for node in function.body]
    return cell_of(cell, name, function, note)


class Operands(ast.NodeTransformer):
    """Changes previous states inside the operands of products, and nowhere else.

    An operand may reach a previous state through named quantities, as `u = r * h_prev` does in `R.n @ u`; the product
    then takes a twin of that line, called `u_<mark>`.

    Args:
        cell: the cell.
        states: those whose previous values are changed.
        change: makes the expression that takes a previous state's place.
        mark: ends the twins' names.
    """

    def __init__(self, cell: Cell, states: Iterable[str], change: Callable[[ast.Name], ast.expr], mark: str) -> None:
        self.previous, self.change, self.mark = {f"{state}_prev" for state in states}, change, mark
        self.lines = {e.name: e.value for e in cell.definition.equations if e.name not in cell.states}
        self.taken = names_of(cell)
        self.twins: dict[str, str] = {}
        self.waiting: list[ast.stmt] = []
        self.inside = False  # of a product's operand

    def walk(self, function: ast.FunctionDef) -> None:
        """Change a function; the twins stand above the lines that ask for them."""
        body: list[ast.stmt] = []
        for line in function.body:
            rewritten = self.visit(line)
            body += [*self.waiting, rewritten]
            self.waiting = []
        function.body = body

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        """Note whether this is a product, whose operand is changed."""
        before, self.inside = self.inside, self.inside or isinstance(node.op, ast.MatMult)
        self.generic_visit(node)
        self.inside = before
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        """Leave parameters alone."""
        return node

    def visit_Name(self, node: ast.Name) -> ast.expr:
        """Change a previous state; take the twin of a quantity that reaches one."""
        if self.inside and node.id in self.previous:
            return self.change(node)
        return ast.Name(self._twin(node.id), ast.Load()) if self.inside and self._reaches_back(node) else node

    def _reaches_back(self, node: ast.AST) -> bool:
        """Whether an expression reads a previous state elementwise, through named quantities or not."""
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult):
            return False
        if isinstance(node, ast.Name):
            return node.id in self.previous or (node.id in self.lines and self._reaches_back(self.lines[node.id]))
        return any(map(self._reaches_back, ast.iter_child_nodes(node)))

    def _twin(self, name: str) -> str:
        if name not in self.twins:
            value = self.visit(copy.deepcopy(self.lines[name]))
            self.twins[name] = fresh(f"{name}_{self.mark}", self.taken)
            self.taken.add(self.twins[name])
            self.waiting.append(ast.Assign([ast.Name(self.twins[name], ast.Store())], value))
        return self.twins[name]


class Truncation(Operands):
    """Stops the gradient at the previous states inside the operands of products."""

    def __init__(self, cell: Cell) -> None:
        super().__init__(cell, cell.states, stopped, "cut")

    def visit_Call(self, node: ast.Call) -> ast.expr:
        """Leave alone what is stopped already."""
        if not _is_stopped(node):
            self.generic_visit(node)
        return node


def _is_stopped(node: ast.Call) -> bool:
    return isinstance(node.func, ast.Name) and node.func.id == "stop_gradient"


def stopped(node: ast.expr) -> ast.expr:
    """`stop_gradient(<node>)`."""
    return ast.Call(ast.Name("stop_gradient", ast.Load()), [node], [])


def clipped(node: ast.expr, limit: float) -> ast.expr:
    """`clip(<node>, -<limit>, <limit>)`."""
    bounds: list[ast.expr] = [ast.UnaryOp(ast.USub(), ast.Constant(limit)), ast.Constant(limit)]
    return ast.Call(ast.Name("clip", ast.Load()), [node, *bounds], [])
