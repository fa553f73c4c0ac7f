"""Part `trials`: what `carrousel reproduce` trains, beside what it would take without its kernels.

The adding problem beside a network and an optimiser per trial; the embedded Reber grammar, learned at every step,
beside the same recursions in plain tensors.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from torch import nn

from benchmarks.measurements import Shape, Times, Timing
from benchmarks.plan import Plan
from benchmarks.timing import compare
from carrousel.experiments.tables import row_of
from carrousel.experiments.training import run, side_by_side
from carrousel.systems.real_time import RealTime
from carrousel.tasks.adding import adding

__all__ = ["TRIALS", "measure"]

#: Trials side by side, each with its own weights and data.
TRIALS = 10
#: Minimal length of a sequence -> sequences that every trial is presented in one call.
_PRESENTED = {100: 300, 1000: 100}
#: Strings of a stream.
_STRINGS = 30


def measure(plan: Plan) -> Iterator[Timing]:
    """Measure one presentation to each of ten trials, data included where they are adding."""
    yield from _adding(plan)
    yield from _reber(plan)


def _adding(plan: Plan) -> Iterator[Timing]:
    for time, presented in ((100, 100),) if plan.quick else _PRESENTED.items():
        drawn = adding(1000, minimal_length=time, generator=torch.Generator().manual_seed(0))
        steps = round(float(drawn.lengths.double().mean()))
        few = presented // 10
        sides: dict[str, Callable[[], Any]] = {
            "carrousel": partial(_together, time, presented),
            "torch.nn.LSTM, loop over trials": partial(_one_by_one, time, few),
        }
        for side, times in compare(sides, plan).items():
            one = _each(times, presented if side == "carrousel" else few)
            yield Timing("trials", "adding", "training", side, Shape(1, steps, 2, 4), one, nets=TRIALS)


def _reber(plan: Plan) -> Iterator[Timing]:
    for reading, gradient in (("closest", "full"), ("literal", "truncated")):
        row = row_of(f"1 / LSTM 3x2 rate 0.5 / {reading}")
        strings = side_by_side([row.data(seed).training(_STRINGS) for seed in range(TRIALS)])
        network = row.start([0]).network
        sides: dict[str, Callable[[], Any]] = {
            name: partial(RealTime(network, range(TRIALS), 0.01, backend=backend).learn, strings)
            for name, backend in (("carrousel", "llvm"), ("plain tensors", "eager"))
        }
        shape = Shape(1, len(strings.x) // _STRINGS, network.inputs, network.hidden)
        for side, times in compare(sides, plan).items():
            one = _each(times, _STRINGS)
            yield Timing(
                "trials", f"reber, {gradient} gradient at every step", "training", side, shape, one, nets=TRIALS
            )


def _each(times: Times, presented: int) -> Times:
    """The times of one presentation, from those of a call."""
    one = (seconds / presented for seconds in (times.median, times.lower, times.upper, times.least))
    return Times(*one, calls=times.calls)


def _together(time: int, presented: int) -> None:
    """What `carrousel reproduce 7` does: the truncated LSTM of 1997 with two blocks of two memory cells."""
    list(run(row_of(f"7 / T={time} / closest"), range(TRIALS), presented))


def _one_by_one(time: int, presented: int) -> None:
    """What is done without populations: for each trial a layer of torch, its optimiser, and a loop over sequences."""
    for trial in range(TRIALS):
        generator = torch.Generator().manual_seed(trial)
        layer, readout = nn.LSTM(2, 4), nn.Linear(4, 1)
        optimiser = torch.optim.SGD([*layer.parameters(), *readout.parameters()], lr=0.05)
        sequences = adding(presented, minimal_length=time, generator=generator)
        for k, length in enumerate(sequences.lengths.tolist()):
            output, _ = layer(sequences.x[:length, k])
            loss = (readout(output[-1]) - sequences.target[k]).square().sum() / 2
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
