"""Many nets that learn at the end of every sequence: by the gradient through time, or what a truncated cell leaves."""

from collections.abc import Sequence

import torch
from torch import Tensor

from carrousel.systems import readout
from carrousel.systems.network import Network
from carrousel.systems.rows import Rows, by_net, by_step
from carrousel.systems.sweep import Sweep
from carrousel.tasks.sequences import Sequences

__all__ = ["ThroughTime"]


class ThroughTime(Rows):
    """Nets of one shape side by side, each with its own weights and its own sequences.

    Args:
        network: what they look like.
        seeds: one for each net; its weights depend on nothing else.
        rate: the learning rate.
        clip: the largest norm of one net's change before it is multiplied by the rate; None for any.
        dtype: of everything.

    Example:
        >>> from carrousel import cells
        >>> from carrousel.tasks.adding import adding
        >>> nets = ThroughTime(Network(cells.get("lstm_1997_full_truncated"), 2, 1, 4, 2), range(10), rate=0.5)
        >>> drawn = adding(10)  # one sequence for each net
        >>> sequences = Sequences(drawn.x.unsqueeze(2), drawn.lengths.unsqueeze(1), drawn.target.unsqueeze(1))
        >>> nets.weights, nets.learn(sequences).shape
        (93, torch.Size([10, 1, 1]))

    Source:
        Hochreiter & Schmidhuber (1997), appendix A.1: each weight's change is the sum over all time steps.
    """

    def __init__(
        self,
        network: Network,
        seeds: Sequence[int],
        rate: float,
        clip: float | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__(network, seeds, dtype)
        self.rate, self.clip = rate, clip
        self.sweep = Sweep(network, len(seeds), dtype)
        self._net = torch.arange(len(seeds)).unsqueeze(1)

    def predict(self, sequences: Sequences) -> Tensor:
        """Compute the outputs at the last step, (net, batch, output), or at every step, (time, net, batch, output)."""
        h = self.sweep.forward(self.w, sequences.x, keep=False)
        return self._shaped(readout.outputs(self.network, self.w, *self._asked(h, sequences)), sequences)

    def learn(self, sequences: Sequences) -> Tensor:
        """Change the weights once, after the sequences; return the outputs as they were before."""
        network, w = self.network, self.w
        h = self.sweep.forward(w, sequences.x, keep=True)
        hidden, x = self._asked(h, sequences)
        y = readout.outputs(network, w, hidden, x)
        delta = readout.deltas(network, y, self._targets(sequences))
        change = torch.zeros_like(w)
        passed = readout.back(network, w, change, delta, hidden, x)
        change += self.sweep.back(self._placed(passed, h, sequences))
        if self.clip is not None:
            change *= (self.clip / change.norm(dim=1, keepdim=True)).clamp(max=1)
        self.change(change, self.rate)
        return self._shaped(y, sequences)

    # ------------------------------------------------------------------ which steps are asked

    def _asked(self, h: Tensor, sequences: Sequences) -> tuple[Tensor, Tensor]:
        """Cells' outputs and inputs of the steps that have a target, each (net, row, size); symbols (net, row)."""
        if sequences.is_per_step:
            return by_net(h), by_net(sequences.x)
        place = sequences.lengths - 1, self._net, torch.arange(h.shape[2])
        return h[place], sequences.x[place]

    def _targets(self, sequences: Sequences) -> Tensor:
        return by_net(sequences.target) if sequences.is_per_step else sequences.target

    def _shaped(self, y: Tensor, sequences: Sequences) -> Tensor:
        return by_step(y, len(sequences.x)) if sequences.is_per_step else y

    def _placed(self, passed: Tensor, h: Tensor, sequences: Sequences) -> Tensor:
        """What goes on to the cells, in the places of their outputs."""
        if sequences.is_per_step:
            return by_step(passed, len(h))
        adjoint = torch.zeros_like(h)
        adjoint[sequences.lengths - 1, self._net, torch.arange(h.shape[2])] = passed
        return adjoint
