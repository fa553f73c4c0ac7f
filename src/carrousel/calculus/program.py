"""A step as a kernel computes it: sums of products, then elementwise operations, stage by stage. Plain data, no SymPy.

Products that are only added up share one accumulator: `a_i = W.i @ x + R.i @ h_prev + b.i` is one Sum. What depends on
x alone is a Column of the input projection, computed for many steps at once; a Sum starts from it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

__all__ = ["ROW", "Column", "Operation", "Outer", "Program", "Stage", "Sum"]

#: The size of what is one number for a row.
ROW = "row"


@dataclass(frozen=True)
class Operation:
    """One elementwise operation, `name = op(arguments)`; arguments are names or numbers."""

    name: str
    op: str
    arguments: tuple[str | float, ...]

    def __str__(self) -> str:
        return f"{self.name} = {self.op}({', '.join(map(str, self.arguments))})"


@dataclass(frozen=True)
class Column:
    """One column of the input projection: `matrices @ x + biases`."""

    name: str
    matrices: tuple[str, ...]
    biases: tuple[str, ...]


@dataclass(frozen=True)
class Sum:
    """An accumulator: the sum of `matrix @ operand` over its terms; it starts from the column of its name, if any."""

    name: str
    terms: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Stage:
    """What runs together for one row: reductions over units, sums, then operations on one hidden unit at a time.

    Attributes:
        size: the size of everything in it, HIDDEN or OUTPUT.
        means: (name, operand) of the means over the hidden units.
        once: straight-line code on numbers of the row, behind the means.
        sums: its accumulators.
        operations: straight-line code.
    """

    size: str
    means: tuple[tuple[str, str], ...] = ()
    once: tuple[Operation, ...] = ()
    sums: tuple[Sum, ...] = ()
    operations: tuple[Operation, ...] = ()

    @property
    def defined(self) -> tuple[str, ...]:
        """The names that the stage gives a value."""
        rows = (*(name for name, _ in self.means), *(operation.name for operation in self.once))
        return (*rows, *(s.name for s in self.sums), *(operation.name for operation in self.operations))

    @property
    def read(self) -> tuple[str, ...]:
        """The names that its operations read and that are no results of operations or sums before them."""
        return _read(self.operations, {s.name for s in self.sums})

    @property
    def read_once(self) -> tuple[str, ...]:
        """The names that are read once for a row, from stages before this one."""
        return _read(self.once, {name for name, _ in self.means})


def _read(operations: Iterable[Operation], defined: set[str]) -> tuple[str, ...]:
    names: dict[str, None] = {}
    for operation in operations:
        names.update((a, None) for a in operation.arguments if isinstance(a, str) and a not in defined)
        defined.add(operation.name)
    return tuple(names)


@dataclass(frozen=True)
class Outer:
    """The gradient of a matrix: the sum of `outer(adjoint, operand)` over its terms."""

    matrix: str
    terms: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Program:
    """One step, forward or backward.

    Attributes:
        stages: in order.
        sizes: name -> HIDDEN, OUTPUT or ROW for every quantity.
        columns: forward: the input projection.
        kept: forward quantities that the backward reads, by the names that both programs use.
        outers: backward: the matrices' gradients.
        vectors: backward: vector parameter -> the quantity whose sum over rows is its gradient; "" for zero.
        input_terms: backward: (matrix, adjoint) whose transposed products sum to the gradient of x.
    """

    stages: tuple[Stage, ...]
    sizes: Mapping[str, str]
    columns: tuple[Column, ...] = ()
    kept: tuple[str, ...] = ()
    outers: tuple[Outer, ...] = ()
    vectors: Mapping[str, str] = field(default_factory=dict)
    input_terms: tuple[tuple[str, str], ...] = ()
