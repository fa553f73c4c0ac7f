"""Part `overhead`: one step of one small row, where the call costs more than the arithmetic."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

import carrousel
from benchmarks.measurements import Disagreement, Shape, Timing
from benchmarks.plan import Plan
from benchmarks.sides import Gradients, given, layer_of, namesake_of, timed
from benchmarks.timing import agree, attempt

__all__ = ["measure"]


def measure(plan: Plan) -> Iterator[Timing | Disagreement]:
    """Measure a call of one step with 8 and with 32 hidden units."""
    for hidden in (8, 32):
        yield from attempt(_at, Shape(1, 1, 8, hidden), plan)


def _at(shape: Shape, plan: Plan) -> list[Timing]:
    ours = layer_of("lstm", shape, plan)
    layer = namesake_of("lstm", ours, shape)
    assert layer is not None
    step = carrousel.LSTMCell(shape.inputs, shape.hidden, backend=plan.backend)
    cell = torch.nn.LSTMCell(shape.inputs, shape.hidden)
    for single in (step, cell):
        single.load_state_dict({name.removesuffix("_l0"): p for name, p in layer.named_parameters()})
    x, weights = given(shape)
    calls: dict[str, Callable[[], Tensor]] = {
        "carrousel.LSTM": lambda: ours(x)[0],
        "torch.nn.LSTM": lambda: layer(x)[0],
        "carrousel.LSTMCell": lambda: step(x[0])[0],
        "torch.nn.LSTMCell": lambda: cell(x[0])[0],
    }
    modules = dict(zip(calls, (ours, layer, step, cell), strict=True))
    for side, call in calls.items():
        agree(f"one step of {side}", call().detach().reshape(-1), calls["torch.nn.LSTM"]().detach().reshape(-1))
    timings = []
    for mode in ("inference", "training"):
        sides: dict[str, Callable[[], Any]] = dict(calls)
        if mode == "training":
            for side, call in calls.items():
                wanted = list(modules[side].parameters())
                sides[side] = Gradients(call, wanted, weights[0] if side.endswith("Cell") else weights)
        timings += timed(sides, mode, plan, "overhead", "lstm", shape)
    return timings
