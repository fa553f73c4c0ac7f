"""Experiment 3, noise and signal on one line (Tables 4, 5 and 6): to which class does a long noisy sequence belong."""

from functools import partial

import numpy as np
import torch
from torch import Tensor

from carrousel.experiments.criteria import TestSet
from carrousel.experiments.hochreiter_1997.setting import SOURCE, errors, largest, lstm, sizes
from carrousel.experiments.trials import Drawn, Published, Row, Table
from carrousel.tasks.sequences import Sequences
from carrousel.tasks.two_sequence import (
    CORRECT_WITHIN,
    NOISY_TARGETS_CORRECT_WITHIN,
    noise_free_target,
    two_sequence,
)

__all__ = ["TABLES"]

#: table -> (T, N) -> sequences until each milestone, measures of the test set: the share of misclassified sequences,
#: and in Table 6 the "average difference to the mean", which is to the targets without noise
PUBLISHED = {
    "4": {
        (100, 3): ({"ST1": 27_380, "ST2": 39_850}, {"wrong": 0.000195}),
        (100, 1): ({"ST1": 58_370, "ST2": 64_330}, {"wrong": 0.000117}),
        (1000, 3): ({"ST1": 446_850, "ST2": 452_460}, {"wrong": 0.000078}),
    },
    "5": {
        (100, 3): ({"ST1": 41_740, "ST2": 43_250}, {"wrong": 0.00828}),
        (100, 1): ({"ST1": 74_950, "ST2": 78_430}, {"wrong": 0.01500}),
        (1000, 1): ({"ST1": 481_060, "ST2": 485_080}, {"wrong": 0.01207}),
    },
    "6": {
        (100, 3): ({"stop": 269_650}, {"wrong": 0.00558, "mean absolute error": 0.014}),
        (100, 1): ({"stop": 565_640}, {"wrong": 0.00441, "mean absolute error": 0.012}),
    },
}
TITLES = {
    "4": "two-sequence problem, noise-free signal",
    "5": "two-sequence problem, noisy signal",
    "6": "two-sequence problem, noisy targets",
}
NOISE = {"4": "none", "5": "inputs", "6": "targets"}
#: table -> milestone -> misclassified test sequences of 256, mean absolute test error
ALLOWED = {
    "4": {"ST1": (0, float("inf")), "ST2": (0, 0.01)},
    "5": {"ST1": (5, float("inf")), "ST2": (5, 0.04)},
    "6": {"stop": (0, 0.015)},
}
WEIGHTS, TRIALS = 102, 10

#: reading -> first biases of the input gates, note
READINGS = {
    "literal": ((-1, -3, -5), ""),
    "closest": ((-5, -3, -1), "; the first biases of the input gates in the opposite order"),
}


def _row(table: str, time: int, informative: int, reading: str) -> Row:
    input_gates, note = READINGS[reading]
    milestones, test = PUBLISHED[table][time, informative]
    within = NOISY_TARGETS_CORRECT_WITHIN if table == "6" else CORRECT_WITHIN
    draw = partial(two_sequence, minimal_length=time, informative=informative, noise=NOISE[table])
    is_long = time > 100
    return Row(
        table=table,
        name=f"T={time} N={informative}",
        reading=reading,
        published=Published(milestones, 1.0, WEIGHTS, TRIALS, test, SOURCE),
        start=lstm(
            1, 1, 3, 1, 0.1 if table == "6" else 1.0,
            output_gates=(-2, -4, -6), input_gates=input_gates, output_bias=False,
        ),
        data=partial(Drawn, draw, draw_test=partial(_without_noise_on_targets, draw) if table == "6" else None),
        criterion=partial(TestSet, wrong=partial(_wrong, within), allowed=ALLOWED[table]),
        limit=sizes(3_000 if is_long else 20_000, _limit(table, time, reading), 5_000_000),
        trials=sizes(3, 3 if is_long else 16 if table == "6" or (table, informative) == ("5", 1) else 30, TRIALS),
        measure=errors(within),
        note=f"one change of the weights a sequence; tested every 100 sequences on a test set of the trial's own{note}",
    )  # fmt: skip


def _limit(table: str, time: int, reading: str) -> int:
    """Sequences of the standard run; the literal reading of 3b at T=1000, which solves nothing, costs the most."""
    if time == 100:
        return 1_000_000 if table == "6" else 300_000
    return 750_000 if reading == "literal" else 1_500_000


def _wrong(within: float, outputs: Tensor, sequences: Sequences) -> np.ndarray:
    return ~(largest(outputs, sequences) <= within)


def _without_noise_on_targets(draw: partial[Sequences], count: int, generator: torch.Generator) -> Sequences:
    """Test sequences of 3c: they are compared with the targets without noise."""
    drawn = draw(count, generator=generator)
    return drawn._replace(target=noise_free_target(drawn.x))


TABLES = tuple(
    Table(
        table,
        TITLES[table],
        tuple(_row(table, *setting, reading) for setting in PUBLISHED[table] for reading in READINGS),
    )
    for table in PUBLISHED
)
