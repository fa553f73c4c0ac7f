"""Cut gradients: the values stay the same."""

import ast

from carrousel import rewriting
from carrousel.cell import Cell
from carrousel.errors import OptionError, UnknownNameError

__all__ = ["detached", "truncated"]


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
    rewriting.Truncation(cell).walk(function)
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
