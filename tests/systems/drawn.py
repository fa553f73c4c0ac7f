"""Small sequences for many networks, and what autograd says about them."""

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from carrousel.systems.net import RecurrentNets
from carrousel.systems.wiring import Wiring
from carrousel.tasks.sequences import Sequences

TIME = 7
INPUTS, OUTPUTS = 3, 2

#: Kinds of sequences: symbols or values come in, targets are symbols or values at every step or values at the last.
KINDS = ("symbols", "values", "last")


def drawn(
    kind: str, nets: int = 3, batch: int = 2, *, is_ragged: bool = True, has_resets: bool = False, seed: int = 0
) -> Sequences:
    """Draw sequences of one kind with 3 inputs and 2 outputs."""
    g = torch.Generator().manual_seed(seed)
    rows = (nets, batch)
    lengths = torch.randint(2, TIME + 1, rows, generator=g) if is_ragged else torch.full(rows, TIME)
    lengths[0, 0] = TIME
    ended = torch.arange(TIME).view(-1, 1, 1) >= lengths
    if kind == "symbols":
        x = torch.randint(0, INPUTS, (TIME, *rows), generator=g).masked_fill(ended, 0)
        target = torch.randint(-1, OUTPUTS, (TIME, *rows), generator=g).masked_fill(ended, -1)
    else:
        x = torch.randn(TIME, *rows, INPUTS, generator=g, dtype=torch.float64).masked_fill(ended[..., None], 0)
        target = torch.rand(TIME, *rows, OUTPUTS, generator=g, dtype=torch.float64)
        target = target[0] if kind == "last" else target
    resets = (torch.rand(TIME, *rows, generator=g) < 0.3) if has_resets else None
    return Sequences(x, lengths, target, resets=resets)


def noise_free(p: int, first: Tensor) -> Sequences:
    """Task 2a: first a_1 ... a_(p-1) first, of which each symbol is to be predicted; `first`: (net, batch), 0 or 1."""
    first = first + p - 1
    middle = torch.arange(p - 1).view(-1, 1, 1).expand(-1, *first.shape)
    return Sequences(torch.cat([first[None], middle]), torch.full(first.shape, p), torch.cat([middle, first[None]]))


def targets(sequences: Sequences, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    """Targets at every step, (time, net, batch, output), and where there are some, (time, net, batch, 1)."""
    target, steps = sequences.target, torch.arange(len(sequences.x)).view(-1, 1, 1)
    if not target.is_floating_point():
        return one_hot(target.clamp(min=0), OUTPUTS).to(dtype), (target >= 0).unsqueeze(-1)
    if target.dim() == 3:
        return target.expand(len(steps), *target.shape), (steps == sequences.lengths - 1).unsqueeze(-1)
    return target, (steps < sequences.lengths).unsqueeze(-1)


def values(sequences: Sequences) -> Tensor:
    """Inputs as values."""
    x = sequences.x
    return x if x.is_floating_point() else one_hot(x, INPUTS).double()


class Twin:
    """The networks of a population in plain torch, for autograd."""

    def __init__(self, nets: RecurrentNets) -> None:
        self.wiring: Wiring = nets.wiring
        self.W = nets.recurrent.weight.clone().requires_grad_()
        self.V = None if nets.output is None else nets.output.weight.clone().requires_grad_()

    @property
    def weights(self) -> list[Tensor]:
        return [self.W] if self.V is None else [self.W, self.V]

    def step(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        """From x(t) and h(t-1) to h(t) and y(t)."""
        one = [x.new_ones(*x.shape[:2], 1)] if self.wiring.bias else []
        h = torch.sigmoid(torch.cat([x, h, *one], -1) @ self.W)
        if self.V is None:
            return h, h[..., : self.wiring.outputs]
        return h, torch.sigmoid(torch.cat([*([x] if self.wiring.shortcuts else []), h, *one], -1) @ self.V)

    def zeros(self, x: Tensor) -> Tensor:
        return x.new_zeros(*x.shape[1:3], self.wiring.units)

    def descent(self, sequences: Sequences) -> list[Tensor]:
        """Minus the derivative of half the summed squared error by the weights, through all of time."""
        x, (target, told) = values(sequences), targets(sequences)
        h, loss = self.zeros(x), x.new_zeros(())
        for t in range(len(x)):
            if sequences.resets is not None:
                h = torch.where(sequences.resets[t].unsqueeze(-1), 0, h)
            h, y = self.step(x[t], h)
            loss = loss - (told[t] * (target[t] - y) ** 2).sum() / 2
        return list(torch.autograd.grad(loss, self.weights))


def weights_of(nets: RecurrentNets) -> list[Tensor]:
    return [layer.weight.clone() for layer in (nets.recurrent, nets.output) if layer is not None]
