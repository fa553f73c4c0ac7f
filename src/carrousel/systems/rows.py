"""Nets whose weights are rows: what all that learn on a `Network` have in common."""

from collections.abc import Sequence

import torch
from torch import Tensor

from carrousel.systems.checks import seeded
from carrousel.systems.network import Network

__all__ = ["Rows", "by_net", "by_step"]


class Rows:
    """Nets of one shape side by side, each with its own weights.

    Args:
        network: what they look like.
        seeds: one for each net; its weights depend on nothing else.
        dtype: of everything.

    Attributes:
        w: the weights, (net, weight).
        learns: 1 for weights that change, 0 for those that do not, (net, weight); None if all do.
    """

    def __init__(self, network: Network, seeds: Sequence[int], dtype: torch.dtype) -> None:
        seeded(seeds)
        self.network = network
        self.w = torch.stack([network.draw(torch.Generator().manual_seed(seed), dtype) for seed in seeds])
        self.learns = network.learning(len(seeds))

    def __len__(self) -> int:
        return len(self.w)

    @property
    def weights(self) -> int:
        """The weights of one net."""
        return self.network.weights

    def replace(self, net: int, seed: int) -> None:
        """Put a new net in the place of another; if it learns from a stream, that begins with a reset."""
        self.w[net] = self.network.draw(torch.Generator().manual_seed(seed), self.w.dtype)

    def change(self, change: Tensor, rate: float) -> None:
        """Add `rate` times a change, (net, weight), to the weights that learn."""
        if self.learns is not None:
            change *= self.learns
        self.w.add_(change, alpha=rate)


def by_net(values: Tensor) -> Tensor:
    """(time, net, batch, ...) -> (net, time * batch, ...): all steps as rows."""
    return values.transpose(0, 1).flatten(1, 2)


def by_step(rows: Tensor, time: int) -> Tensor:
    """Undo `by_net`."""
    steps: Tensor = rows.unflatten(1, (time, -1)).transpose(0, 1)
    return steps
