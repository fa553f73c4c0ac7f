"""Part `lstm`: the plain LSTM beside torch.nn.LSTM and ONNX Runtime."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from benchmarks import onnx_runtime
from benchmarks.measurements import Disagreement, Shape, Timing
from benchmarks.plan import Plan
from benchmarks.sides import given, layer_of, namesake_of, torch_timings
from benchmarks.timing import attempt

__all__ = ["measure"]


def measure(plan: Plan) -> Iterator[Timing | Disagreement]:
    """Measure the shapes of the bars, with `--wide` the grid after them."""
    for shape in plan.shapes:
        yield from attempt(_at, shape, plan, "lstm")
    for shape in plan.grid if plan.wide else ():
        yield from attempt(_at, shape, plan, "wide")


def _at(shape: Shape, plan: Plan, part: str) -> Iterator[Timing | Disagreement]:
    ours = layer_of("lstm", shape, plan)
    peer = namesake_of("lstm", ours, shape)
    assert isinstance(peer, torch.nn.LSTM)
    runtime = onnx_runtime.inference("lstm", peer, given(shape)[0], plan.threads)
    foreign = {"inference": {"ONNX Runtime": runtime}} if runtime else {}
    layers = {"torch.nn": lambda x: peer(x)[0], "carrousel": lambda x: ours(x)[0]}
    parameters: dict[str, Sequence[Tensor]] = {
        "torch.nn": list(peer.parameters()),
        "carrousel": list(ours.parameters()),
    }
    modes = ("inference", "training", "training_x")
    return torch_timings("lstm", shape, plan, part, layers, parameters, foreign, modes)
