"""Many nets that learn at every step of streams that nobody cuts into sequences."""

from collections.abc import Sequence

import torch
from torch import Tensor

from carrousel.errors import InputTypeError
from carrousel.systems.judgement import Judgement
from carrousel.systems.network import Network
from carrousel.systems.real_time import RealTime
from carrousel.tasks.sequences import Sequences

__all__ = ["Continual"]


class Continual(RealTime):
    """Real-time learning on streams: a stream ends at its first wrong output, the next begins.

    A net whose stream has ended is idle until its next sequence begins; there the next stream begins.

    Args:
        network, seeds, rate, dtype, backend: as of `RealTime`.
        wrong: judges the outputs of a step.
        decay: the rate is multiplied by this at every step of a stream, and is `rate` again where one begins.
        longest: steps after which a stream ends without a mistake.
        has_resets: whether states begin anew with every sequence of a stream, an "external reset".

    Attributes:
        begun: streams that each net began in the last `learn`, (net,).

    Example:
        >>> from carrousel import cells
        >>> network = Network(cells.get("lstm_1997_truncated"), 3, 3, 4, 2, symbols=True)
        >>> nets = Continual(network, range(5), 0.1, wrong=Judgement("largest", within=0.1))
        >>> x = torch.tensor([0, 1, 2, 0, 1, 2]).view(6, 1, 1).expand(6, 5, 1)
        >>> _ = nets.learn(Sequences(x, torch.full((5, 1), 6), x.roll(-1, 0), resets=x == 0))
        >>> nets.begun.tolist()
        [2, 2, 2, 2, 2]

    Source:
        Gers, Schmidhuber & Cummins (2000), Learning to forget, Neural Computation 12(10), 2451-2471: weights change at
        every step, a stream ends with a wrong prediction.
    """

    def __init__(
        self,
        network: Network,
        seeds: Sequence[int],
        rate: float,
        wrong: Judgement,
        *,
        decay: float = 1.0,
        longest: int = 100_000,
        has_resets: bool = False,
        dtype: torch.dtype = torch.float32,
        backend: str = "llvm",
    ) -> None:
        super().__init__(network, seeds, rate, dtype, backend, wrong, decay)
        self.longest, self.has_resets = longest, has_resets
        self.begun = torch.zeros(len(seeds), dtype=torch.long)
        self._age = torch.zeros(len(seeds), dtype=torch.long)
        self.steps.rate.zero_()

    def learn(self, sequences: Sequences) -> Tensor:
        """Learn while the streams pass, one for each net; `resets` says where their sequences begin.

        Returns:
            The outputs as they were before each change, (time, net, 1, output).
        """
        if sequences.resets is None:
            raise InputTypeError("Continual - resets is None, expected (time, net, 1) - say where sequences begin")
        self._check(sequences)
        y, steps = self._take(sequences.x.squeeze(2), sequences.target.squeeze(2)), self.steps
        starts = sequences.resets.squeeze(2)
        coming = _next(starts)
        self.begun = torch.zeros_like(self.begun)
        if self.has_resets:
            steps.begin_anew(slice(len(y)), starts)
        t = 0
        while t < len(y):
            self._begin(t, starts[t] & (steps.goes_on == 0))
            is_idle = steps.goes_on == 0
            # until then only a mistake can change who goes on
            until = torch.where(is_idle, coming[t + 1], t + self.longest - self._age)
            end = steps.run(t, min(len(y), int(until.min())))
            self._age += end - t
            self._stop(self._age >= self.longest)
            t = end
        return y.unsqueeze(2)

    def _begin(self, t: int, nets: Tensor) -> None:
        if nets.any():
            if not self.has_resets:
                self.steps.begin_anew(t, nets)
            self.begun += nets
            self._age[nets], self.steps.goes_on[nets], self.steps.rate[nets] = 0, 1, self.rate

    def _stop(self, nets: Tensor) -> None:
        self.steps.goes_on[nets], self.steps.rate[nets] = 0, 0

    def replace(self, net: int, seed: int) -> None:
        """Put a new net in the place of another; its first stream begins with its next sequence."""
        super().replace(net, seed)
        self._stop(torch.arange(len(self)) == net)


def _next(starts: Tensor) -> Tensor:
    """(time, net) -> (time + 1, net): the next step, or this one, at which a sequence begins; `time` if none does."""
    time, nets = starts.shape
    steps = torch.arange(time).unsqueeze(1).expand(time, nets)
    found = torch.cat([torch.where(starts, steps, time), torch.full((1, nets), time)])
    return found.flip(0).cummin(0).values.flip(0)
