"""The recurrent layer of many nets, forward over a sequence and back, on the kernels themselves.

There is no autograd here: `back` gives the weights' gradients as rows, in the places of `Network`.
"""

import torch
from torch import Tensor
from torch.nn.functional import one_hot, pad

from carrousel.backends.llvm.again import Again
from carrousel.systems.network import LOOKED_UP, Network
from carrousel.transforms import looked_up

__all__ = ["Sweep"]

#: Shapes of sequences whose memory is kept, and what their lengths are multiples of: steps behind the end do no harm.
KEPT, STEPS = 8, 16


class Sweep:
    """A population's recurrent layer on its way over sequences that all begin anew.

    Args:
        network: what all nets look like.
        nets: how many there are.
        dtype: of everything.
    """

    def __init__(self, network: Network, nets: int, dtype: torch.dtype = torch.float32) -> None:
        self.network, self.nets, self.dtype = network, nets, dtype
        self.looks_up = network.symbols and network.inputs > LOOKED_UP
        self.cell = looked_up(network.cell) if self.looks_up else network.cell
        kept = [group.name for group in self.cell.groups]
        stacks = network.stacks
        self.stacks = {name: stacks[name].flatten() for name in kept}
        self.columns = torch.cat([*self.stacks.values(), torch.tensor([], dtype=torch.long)])
        if self.looks_up:  # (symbol, gate * unit)
            self.table = torch.cat([stacks[group] for group in stacks if group not in kept]).mT.contiguous()
        self._calls: dict[tuple[int, int, bool], Again] = {}

    def _call(self, time: int, batch: int, keep: bool) -> Again:
        key = (time, batch, keep)
        call = self._calls.pop(key, None)
        if call is None:
            inputs = 0 if self.looks_up else self.network.inputs
            sizes = (time, self.nets, batch, inputs, self.network.hidden)
            call = Again(self.cell.definition, dict(self.cell.initial), sizes, keep, self.dtype)
        self._calls[key] = call  # the last used stands last
        if len(self._calls) > KEPT:
            del self._calls[next(iter(self._calls))]
        return call

    def lanes(self, values: Tensor) -> Tensor:
        """See (time, net, ...) as the kernels have it: (time, group, ..., lane)."""
        lanes = self.call.x.shape[-1]
        missing = -self.nets % lanes
        if missing:
            values = pad(values, (*[0, 0] * (values.dim() - 2), 0, missing))
        seen: Tensor = values.unflatten(1, (-1, lanes)).movedim(2, -1)
        return seen

    def spread(self, values: Tensor) -> Tensor:
        """Undo `lanes`."""
        return values.movedim(-1, 2).flatten(1, 2)[:, : self.nets]

    # ------------------------------------------------------------------ forward

    def forward(self, w: Tensor, x: Tensor, keep: bool) -> Tensor:
        """Run over sequences.

        Args:
            w: the weights, (net, weight).
            x: (time, net, batch, input), or symbols (time, net, batch).
            keep: whether `back` will follow.

        Returns:
            The memory cells' outputs, (time, net, batch, hidden): a view of memory that the next call overwrites.
        """
        time = len(x)
        self.call = call = self._call(-(-time // STEPS) * STEPS, x.shape[2], keep)
        padded = pad(w, (0, 1))
        for name, place in self.stacks.items():
            torch.index_select(padded, 1, place, out=call.parameters[name].view(self.nets, -1))
        if self.looks_up:
            columns = self.table[x]  # (time, net, batch, gate * unit): places in a row of weights
            self.seen = columns + torch.arange(self.nets).view(-1, 1, 1) * padded.shape[1]
            steps = padded.flatten()[self.seen].unflatten(-1, (-1, self.network.hidden))
            call.steps[:time] = self.lanes(steps)
        else:
            call.x[:time] = self.lanes(one_hot(x, self.network.inputs) if self.network.symbols else x)
        call.forward()
        return self.spread(call.output[:time])

    # ------------------------------------------------------------------ back

    def back(self, adjoint: Tensor) -> Tensor:
        """Run back over the sequences of the last `forward`.

        Args:
            adjoint: the loss's derivative by the outputs, (time, net, batch, hidden).

        Returns:
            Its derivative by the weights, (net, weight); zero for those of the output units.
        """
        call, time = self.call, len(adjoint)
        call.adjoint[:time] = self.lanes(adjoint)
        call.adjoint[time:] = 0
        call.backward()
        gradient = adjoint.new_zeros(self.nets, self.network.weights + 1)
        if call.gradients:
            stacks = torch.cat([parameter.flatten(1) for parameter in call.gradients.values()], dim=1)
            gradient.index_add_(1, self.columns, stacks)
        if self.looks_up:
            steps = torch.stack([self.spread(step[:time]) for step in call.step_gradients], dim=-2).flatten(-2)
            gradient.view(-1).index_add_(0, self.seen.flatten(), steps.flatten())
        return gradient[:, :-1]
