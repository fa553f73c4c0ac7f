"""Elman's simple recurrent network: the last hidden activations are one more input, and error goes back one step."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from carrousel.systems.checks import at_least
from carrousel.systems.net import RecurrentNets, slope
from carrousel.systems.wiring import Wiring
from carrousel.tasks.sequences import Sequences

__all__ = ["Elman", "ElmanNets"]


@dataclass(frozen=True)
class Elman:
    """The simple recurrent network with its one-step gradient, on line.

    The context h(t-1) is a copy and is treated as an input. After every step with a target d,

        e_k = f'(net_k) (d_k - y_k)         V_kj += rate e_k z_j        z = [x(t), h(t), 1]
        e_i = f'(net_i) sum_k V_ki e_k      W_ij += rate e_i z_j        z = [x(t), h(t-1), 1]

    Args:
        wiring: what is connected to what; Elman's has no shortcuts.
        rate: the learning rate.

    Raises:
        OptionError: the rate is below zero.
        OptionTypeError: the rate is no number.

    Example:
        >>> nets = Elman(Wiring(inputs=7, hidden=15, outputs=7, shortcuts=False), rate=0.1).start([1, 2])
        >>> len(nets), nets.weights
        (2, 435)

    Source:
        Elman (1990), Finding structure in time; 15 hidden units and 435 weights: Cleeremans et al. (1989) in Table 1
        of Hochreiter & Schmidhuber (1997). Their rate, momentum and initial weights are not known here; there is no
        momentum.
    """

    wiring: Wiring
    rate: float

    def __post_init__(self) -> None:
        at_least("Elman", "rate", self.rate, 0.0)

    def start(self, seeds: Sequence[int]) -> "ElmanNets":
        """Draw networks; see `carrousel.systems.system`."""
        return ElmanNets(self, seeds)


class ElmanNets(RecurrentNets):
    """Networks that learn by the one-step gradient."""

    def __init__(self, system: Elman, seeds: Sequence[int]) -> None:
        self.system = system
        super().__init__(system.wiring, seeds)

    @torch.no_grad()
    def learn(self, sequences: Sequences) -> Tensor:
        """Change the weights at every step that has a target; see `carrousel.systems.system`."""
        lesson, rate, units = self.lesson(sequences), self.system.rate, self.wiring.units
        states, outputs = self.blank(lesson)
        for step, before, after, y in zip(lesson.steps(), states, states[1:], outputs, strict=False):
            before = self.advance(step, before, after)
            self.say(step, after, y)
            if step.target is not None:
                delta, wanted = self.errors(step.target, step.told, y)
                if self.output is not None:
                    self.output.add(step.x, after, delta, rate)
                self.recurrent.add(step.x, before, wanted.mul_(slope(after[..., :units])), rate)
        return lesson.answer(outputs)
