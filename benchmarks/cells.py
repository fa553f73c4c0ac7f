"""Part `cells`: every other cell of the registry, beside the same equations in torch and JAX.

The plain LSTM is measured along: a cell's time per gate is compared with the LSTM's at the same shape.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import Module

import carrousel
from benchmarks import loops, onnx_runtime
from benchmarks.measurements import Disagreement, Shape, Timing
from benchmarks.plan import Plan
from benchmarks.sides import Gradients, given, layer_of, namesake_of, torch_timings
from benchmarks.steps import STEPS
from benchmarks.timing import attempt
from carrousel import cells

__all__ = ["measure"]

Call = Callable[[], Any]


def measure(plan: Plan) -> Iterator[Timing | Disagreement]:
    """Measure the plain LSTM and the other cells at every shape."""
    chosen = [cells.name_of(cells.get(name)) for name in plan.cells or cells.names()]
    for shape in plan.shapes:
        for name in dict.fromkeys(["lstm", *chosen]):
            yield from attempt(_at, name, shape, plan)


def _at(name: str, shape: Shape, plan: Plan) -> Iterator[Timing | Disagreement]:
    ours = layer_of(name, shape, plan)
    layers: dict[str, Callable[[Tensor], Tensor]] = {"carrousel": lambda x: ours(x)[0]}
    parameters: dict[str, Sequence[Tensor]] = {"carrousel": list(ours.parameters())}
    peer = namesake_of(name, ours, shape)
    if peer is not None:
        layers["torch.nn"], parameters["torch.nn"] = lambda x: peer(x)[0], list(peer.parameters())
    if name != "lstm":
        eager = carrousel.Recurrent(name, shape.inputs, shape.hidden, backend="eager")
        eager.load_state_dict(ours.state_dict())
        layers["eager"], parameters["eager"] = lambda x: eager(x)[0], list(eager.parameters())
    if name in STEPS and name != "lstm":
        layers["torch loop"], parameters["torch loop"] = loops.TorchLoop(name, ours), list(ours.parameters())
    foreign = _foreign(name, ours, peer, shape, plan)
    return torch_timings(name, shape, plan, "cells", layers, parameters, foreign)


def _foreign(
    name: str, ours: Module, peer: Module | None, shape: Shape, plan: Plan
) -> dict[str, dict[str, Callable[[], Any]]]:
    """The calls of other libraries, mode by mode."""
    found: dict[str, dict[str, Call]] = {"inference": {}, "training": {}}
    x, weights = given(shape)
    if peer is not None and (runtime := onnx_runtime.inference(name, peer, x, plan.threads)):
        found["inference"]["ONNX Runtime"] = runtime
    if name in STEPS and name != "lstm" and plan.jax and loops.jax_available():
        loop = loops.TorchLoop(name, ours)
        gradients = Gradients(lambda: loop(x), list(ours.parameters()), weights)()
        with torch.inference_mode():
            output = loop(x)
        for mode, sides in loops.jax_sides(name, ours, x, weights, gradients, output).items():
            found[mode] |= sides
    return found
