"""The steps of nets that learn in real time, one after the other in plain tensors: the reference."""

import torch
from torch import Tensor

from carrousel.systems import readout
from carrousel.systems.influence import Influence
from carrousel.systems.judgement import Judgement
from carrousel.systems.network import Network

__all__ = ["PlainSteps"]


class PlainSteps:
    """Many nets of one shape on their way over time; arguments and methods are those of `carrousel.systems.steps`."""

    def __init__(
        self,
        network: Network,
        w: Tensor,
        judgement: Judgement | None = None,
        decay: float = 1.0,
        momentum: float = 0.0,
        together: bool = False,
    ) -> None:
        self.network, self.w, self.judgement, self.decay = network, w, judgement, decay
        self.momentum, self.together, self.velocity = momentum, together, torch.zeros_like(w)
        self.influence = Influence(network, len(w), w.dtype)
        self.learns, self.rate, self.goes_on = torch.ones_like(w), w.new_ones(len(w), 1), w.new_zeros(len(w))
        self.survived = w.new_zeros(len(w))

    def begin(self) -> None:
        """Put every state at its beginning."""
        self.influence.begin(len(self.w))

    def take(self, x: Tensor, target: Tensor, is_over: Tensor | None = None) -> Tensor:
        """Lay out the steps to come; return where their outputs will be."""
        self.is_over = torch.zeros(x.shape[:2], dtype=torch.bool) if is_over is None else is_over
        self.x, self.target, self.anew = x, target, torch.zeros(x.shape[:2], dtype=torch.bool)
        self.y = x.new_zeros(*x.shape[:2], self.network.outputs)
        return self.y

    def begin_anew(self, t: int | slice, nets: Tensor) -> None:
        """Note which nets begin anew before some of the steps."""
        self.anew[t] = nets

    def run(self, first: int, last: int, first_rate: float = 0.0) -> int:
        """Take the steps from `first` to before `last` of those laid out, or to the first (last) end of a stream."""
        network, w = self.network, self.w
        for t in range(first, last):
            self._begin_nets(self.anew[t], first_rate)
            h = self.influence.advance(w, self.x[t]).unsqueeze(1)
            x = (self.x[t].argmax(-1) if network.symbols else self.x[t]).unsqueeze(1)
            y = readout.outputs(network, w, h, x)
            self.y[t] = y.squeeze(1)
            delta = readout.deltas(network, y, self.target[t].unsqueeze(1))
            change = torch.zeros_like(w)
            passed = readout.back(network, w, change, delta, h, x)
            change[:, : self.influence.width] = self.influence.gradient(passed.squeeze(1))
            moves = (self.rate != 0) & self._asked(t)
            change = change.mul_(self.learns).mul_(self.rate).add_(self.velocity, alpha=self.momentum)
            self.velocity = torch.where(moves, change, self.velocity)
            w.add_(torch.where(moves, change, 0))
            if self.judgement is not None and self._end_streams(t, self.judgement(self.y[t], self.target[t])):
                return t + 1
        return last

    def _begin_nets(self, nets: Tensor, first_rate: float) -> None:
        self.influence.reset(nets.nonzero().squeeze(1))
        if self.together:
            self.goes_on[nets], self.rate[nets], self.survived[nets] = 1, first_rate, 0

    def _asked(self, t: int) -> Tensor:
        """Which nets have a target, (net, 1)."""
        target = self.target[t]
        asked = target.new_ones(len(target)) if target.is_floating_point() else target >= 0
        return (asked.bool() & ~self.is_over[t]).unsqueeze(1)

    def _end_streams(self, t: int, is_wrong: Tensor) -> bool:
        is_through = self.is_over[t] & (self.goes_on > 0)
        self.survived.masked_fill_(is_through, 1)
        is_over = is_through | (is_wrong & (self.goes_on > 0))
        self.rate.mul_(self.decay).masked_fill_(is_over.unsqueeze(1), 0)
        self.goes_on.masked_fill_(is_over, 0)
        return bool(is_over.any()) and not (self.together and bool(self.goes_on.any()))
