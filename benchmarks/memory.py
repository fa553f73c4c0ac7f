"""Part `memory`: the resident set of a process over 2,000 calls with varying shapes."""

import json
import os
import random
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.first_call import worker
from benchmarks.measurements import Growth
from benchmarks.plan import Plan

__all__ = ["measure"]

_CELLS = ("lstm", "peephole_lstm", "torch.nn.LSTM")
_CALLS, _SAMPLES, _MOST_STEPS, _MOST_ROWS = 2000, 40, 48, 32


def measure(plan: Plan) -> Iterator[Growth]:
    """Start a process per side and mode."""
    calls = 20 if plan.quick else _CALLS
    for name in _CELLS[:1] if plan.quick else _CELLS:
        for mode in ("training",) if plan.quick else ("inference", "training"):
            with tempfile.TemporaryDirectory(prefix="carrousel-benchmark-") as cache:
                found = worker("benchmarks.memory", cache, mode, plan, name, str(calls))
            side = name if name.startswith("torch") else f"carrousel, {name}"
            yield Growth(side, mode, tuple(found["calls"]), tuple(found["megabytes"]))


def _main(mode: str, backend: str, threads: str, name: str, count: str) -> None:
    import torch

    import carrousel

    torch.set_num_threads(int(threads))
    random.seed(0)
    inputs = 8
    layers = [
        torch.nn.LSTM(inputs, hidden)
        if name == "torch.nn.LSTM"
        else carrousel.Recurrent(name, inputs, hidden, backend=backend)
        for hidden in (4, 8, 13, 16, 20, 32, 50, 64)
    ]
    calls, sizes = [0], [_resident()]
    every = max(1, int(count) // _SAMPLES)
    for number in range(1, int(count) + 1):
        layer = random.choice(layers)
        x = torch.randn(random.randint(1, _MOST_STEPS), random.randint(1, _MOST_ROWS), inputs)
        if mode == "inference":
            with torch.inference_mode():
                layer(x)
        else:
            layer.zero_grad()
            layer(x)[0].sum().backward()
        if number % every == 0:
            calls.append(number)
            sizes.append(_resident())
    print(json.dumps({"calls": calls, "megabytes": sizes}))


def _resident() -> float:
    """MiB of this process that are in memory."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
    import resource  # elsewhere: the largest it has been

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


if __name__ == "__main__":
    _main(*sys.argv[1:])
