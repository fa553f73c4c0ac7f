"""Many recurrent networks of logistic units side by side: what they compute, before any way of learning."""

from collections.abc import Sequence

import torch
from torch import Tensor

from carrousel.systems.checks import seeded
from carrousel.systems.lesson import Lesson, Step
from carrousel.systems.wiring import Layer, Wiring
from carrousel.tasks.sequences import Sequences

__all__ = ["RecurrentNets", "slope"]


class RecurrentNets:
    """Recurrent networks of one wiring.

    With f the logistic function, W the weights into the recurrent units and V those into the outputs,

        h(t) = f(W [x(t), h(t-1), 1])        y(t) = f(V [x(t), h(t), 1])

    where the 1 stands for a bias and V for layered networks; in fully recurrent ones y(t) is the first part of h(t).

    Args:
        wiring: what is connected to what.
        seeds: one for each network.

    Attributes:
        recurrent: W.
        output: V, None in fully recurrent networks.

    Raises:
        OptionError: there are no seeds.
    """

    def __init__(self, wiring: Wiring, seeds: Sequence[int]) -> None:
        self.wiring = wiring
        nets, shape, output_shape = seeded(seeds), wiring.recurrent_shape, wiring.output_shape
        self.recurrent = Layer(torch.zeros(nets, *shape, dtype=wiring.dtype), wiring.inputs)
        self.output: Layer | None = None
        if not wiring.fully_recurrent:
            weight = torch.zeros(nets, *output_shape, dtype=wiring.dtype)
            self.output = Layer(weight, wiring.inputs * wiring.shortcuts)
        for net, seed in enumerate(seeds):
            self.replace(net, seed)

    def __len__(self) -> int:
        return len(self.recurrent.weight)

    @property
    def weights(self) -> int:
        """The trainable weights of one network."""
        return self.wiring.weights

    def replace(self, net: int, seed: int) -> None:
        """Put a fresh network in the place of one; see `carrousel.systems.system`."""
        recurrent, output = self.wiring.draw(torch.Generator().manual_seed(seed))
        self.recurrent.weight[net] = recurrent
        if self.output is not None:
            self.output.weight[net] = output

    @torch.no_grad()
    def predict(self, sequences: Sequences) -> Tensor:
        """Compute the outputs; see `carrousel.systems.system`."""
        lesson = self.lesson(sequences)
        return lesson.answer(self.run(lesson)[1])

    def lesson(self, sequences: Sequences) -> Lesson:
        """Cut sequences into steps for these networks."""
        wiring = self.wiring
        return Lesson(sequences, len(self), wiring.inputs, wiring.outputs, wiring.recurrent_shape[0], wiring.dtype)

    def run(self, lesson: Lesson) -> tuple[Tensor, Tensor]:
        """Compute all steps with the weights as they are.

        Returns:
            States (time + 1, net, batch, unit [+ 1]), the first zero, with the bias' 1 behind; outputs (time, net,
            batch, output).
        """
        states, outputs = self.blank(lesson)
        for step, before, after, y in zip(lesson.steps(), states, states[1:], outputs, strict=False):
            self.advance(step, before, after)
            self.say(step, after, y)
        return states, outputs

    def blank(self, lesson: Lesson) -> tuple[Tensor, Tensor]:
        """Make memory for the states and outputs of all steps; what `run` returns, all zero but the bias."""
        rows, wiring = (lesson.nets, lesson.batch), self.wiring
        states = torch.zeros(lesson.time + 1, *rows, wiring.units + wiring.bias, dtype=wiring.dtype)
        states[..., wiring.units :] = 1
        return states, torch.zeros(lesson.time, *rows, wiring.outputs, dtype=wiring.dtype)

    def advance(self, step: Step, before: Tensor, after: Tensor) -> Tensor:
        """Compute the recurrent units of one step.

        Args:
            step: the step.
            before: the last states, (net, batch, unit [+ 1]).
            after: where the new ones go.

        Returns:
            The last states as the units saw them: zero where they began anew.
        """
        units = self.wiring.units
        if step.kept is not None:
            before = before.clone()
            before[..., :units] *= step.kept
        torch.sigmoid(self.recurrent.drive(step.x, before), out=after[..., :units])
        return before

    def say(self, step: Step, after: Tensor, y: Tensor) -> None:
        """Compute the outputs of one step into `y`."""
        if self.output is None:
            y.copy_(after[..., : self.wiring.outputs])
        else:
            torch.sigmoid(self.output.drive(step.x, after), out=y)

    def errors(self, target: Tensor, told: Tensor | None, y: Tensor) -> tuple[Tensor, Tensor]:
        """Compute what outputs and recurrent units are told, E being half the sum of (target - y)^2.

        Args:
            target, y: (net, batch, output).
            told: (net, batch, 1), 0 where there is no target.

        Returns:
            The outputs' -dE/dnet = f'(net) (target - y), empty in fully recurrent networks, and the recurrent units'
            -dE/dh by way of the outputs of the same step, (net, batch, unit).
        """
        miss = target - y
        if told is not None:
            miss *= told
        if self.output is None:
            return miss[..., :0], torch.nn.functional.pad(miss, (0, self.wiring.hidden))
        delta = miss.mul_(slope(y))
        return delta, torch.bmm(delta, self.output.from_units[:, : self.wiring.hidden].mT)


def slope(y: Tensor) -> Tensor:
    """Return the logistic function's derivative where its value is y: y (1 - y)."""
    return torch.addcmul(y, y, y, value=-1)
