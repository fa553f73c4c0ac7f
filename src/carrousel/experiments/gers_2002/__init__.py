"""Gers, Schraudolph & Schmidhuber (2002), Learning precise timing with LSTM recurrent networks, JMLR 3, 115-143.

What is known to us of its settings comes from others' accounts, and of its tables only that these tasks are solved or
not, and two numbers of one row.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
import torch
from torch import Tensor

from carrousel.cells.peephole_lstm import peephole_lstm_2002
from carrousel.experiments.gers_2000.setting import forgetting
from carrousel.experiments.hochreiter_1997.setting import sizes
from carrousel.experiments.streams import Unbroken
from carrousel.experiments.trials import Drawn, Published, Row, Table
from carrousel.systems.judgement import Judgement
from carrousel.systems.network import Network
from carrousel.systems.system import Nets
from carrousel.systems.until_mistake import UntilMistake
from carrousel.tasks.sequences import Sequences
from carrousel.tasks.timing import (
    CORRECT_WITHIN,
    FUNCTION_CORRECT_WITHIN,
    generate_periodic_function,
    generate_timed_spikes,
    measure_spike_delays,
)
from carrousel.transforms import variant

__all__ = ["TABLES"]

SOURCE = "Gers, Schraudolph & Schmidhuber (2002)"
TRIALS, RATE = 10, 1e-5

#: g and h are the identity.
PEEPHOLES = variant(
    peephole_lstm_2002,
    "peephole_lstm_linear",
    "LSTM with peepholes; g and h are the identity.",
    z="W.z @ x + R.z @ h_prev + b.z",
    h="o * c",
)
WITHOUT = variant(
    forgetting,
    "forgetting_linear",
    "LSTM with forget gates; g and h are the identity.",
    z="W.z @ x + R.z @ h_prev + b.z",
    h="o * c",
)
CELLS = {"peepholes": PEEPHOLES, "no peepholes": WITHOUT}
WEIGHTS = {"peepholes": 17, "no peepholes": 14}

#: The first biases of the gates. Literal: as others' accounts have them. Closest: forget gates begin open and output
#: gates closed, as forget gates do in the paper of 2000.
READINGS = {
    "literal": {"i": (0.0,), "f": (-2.0,), "o": (2.0,)},
    "closest": {"i": (0.0,), "f": (2.0,), "o": (-2.0,)},
}


@dataclass(frozen=True)
class Task:
    """A task, and what is known of it.

    Attributes:
        name: in the table.
        draw: (batch_size, events, generator=) -> streams with so many spikes or periods.
        momentum: the share of its velocity that a weight keeps at every step.
        within: an output that errs by as much is wrong.
        events: spikes or periods of a training stream; a test stream has ten times as many. Where there is one spike,
            so have test streams, of which there are a thousand.
        linear: whether the output unit is the identity.
        limit: training streams of a standard run.
        full: of a full run.
        known: cell -> streams until it is solved, its success where that is known, measures on the test stream.
    """

    name: str
    draw: partial[Sequences]
    momentum: float
    within: float
    known: Mapping[str, tuple[int | None, float | None, Mapping[str, float]]]
    events: int = 100
    linear: bool = False
    limit: int = 3_000_000
    full: int = 10_000_000


_periods = cache(generate_periodic_function)


def spikes(task: partial[Sequences], batch_size: int, events: int, *, generator: torch.Generator) -> Sequences:
    """Draw streams of spikes."""
    return task(batch_size, spikes=events, generator=generator)


def periods(function: str, period: int, batch_size: int, events: int, *, generator: torch.Generator) -> Sequences:
    """Return streams of a periodic function, of which nothing is random."""
    return _periods(batch_size, function, period, events)


def _function(
    name: str, function: str, period: int, within: float, known: Mapping[str, tuple], limit: int = Task.limit
) -> Task:
    return Task(name, partial(periods, function, period), 0.99, within, known, linear=True, limit=limit)


#: Solved, by how many of the trials is not known to us; and not solved.
SOLVED: tuple[None, None, Mapping[str, float]] = (None, None, {})
NEVER: tuple[None, float, Mapping[str, float]] = (None, 0.0, {})

TASKS = (
    *(
        Task(
            f"NMSD F=10 {output}",
            partial(spikes, partial(measure_spike_delays, period=10)),
            0.99,
            CORRECT_WITHIN,
            {"peepholes": SOLVED, "no peepholes": SOLVED},
            events=1,
            linear=output == "linear",
            limit=1_000_000,
        )
        for output in ("logistic", "linear")
    ),
    Task(
        "MSD F=10",
        partial(spikes, partial(measure_spike_delays, period=10)),
        0.9999,
        CORRECT_WITHIN,
        {"peepholes": SOLVED, "no peepholes": SOLVED},
        limit=500_000,
        full=100_000_000,
    ),
    Task(
        "GTS F=10",
        partial(spikes, partial(generate_timed_spikes, period=10, delays=(0,))),
        0.999,
        CORRECT_WITHIN,
        {"peepholes": SOLVED, "no peepholes": NEVER},
    ),
    _function("PFG cosine F=10", "cosine", 10, FUNCTION_CORRECT_WITHIN, {"peepholes": SOLVED, "no peepholes": SOLVED}),
    _function(
        "PFG cosine F=25",
        "cosine",
        25,
        FUNCTION_CORRECT_WITHIN,
        {"peepholes": (None, None, {"root mean squared error": 0.17}), "no peepholes": NEVER},
    ),
    _function(
        "PFG cosine F=25 within 0.15",
        "cosine",
        25,
        0.15,
        {"peepholes": (2_704_000, None, {"root mean squared error": 0.086})},
        limit=10_000_000,
    ),
    _function(
        "PFG triangle F=10", "triangle", 10, FUNCTION_CORRECT_WITHIN, {"peepholes": SOLVED, "no peepholes": NEVER}
    ),
    _function(
        "PFG rectangle F=10", "rectangle", 10, FUNCTION_CORRECT_WITHIN, {"peepholes": SOLVED, "no peepholes": NEVER}
    ),
)


def deviation(outputs: Tensor, sequences: Sequences) -> Mapping[str, np.ndarray]:
    """Return the root mean squared error over all steps of the test stream."""
    return {"root mean squared error": (outputs - sequences.target).square().mean((0, 2, 3)).sqrt().numpy()}


def start(task: Task, cell: str, reading: str, seeds: Sequence[int]) -> Nets:
    """Start nets of one input, one memory cell and one output."""
    network = Network(CELLS[cell].truncated(), 1, 1, 1, linear=task.linear, start=READINGS[reading])
    return UntilMistake(network, seeds, RATE, Judgement("largest", task.within), task.momentum)


def _row(task: Task, cell: str, reading: str) -> Row:
    presentations, success, test = task.known[cell]
    draw, lengths = task.draw, (task.events, 10 * task.events) if task.events > 1 else (10, 1000)
    return Row(
        table="gers-2002",
        name=f"{task.name}, {cell}",
        reading=reading,
        published=Published(
            {} if presentations is None else {"solved": presentations}, success, WEIGHTS[cell], TRIALS, test, SOURCE
        ),
        start=partial(start, task, cell, reading),
        data=partial(
            Drawn,
            lambda count, *, generator: draw(count, task.events, generator=generator),
            draw_test=lambda events, *, generator: (
                draw(1, events, generator=generator) if task.events > 1 else draw(events, 1, generator=generator)
            ),
        ),
        criterion=partial(Unbroken, wrong=Judgement("largest", task.within), lengths=lengths),
        limit=sizes(20_000, task.limit, task.full),
        trials=sizes(3, TRIALS, TRIALS),
        measure=deviation,
        tested_on=lengths[-1],
        block=100,
        batch=100,
        note="sequences are training streams"
        + ("" if presentations or success is not None else "; solved in the paper, its numbers are not known to us"),
    )


ROWS = tuple(_row(task, cell, reading) for task in TASKS for cell in task.known for reading in READINGS)
TABLES = (Table("gers-2002", "precise timing", ROWS),)
