"""Part `steps`: one step after the other, how long each of a million takes; the tail counts, not only the middle."""

import gc
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch

import carrousel
from benchmarks import onnx_runtime
from benchmarks.measurements import Disagreement, Latency, Shape
from benchmarks.plan import Plan
from benchmarks.timing import agree, attempt

__all__ = ["measure"]

#: Steps of a side, and the seconds after which it stops.
STEPS, SECONDS = 1_000_000, 60.0


def measure(plan: Plan) -> Iterator[Latency | Disagreement]:
    """Measure hidden sizes 16 to 512, with one row and with 32, as many inputs as hidden units."""
    for hidden in (16,) if plan.quick else (16, 32, 128, 512):
        for batch in (1, 32):
            yield from attempt(_at, Shape(batch, 1, hidden, hidden), plan)


def _at(shape: Shape, plan: Plan) -> Iterator[Latency]:
    torch.manual_seed(1)
    layer = carrousel.LSTM(shape.inputs, shape.hidden, backend=plan.backend).eval()
    x = torch.randn(shape.batch, shape.inputs)
    with torch.inference_mode():
        sides = _sides(layer, x, plan)
        for side, call in sides.items():
            yield Latency(side, shape, *_percentiles(call, 1000 if plan.quick else STEPS))


def _sides(layer: carrousel.LSTM, x: torch.Tensor, plan: Plan) -> dict[str, Callable[[], Any]]:
    """Every side as one step from a state that it has been given or has kept; all of them agree on the first."""
    stream, state = layer.stream(len(x)), layer.step(x)[1]
    peer, cell = torch.nn.LSTM(*x.shape[-1:], layer.hidden_size), torch.nn.LSTMCell(x.shape[-1], layer.hidden_size)
    peer.load_state_dict(layer.state_dict())
    cell.load_state_dict({name.removesuffix("_l0"): p for name, p in layer.state_dict().items()})
    expected = peer(x[None])[0][0]
    for name, got in {"stream": stream.step(x), "step": layer.step(x)[0], "cell": cell(x)[0]}.items():
        agree(f"one step of {name}", got, expected)
    given, rows = x[None], tuple(s[0] for s in state)
    sides: dict[str, Callable[[], Any]] = {
        "stream.step()": stream.step,
        "stream.step(x)": lambda: stream.step(x),
        "layer.step": lambda: layer.step(x, state),
        "torch.nn.LSTMCell": lambda: cell(x, rows),
        "torch.nn.LSTM": lambda: peer(given, state),
    }
    foreign = onnx_runtime.inference("lstm", peer, given, plan.threads)
    return sides if foreign is None else {**sides, "ONNX Runtime": foreign}


def _percentiles(call: Callable[[], Any], steps: int) -> tuple[float, float, float, int]:
    """Seconds that half, 99 and 99.9 of a hundred steps do not exceed, and how many were taken."""
    for _ in range(min(steps, 2000)):
        call()
    taken, clock = np.zeros(steps, dtype=np.int64), time.perf_counter_ns
    end, count = clock() + int(SECONDS * 1e9), 0
    gc.collect()
    gc.disable()
    try:
        while count < steps:
            start = clock()
            call()
            done = clock()
            taken[count] = done - start
            count += 1
            if done > end:
                break
    finally:
        gc.enable()
    p50, p99, p999 = (float(v) / 1e9 for v in np.percentile(taken[:count], (50, 99, 99.9)))
    return p50, p99, p999, count
