"""Many nets that learn at every step: real-time recurrent learning of any cell under output units."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from carrousel.systems import readout
from carrousel.systems.influence import Influence
from carrousel.systems.network import Network
from carrousel.systems.rows import Rows, by_net, by_step
from carrousel.systems.sweep import Sweep
from carrousel.tasks.sequences import Sequences

__all__ = ["RealTime"]


class RealTime(Rows):
    """Nets of one shape side by side whose weights change at every step that has a target.

    Args:
        network: what they look like.
        seeds: one for each net; its weights depend on nothing else.
        rate: the learning rate.
        dtype: of everything.

    Example:
        >>> from carrousel import cells
        >>> network = Network(cells.get("lstm_1997_full"), 3, 3, 4, 2, symbols=True)
        >>> nets = RealTime(network, range(5), rate=0.1)
        >>> x = torch.tensor([0, 1, 2, 0]).view(4, 1, 1).expand(4, 5, 1)
        >>> nets.learn(Sequences(x, torch.full((5, 1), 4), x.roll(-1, 0))).shape
        torch.Size([4, 5, 1, 3])

    Source:
        Williams & Zipser (1989), Neural Computation 1(2), 270-280, without teacher forcing; of a truncated cell,
        Hochreiter & Schmidhuber (1997), appendix A.1.
    """

    def __init__(self, network: Network, seeds: Sequence[int], rate: float, dtype: torch.dtype = torch.float32) -> None:
        super().__init__(network, seeds, dtype)
        self.rate = rate
        self.influence = Influence(network, len(seeds), dtype)
        self.sweep = Sweep(network, len(seeds), dtype)

    def predict(self, sequences: Sequences) -> Tensor:
        """Compute the outputs at every step with the weights as they are, (time, net, batch, output)."""
        h = self.sweep.forward(self.w, sequences.x, keep=False)
        return by_step(readout.outputs(self.network, self.w, by_net(h), by_net(sequences.x)), len(h))

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
        self.change(change, self.rate)
        return y
