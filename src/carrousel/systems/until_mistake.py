"""Many nets that learn at every step of streams, each of which its first wrong output ends; with momentum."""

from collections.abc import Sequence

import torch
from torch import Tensor

from carrousel.systems.judgement import Judgement
from carrousel.systems.network import Network
from carrousel.systems.real_time import RealTime
from carrousel.tasks.sequences import Sequences

__all__ = ["UntilMistake"]

#: Steps that are laid out at first; where a net goes on, four times as many follow.
FEW = 64


class UntilMistake(RealTime):
    """Real-time learning on one stream after the other, which begin with states at rest and end with a mistake.

    All nets begin a stream together; one that has erred is idle until the last one has.

    Args:
        network, seeds, rate, dtype, backend: as of `RealTime`.
        wrong: judges the outputs of a step.
        momentum: the share of its last change that is added to each change of a weight, from stream to stream too.

    Example:
        >>> from carrousel import cells
        >>> from carrousel.tasks.timing import generate_periodic_function
        >>> network = Network(cells.get("peephole_lstm_2002").truncated(), 1, 1, 1, linear=True)
        >>> nets = UntilMistake(network, [1, 2], 1e-5, Judgement("largest", within=0.3), 0.99)
        >>> x, lengths, target, _, _ = generate_periodic_function(2)  # one stream for each net
        >>> nets.learn(Sequences(x.unsqueeze(2), lengths.unsqueeze(1), target.unsqueeze(2))).shape
        torch.Size([64, 2, 1, 1])

    Source:
        Gers, Schraudolph & Schmidhuber (2002), Learning precise timing with LSTM recurrent networks, JMLR 3, 115-143:
        streams end with the first error; momentum.
    """

    def __init__(
        self,
        network: Network,
        seeds: Sequence[int],
        rate: float,
        wrong: Judgement,
        momentum: float = 0.0,
        dtype: torch.dtype = torch.float32,
        backend: str = "llvm",
    ) -> None:
        super().__init__(network, seeds, rate, dtype, backend, wrong, momentum=momentum, together=True)

    def learn(self, sequences: Sequences) -> Tensor:
        """Learn from one stream for each net, (time, net, 1, ...).

        Returns:
            The outputs before each change, (time, net, 1, output), up to some step behind the last mistake.
        """
        steps, lengths = self.steps, sequences.lengths.squeeze(1)
        steps.begin()
        steps.goes_on.fill_(1)
        steps.rate.fill_(self.rate)
        outputs: list[Tensor] = []
        start, count = 0, FEW
        while start < len(sequences.x) and steps.goes_on.any():
            here = slice(start, start + count)
            part = sequences._replace(x=sequences.x[here], target=sequences.target[here])
            outputs.append(self._take(part))
            self._walk(lengths - start, len(part.x))
            start, count = here.stop, 4 * count
        return torch.cat(outputs).unsqueeze(2)

    def _walk(self, lengths: Tensor, laid_out: int) -> None:
        """Take the steps that are laid out, until all nets have erred or are through."""
        steps, t = self.steps, 0
        while t < laid_out and (goes_on := steps.goes_on > 0).any():
            t = steps.run(t, min(laid_out, int(lengths[goes_on].min())))
            through = lengths <= t
            steps.goes_on[through], steps.rate[through] = 0, 0
