"""Functions from Cell to Cell: regularisers, clips, cut gradients, variants.

A transform rewrites the definition's text, so that every backend has it and `print` shows it.
"""

import ast
import keyword
import math

from carrousel import rewriting
from carrousel.calculus.names import fresh
from carrousel.calculus.notation import OUTPUT
from carrousel.cell import Cell
from carrousel.errors import OptionError, OptionTypeError, UnknownNameError, did_you_mean

__all__ = ["truncated", "detached", "variant", "zoneout", "clip_cell", "clip_gates", "projected", "looked_up"]

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
        >>> dict(truncated(cells.get("lstm_1997")).adjoint.lines)["dh_prev"]
        '0'

    Source:
        Hochreiter & Schmidhuber (1997), Neural Computation 9(8), appendix A.1.
    """
    function = rewriting.function_of(cell)
    truncation = rewriting.Truncation(cell)
    body: list[ast.stmt] = []
    for line in function.body:
        rewritten = truncation.visit(line)
        body += [*truncation.new_lines(), rewritten]
    function.body = body
    return rewriting.cell_of(cell, f"{cell.definition.name}_truncated", function, "truncated gradient")


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
        OptionError: the group multiplies nothing, as biases do.

    Example:
        >>> from carrousel import cells
        >>> print(detached(cells.get("peephole_lstm"), "p").equations[0])
        a_i = W.i @ x + R.i @ h_prev + p.i * stop_gradient(c_prev) + b.i

    Source:
        Gers, Schraudolph & Schmidhuber (2002): no error flows back through the peepholes.
    """
    vectors = [g.name for g in cell.groups if not g.is_matrix]
    if group not in vectors:
        raise UnknownNameError(
            f"detached({cell.name}) - no group of vectors {group!r}; they are {', '.join(vectors) or 'none'} - name one"
        )
    quantities = {*cell.definition.arguments, *cell.quantities} - {group}
    count = 0

    def is_factor(node: ast.expr) -> bool:
        match node:
            case ast.Attribute(value=ast.Name(id=owner)):
                return owner == group
            case ast.UnaryOp():
                return is_factor(node.operand)
            case ast.BinOp(op=ast.Mult() | ast.Div()):
                return is_factor(node.left) or is_factor(node.right)
        return False

    def cut(node: ast.expr) -> ast.expr:
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult | ast.Div):
            left, right = is_factor(node.left), is_factor(node.right)
            side = "right" if left else "left"
            other = getattr(node, side)
            if left != right and any(isinstance(n, ast.Name) and n.id in quantities for n in ast.walk(other)):
                nonlocal count
                count += 1
                setattr(node, side, rewriting.stopped(other))
        return node

    result = rewriting.with_expressions(
        cell, name or f"{cell.definition.name}_detached", cut, f"no gradient through {group}"
    )
    if not count:
        raise OptionError(f"detached({cell.name}) - group {group!r} multiplies nothing - name a group like peepholes")
    return result


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
        OptionError: the name is none that Python allows.
        DefinitionError: the result breaks the notation.

    Example:
        >>> from carrousel import cells
        >>> coupled = variant(cells.get("peephole_lstm"), "coupled", "f = 1 - i.", f="1 - i")
        >>> coupled.groups[0].gates
        ('i', 'z', 'o')
    """
    if not name.isidentifier() or keyword.iskeyword(name):
        raise OptionError(f"variant({cell.name}) - {name!r} can not name a cell - use letters, digits and _")
    function = rewriting.function_of(cell)
    for quantity, text in equations.items():
        if quantity not in cell.quantities:
            raise UnknownNameError(
                f"variant({cell.name}) - no quantity {quantity!r}, there are {', '.join(cell.quantities)} -"
                + (did_you_mean(quantity, cell.quantities) or " name one")
            )
        rewriting.line_of(function, quantity).value = rewriting.right_side(name, quantity, text)
    if ast.get_docstring(function) is not None:
        function.body.pop(0)
    function.body.insert(0, ast.Expr(ast.Constant(doc)))
    mentioned = {n.id for line in function.body for n in ast.walk(line) if isinstance(n, ast.Name)}
    function.args.args = [
        a for a in function.args.args if a.arg in mentioned or a.arg.endswith("_prev") or a.arg == "x"
    ]
    return rewriting.cell_of(cell, name, function)


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
        OptionError: a state is zoned out already, is a projected output, or begins at infinity, where 0 * inf has no
            value.

    Example:
        >>> from carrousel import cells
        >>> print(zoneout(cells.get("lstm"), "c").equations[-1])
        c = keep_c_t * c_prev + (1 - keep_c_t) * c_new

    Source:
        Krueger et al. (2017), Zoneout: regularizing RNNs by randomly preserving hidden activations.
    """
    states = tuple(dict.fromkeys(states or cell.states))
    for state in states:
        _check_state("zoneout", cell, state)
        if math.isinf(cell.initial[state]):
            raise OptionError(f"zoneout({cell.name}) - state {state} begins at {cell.initial[state]} - leave it out")
        if f"keep_{state}_t" in cell.definition.arguments:
            raise OptionError(f"zoneout({cell.name}) - state {state} is zoned out already - leave it out")
    function = rewriting.function_of(cell)
    renamed = {state: fresh(f"{state}_new", rewriting.names_of(cell)) for state in states}
    for node in ast.walk(function):
        if isinstance(node, ast.Name) and node.id in renamed:
            node.id = renamed[node.id]
    mixed = [f"{s} = keep_{s}_t * {s}_prev + (1 - keep_{s}_t) * {new}" for s, new in renamed.items()]
    function.body[-1:] = ast.parse("\n".join([*mixed, f"return {', '.join(cell.states)}"])).body
    place = 1 + len(cell.states)
    function.args.args[place:place] = [ast.arg(f"keep_{state}_t") for state in states]
    return rewriting.cell_of(cell, f"{cell.definition.name}_zoneout", function, f"zoneout on {', '.join(states)}")


def clip_cell(cell: Cell, limit: float, state: str = "c") -> Cell:
    """Keep a state between -limit and limit.

    Args:
        cell: any cell.
        limit: a positive number.
        state: which state.

    Returns:
        The cell `<name>_clip_<state>`.

    Raises:
        OptionError: the limit is not positive, or the state is a projected output.
        UnknownNameError: the cell has no such state.

    Example:
        >>> from carrousel import cells
        >>> print(clip_cell(cells.get("lstm"), 3.0).equations[-2])
        c = clip(f * c_prev + i * z, -3.0, 3.0)

    Source:
        `cell_clip` of TensorFlow 1's LSTMCell.
    """
    _check_state("clip_cell", cell, state)
    limit = _positive("clip_cell", cell, limit)
    function = rewriting.function_of(cell)
    line = rewriting.line_of(function, state)
    line.value = rewriting.clipped(line.value, limit)
    return rewriting.cell_of(cell, f"{cell.definition.name}_clip_{state}", function, f"{state} clipped at {limit}")


def clip_gates(cell: Cell, limit: float) -> Cell:
    """Keep every pre-activation between -limit and limit.

    Args:
        cell: any cell.
        limit: a positive number.

    Returns:
        The cell `<name>_clip_gates`.

    Raises:
        OptionError: the limit is not positive.

    Example:
        >>> from carrousel import cells
        >>> print(clip_gates(cells.get("irnn"), 3.0).equations[-1])
        h = relu(clip(a_h, -3.0, 3.0))

    Source:
        `clip` of ONNX LSTM, GRU and RNN, as ONNX Runtime computes it.
    """
    limit = _positive("clip_gates", cell, limit)

    def clip(node: ast.expr) -> ast.expr:
        if isinstance(node, ast.Call):
            node.args = [
                rewriting.clipped(a, limit) if any(isinstance(n, ast.MatMult) for n in ast.walk(a)) else a
                for a in node.args
            ]
        return node

    return rewriting.with_expressions(cell, f"{cell.definition.name}_clip_gates", clip, f"gates clipped at {limit}")


def projected(cell: Cell) -> Cell:
    """Project the output to a size of its own: `h = Proj.h @ (the cell's output)`.

    Args:
        cell: any cell whose output is used by recurrent products only.

    Returns:
        The cell `<name>_projected`; its first state has proj_size values.

    Raises:
        OptionError: the output is projected already.
        DefinitionError: the cell uses its previous output elementwise, as a GRU does.

    Example:
        >>> from carrousel import cells
        >>> print(projected(cells.get("lstm")).equations[-1])
        h = Proj.h @ m

    Source:
        Sak, Senior & Beaufays (2014), Long short-term memory recurrent neural network architectures for large scale
        acoustic modeling; `proj_size` of torch.nn.LSTM.
    """
    output = cell.states[0]
    if cell.definition.projected or PROJECTION in cell.definition.arguments:
        raise OptionError(f"projected({cell.name}) - the output is projected already - project once")
    inner = fresh("m", rewriting.names_of(cell))
    function = rewriting.function_of(cell)
    for line in function.body:
        for node in ast.walk(line):
            if isinstance(node, ast.Name) and node.id == output:
                node.id = inner
    returned = f"{output} = {PROJECTION}.{output} @ {inner}\nreturn {', '.join(cell.states)}"
    function.body[-1:] = ast.parse(returned).body
    function.args.args.append(ast.arg(PROJECTION))
    return rewriting.cell_of(cell, f"{cell.definition.name}_projected", function, "projected output")


def looked_up(cell: Cell) -> Cell:
    """Take the products with the input as inputs per step: `W.i @ x` becomes `W_i_t`.

    With one-hot inputs such a product is a column of W: whoever calls the cell looks it up.

    Args:
        cell: any cell.

    Returns:
        The cell `<name>_looked_up` with one more input per step, `W_<gate>_t` of shape (time, batch, hidden), for
        each product with x, and without the groups of these products. It reads no feature of x.

    Example:
        >>> from carrousel import cells
        >>> print(looked_up(cells.get("irnn")).equations[0])
        a_h = W_h_t + R.h @ h_prev + b.h

    Source:
        A reading of the products in Hochreiter & Schmidhuber (1997), section 5.2, where p + 4 symbols are one-hot.
    """
    function = rewriting.function_of(cell)
    taken = rewriting.names_of(cell)
    looked: dict[str, str] = {}

    class Products(ast.NodeTransformer):
        def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
            match node:
                case ast.BinOp(left=ast.Attribute(ast.Name(group), gate), op=ast.MatMult(), right=ast.Name("x")):
                    name = looked.setdefault(f"{group}.{gate}", fresh(f"{group}_{gate}", taken) + "_t")
                    return ast.Name(name, ast.Load())
            self.generic_visit(node)
            return node

    function.body = [Products().visit(line) for line in function.body]
    mentioned = {n.id for line in function.body for n in ast.walk(line) if isinstance(n, ast.Name)}
    groups = {group.name for group in cell.groups}
    arguments = [a for a in function.args.args if a.arg not in groups or a.arg in mentioned]
    place = 1 + len(cell.states)
    arguments[place:place] = [ast.arg(name) for name in looked.values()]
    function.args.args = arguments
    return rewriting.cell_of(cell, f"{cell.definition.name}_looked_up", function, "inputs looked up")


def _check_state(where: str, cell: Cell, state: str) -> None:
    if state not in cell.states:
        raise UnknownNameError(
            f"{where}({cell.name}) - no state {state!r}, there are {', '.join(cell.states)} - name one of them"
        )
    if cell.definition.size[state] == OUTPUT:
        raise OptionError(f"{where}({cell.name}) - state {state} is a projected output - project as the last change")


def _positive(where: str, cell: Cell, limit: float) -> float:
    if isinstance(limit, bool) or not isinstance(limit, int | float):
        raise OptionTypeError(f"{where}({cell.name}) - expected a number, got {limit!r} - give the largest magnitude")
    if not limit > 0:
        raise OptionError(f"{where}({cell.name}) - expected a limit above 0, got {limit} - give the largest magnitude")
    return float(limit)
