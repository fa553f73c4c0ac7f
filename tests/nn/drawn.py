"""Layers and calls drawn at random: a cell, directions, layers, lengths, boundaries, given states."""

from dataclasses import dataclass
from typing import Any

import torch
from hypothesis import settings
from hypothesis import strategies as st
from torch import Tensor

import carrousel

CELLS: dict[str, dict[str, Any]] = {
    "lstm": {},
    "gru": {},
    "elman_relu": {},
    "peephole_lstm": {"proj_size": 3},
    "gru_2014": {},
    "slstm": {},
    "fgr": {},
    "nig": {},
    "lstm_1997": {"block_size": 2},
    "lstm_1997_full": {"block_size": 2, "bias": ("o",)},
}
INPUT, HIDDEN = 3, 4

few = settings(max_examples=75, deadline=None, derandomize=True)


@dataclass
class Call:
    """A layer, and the arguments of one call."""

    layer: carrousel.Recurrent
    x: Tensor
    hx: tuple[Tensor, ...] | None
    lengths: Tensor
    resets: Tensor

    @property
    def depth(self) -> int:
        return self.layer.num_layers * (2 if self.layer.bidirectional else 1)

    def fresh(self, batch: int) -> tuple[Tensor, ...]:
        """The states before the first step: the cell's initial values, or what was learned."""
        cell, layout = self.layer.cell, self.layer._layout
        values = []
        for state in cell.states:
            learned = getattr(self.layer, f"initial_{state}", None)
            if learned is None:
                learned = torch.full((self.depth, layout.state_size(state)), cell.initial[state], dtype=torch.float64)
            values.append(learned.unsqueeze(1).expand(-1, batch, -1))
        return tuple(values)

    def leaves(self) -> list[Tensor]:
        """Everything that may have a gradient."""
        return [self.x, *(self.hx or ()), *self.layer.parameters()]


def as_tuple(state: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return state if isinstance(state, tuple) else (state,)


def gradients(results: list[Tensor], leaves: list[Tensor]) -> list[Tensor]:
    """The gradients of a weighted sum of all finite results (a state may begin at -inf)."""
    draw = torch.Generator().manual_seed(5)
    loss = torch.zeros((), dtype=torch.float64)
    for result in results:
        weights = torch.randn(result.shape, generator=draw, dtype=result.dtype)
        loss = loss + torch.where(result.isfinite(), result * weights, 0).sum()
    if not loss.requires_grad:  # no step was taken: the results are constants
        return [torch.zeros_like(leaf) for leaf in leaves]
    return list(torch.autograd.grad(loss, leaves, materialize_grads=True))


@st.composite
def calls(draw: st.DrawFn, time: int | None = None, batch: int | None = None) -> Call:
    """Draw a layer in float64 and a call of it."""
    name = draw(st.sampled_from(list(CELLS)))
    torch.manual_seed(draw(st.integers(0, 99)))
    layer = carrousel.Recurrent(
        name,
        INPUT,
        HIDDEN,
        num_layers=draw(st.integers(1, 2)),
        bidirectional=draw(st.booleans()),
        learn_initial_state=draw(st.booleans()),
        backend=draw(st.sampled_from(["auto", "eager"])),
        dtype=torch.float64,
        **CELLS[name],
    )
    for parameter in layer.parameters():
        torch.nn.init.uniform_(parameter, -0.8, 0.8)
    time = draw(st.integers(0, 6)) if time is None else time
    batch = draw(st.integers(0, 3)) if batch is None else batch
    lengths = draw(st.lists(st.integers(0, time), min_size=batch, max_size=batch))
    resets = draw(st.lists(st.booleans(), min_size=time * batch, max_size=time * batch))
    x = torch.randn(time, batch, INPUT, dtype=torch.float64).requires_grad_()
    call = Call(layer, x, None, torch.tensor(lengths).long(), torch.tensor(resets).bool().reshape(time, batch))
    if draw(st.booleans()):
        sizes = [f.shape[-1] for f in call.fresh(0)]
        shapes = [(call.depth, batch, size) for size in sizes]
        call.hx = tuple(torch.rand(s, dtype=torch.float64).add_(0.1).requires_grad_() for s in shapes)
    return call


def run(call: Call, **changes: Any) -> list[Tensor]:
    """Output and final states of a call."""
    arguments = {"hx": call.hx, "lengths": call.lengths, "resets": call.resets, **changes}
    hx = arguments.pop("hx")
    if hx is not None and len(hx) == 1:
        hx = hx[0]
    output, states = call.layer(arguments.pop("x", call.x), hx, **arguments)
    return [output, *as_tuple(states)]
