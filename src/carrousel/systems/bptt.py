"""Back-propagation through time: the gradient of a whole sequence, by its own backward pass."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from carrousel.systems.checks import at_least
from carrousel.systems.lesson import Lesson
from carrousel.systems.net import RecurrentNets, slope
from carrousel.systems.wiring import Wiring
from carrousel.tasks.sequences import Sequences

__all__ = ["BPTT", "BPTTNets"]


@dataclass(frozen=True)
class BPTT:
    """Back-propagation through time; weights change at the end of each sequence.

    With d the targets, the error signals of outputs k and recurrent units j are

        e_k(t) = f'(net_k(t)) (d_k(t) - y_k(t))
        e_j(t) = f'(net_j(t)) (sum_k V_kj e_k(t) + sum_i W_ij e_i(t+1))

    and a weight from source l to unit j changes by rate times the sum over t of e_j(t) and the source's activation.
    Time and memory are proportional to the sequence's length.

    Args:
        wiring: what is connected to what.
        rate: the learning rate.

    Raises:
        OptionError: the rate is below zero.
        OptionTypeError: the rate is no number.

    Example:
        >>> nets = BPTT(Wiring(inputs=101, hidden=1, outputs=101), rate=1.0).start(range(18))
        >>> len(nets), nets.weights
        (18, 10404)

    Source:
        Hochreiter & Schmidhuber (1997), section 3.1.
    """

    wiring: Wiring
    rate: float

    def __post_init__(self) -> None:
        at_least("BPTT", "rate", self.rate, 0.0)

    def start(self, seeds: Sequence[int]) -> "BPTTNets":
        """Draw networks; see `carrousel.systems.system`."""
        return BPTTNets(self, seeds)


class BPTTNets(RecurrentNets):
    """Networks that learn by back-propagation through time."""

    def __init__(self, system: BPTT, seeds: Sequence[int]) -> None:
        self.system = system
        super().__init__(system.wiring, seeds)

    @torch.no_grad()
    def learn(self, sequences: Sequences) -> Tensor:
        """Change the weights at the end of the sequences; see `carrousel.systems.system`."""
        lesson, rate, units = self.lesson(sequences), self.system.rate, self.wiring.units
        states, outputs = self.run(lesson)
        told = lesson.told.unsqueeze(-1).to(outputs.dtype)
        delta, wanted = self.errors(_by_net(lesson.target), _by_net(told), _by_net(outputs))
        told_units = self._back(lesson, states, _by_time(wanted, lesson.batch))

        x = _by_net(lesson.values())
        if self.output is not None:
            self.output.add(x, _by_net(states[1:]), delta, rate)
        before = states[:-1]
        if lesson.kept is not None:
            before = before.clone()
            before[..., :units] *= lesson.kept
        self.recurrent.add(x, _by_net(before), _by_net(told_units), rate)
        return lesson.answer(outputs)

    def _back(self, lesson: Lesson, states: Tensor, wanted: Tensor) -> Tensor:
        """Carry errors back: from the units' -dE/dh of their own step to their -dE/dnet, (time, net, batch, unit)."""
        units = self.wiring.units
        back = self.recurrent.from_units[:, :units].mT
        told = wanted * slope(states[1:, ..., :units])
        slopes = slope(states[:-1, ..., :units])  # of the step before
        if lesson.kept is not None:
            slopes *= lesson.kept
        for t in range(lesson.time - 1, 0, -1):
            told[t - 1].addcmul_(torch.bmm(told[t], back), slopes[t])
        return told


def _by_net(steps: Tensor) -> Tensor:
    """(time, net, batch, n) -> (net, time * batch, n)."""
    return steps.transpose(0, 1).flatten(1, 2)


def _by_time(rows: Tensor, batch: int) -> Tensor:
    """(net, time * batch, n) -> (time, net, batch, n)."""
    steps: Tensor = rows.unflatten(1, (-1, batch)).transpose(0, 1)
    return steps
