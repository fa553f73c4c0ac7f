"""What happens to the rows of a batch besides the recurrence: lengths and resets, the same on every backend."""

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["EVERY_STEP", "Rows", "within"]


@dataclass(frozen=True)
class Rows:
    """What happens to each row of the batch besides the plain recurrence.

    Attributes:
        lengths: (*rows) steps that count; None if all do.
        resets: (time, *rows) true where a boundary lies between t-1 and t; None for none.
        fresh: the states' values after a reset, each broadcastable to (*rows, size).
    """

    lengths: Tensor | None
    resets: Tensor | None
    fresh: tuple[Tensor, ...]

    def within(self, time: int) -> Tensor | None:
        """(time, *rows, 1) whether a step counts; None if all do."""
        return None if self.lengths is None else within(self.lengths, time).unsqueeze(-1)

    @property
    def used(self) -> Tensor:
        """(*rows, 1) whether a row has any step."""
        assert self.lengths is not None
        return (self.lengths > 0).unsqueeze(-1)

    def padded(self, value: Tensor) -> Tensor:
        """Replace the padding of (time, *rows, size), which may hold anything, by the row's last step.

        Steps in the padding are computed and dropped. Their partial derivatives meet a gradient of zero and must be
        finite, so they take place where a real step did: at zero `sqrt` has none. A row without steps is all ones.
        """
        if self.lengths is None or not len(value):
            return value
        last = (self.lengths - 1).clamp(min=0)
        steps = torch.arange(len(value), device=value.device).view(-1, *[1] * last.dim()).minimum(last)
        taken = value.gather(0, steps.unsqueeze(-1).expand(value.shape))
        return torch.where(self.used, taken, 1)

    def boundary(self, t: int, reverse: bool) -> Tensor | None:
        """(*rows, 1) whether the states are reset before step t, walking in this direction."""
        at = t + 1 if reverse else t
        if self.resets is None or at >= self.resets.shape[0]:
            return None
        here = self.resets[at]
        if self.lengths is not None:
            here = here & (at < self.lengths)
        return here.unsqueeze(-1)


#: All steps count, no states are reset.
EVERY_STEP = Rows(None, None, ())


def within(lengths: Tensor, time: int) -> Tensor:
    """Return (time, *rows) whether a step counts, for lengths of shape (*rows,)."""
    return torch.arange(time, device=lengths.device).view(-1, *[1] * lengths.dim()) < lengths
