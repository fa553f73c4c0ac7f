"""Part `recompute`: what `recompute=True` saves of the memory that autograd holds, and what it costs."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

import carrousel
from benchmarks.measurements import Disagreement, Shape, Timing
from benchmarks.plan import Plan
from benchmarks.sides import Gradients, given, timed
from benchmarks.timing import agree, attempt

__all__ = ["measure"]

_LAYERS = 2


def measure(plan: Plan) -> Iterator[Timing | Disagreement]:
    """Measure two layers of 256 units over 1,000 steps of 32 rows."""
    yield from attempt(_at, Shape(2, 20, 8, 8) if plan.quick else Shape(32, 1000, 256, 256), plan)


def _at(shape: Shape, plan: Plan) -> list[Timing]:
    torch.manual_seed(1)
    sizes = (shape.inputs, shape.hidden, _LAYERS)
    layers: dict[str, nn.Module] = {
        "carrousel": carrousel.LSTM(*sizes, backend=plan.backend),
        "carrousel, recompute=True": carrousel.LSTM(*sizes, backend=plan.backend, recompute=True),
        "torch.nn": nn.LSTM(*sizes),
    }
    x, weights = given(shape)
    expected, alone = layers["carrousel"](x)[0].detach(), _held(layers["carrousel"], x)
    sides: dict[str, Callable[[], Any]] = {}
    for name, layer in layers.items():
        layer.load_state_dict(layers["carrousel"].state_dict())
        agree(f"{name}, {shape}", layer(x)[0].detach(), expected)
        side = name if name == "carrousel" else f"{name}, holds {_held(layer, x) / alone:.2f}"
        sides[side] = Gradients(lambda layer=layer: layer(x)[0], list(layer.parameters()), weights)
    return timed(sides, "training", plan, "recompute", "lstm", shape)


def _held(layer: nn.Module, x: Tensor) -> int:
    """Bytes that autograd holds for the backward, weights left out, each memory once."""
    own = {p.untyped_storage().data_ptr() for p in layer.parameters()}
    held: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        memory = tensor.untyped_storage()
        if memory.data_ptr() not in own:
            held[memory.data_ptr()] = memory.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        output = layer(x)  # the results live on, so no memory is counted twice
    del output
    return sum(held.values())
