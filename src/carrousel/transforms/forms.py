"""Other forms of a cell: equations that are replaced, a projected output, inputs that are looked up."""

import ast
import keyword

from carrousel import rewriting
from carrousel.calculus.names import fresh
from carrousel.cell import Cell
from carrousel.errors import OptionError, UnknownNameError, did_you_mean

__all__ = ["PROJECTION", "looked_up", "projected", "variant"]

#: The group that a projection of the output adds; PyTorch calls it weight_hr.
PROJECTION = "Proj"


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
    function.args.args = [a for a in function.args.args if a.arg not in groups or a.arg in mentioned]
    rewriting.add_step_inputs(cell, function, looked.values())
    return rewriting.cell_of(cell, f"{cell.definition.name}_looked_up", function, "inputs looked up")
