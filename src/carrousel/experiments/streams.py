"""Streams that nobody cuts into sequences: what a trial is trained on, and when it holds out long enough."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from carrousel.experiments.layer import layer_of
from carrousel.experiments.trials import Counting, Data, Draw, Nets, Stoppable, Trying
from carrousel.systems import readout
from carrousel.systems.network import Network
from carrousel.systems.rows import Rows
from carrousel.tasks.sequences import Sequences

__all__ = ["Endless", "Unbroken", "steps_before_a_mistake"]

#: (outputs, targets) -> which are wrong: (..., output), and (..., output) or symbols (...), -> (...).
Wrong = Callable[[Tensor, Tensor], Tensor]

#: Steps of a test between two looks at whether it goes on.
PIECE = 1000


class Endless:
    """A stream that goes on from block to block.

    Args:
        draw: (generator=) -> one stream of whole sequences, `resets` marks where each begins.
        draw_test: (how many, length, generator=) -> streams to test on.
        seed: of the trial.
        tests: how many streams are tested on.
    """

    def __init__(self, draw: Draw, draw_test: Draw, seed: int, tests: int = 10) -> None:
        self._draw, self._draw_test, self._tests = draw, draw_test, tests
        self._generator = torch.Generator().manual_seed(seed + 2**32)
        self._test_generator = torch.Generator().manual_seed(seed + 2**33)
        self._left: list[Tensor] = []

    def training(self, count: int) -> Sequences:
        """Return the next steps of the stream, (time, 1)."""
        while not self._left or len(self._left[0]) < count:
            drawn = self._draw(generator=self._generator)
            assert drawn.resets is not None
            more = [drawn.x, drawn.target, drawn.resets]
            self._left = [torch.cat(pair) for pair in zip(self._left, more, strict=True)] if self._left else more
        x, target, resets = (values[:count] for values in self._left)
        self._left = [values[count:] for values in self._left]
        return Sequences(x, torch.tensor([count]), target, resets=resets)

    def test(self, count: int) -> Sequences:
        """Draw streams of a length, each of them new."""
        return self._draw_test(self._tests, count, generator=self._test_generator)


class Unbroken:
    """Test each net, its weights frozen, on fresh streams: none of them may break off with a wrong output.

    Short streams are tried first; a net that fails them is not asked for more. A net in whose training no stream has
    begun since the last test is not tested. Of nets that are tried on every stream before they learn from it those are
    tested that got one right, with the weights that they had then.

    Args:
        nets: how many nets there are.
        wrong: says which outputs are wrong.
        lengths: of the streams, as the trial's data understand them; the last ones decide.
        milestones: the names of what is met; with two of them the first one is met by streams that hold out for
            `fair` steps on average.
        fair: see there.
        has_resets: whether states begin anew where `resets` says so.

    Source:
        Gers, Schmidhuber & Cummins (2000), Table 2: ten test streams of 100,000 symbols; Gers, Schraudolph &
        Schmidhuber (2002).
    """

    def __init__(
        self,
        nets: int,
        wrong: Wrong,
        lengths: tuple[int, ...],
        milestones: tuple[str, ...] = ("solved",),
        fair: int = 0,
        has_resets: bool = False,
    ) -> None:
        self.milestones = milestones
        self._wrong, self._lengths, self._fair, self._has_resets = wrong, lengths, fair, has_resets
        self._data: list[Data | None] = [None] * nets
        self._met = np.zeros(nets, dtype=int)

    def begin(self, net: int, data: Data) -> None:
        """Forget the net that was here."""
        self._data[net], self._met[net] = data, 0

    def see(self, outputs: Tensor, sequences: Sequences) -> None:
        """Look at nothing: the test streams decide."""

    def test(self, nets: Nets) -> None:
        """Test all nets, each on streams of its own."""
        assert isinstance(nets, Rows), type(nets)
        assert isinstance(nets, Stoppable), type(nets)
        asked, weights = _asked(nets)
        for net, data in enumerate(self._data):
            if data is not None and asked[net] and self._met[net] < len(self.milestones):
                self._met[net] = max(self._met[net], self._tested(nets.network, weights[net], data))
                if self._met[net] == len(self.milestones):
                    nets.w[net] = weights[net]

    def _tested(self, network: Network, weights: Tensor, data: Data) -> int:
        met = 0
        for length in self._lengths:
            streams = data.test(length)
            steps = steps_before_a_mistake(network, weights, streams, self._wrong, self._has_resets)
            if len(self.milestones) > 1 and steps.double().mean() > self._fair:
                met = 1
            if (steps < streams.lengths).any():
                return met
        return len(self.milestones)

    def met(self) -> np.ndarray:
        """How many milestones each net has met."""
        return self._met


def _asked(nets: Rows) -> tuple[list[int], Tensor]:
    """Which nets are tested, and with what weights."""
    if isinstance(nets, Trying):
        return nets.survived.tolist(), nets.survivors
    # in the middle of a stream that began before nobody asks
    return nets.begun.tolist() if isinstance(nets, Counting) else [1] * len(nets), nets.w


@torch.no_grad()
def steps_before_a_mistake(
    network: Network, weights: Tensor, streams: Sequences, wrong: Wrong, has_resets: bool = False
) -> Tensor:
    """Return how many steps of each stream one net gets right before its first mistake.

    Args:
        network: what the net looks like.
        weights: its row, (weight,).
        streams: rows (batch,), a target at every step.
        wrong: says which outputs are wrong.
        has_resets: whether states begin anew where `streams.resets` says so.

    Returns:
        (batch,), the length of a stream without a mistake.
    """
    layer, states = layer_of(network, weights), None
    right = streams.lengths.clone()
    for start in range(0, len(streams.x), PIECE):
        here = slice(start, start + PIECE)
        x, target = streams.x[here], streams.target[here]
        values = one_hot(x, network.inputs).to(weights.dtype) if network.symbols else x
        resets = streams.resets[here] if has_resets and streams.resets is not None else None
        h, states = layer(values, states, resets=resets)
        y = readout.outputs(network, weights[None], h.flatten(0, 1)[None], x.flatten(0, 1)[None])
        is_wrong = wrong(y[0].unflatten(0, x.shape[:2]), target)
        first = torch.where(is_wrong.any(0), start + is_wrong.int().argmax(0), right)
        right = torch.minimum(right, first)
        if (right < start + len(x)).all():
            break
    return right
