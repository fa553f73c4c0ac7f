"""Real-time recurrent learning: the exact gradient carried forward with the activations."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from carrousel.systems.checks import at_least
from carrousel.systems.lesson import Lesson
from carrousel.systems.net import RecurrentNets, slope
from carrousel.systems.wiring import Layer, Wiring
from carrousel.tasks.sequences import Sequences

__all__ = ["RTRL", "RTRLNets"]


@dataclass(frozen=True)
class RTRL:
    """Real-time recurrent learning.

    Every recurrent unit k carries the influence of every weight ij into a recurrent unit on its activation,

        p^k_ij(t) = f'(net_k(t)) [sum_l w_kl p^l_ij(t-1) + delta_ik z_j(t)]        p^k_ij(0) = 0

    z being the sources [x(t), h(t-1), 1], and after every step with a target

        w_ij += rate sum_k e_k(t) p^k_ij(t)

    e_k being -dE(t)/dh_k. A step costs O(n^4) for n fully recurrent units and memory does not grow with time. The
    outputs of layered networks are not recurrent and learn by the delta rule. Off line the weights change at the end
    of the sequence, and the sum over time is BPTT's gradient. There is no teacher forcing.

    Args:
        wiring: what is connected to what.
        rate: the learning rate.
        online: whether weights change at every step, or at the end of the sequence.

    Raises:
        OptionError: the rate is below zero.
        OptionTypeError: the rate is no number.

    Example:
        >>> nets = RTRL(Wiring(inputs=7, hidden=3, outputs=7, fully_recurrent=True), rate=0.05).start([1, 2, 3])
        >>> len(nets), nets.weights
        (3, 170)

    Source:
        Williams & Zipser (1989), A learning algorithm for continually running fully recurrent neural networks; as
        used in Tables 1 and 2 of Hochreiter & Schmidhuber (1997). The formulas are the standard ones, not compared
        with the article's text.
    """

    wiring: Wiring
    rate: float
    online: bool = True

    def __post_init__(self) -> None:
        at_least("RTRL", "rate", self.rate, 0.0)

    def start(self, seeds: Sequence[int]) -> "RTRLNets":
        """Draw networks; see `carrousel.systems.system`."""
        return RTRLNets(self, seeds)


class RTRLNets(RecurrentNets):
    """Networks that learn in real time."""

    def __init__(self, system: RTRL, seeds: Sequence[int]) -> None:
        self.system = system
        super().__init__(system.wiring, seeds)

    @torch.no_grad()
    def learn(self, sequences: Sequences) -> Tensor:
        """Change the weights at every step that has a target; see `carrousel.systems.system`."""
        lesson, rate = self.lesson(sequences), self.system.rate
        states, outputs = self.blank(lesson)
        influences = _Influences(self.recurrent, lesson)
        recurrent, output = self.recurrent, self.output
        if not self.system.online:
            recurrent = _zeros_like(recurrent)
            output = None if output is None else _zeros_like(output)
        for t, (step, before, after, y) in enumerate(
            zip(lesson.steps(), states.unbind(), states[1:].unbind(), outputs.unbind(), strict=False)
        ):
            before = self.advance(step, before, after)
            self.say(step, after, y)
            influences.advance(t, before, after, step.kept)
            if step.target is not None:
                delta, wanted = self.errors(step.target, step.told, y)
                if output is not None:
                    output.add(step.x, after, delta, rate)
                influences.add(recurrent, wanted, rate)
        if not self.system.online:
            self.recurrent.weight += recurrent.weight
            if self.output is not None and output is not None:
                self.output.weight += output.weight
        return lesson.answer(outputs)


class _Influences:
    """p, the influence of each weight (source j, unit i) on each unit k: (net, k, batch, j, i)."""

    def __init__(self, layer: Layer, lesson: Lesson) -> None:
        nets, sources, self.units = layer.weight.shape
        self.inputs = layer.inputs
        # With k before the batch the sum over l is one product per network, whatever the batch.
        self.p = layer.weight.new_zeros(nets, self.units, lesson.batch, sources, self.units)
        self.spare = torch.zeros_like(self.p)
        self.back = layer.from_units[:, : self.units].mT
        self.z = layer.weight.new_zeros(lesson.time, nets, lesson.batch, sources)
        self.z[..., : self.inputs] = lesson.values()

    def advance(self, t: int, before: Tensor, after: Tensor, kept: Tensor | None) -> None:
        """From p(t-1) to p(t), with the weights that made h(t) of h(t-1)."""
        nets, units = len(self.p), self.units
        old, new = self.p, self.spare
        if kept is not None:
            old *= kept.view(nets, 1, -1, 1, 1)
        z = self.z[t]
        z[..., self.inputs :] = before
        torch.bmm(self.back, old.view(nets, units, -1), out=new.view(nets, units, -1))
        new.diagonal(dim1=1, dim2=4).add_(z.unsqueeze(-1))
        new *= slope(after[..., :units]).mT[..., None, None]
        self.p, self.spare = new, old

    def add(self, layer: Layer, wanted: Tensor, rate: float) -> None:
        """Change the weights by rate times e p, summed over units and batch."""
        nets = len(self.p)
        asked = wanted.mT.reshape(nets, 1, -1)
        layer.weight.view(nets, 1, -1).baddbmm_(asked, self.p.view(nets, asked.shape[-1], -1), alpha=rate)


def _zeros_like(layer: Layer) -> Layer:
    return Layer(torch.zeros_like(layer.weight), layer.inputs)
