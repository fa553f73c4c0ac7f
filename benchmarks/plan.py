"""How much is measured, and at which shapes."""

from dataclasses import dataclass

from benchmarks.measurements import Shape

__all__ = ["Plan"]

#: batch, steps, inputs, hidden: from one small net to large batches, and one long row through a large net.
_SHAPES = (
    Shape(1, 1000, 8, 8),
    Shape(1, 1000, 64, 64),
    Shape(16, 500, 16, 32),
    Shape(32, 100, 64, 128),
    Shape(64, 100, 128, 256),
    Shape(32, 100, 256, 512),
    Shape(1, 100, 512, 512),
)
_QUICK = (Shape(1, 5, 3, 4), Shape(3, 4, 4, 8))


@dataclass(frozen=True)
class Plan:
    """Options of a run.

    Attributes:
        threads: of every library.
        repeat: rounds in which all sides take turns.
        quick: tiny sizes and one round: does the program run?
        wide: the LSTM also over a grid of hidden and batch sizes.
        backend: `backend=` of carrousel's layers.
        jax: whether JAX is measured.
        cells: names of the cells of the part `cells`; none for all.
    """

    threads: int = 2
    repeat: int = 15
    quick: bool = False
    wide: bool = False
    backend: str = "auto"
    jax: bool = True
    cells: tuple[str, ...] = ()

    @property
    def shapes(self) -> tuple[Shape, ...]:
        """The shapes of the bars."""
        return _QUICK if self.quick else _SHAPES

    @property
    def grid(self) -> tuple[Shape, ...]:
        """The wide grid: 100 steps, as many inputs as hidden units."""
        batches, sizes = ((1, 2), (4, 8)) if self.quick else ((1, 8, 32, 128), (4, 8, 16, 32, 64, 128, 256, 512, 1024))
        return tuple(Shape(batch, 5 if self.quick else 100, size, size) for batch in batches for size in sizes)

    @property
    def rounds(self) -> int:
        """Rounds of a side whose calls are short."""
        return 1 if self.quick else self.repeat

    @property
    def processes(self) -> int:
        """Fresh processes where a process can measure but once."""
        return 1 if self.quick else min(5, max(3, self.repeat // 3))
