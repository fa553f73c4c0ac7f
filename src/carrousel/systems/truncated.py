"""Layered networks that learn on line while they run, by back-propagation a few steps into the past."""

import torch
from torch import Tensor

from carrousel.systems.net import slope
from carrousel.systems.wiring import Layer, Wiring

__all__ = ["TruncatedNets"]


class TruncatedNets:
    """Many networks side by side, each of which may stand still while others take a step.

        h(t) = f(W [x(t), h(t-1), 1])        y(t) = f(V [x(t), h(t), 1])

    Told e_k(t) = -dE/dnet_k of the outputs at any time, a network changes V by the delta rule and W by

        e_j(t) = f'(net_j(t)) sum_k V_kj e_k(t)        e_j(t-n) = f'(net_j(t-n)) sum_i W_ij e_i(t-n+1), n up to `reach`

    with the activations as they were.

    Args:
        wiring: what is connected to what; layered.
        nets: how many networks.
        reach: how many steps error goes back.

    Attributes:
        recurrent, output: W and V.
        h: the hidden units of the last steps, latest first, (step, net, batch, hidden); zero before a sequence begins.

    Source:
        Williams & Peng (1990), An efficient gradient-based algorithm for on-line training of recurrent network
        trajectories, for truncation; the formulas are the standard ones, not compared with the article's text.
    """

    def __init__(self, wiring: Wiring, nets: int, reach: int) -> None:
        self.wiring, self.reach = wiring, reach
        self.recurrent = Layer(torch.zeros(nets, *wiring.recurrent_shape, dtype=wiring.dtype), wiring.inputs)
        self.output = Layer(
            torch.zeros(nets, *wiring.output_shape, dtype=wiring.dtype), wiring.inputs * wiring.shortcuts
        )
        self.begin(1)

    def draw(self, net: int, generator: torch.Generator) -> None:
        """Draw the weights of one network."""
        self.recurrent.weight[net], self.output.weight[net] = self.wiring.draw(generator)

    def begin(self, batch: int) -> None:
        """Forget everything: sequences begin, `batch` of them in every network."""
        steps = (self.reach + 1, len(self.recurrent.weight), batch)
        self.h = torch.zeros(*steps, self.wiring.hidden, dtype=self.wiring.dtype)
        self.z = torch.zeros(*steps, self.wiring.recurrent_shape[0], dtype=self.wiring.dtype)

    def begin_anew(self, kept: Tensor) -> None:
        """Forget the past where `kept`, (net, batch, 1), is zero: no error goes back to what is zero."""
        self.h *= kept
        self.z *= kept

    def advance(self, x: Tensor, steps: Tensor | None = None) -> None:
        """Take a step.

        Args:
            x: (net, batch, input).
            steps: (net, batch, 1), bool, which networks take it; None for all.
        """
        z = self._with_bias(torch.cat([x, self.h[0]], -1))
        h = torch.sigmoid(torch.bmm(z, self.recurrent.weight))
        z, h = (torch.cat([new[None], old[:-1]]) for new, old in ((z, self.z), (h, self.h)))
        self.z = z if steps is None else torch.where(steps, z, self.z)
        self.h = h if steps is None else torch.where(steps, h, self.h)

    def say(self, x: Tensor | None = None) -> Tensor:
        """Compute the outputs, (net, batch, output).

        Args:
            x: the last inputs as the weights take them; None for those that `advance` was given last.
        """
        return torch.sigmoid(self.output.drive(self._x(x), self._with_bias(self.h[0])))

    def learn(self, delta: Tensor, rate: float, x: Tensor | None = None) -> None:
        """Change the weights.

        Args:
            delta: e_k, (net, batch, output); zero where there is nothing to learn.
            rate: the learning rate.
            x: as in `say`.
        """
        hidden = self.wiring.hidden
        told = torch.bmm(delta, self.output.from_units[:, :hidden].mT) * slope(self.h[0])
        back, past = self.recurrent.from_units[:, :hidden].mT, [told]
        for h in self.h[1:]:
            past.append(torch.bmm(past[-1], back) * slope(h))
        self.output.add(self._x(x), self._with_bias(self.h[0]), delta, rate)
        z = self.z.transpose(0, 1).flatten(1, 2)
        self.recurrent.weight.baddbmm_(z.mT, torch.stack(past, 1).flatten(1, 2), alpha=rate)

    def _x(self, x: Tensor | None) -> Tensor:
        return self.z[0, ..., : self.wiring.inputs] if x is None else x

    def _with_bias(self, sources: Tensor) -> Tensor:
        return torch.nn.functional.pad(sources, (0, 1), value=1) if self.wiring.bias else sources
