"""Many nets that learn at every step of streams, each of which its first wrong output ends; with momentum."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import pad

from carrousel.systems.checks import fitting
from carrousel.systems.judgement import Judgement
from carrousel.systems.network import Network
from carrousel.systems.real_time import RealTime
from carrousel.tasks.sequences import Sequences

__all__ = ["UntilMistake"]

#: Steps of a stream that are laid out at first; where a net goes on, twice as many from then on.
FEW = 16

#: Steps that are laid out at once, as many streams as there is room for.
ROOM = 4096


class UntilMistake(RealTime):
    """Real-time learning on one stream after the other, which begin with states at rest and end with a mistake.

    All nets begin a stream together; one that has erred is idle until the last one has. Before a net learns from a
    stream it is tried on it, its weights held.

    Args:
        network, seeds, rate, dtype, backend: as of `RealTime`.
        wrong: judges the outputs of a step.
        momentum: the share of its last change that is added to each change of a weight, from stream to stream too.

    Attributes:
        survived: which nets got a whole stream of the last `learn` right when they were tried on it, (net,).
        survivors: the weights with which they did so the last time, (net, weight).

    Example:
        >>> from carrousel import cells
        >>> from carrousel.tasks.timing import generate_periodic_function
        >>> network = Network(cells.get("peephole_lstm_2002").truncated(), 1, 1, 1, linear=True)
        >>> nets = UntilMistake(network, [1, 2], 1e-5, Judgement("largest", within=0.3), 0.99)
        >>> x, lengths, target, _, _ = generate_periodic_function(2 * 5)  # five streams for each net
        >>> streams = [values.unflatten(-2, (2, 5)) for values in (x, target)]
        >>> nets.learn(Sequences(streams[0], lengths.view(2, 5), streams[1])).shape
        torch.Size([16, 2, 5, 1])

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
        self.survived = torch.zeros(len(seeds), dtype=torch.bool)
        self.survivors = self.w.clone()
        self._few = FEW

    def learn(self, sequences: Sequences) -> Tensor:
        """Learn from streams one after the other, as many for each net: (time, net, stream, ...).

        Returns:
            The outputs before each change, (time, net, stream, output), up to some step behind the last mistake.
        """
        self._check(sequences)
        self.survived.zero_()
        self._few = max(FEW, self._few // 2)
        count, done = sequences.lengths.shape[1], 0
        outputs: list[Tensor] = []
        while done < count:
            learned = self._learn(sequences, range(done, min(count, done + max(1, ROOM // self._few))))
            outputs += learned
            done += sum(y.shape[2] for y in learned)
        outputs = [y[: len(sequences.x)] for y in outputs]
        longest = max(map(len, outputs))
        return torch.cat([pad(y, (0, 0) * 3 + (0, longest - len(y))) for y in outputs], 2)

    def _learn(self, sequences: Sequences, streams: range) -> list[Tensor]:
        """Learn from streams until a net goes beyond what is laid out of one; returns the outputs of those learned."""
        few = self._few = min(self._few, len(sequences.x) + 1)
        y = self._lay_out(sequences, streams, few)
        shortest = sequences.lengths.amin(0)[streams.start : streams.stop].tolist()
        for k, stream in enumerate(streams):
            start, stop = k * few, (k + 1) * few
            end = self.steps.run(start, stop)
            if self._goes_on(end == stop):
                return [y[:, :, :k]]
            if end - start > shortest[k]:
                self._note_survivors()
            end = self.steps.run(start, stop, self.rate)
            if self._goes_on(end == stop):
                return [y[:, :, :k], torch.cat([y[:, :, k : k + 1], self._learn_rest(sequences, stream, few)])]
        return [y]

    def _goes_on(self, is_through: bool) -> bool:
        """Whether a net has not erred in all that is laid out of a stream; then twice as much of the next ones is."""
        goes_on = is_through and bool(self.steps.goes_on.any())
        if goes_on:
            self._few *= 2
        return goes_on

    def _note_survivors(self) -> None:
        survived = self.steps.survived > 0
        self.survived |= survived
        self.survivors[survived] = self.w[survived]

    def _lay_out(self, sequences: Sequences, streams: range, few: int) -> Tensor:
        """Lay out the first steps of streams one behind the other; returns their outputs, (time, net, stream, ...)."""
        here = slice(streams.start, streams.stop)
        y = self._take_steps(sequences, here, slice(0, few), few)
        self.steps.begin_anew(slice(0, None, few), torch.ones(len(streams), len(self), dtype=torch.bool))
        return y

    def _learn_rest(self, sequences: Sequences, stream: int, first: int) -> Tensor:
        """Go on with a stream to its end."""
        rest = slice(first, None)
        y = self._take_steps(sequences, slice(stream, stream + 1), rest, len(sequences.x) + 1 - first)
        self.steps.run(0, len(y))
        return y

    def _take_steps(self, sequences: Sequences, streams: slice, steps: slice, count: int) -> Tensor:
        """Lay out `count` steps of each of the streams, of which the last may be behind their ends."""

        def rows(values: Tensor) -> Tensor:
            values = values[steps, :, streams]
            values = pad(values, (0, 0) * (values.dim() - 1) + (0, count - len(values)))
            return values.permute(2, 0, 1, *range(3, values.dim())).flatten(0, 1)

        step = torch.arange(steps.start, steps.start + count).unsqueeze(1)
        is_over = step == sequences.lengths[:, streams].T.unsqueeze(1)
        y = self._take(rows(sequences.x), rows(sequences.target), is_over.flatten(0, 1))
        outputs: Tensor = y.unflatten(0, (-1, count)).permute(1, 2, 0, 3)
        return outputs

    def _check(self, sequences: Sequences) -> None:
        """Check the streams, of which a net may have many."""
        fitting(sequences, len(self), self.network.inputs, self.network.outputs)
        x, lengths, target = sequences.x[:, :, :1], sequences.lengths[:, :1], sequences.target
        super()._check(Sequences(x, lengths, target[:, :, :1] if sequences.is_per_step else target))

    def replace(self, net: int, seed: int) -> None:
        """Put a new net in the place of another."""
        super().replace(net, seed)
        self.survived[net] = False
