"""Many nets that learn at every step: real-time recurrent learning of any cell under output units."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from carrousel.systems import readout
from carrousel.systems.influence import Influence
from carrousel.systems.network import Network
from carrousel.systems.sweep import Sweep
from carrousel.tasks.sequences import Sequences

__all__ = ["RealTime"]


class RealTime:
    """Nets of one shape side by side whose weights change at every step that has a target.

    Args:
        network: what they look like.
        seeds: one for each net; its weights depend on nothing else.
        rate: the learning rate.
        dtype: of everything.

    Attributes:
        w: the weights, (net, weight).
        learns: 1 for weights that change, 0 for those that do not, (net, weight); None if all do.

    Source:
        Williams & Zipser (1989), Neural Computation 1(2), 270-280, without teacher forcing; of a truncated cell,
        Hochreiter & Schmidhuber (1997), appendix A.1.
    """

    def __init__(self, network: Network, seeds: Sequence[int], rate: float, dtype: torch.dtype = torch.float32) -> None:
        self.network, self.rate = network, rate
        self.w = torch.stack([network.draw(torch.Generator().manual_seed(seed), dtype) for seed in seeds])
        self.learns: Tensor | None = None
        self.influence = Influence(network, len(seeds), dtype)
        self.sweep = Sweep(network, len(seeds), dtype)

    def __len__(self) -> int:
        return len(self.w)

    @property
    def weights(self) -> int:
        """The weights of one net."""
        return self.network.weights

    def replace(self, net: int, seed: int) -> None:
        """Put a new net in the place of another; its stream begins with a reset."""
        self.w[net] = self.network.draw(torch.Generator().manual_seed(seed), self.w.dtype)

    def select(self, nets: Sequence[int]) -> None:
        """Keep some nets only: those that are done leave."""
        index = torch.as_tensor(nets, dtype=torch.long)
        self.w = self.w[index]
        self.influence.select(index)

    def predict(self, sequences: Sequences) -> Tensor:
        """Compute the outputs at every step with the weights as they are, (time, net, batch, output)."""
        h = self.sweep.forward(self.w, sequences.x, keep=False)
        rows, x = h.transpose(0, 1).flatten(1, 2), sequences.x.transpose(0, 1).flatten(1, 2)
        y = readout.outputs(self.network, self.w, rows, x)
        by_step: Tensor = y.unflatten(1, (len(h), -1)).transpose(0, 1)
        return by_step

    def learn(self, sequences: Sequences) -> Tensor:
        """Learn while the sequences pass, one for each net; a stream (with resets) goes on where the last one ended.

        Returns:
            The outputs as they were before each change, (time, net, 1, output).
        """
        symbols = sequences.x.squeeze(2)
        inputs = one_hot(symbols, self.network.inputs).to(self.w.dtype) if self.network.symbols else symbols
        begins = None if sequences.resets is None else [row.nonzero().squeeze(1) for row in sequences.resets.squeeze(2)]
        target = sequences.target.squeeze(2).unsqueeze(2)  # (time, net, 1[, output])
        if begins is None:
            self.influence.begin(len(self))
        outputs = []
        for t, x in enumerate(inputs):
            if begins is not None and len(begins[t]):
                self.influence.reset(begins[t])
            outputs.append(self._step(x, symbols[t].unsqueeze(1), target[t]))
        return torch.stack(outputs)

    def _step(self, x: Tensor, symbols: Tensor, target: Tensor) -> Tensor:
        """One step of all nets; returns (net, 1, output)."""
        network, w = self.network, self.w
        h = self.influence.advance(w, x).unsqueeze(1)
        y = readout.outputs(network, w, h, symbols)
        delta = readout.deltas(network, y, target)
        change = torch.zeros_like(w)
        passed = readout.back(network, w, change, delta, h, symbols)
        change[:, : self.influence.width] = self.influence.gradient(passed.squeeze(1))
        if self.learns is not None:
            change *= self.learns
        w.add_(change, alpha=self.rate)
        return y
