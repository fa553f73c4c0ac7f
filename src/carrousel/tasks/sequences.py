"""What every task hands out: sequences side by side, and what is to be said about them."""

from typing import NamedTuple

from torch import Tensor

__all__ = ["Sequences"]


class Sequences(NamedTuple):
    """Sequences of one task, side by side; `rows` is (batch,), in a population of networks (net, batch).

    Attributes:
        x: (time, *rows, input), zero from a sequence's length on; for symbols their numbers, (time, *rows), int64, zero
            there as well.
        lengths: (*rows,), int64, the steps of each sequence; the longest is `time`.
        target: what to say. At the last step of each sequence: (*rows, output). At every step: (time, *rows, output),
            or, where it is the next symbol, its number, (time, *rows), int64, -1 from the sequence's length on.
        allowed: (time, *rows, output), bool, the symbols that may come next, where there are several; else None.
        resets: (time, *rows), bool, whether the states begin anew before a step, in streams of strings; else None.
    """

    x: Tensor
    lengths: Tensor
    target: Tensor
    allowed: Tensor | None = None
    resets: Tensor | None = None

    @property
    def is_per_step(self) -> bool:
        """Whether there is a target at every step."""
        return not self.target.is_floating_point() or self.target.dim() == self.lengths.dim() + 2
