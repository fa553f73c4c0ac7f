"""When to stop: phases of training that end where a score stops rising, for many networks."""

import torch
from torch import Tensor

__all__ = ["Patience"]


class Patience:
    """How long each network has been in a phase, and how long without progress.

    Args:
        nets: how many networks there are.
        epochs: how many epochs without progress end a phase.
        longest: how many epochs end a phase in any case.
    """

    def __init__(self, nets: int, epochs: int, longest: int) -> None:
        self.epochs, self.longest = epochs, longest
        self.best = torch.zeros(nets, dtype=torch.float64)
        self.age, self.idle = torch.zeros(2, nets, dtype=torch.int64)
        self.renew(torch.arange(nets))

    def renew(self, nets: Tensor) -> None:
        """Begin a phase.

        Args:
            nets: indices of the networks that begin one.
        """
        self.best[nets] = -torch.inf
        self.age[nets] = self.idle[nets] = 0

    def spent(self, nets: Tensor, score: Tensor, change: float) -> Tensor:
        """Count an epoch and say whose phase is over.

        Args:
            nets: indices of the networks that were trained.
            score: (net,), what is to rise.
            change: the share of the best score by which it must rise to count as progress.

        Returns:
            (net,), bool.
        """
        best = self.best[nets]
        rises = score > torch.where(best.isinf(), best, best + change * best.abs())
        self.best[nets] = torch.where(rises, score.double(), best)
        self.idle[nets] = torch.where(rises, 0, self.idle[nets] + 1)
        self.age[nets] += 1
        is_over: Tensor = (self.idle[nets] >= self.epochs) | (self.age[nets] >= self.longest)
        return is_over
