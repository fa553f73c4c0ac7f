"""Functions from Cell to Cell: regularisers, clips, cut gradients, variants.

A transform rewrites the definition's text, so that every backend has it and `print` shows it.
"""

import ast
import math
import textwrap
from collections.abc import Callable

from carrousel.cell import Cell, from_text
from carrousel.errors import OptionError, OptionTypeError, UnknownNameError, did_you_mean
from carrousel.functions import TABLE, Function

__all__ = ["truncated", "detached", "variant", "zoneout", "clip_cell", "clip_gates", "projected"]

#: The group that a projection of the output adds; PyTorch calls it weight_hr.
PROJECTION = "Proj"


def truncated(cell: Cell) -> Cell:
    """Cut the gradient that flows back into a previous state through a product.

    Args:
        cell: any cell.

    Returns:
        The cell `<name>_truncated`: same values, and the backward of a step has no product with a recurrent matrix
        that leads to an earlier step.

    Example:
        >>> from carrousel import cells
        >>> "R.i" in str(cells.get("lstm_1997").truncated().adjoint.lines[-10:])
        True

    Source:
        Hochreiter & Schmidhuber (1997), Neural Computation 9(8), appendix A.1.
    """
    previous = {f"{state}_prev" for state in cell.states}
    lines = {e.name: e.value for e in cell.definition.equations}

    def reaches_back(node: ast.expr) -> ast.expr:
        """Write out named operands, as `u = r * h_prev`, and stop the gradient at the previous states in them."""
        return _replace(node, lambda n: _stopped(n) if n.id in previous else _written_out(n))

    def _written_out(name: ast.Name) -> ast.expr:
        line = lines.get(name.id)
        if line is None or name.id in cell.states or not _mentions(line, previous):
            return name
        return reaches_back(line)

    def cut(node: ast.expr) -> ast.expr:
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult):
            return ast.BinOp(node.left, node.op, reaches_back(node.right))
        return node

    return _rewritten(cell, f"{cell.definition.name}_truncated", cut, "truncated gradient")


def detached(cell: Cell, group: str, name: str | None = None) -> Cell:
    """Stop the gradient at whatever a group of vectors multiplies.

    Args:
        cell: any cell.
        group: a lower-case group, `"p"` for peepholes.
        name: the new cell's name, by default `<name>_detached`.

    Returns:
        The new cell: the same values; the group's own parameters learn as before.

    Raises:
        UnknownNameError: the cell has no such group of vectors.

    Source:
        Gers, Schraudolph & Schmidhuber (2002): no error flows back through the peepholes.
    """
    vectors = [g.name for g in cell.groups if not g.is_matrix]
    if group not in vectors:
        raise UnknownNameError(
            f"detached({cell.name}) - no group of vectors {group!r}, there are {', '.join(vectors) or 'none'} - name one"
        )

    def is_member(node: ast.expr) -> bool:
        return isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == group

    def cut(node: ast.expr) -> ast.expr:
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
            if is_member(node.left):
                return ast.BinOp(node.left, node.op, _stopped(node.right))
            if is_member(node.right):
                return ast.BinOp(_stopped(node.left), node.op, node.right)
        return node

    return _rewritten(cell, name or f"{cell.definition.name}_detached", cut, f"no gradient through {group}")


def variant(cell: Cell, name: str, doc: str, **equations: str) -> Cell:
    """Replace some of a cell's equations.

    Args:
        cell: the cell to vary.
        name: the variant's name.
        doc: its docstring.
        **equations: quantity -> the right-hand side that replaces the cell's own.

    Returns:
        The variant; parameters that no equation uses any more are gone.

    Raises:
        UnknownNameError: the cell has no such quantity.
        DefinitionError: the result breaks the notation.

    Example:
        >>> from carrousel import cells
        >>> coupled = variant(cells.get("peephole_lstm"), "coupled", "f = 1 - i.", f="1 - i")
        >>> coupled.groups[0].gates
        ('i', 'z', 'o')
    """
    function = _function(cell)
    for quantity, text in equations.items():
        if quantity not in cell.quantities:
            raise UnknownNameError(
                f"variant({cell.name}) - no quantity {quantity!r}, there are {', '.join(cell.quantities)} -"
                + (did_you_mean(quantity, cell.quantities) or " name one")
            )
        for node in function.body:
            if (
                isinstance(node, ast.Assign)
                and isinstance(node.targets[0], ast.Name)
                and node.targets[0].id == quantity
            ):
                node.value = ast.parse(text, mode="eval").body
    if ast.get_docstring(function) is not None:
        function.body.pop(0)
    function.body.insert(0, ast.Expr(ast.Constant(doc)))
    mentioned = {n.id for line in function.body for n in ast.walk(line) if isinstance(n, ast.Name)}
    function.args.args = [
        a for a in function.args.args if a.arg in mentioned or a.arg.endswith("_prev") or a.arg == "x"
    ]
    return _made(cell, name, function)


def zoneout(cell: Cell, *states: str) -> Cell:
    """Let units keep their previous value.

    Args:
        cell: any cell.
        *states: the states that are zoned out; all if none is named.

    Returns:
        The cell `<name>_zoneout` with one more input per step and state, `keep_<state>_t` of shape
        (time, batch, hidden): 1 keeps the previous value, 0 takes the new one, a probability mixes them (evaluation).
        As in the paper, the output of the step itself is computed from the values before zoneout.

    Raises:
        UnknownNameError: the cell has no such state.
        OptionError: a state begins at infinity, where 0 * inf has no value.

    Source:
        Krueger et al. (2017), Zoneout: regularizing RNNs by randomly preserving hidden activations.
    """
    states = states or cell.states
    for state in states:
        if state not in cell.states:
            raise UnknownNameError(
                f"zoneout({cell.name}) - no state {state!r}, there are {', '.join(cell.states)} - name one of them"
            )
        if math.isinf(cell.initial[state]):
            raise OptionError(f"zoneout({cell.name}) - state {state} begins at {cell.initial[state]} - leave it out")
    function = _function(cell)
    renamed = {state: f"{state}_new" for state in states}
    for node in ast.walk(function):
        if isinstance(node, ast.Name) and node.id in renamed:
            node.id = renamed[node.id]
    mixed = [f"{s} = keep_{s}_t * {s}_prev + (1 - keep_{s}_t) * {s}_new" for s in states]
    function.body[-1:] = ast.parse("\n".join([*mixed, f"return {', '.join(cell.states)}"])).body
    place = 1 + len(cell.states)
    function.args.args[place:place] = [ast.arg(f"keep_{state}_t") for state in states]
    return _made(cell, f"{cell.definition.name}_zoneout", function, f"zoneout on {', '.join(states)}")


def clip_cell(cell: Cell, limit: float, state: str = "c") -> Cell:
    """Keep a state between -limit and limit.

    Args:
        cell: any cell.
        limit: a positive number.
        state: which state.

    Returns:
        The cell `<name>_clip_<state>`.

    Raises:
        OptionError: the limit is not positive.
        UnknownNameError: the cell has no such state.

    Source:
        `cell_clip` of TensorFlow 1's LSTMCell.
    """
    if state not in cell.states:
        raise UnknownNameError(
            f"clip_cell({cell.name}) - no state {state!r}, there are {', '.join(cell.states)} - name one of them"
        )
    limit = _positive("clip_cell", cell, limit)
    function = _function(cell)
    for node in function.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == state:
            node.value = _clipped(node.value, limit)
    return _made(cell, f"{cell.definition.name}_clip_{state}", function, f"{state} clipped at {limit}")


def clip_gates(cell: Cell, limit: float) -> Cell:
    """Keep every pre-activation between -limit and limit.

    Args:
        cell: any cell.
        limit: a positive number.

    Returns:
        The cell `<name>_clip_gates`.

    Raises:
        OptionError: the limit is not positive.

    Source:
        `clip` of ONNX LSTM, GRU and RNN, as ONNX Runtime computes it.
    """
    limit = _positive("clip_gates", cell, limit)

    def clipped(node: ast.expr) -> ast.expr:
        if isinstance(node, ast.Call):
            node.args = [
                _clipped(a, limit) if any(isinstance(n, ast.MatMult) for n in ast.walk(a)) else a for a in node.args
            ]
        return node

    return _rewritten(cell, f"{cell.definition.name}_clip_gates", clipped, f"gates clipped at {limit}")


def projected(cell: Cell) -> Cell:
    """Project the output to a size of its own: `h = Proj.h @ (the cell's output)`.

    Args:
        cell: any cell whose output is used by recurrent products only.

    Returns:
        The cell `<name>_projected`; its first state has proj_size values.

    Raises:
        DefinitionError: the cell uses its previous output elementwise, as a GRU does.

    Source:
        Sak, Senior & Beaufays (2014), Long short-term memory recurrent neural network architectures for large scale
        acoustic modeling; `proj_size` of torch.nn.LSTM.
    """
    output = cell.states[0]
    inner = "m" if "m" not in {*cell.definition.arguments, *cell.quantities} else f"{output}_full"
    function = _function(cell)
    for line in function.body:
        for node in ast.walk(line):
            if isinstance(node, ast.Name) and node.id == output:
                node.id = inner
    returned = f"{output} = {PROJECTION}.{output} @ {inner}\nreturn {', '.join(cell.states)}"
    function.body[-1:] = ast.parse(returned).body
    function.args.args.append(ast.arg(PROJECTION))
    return _made(cell, f"{cell.definition.name}_projected", function, "projected output")


# ---------------------------------------------------------------------- rewriting


def _function(cell: Cell) -> ast.FunctionDef:
    function = ast.parse(cell.definition.text).body[0]
    assert isinstance(function, ast.FunctionDef)
    return function


def _made(cell: Cell, name: str, function: ast.FunctionDef, note: str = "") -> Cell:
    """Make the cell of a rewritten function; `note` goes to the end of its title."""
    function.name = name
    doc = ast.get_docstring(function)
    if doc is not None:
        title, *rest = doc.splitlines()
        lines = [f"{title.removesuffix('.')}; {note}." if note else title, *rest, ""]
        function.body[0] = ast.Expr(ast.Constant(textwrap.indent("\n".join(lines), "    ").strip() + "\n    "))
    text = ast.unparse(ast.fix_missing_locations(function))
    returned = ", ".join(cell.states)
    text = text.replace(f"return ({returned})", f"return {returned}")
    return from_text(text + "\n", cell.definition.constants, cell)


def _rewritten(cell: Cell, name: str, change: Callable[[ast.expr], ast.expr], note: str) -> Cell:
    """Apply `change` to every expression of the definition, inner ones first."""

    class Rewrite(ast.NodeTransformer):
        def generic_visit(self, node: ast.AST) -> ast.AST:
            super().generic_visit(node)
            return change(node) if isinstance(node, ast.expr) else node

    function = _function(cell)
    function.body = [Rewrite().visit(node) if isinstance(node, ast.Assign) else node for node in function.body]
    return _made(cell, name, function, note)


def _replace(node: ast.expr, change: Callable[[ast.Name], ast.expr]) -> ast.expr:
    """Apply `change` to every plain name of an expression (not to functions and groups)."""

    class Names(ast.NodeTransformer):
        def visit_Name(self, name: ast.Name) -> ast.expr:
            return name if name.id in TABLE else change(name)

        def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
            return node

    changed = Names().visit(ast.parse(ast.unparse(node), mode="eval").body)
    assert isinstance(changed, ast.expr)
    return changed


def _mentions(node: ast.expr, names: set[str]) -> bool:
    """Whether an expression reads one of the names elementwise, not inside a product."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult):
        return False
    if isinstance(node, ast.Name):
        return node.id in names
    return any(_mentions(child, names) for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr))


def _stopped(node: ast.expr) -> ast.expr:
    return ast.Call(ast.Name("stop_gradient", ast.Load()), [node], [])


def _clipped(node: ast.expr, limit: float) -> ast.expr:
    bounds: list[ast.expr] = [ast.UnaryOp(ast.USub(), ast.Constant(limit)), ast.Constant(limit)]
    return ast.Call(ast.Name("clip", ast.Load()), [node, *bounds], [])


def _positive(where: str, cell: Cell, limit: float) -> float:
    if isinstance(limit, bool) or not isinstance(limit, int | float):
        raise OptionTypeError(f"{where}({cell.name}) - expected a number, got {limit!r} - give the largest magnitude")
    if not limit > 0:
        raise OptionError(f"{where}({cell.name}) - expected a limit above 0, got {limit} - give the largest magnitude")
    return limit
