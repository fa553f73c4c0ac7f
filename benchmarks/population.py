"""Part `population`: many small independent networks in one call, beside a loop over single ones."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import Module

import carrousel
from benchmarks.measurements import Disagreement, Shape, Timing
from benchmarks.plan import Plan
from benchmarks.sides import Gradients, layer_of, namesake_of, timed
from benchmarks.timing import agree, attempt

__all__ = ["measure"]


def measure(plan: Plan) -> Iterator[Timing | Disagreement]:
    """Measure populations of LSTMs: 16 to 128 nets of 4 to 32 hidden units."""
    many, sizes = ((2,), (4,)) if plan.quick else ((16, 32, 128), (4, 8, 16, 32))
    for nets in many:
        for hidden in sizes:
            yield from attempt(_at, nets, Shape(4, 5 if plan.quick else 100, 8, hidden), plan)


def _at(nets: int, shape: Shape, plan: Plan) -> list[Timing]:
    torch.manual_seed(0)
    population = carrousel.Population("lstm", nets, shape.inputs, shape.hidden, backend=plan.backend)
    x = torch.randn(nets, shape.steps, shape.batch, shape.inputs)
    weights = torch.randn(nets, shape.steps, shape.batch, shape.hidden) / shape.steps
    ours = [layer_of("lstm", shape, plan) for _ in range(nets)]
    for index, layer in enumerate(ours):
        layer.load_state_dict(population.net(index).state_dict())
    peers = [peer for layer in ours if (peer := namesake_of("lstm", layer, shape)) is not None]
    calls: dict[str, Callable[[], Tensor]] = {
        "carrousel": lambda: population(x)[0],
        "carrousel, loop over nets": _loop(ours, x),
        "torch.nn, loop over nets": _loop(peers, x),
    }
    for side, call in calls.items():
        agree(f"population, {side}", call().detach(), calls["carrousel"]().detach())
    timings = []
    modules: dict[str, Sequence[Module]] = {
        "carrousel": [population],
        "carrousel, loop over nets": ours,
        "torch.nn, loop over nets": peers,
    }
    for mode in ("inference", "training"):
        sides: dict[str, Callable[[], Any]] = dict(calls)
        if mode == "training":
            for side, call in calls.items():
                wanted = [p for layer in modules[side] for p in layer.parameters()]
                sides[side] = Gradients(call, wanted, weights)
        timings += timed(sides, mode, plan, "population", "lstm", shape, nets)
    return timings


def _loop(layers: Sequence[Module], x: Tensor) -> Callable[[], Tensor]:
    rows = x.unbind(0)
    return lambda: torch.stack([layer(row)[0] for layer, row in zip(layers, rows, strict=True)])
