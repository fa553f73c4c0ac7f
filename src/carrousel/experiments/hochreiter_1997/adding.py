"""Experiment 4, adding (Table 7): remember two marked real numbers over hundreds of steps and add them."""

from functools import partial
from typing import Any

from carrousel.experiments.criteria import Recent
from carrousel.experiments.hochreiter_1997.setting import SOURCE, errors, lstm, sizes
from carrousel.experiments.trials import Drawn, Published, Row, Table
from carrousel.tasks.adding import CORRECT_WITHIN, adding

__all__ = ["TABLES"]

#: T -> sequences, wrong of 2560 test sequences
PUBLISHED = {100: (74_000, 1), 500: (209_000, 0), 1000: (853_000, 1)}
WEIGHTS, TRIALS, RATE = 93, 10, 0.5

#: reading -> what it decides, T -> sequences after which a trial of a standard run has failed, note
READINGS: dict[str, tuple[dict[str, Any], dict[int, int], str]] = {
    "literal": ({}, {100: 250_000, 500: 250_000, 1000: 250_000}, "logistic output units"),
    "closest": (
        {"linear": True, "output_bias": False},
        {100: 300_000, 500: 1_000_000, 1000: 2_000_000},
        "linear output unit without bias: 92 weights",
    ),
    "linear": ({"linear": True}, {100: 300_000}, "linear output unit"),
}


def _row(time: int, reading: str) -> Row:
    decisions, limits, note = READINGS[reading]
    presentations, wrong = PUBLISHED[time]
    return Row(
        table="7",
        name=f"T={time}",
        reading=reading,
        published=Published({"solved": presentations}, 1.0, WEIGHTS, TRIALS, {"wrong": wrong / 2560}, SOURCE),
        start=lstm(2, 1, 2, 2, RATE, input_gates=(-3, -6), **decisions),
        data=partial(Drawn, partial(adding, minimal_length=time)),
        criterion=partial(Recent, within=CORRECT_WITHIN, mean=0.01),
        limit=sizes(20_000 if time == 100 else 3_000, limits[time], 10_000_000),
        trials=sizes(3, 3 if time == 1000 else 30 if time == 100 and reading != "literal" else 10, TRIALS),
        measure=errors(CORRECT_WITHIN),
        note=note,
    )


TABLES = (
    Table(
        "7",
        "adding",
        tuple(_row(time, reading) for time in PUBLISHED for reading in READINGS if time in READINGS[reading][1]),
    ),
)
