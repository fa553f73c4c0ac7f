"""Regularisers and bounds: masks in the recurrent products, states that are kept, values that are clipped."""

import ast
import math
from collections.abc import Callable

from carrousel import rewriting
from carrousel.calculus.names import fresh
from carrousel.calculus.notation import OUTPUT
from carrousel.cell import Cell
from carrousel.errors import OptionError, OptionTypeError, UnknownNameError
from carrousel.functions import Function

__all__ = ["clip_cell", "clip_gates", "clip_projection", "positive", "probability", "recurrent_dropout", "zoneout"]

#: Functions of the notation that are activations.
_SQUASHING = ("sigmoid", "tanh", "relu", "softplus", "log_sigmoid", "exp", "step")


def recurrent_dropout(cell: Cell) -> Cell:
    """Multiply the previous output by a mask wherever a matrix multiplies it.

    Args:
        cell: a cell with a matrix that multiplies its previous output.

    Returns:
        The cell `<name>_recurrent_dropout` with one more input per step, `mask_<output>_t` of shape
        (time, batch, hidden); variational dropout has the same mask at every step. What the equations read of the
        previous output elementwise, as a GRU does, and the other states are not masked.

    Raises:
        OptionError: no matrix multiplies the previous output, it is masked already, or it is projected.

    Example:
        >>> from carrousel import cells
        >>> for equation in recurrent_dropout(cells.get("irnn")).equations:
        ...     print(equation)
        h_masked = mask_h_t * h_prev
        a_h = W.h @ x + R.h @ h_masked + b.h
        h = relu(a_h)

    Source:
        Gal & Ghahramani (2016), A theoretically grounded application of dropout in recurrent neural networks.
    """
    output = cell.states[0]
    _check_state("recurrent_dropout", cell, output)
    mask = f"mask_{output}_t"
    if mask in cell.definition.arguments:
        raise OptionError(f"recurrent_dropout({cell.name}) - state {output} is masked already - mask it once")
    function = rewriting.function_of(cell)
    masked = fresh(f"{output}_masked", rewriting.names_of(cell))
    rewriting.Operands(cell, [output], lambda node: ast.Name(masked, ast.Load()), "masked").walk(function)
    if not any(isinstance(node, ast.Name) and node.id == masked for node in ast.walk(function)):
        raise OptionError(
            f"recurrent_dropout({cell.name}) - no matrix multiplies {output}_prev, nothing can be masked - leave it out"
        )
    first = 0 if ast.get_docstring(function) is None else 1
    function.body[first:first] = ast.parse(f"{masked} = {mask} * {output}_prev").body
    rewriting.add_step_inputs(cell, function, [mask])
    name = f"{cell.definition.name}_recurrent_dropout"
    return rewriting.cell_of(cell, name, function, f"dropout of {output} in products")


def zoneout(cell: Cell, *states: str, rate: float | None = None) -> Cell:
    """Let units keep their previous value.

    Args:
        cell: any cell.
        *states: the states that are zoned out; all if none is named.
        rate: None for training. For evaluation the probability of keeping: the equations then have the expected mix.

    Returns:
        The cell `<name>_zoneout`, without a rate with one more input per step and state, `keep_<state>_t` of shape
        (time, batch, hidden): 1 keeps the previous value, 0 takes the new one. As in the paper, the output of the step
        itself is computed from the values before zoneout.

    Raises:
        UnknownNameError: the cell has no such state.
        OptionTypeError: the rate is no number.
        OptionError: the rate is no probability below 1; a state is zoned out already, is a projected output, or
            begins at infinity, where 0 * inf has no value.

    Example:
        >>> from carrousel import cells
        >>> print(zoneout(cells.get("lstm"), "c").equations[-1])
        c = keep_c_t * c_prev + (1 - keep_c_t) * c_new
        >>> print(zoneout(cells.get("lstm"), "c", rate=0.1).equations[-1])
        c = 0.1 * c_prev + (1 - 0.1) * c_new

    Source:
        Krueger et al. (2017), Zoneout: regularizing RNNs by randomly preserving hidden activations.
    """
    if rate is not None:
        probability(f"zoneout({cell.name})", "rate", rate)
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
    keep = {state: f"keep_{state}_t" if rate is None else repr(float(rate)) for state in states}
    mixed = [f"{s} = {keep[s]} * {s}_prev + (1 - {keep[s]}) * {new}" for s, new in renamed.items()]
    function.body[-1:] = ast.parse("\n".join([*mixed, f"return {', '.join(cell.states)}"])).body
    if rate is None:
        rewriting.add_step_inputs(cell, function, keep.values())
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
    limit = positive(f"clip_cell({cell.name})", "limit", limit)
    function = rewriting.function_of(cell)
    line = rewriting.line_of(function, state)
    line.value = rewriting.clipped(line.value, limit)
    return rewriting.cell_of(cell, f"{cell.definition.name}_clip_{state}", function, f"{state} clipped at {limit}")


def clip_gates(cell: Cell, limit: float) -> Cell:
    """Keep every pre-activation between -limit and limit.

    Pre-activations are what functions take with a product in it. Where no function does, as in layer normalisation,
    they are what sigmoid, tanh and the like take that is made of products, of what was made of them, and of no function
    of that kind.

    Args:
        cell: any cell with such functions.
        limit: a positive number.

    Returns:
        The cell `<name>_clip_gates`.

    Raises:
        OptionError: the limit is not positive, or the cell has no pre-activation.

    Example:
        >>> from carrousel import cells
        >>> print(clip_gates(cells.get("irnn"), 3.0).equations[-1])
        h = relu(clip(a_h, -3.0, 3.0))

    Source:
        `clip` of ONNX LSTM, GRU and RNN, as ONNX Runtime computes it.
    """
    limit = positive(f"clip_gates({cell.name})", "limit", limit)
    is_pre_activation = _pre_activations(cell)

    def clip(node: ast.expr) -> ast.expr:
        if isinstance(node, ast.Call):
            node.args = [rewriting.clipped(a, limit) if is_pre_activation(node, a) else a for a in node.args]
        return node

    name = f"{cell.definition.name}_clip_gates"
    return rewriting.with_expressions(cell, name, clip, f"gates clipped at {limit}")


def _pre_activations(cell: Cell) -> Callable[[ast.Call, ast.expr], bool]:
    """What tells whether an argument of a call is a pre-activation, as `clip_gates` has them."""
    lines = {e.name: e.value for e in cell.definition.equations}
    calls = [node for value in lines.values() for node in ast.walk(value) if isinstance(node, ast.Call)]
    functions = {name: f for name, f in cell.definition.constants.items() if isinstance(f, Function)}

    def has_product(call: ast.Call, argument: ast.AST) -> bool:
        return any(isinstance(n, ast.BinOp) and isinstance(n.op, ast.MatMult) for n in ast.walk(argument))

    def squashes(call: ast.Call) -> bool:
        function = functions[call.func.id] if isinstance(call.func, ast.Name) else None
        return function is not None and function.name in _SQUASHING

    def reaches_product(node: ast.AST) -> bool:
        if isinstance(node, ast.Name):
            return node.id in lines and reaches_product(lines[node.id])
        if isinstance(node, ast.Call) and squashes(node):
            return False
        is_product = isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult)
        return is_product or any(map(reaches_product, ast.iter_child_nodes(node)))

    def is_made_of_products(call: ast.Call, argument: ast.AST) -> bool:
        return squashes(call) and reaches_product(argument)

    for rule in (has_product, is_made_of_products):
        if any(rule(call, argument) for call in calls for argument in call.args):
            return rule
    raise OptionError(f"clip_gates({cell.name}) - no function takes what products make - leave it out")


def clip_projection(cell: Cell, limit: float) -> Cell:
    """Keep a projected output between -limit and limit.

    Args:
        cell: a cell with a projection, as `projected` makes it.
        limit: a positive number.

    Returns:
        The cell `<name>_clip_projection`.

    Raises:
        OptionError: the limit is not positive, or the output is not projected.

    Example:
        >>> from carrousel import cells
        >>> from carrousel.transforms import projected
        >>> print(clip_projection(projected(cells.get("lstm")), 3.0).equations[-1])
        h = clip(a_h, -3.0, 3.0)

    Source:
        `proj_clip` of TensorFlow 1's LSTMCell.
    """
    limit = positive(f"clip_projection({cell.name})", "limit", limit)
    if not cell.definition.projected:
        raise OptionError(f"clip_projection({cell.name}) - the output is not projected - use projected(cell) first")
    function = rewriting.function_of(cell)
    line = rewriting.line_of(function, cell.states[0])
    line.value = rewriting.clipped(line.value, limit)
    name = f"{cell.definition.name}_clip_projection"
    return rewriting.cell_of(cell, name, function, f"projection clipped at {limit}")


def probability(where: str, name: str, value: object) -> float:
    """Return an option that is a probability below 1, or raise.

    Raises:
        OptionTypeError: it is no number.
        OptionError: it is not in [0, 1).
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise OptionTypeError(f"{where} - {name} should be a number, got {value!r} - give a probability")
    if not 0 <= value < 1:
        raise OptionError(f"{where} - {name} is {value}, expected at least 0 and below 1 - give a probability")
    return float(value)


def _check_state(where: str, cell: Cell, state: str) -> None:
    if state not in cell.states:
        raise UnknownNameError(
            f"{where}({cell.name}) - no state {state!r}, there are {', '.join(cell.states)} - name one of them"
        )
    if cell.definition.size[state] == OUTPUT:
        raise OptionError(f"{where}({cell.name}) - state {state} is a projected output - project as the last change")


def positive(where: str, name: str, value: object) -> float:
    """Return a bound that is a number above 0, or raise.

    Raises:
        OptionTypeError: it is no number.
        OptionError: it is not above 0.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise OptionTypeError(f"{where} - {name} should be a number, got {value!r} - give the largest magnitude")
    if not value > 0:
        raise OptionError(f"{where} - {name} is {value}, expected it above 0 - give the largest magnitude")
    return float(value)
