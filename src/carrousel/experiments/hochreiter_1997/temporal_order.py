"""Experiment 6, temporal order (Table 9): in which order came two or three symbols, widely separated in noise."""

from functools import partial

from carrousel.experiments.criteria import Recent
from carrousel.experiments.hochreiter_1997.setting import SOURCE, errors, lstm, sizes
from carrousel.experiments.trials import Drawn, Published, Row, Table
from carrousel.tasks.temporal_order import CLASSES, CORRECT_WITHIN, INPUTS, temporal_order

__all__ = ["TABLES"]

#: relevant symbols -> sequences, wrong of 2560 test sequences, weights, trials
PUBLISHED = {2: (31_390, 1, 156, 20), 3: (571_100, 2, 308, 10)}
#: relevant symbols -> learning rate, first biases of the input gates
SETTINGS = {2: (0.5, (-2, -4)), 3: (0.1, (-2, -4, -6))}


def _row(relevant: int) -> Row:
    presentations, wrong, weights, trials = PUBLISHED[relevant]
    rate, input_gates = SETTINGS[relevant]
    draw = partial(temporal_order, relevant=relevant)
    return Row(
        table="9",
        name="6a" if relevant == 2 else "6b",
        reading="literal",
        published=Published({"solved": presentations}, 1.0, weights, trials, {"wrong": wrong / 2560}, SOURCE),
        start=lstm(INPUTS, len(CLASSES[relevant]), len(input_gates), 2, rate, input_gates=input_gates, symbols=True),
        data=partial(Drawn, draw),
        criterion=partial(Recent, within=CORRECT_WITHIN, mean=0.1),
        limit=sizes(30_000, 300_000, 5_000_000) if relevant == 2 else sizes(15_000, 1_000_000, 5_000_000),
        trials=sizes(3, 30, trials) if relevant == 2 else sizes(3, 10, trials),
        measure=errors(CORRECT_WITHIN),
    )


TABLES = (Table("9", "temporal order", (_row(2), _row(3))),)
