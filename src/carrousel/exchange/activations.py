"""Activation functions as Keras and TensorFlow name them, put into a cell."""

import ast
import copy

from carrousel import rewriting
from carrousel.cell import Cell
from carrousel.errors import UnknownNameError, did_you_mean
from carrousel.functions import Function

__all__ = ["with_activations"]

#: name -> the function of `a` in the notation.
_ACTIVATIONS = {
    "tanh": "tanh(a)",
    "sigmoid": "sigmoid(a)",
    "hard_sigmoid": "clip(a / 6 + 0.5, 0, 1)",  # Keras 3, PyTorch
    "keras2_hard_sigmoid": "clip(0.2 * a + 0.5, 0, 1)",  # Keras 1 and 2, Theano
    "relu": "relu(a)",
    "relu6": "clip(a, 0, 6)",
    "softplus": "softplus(a)",
    "exponential": "exp(a)",
    "linear": "a",
}


def with_activations(where: str, cell: Cell, gates: str, units: str) -> Cell:
    """Put other functions in the places of sigmoid and tanh.

    Args:
        where: what an error names.
        cell: one with sigmoid in its gates and tanh elsewhere.
        gates: what takes the place of sigmoid.
        units: what takes the place of tanh.

    Returns:
        The cell itself where nothing changes, else a new one.

    Raises:
        UnknownNameError: there is no such function here.

    Example:
        >>> from carrousel import cells
        >>> print(with_activations("doc", cells.get("gru_2014"), "hard_sigmoid", "tanh").equations[0])
        a_r = (W.r @ x + R.r @ h_prev + b.r) / 6 + 0.5
    """
    for name in (gates, units):
        if name not in _ACTIVATIONS:
            raise UnknownNameError(
                f"{where} - activation {name!r} has no form here; these have: {', '.join(_ACTIVATIONS)}."
                f"{did_you_mean(str(name), _ACTIVATIONS)}"
            )
    places = {"sigmoid": gates, "tanh": units}
    if all(before == after for before, after in places.items()):
        return cell
    constants = cell.definition.constants

    def change(node: ast.expr) -> ast.expr:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            function = constants[node.func.id]
            if isinstance(function, Function) and function.name in places:
                return _applied(_ACTIVATIONS[places[function.name]], node.args[0])
        return node

    name = f"{cell.definition.name}_{gates}_{units}"
    return rewriting.with_expressions(cell, name, change, f"{gates} for gates, {units} elsewhere")


def _applied(function: str, argument: ast.expr) -> ast.expr:
    class Placed(ast.NodeTransformer):
        def visit_Name(self, node: ast.Name) -> ast.expr:
            return copy.deepcopy(argument) if node.id == "a" else node

    expression: ast.expr = Placed().visit(ast.parse(function, mode="eval").body)
    return expression
