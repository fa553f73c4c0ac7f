"""Sequential construction: the memory cells are added once the net without them has stopped improving."""

import torch
from torch import Tensor

from carrousel.systems import readout
from carrousel.systems.network import OUTPUT
from carrousel.systems.real_time import RealTime
from carrousel.systems.rows import by_net
from carrousel.systems.through_time import ThroughTime
from carrousel.tasks.sequences import Sequences

__all__ = ["Grown"]


class Grown:
    """Nets that begin with their shortcut from inputs to outputs alone.

    A net's memory cells are added, with their first weights, after a window of sequences whose mean squared error is
    no smaller than `still` times that of the window before. The paper does not say how it was noticed that the error
    had stopped decreasing.

    Args:
        nets: what they are in the end, with a shortcut and targets at every step.
        window: sequences over which the error is averaged.
        still: a net whose error falls by less than this factor from window to window has stopped improving.

    Source:
        Hochreiter & Schmidhuber (1997), sections 4 ("abuse problem", solution 1) and 5.2.
    """

    def __init__(self, nets: ThroughTime | RealTime, window: int = 100, still: float = 0.98) -> None:
        self.nets, self.window, self.still = nets, window, still
        count = len(nets)
        self.is_grown = torch.zeros(count, dtype=torch.bool)
        self.error, self.before = torch.zeros(count), torch.full((count,), float("inf"))
        self.seen = torch.zeros(count, dtype=torch.long)
        self.first = self._output.clone()
        self._output.zero_()
        nets.learns = torch.ones_like(nets.w)
        nets.learns[:, : self._end] = 0

    @property
    def w(self) -> Tensor:
        """The weights, (net, weight)."""
        return self.nets.w

    @property
    def weights(self) -> int:
        """The weights of one net."""
        return self.nets.weights

    @property
    def _output(self) -> Tensor:
        """The weights from the memory cells to the outputs."""
        return self.nets.network.part(self.nets.w, OUTPUT)

    @property
    def _end(self) -> int:
        """Where the weights that have to do with the memory cells end."""
        return self.nets.network.places[OUTPUT].stop

    def __len__(self) -> int:
        return len(self.nets)

    def replace(self, net: int, seed: int) -> None:
        """Put a new net without memory cells in the place of another."""
        self.nets.replace(net, seed)
        self.first[net] = self._output[net]
        self._output[net] = 0
        assert self.nets.learns is not None
        self.nets.learns[net, : self._end] = 0
        self.is_grown[net], self.error[net], self.before[net], self.seen[net] = False, 0, float("inf"), 0

    def predict(self, sequences: Sequences) -> Tensor:
        """Compute the outputs."""
        return self.nets.predict(sequences)

    def learn(self, sequences: Sequences) -> Tensor:
        """Learn; add the memory cells where the error has stopped decreasing."""
        y = self.nets.learn(sequences)
        if not self.is_grown.all():
            error = readout.deviations(by_net(y), by_net(sequences.target))
            self.error += error.square().mean((1, 2)) / self.window
            self.seen += 1
            self._grow(~self.is_grown & (self.seen % self.window == 0))
        return y

    def _grow(self, ended: Tensor) -> None:
        """Look at the nets that have seen another window."""
        if not ended.any():
            return
        grown = ended & (self.error > self.still * self.before)
        self.before = torch.where(ended, self.error, self.before)
        self.error = torch.where(ended, 0, self.error)
        self.is_grown |= grown
        self._output[grown] = self.first[grown]
        assert self.nets.learns is not None
        self.nets.learns[grown, : self._end] = 1
