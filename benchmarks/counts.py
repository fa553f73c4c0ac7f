"""How much one step of a cell has to compute: matrix products, counted in its equations."""

from dataclasses import dataclass

from benchmarks.measurements import Shape
from carrousel.cell import Cell

__all__ = ["Counts", "counts"]


@dataclass(frozen=True)
class Counts:
    """Matrix products of one step.

    Attributes:
        gates: quantities that a recurrent matrix feeds (the inputs' where no matrix is recurrent).
        inputs: products with the input, `W.i @ x`.
        recurrent: products with a state, `R.i @ h_prev`.
        carried: those of them through which the gradient flows back.
    """

    gates: int
    inputs: int
    recurrent: int
    carried: int

    @property
    def products(self) -> int:
        """Gates counted as often as they cost a recurrent product (of the input where none is): "time per gate"."""
        return self.recurrent or self.inputs

    def flops(self, shape: Shape, mode: str) -> int:
        """Multiplications and additions in the matrix products of one call; what is elementwise is not counted."""
        one = 2 * shape.batch * shape.steps * shape.hidden
        forward = one * (self.inputs * shape.inputs + self.recurrent * shape.hidden)
        if mode == "inference":
            return forward
        back = one * self.carried * shape.hidden  # to the state before
        if mode == "training_x":
            back += one * self.inputs * shape.inputs
        return forward + back + forward  # the weights' gradients cost as much as the forward products


def counts(cell: Cell) -> Counts:
    """Return the products of a cell."""
    matrices = [group for group in cell.groups if group.is_matrix]
    fed = [group for group in matrices if group.columns != "input_size"]
    stopped = [group for group in fed if all(o.startswith("stop_gradient(") for o in group.operands)]
    inputs = sum(len(group.gates) for group in matrices if group not in fed)
    recurrent = sum(len(group.gates) for group in fed)
    gates = {gate for group in fed or matrices for gate in group.gates}
    return Counts(len(gates), inputs, recurrent, recurrent - sum(len(group.gates) for group in stopped))
