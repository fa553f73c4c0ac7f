"""Part `lengths`: sequences of random lengths, half of the steps on average, beside padding and PackedSequence."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from benchmarks.measurements import Disagreement, Shape, Timing
from benchmarks.plan import Plan
from benchmarks.sides import Gradients, given, layer_of, namesake_of, timed
from benchmarks.timing import agree, attempt

__all__ = ["measure"]


def measure(plan: Plan) -> Iterator[Timing | Disagreement]:
    """Measure the shapes that have more than one row."""
    for shape in plan.shapes:
        if shape.batch > 1:
            yield from attempt(_at, shape, plan)


def _at(shape: Shape, plan: Plan) -> list[Timing]:
    ours = layer_of("lstm", shape, plan)
    peer = namesake_of("lstm", ours, shape)
    assert peer is not None
    x, weights = given(shape)
    lengths = torch.randint(1, shape.steps + 1, (shape.batch,), generator=torch.Generator().manual_seed(2))
    packed = pack_padded_sequence(x, lengths, enforce_sorted=False)

    def packing() -> Tensor:
        output, _ = peer(pack_padded_sequence(x, lengths, enforce_sorted=False))
        padded: Tensor = pad_packed_sequence(output, total_length=shape.steps)[0]
        return padded

    calls: dict[str, Callable[[], Tensor]] = {
        "carrousel, lengths=": lambda: ours(x, lengths=lengths)[0],
        "carrousel, padded": lambda: ours(x)[0],
        "torch.nn, padded": lambda: peer(x)[0],
        "torch.nn, pack and pad": packing,
        "torch.nn, packed before": lambda: peer(packed)[0].data,
    }
    agree(f"lengths=, {shape}", calls["carrousel, lengths="]().detach(), packing().detach())
    timings = []
    for mode in ("inference", "training"):
        sides: dict[str, Callable[[], Any]] = dict(calls)
        if mode == "training":
            packed_weights = pack_padded_sequence(weights, lengths, enforce_sorted=False).data
            for side, call in calls.items():
                layer = ours if side.startswith("carrousel") else peer
                given_back = packed_weights if side.endswith("before") else weights
                sides[side] = Gradients(call, list(layer.parameters()), given_back)
        timings += timed(sides, mode, plan, "lengths", "lstm", shape)
    return timings
