"""The two sides that need no other library: layers of carrousel, and of torch.nn with the same weights."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import Module

import carrousel
from benchmarks.counts import counts
from benchmarks.measurements import Disagreement, Shape, Times, Timing
from benchmarks.plan import Plan
from benchmarks.timing import agree, attempt, compare
from carrousel import cells

__all__ = ["Gradients", "given", "layer_of", "namesake_of", "timed", "torch_timings"]

_NAMESAKES = {"lstm": "LSTM", "gru": "GRU", "elman": "RNN"}


def given(shape: Shape, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Return an input (steps, batch, inputs) and the weights (steps, batch, hidden) of the loss."""
    drawn = torch.Generator().manual_seed(seed)
    x = torch.randn(shape.steps, shape.batch, shape.inputs, generator=drawn)
    return x, torch.randn(shape.steps, shape.batch, shape.hidden, generator=drawn) / shape.steps


def layer_of(name: str, shape: Shape, plan: Plan) -> Module:
    """Return a cell as the layer that a user takes: the drop-in where there is one."""
    torch.manual_seed(1)
    if name in _NAMESAKES:
        layer: Module = getattr(carrousel, _NAMESAKES[name])(shape.inputs, shape.hidden, backend=plan.backend)
        return layer
    recurrent = carrousel.Recurrent(name, shape.inputs, shape.hidden, backend=plan.backend)
    gains = {f"{gain}_l0" for gain in recurrent.cell.gains}
    with torch.no_grad():  # at gains of one such a net is chaotic: rounding alone drives two sides apart
        for parameter, values in recurrent.named_parameters():
            if parameter in gains:
                values.fill_(0.2)
    return recurrent


def namesake_of(name: str, layer: Module, shape: Shape) -> Module | None:
    """Return torch.nn's layer with the weights of ours, None if torch has none for this cell."""
    if name not in _NAMESAKES:
        return None
    peer: Module = getattr(torch.nn, _NAMESAKES[name])(shape.inputs, shape.hidden)
    peer.load_state_dict(layer.state_dict())
    return peer


class Gradients:
    """The gradients of the weighted sum of an output, as one call.

    The weights of the sum go in as the output's gradient: no side pays for the loss itself.
    """

    def __init__(self, output: Callable[[], Tensor], wanted: Sequence[Tensor], weights: Tensor) -> None:
        self.output, self.wanted, self.weights = output, tuple(wanted), weights

    def __call__(self) -> tuple[Tensor, ...]:
        """Run forward and backward."""
        return torch.autograd.grad(self.output(), self.wanted, self.weights)


def timed(
    sides: dict[str, Callable[[], Any]], mode: str, plan: Plan, part: str, name: str, shape: Shape, nets: int = 1
) -> list[Timing]:
    """Time sides of one mode in turns, for inference inside torch.inference_mode."""
    with torch.inference_mode(mode == "inference"):
        found: dict[str, Times] = compare(sides, plan)
    counted = counts(cells.get(name))
    numbers = (nets * counted.flops(shape, mode), nets, counted.gates, counted.products)
    return [Timing(part, name, mode, side, shape, times, *numbers) for side, times in found.items()]


def torch_timings(
    name: str,
    shape: Shape,
    plan: Plan,
    part: str,
    layers: dict[str, Callable[[Tensor], Tensor]],
    parameters: dict[str, Sequence[Tensor]],
    foreign: dict[str, dict[str, Callable[[], Any]]],
    modes: Sequence[str] = ("inference", "training"),
) -> Iterator[Timing | Disagreement]:
    """Check that all sides agree, then time them; where they do not, the mode is not timed.

    Args:
        name: the cell.
        shape: sizes of the call.
        plan: options.
        part: the part of the program.
        layers: side -> input to output, differentiable by torch.
        parameters: side -> what the gradient is taken by.
        foreign: mode -> side -> one call of another library, which the caller has checked.
        modes: which of "inference", "training" and "training_x".

    Yields:
        One Timing per side and mode.
    """
    x, weights = given(shape)
    for mode in modes:
        fed = x.clone().requires_grad_() if mode == "training_x" else x
        also = (fed,) if mode == "training_x" else ()
        sides: dict[str, Callable[[], Any]] = {}
        for side, run in layers.items():
            call = _bound(run, fed)
            sides[side] = call if mode == "inference" else Gradients(call, (*parameters[side], *also), weights)
        yield from attempt(_checked, {**sides, **foreign.get(mode, {})}, len(sides), mode, plan, part, name, shape)


def _checked(
    sides: dict[str, Callable[[], Any]], own: int, mode: str, plan: Plan, part: str, name: str, shape: Shape
) -> list[Timing]:
    """Time sides of which the first, torch's, have to agree."""
    _check(f"{name}, {shape}, {mode}", dict(list(sides.items())[:own]))
    return timed(sides, mode, plan, part, name, shape)


def _bound(run: Callable[[Tensor], Tensor], x: Tensor) -> Callable[[], Tensor]:
    return lambda: run(x)


def _check(what: str, sides: dict[str, Callable[[], Any]]) -> None:
    """All sides return what the first one returns."""
    results = {side: call() for side, call in sides.items()}
    first, expected = next(iter(results.items()))
    for side, got in list(results.items())[1:]:
        pairs = zip(_several(got), _several(expected), strict=True)
        for number, (left, right) in enumerate(pairs):
            agree(f"{what}: result {number} of {side} and {first}", left.detach(), right.detach())


def _several(result: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return (result,) if isinstance(result, Tensor) else result
