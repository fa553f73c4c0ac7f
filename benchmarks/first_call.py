"""Part `compile`: the first call for a new cell in a fresh process, with an empty cache and with a filled one."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks.measurements import Shape, Timing
from benchmarks.plan import Plan
from benchmarks.timing import summary

__all__ = ["measure", "worker"]

_ROOT = Path(__file__).parent.parent
_SHAPE = Shape(4, 20, 8, 32)
_SIDES = ("definition", "construction", "first call", "second call", "torch.nn.LSTM, first call")


def measure(plan: Plan) -> Iterator[Timing]:
    """Start processes; each defines a cell that no file of the cache knows, and calls it."""
    for mode in ("inference",) if plan.quick else ("inference", "training"):
        found: dict[str, list[float]] = {}
        for _ in range(plan.processes):
            with tempfile.TemporaryDirectory(prefix="carrousel-benchmark-") as cache:
                for kind in ("empty cache", "filled cache"):
                    for side, seconds in worker("benchmarks.first_call", cache, mode, plan).items():
                        found.setdefault(f"{side}, {kind}", []).append(seconds)
        for side, seconds in found.items():
            yield Timing("compile", "leaky_lstm", mode, side, _SHAPE, summary(seconds))


def worker(module: str, cache: str, mode: str, plan: Plan, *more: str) -> dict[str, Any]:
    """Run a module of this package in a process of its own and return what it prints as JSON."""
    command = [sys.executable, "-m", module, mode, plan.backend, str(plan.threads), *more]
    environment = {**os.environ, "CARROUSEL_CACHE": cache}
    done = subprocess.run(command, capture_output=True, text=True, cwd=_ROOT, env=environment)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command[1:])} - ended with {done.returncode}\n{done.stderr}")
    printed: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return printed


def _main(mode: str, backend: str, threads: str) -> None:
    import torch

    import carrousel

    torch.set_num_threads(int(threads))
    x = torch.randn(_SHAPE.steps, _SHAPE.batch, _SHAPE.inputs)
    torch.nn.Linear(_SHAPE.inputs, 4)(x).sum().backward()  # torch's own first call is not ours

    def call(layer: torch.nn.Module) -> None:
        if mode == "inference":
            with torch.inference_mode():
                layer(x)
        else:
            layer(x)[0].sum().backward()

    marks = [time.perf_counter()]
    cell = _leaky_lstm()
    marks.append(time.perf_counter())
    layer = carrousel.Recurrent(cell, _SHAPE.inputs, _SHAPE.hidden, backend=backend)
    marks.append(time.perf_counter())
    for _ in range(2):
        call(layer)
        marks.append(time.perf_counter())
    peer = torch.nn.LSTM(_SHAPE.inputs, _SHAPE.hidden)
    start = time.perf_counter()
    call(peer)
    seconds = [b - a for a, b in pairwise(marks)] + [time.perf_counter() - start]
    print(json.dumps(dict(zip(_SIDES, seconds, strict=True))))


def _leaky_lstm() -> Any:
    from carrousel import cell
    from carrousel.functions import sigmoid, tanh

    @cell
    def leaky_lstm(x, h_prev, c_prev, W, R, p, b):
        """LSTM whose output remembers a tenth of itself: a cell of no paper."""
        i = sigmoid(W.i @ x + R.i @ h_prev + p.i * c_prev + b.i)
        f = sigmoid(W.f @ x + R.f @ h_prev + p.f * c_prev + b.f)
        z = tanh(W.z @ x + R.z @ h_prev + b.z)
        o = sigmoid(W.o @ x + R.o @ h_prev + b.o)
        c = f * c_prev + i * z
        h = 0.9 * o * tanh(c) + 0.1 * h_prev
        return h, c

    return leaky_lstm


if __name__ == "__main__":
    _main(*sys.argv[1:])
