"""Many nets that learn at the end of every stream, which their first wrong output ends; with momentum."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from carrousel.systems import readout
from carrousel.systems.network import Network
from carrousel.systems.rows import by_net, by_step
from carrousel.systems.through_time import ThroughTime
from carrousel.tasks.sequences import Sequences

__all__ = ["UntilMistake"]


class UntilMistake(ThroughTime):
    """Nets of one shape side by side; what lies behind a stream's first wrong output is not learned.

    The paper changes the weights at every step. Here they change at a stream's end by what the steps would have changed
    them by, had they held still in between and had all steps of the stream asked for the same share: with learning
    rates as small as the paper's that is the same to first order, and a thousand steps cost what one costs.

    Args:
        network, seeds, rate, dtype: as of `ThroughTime`.
        wrong: (outputs, targets) -> which are wrong, (net, row, output) -> (net, row).
        momentum: the share of its velocity that a weight keeps at every step.

    Example:
        >>> from carrousel import cells
        >>> from carrousel.tasks.timing import generate_periodic_function
        >>> network = Network(cells.get("peephole_lstm_2002").truncated(), 1, 1, 1, linear=True)
        >>> nets = UntilMistake(network, [1, 2], 1e-5, lambda y, target: (y - target).abs().amax(-1) > 0.3, 0.99)
        >>> x, lengths, target, _, _ = generate_periodic_function(2)  # one stream for each net
        >>> nets.learn(Sequences(x.unsqueeze(2), lengths.unsqueeze(1), target.unsqueeze(2))).shape
        torch.Size([1000, 2, 1, 1])

    Source:
        Gers, Schraudolph & Schmidhuber (2002), Learning precise timing with LSTM recurrent networks, JMLR 3, 115-143:
        streams end with the first error; momentum.
    """

    def __init__(
        self,
        network: Network,
        seeds: Sequence[int],
        rate: float,
        wrong: Callable[[Tensor, Tensor], Tensor],
        momentum: float = 0.0,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__(network, seeds, rate, dtype=dtype)
        self.wrong, self.momentum = wrong, momentum
        self.velocity = torch.zeros_like(self.w)

    def learn(self, sequences: Sequences) -> Tensor:
        """Change the weights once, after one stream for each net, (time, net, 1, ...); return the outputs before."""
        network, w, time = self.network, self.w, len(sequences.x)
        h = self.sweep.forward(w, sequences.x, keep=True)
        hidden, x, target = by_net(h), by_net(sequences.x), by_net(sequences.target)
        y = readout.outputs(network, w, hidden, x)
        steps = self._steps(self.wrong(y, target), sequences.lengths)
        heard = (torch.arange(time) < steps).unsqueeze(-1)
        delta = readout.deltas(network, y, target) * heard
        change = torch.zeros_like(w)
        passed = readout.back(network, w, change, delta, hidden, x)
        change += self.sweep.back(by_step(passed, time))
        self.change(self._moved(change, steps), self.rate)
        return by_step(y, time)

    def _steps(self, is_wrong: Tensor, lengths: Tensor) -> Tensor:
        """The steps of each stream up to its first mistake, which counts, (net, 1)."""
        first = torch.where(is_wrong.any(1), is_wrong.int().argmax(1) + 1, is_wrong.shape[1])
        return torch.minimum(first.unsqueeze(1), lengths)

    def _moved(self, change: Tensor, steps: Tensor) -> Tensor:
        """The sum of the velocities of all steps, each of which adds its share of the change to the velocity."""
        steps = steps.to(change.dtype)
        keeps, share = self.momentum, change / steps
        kept = keeps**steps
        passing = (1 - kept) / (1 - keeps)
        moved = keeps * passing * self.velocity + (steps - keeps * passing) / (1 - keeps) * share
        self.velocity = kept * self.velocity + passing * share
        return moved

    def replace(self, net: int, seed: int) -> None:
        """Put a new net, at rest, in the place of another."""
        super().replace(net, seed)
        self.velocity[net] = 0
