"""Experiment 5, multiplication (Table 8): the product instead of the sum, which no linear unit can say."""

from functools import partial

from carrousel.experiments.criteria import Recent
from carrousel.experiments.hochreiter_1997.setting import SOURCE, errors, lstm, sizes
from carrousel.experiments.trials import Drawn, Published, Row, Table
from carrousel.tasks.multiplication import CORRECT_WITHIN, multiplication

__all__ = ["TABLES"]

#: n_seq -> sequences until fewer of the 2000 most recent ones are wrong
PUBLISHED = {"n_seq=140": 482_000, "n_seq=13": 1_273_000}
#: share of wrong test sequences, and what the paper calls mean squared error, at both
TEST = {
    "wrong at n_seq=140": 139 / 2560,
    "root mean squared error at n_seq=140": 0.0223,
    "wrong": 14 / 2560,
    "root mean squared error": 0.0139,
}
WEIGHTS, TRIALS, RATE = 93, 10, 0.1


def _row(reading: str, factor: int, note: str) -> Row:
    return Row(
        table="8",
        name="T=100",
        reading=reading,
        published=Published(PUBLISHED, 1.0, WEIGHTS, TRIALS, TEST, SOURCE),
        start=lstm(2, 1, 2, 2, RATE, factor=factor),
        data=partial(Drawn, multiplication),
        criterion=partial(Recent, within=CORRECT_WITHIN, allowed={"n_seq=140": 139, "n_seq=13": 12}),
        limit=sizes(20_000, 1_300_000 if reading == "literal" else 2_500_000, 10_000_000),
        trials=sizes(3, 10, TRIALS),
        measure=errors(CORRECT_WITHIN),
        measured_at="n_seq=140",
        note=note,
    )


TABLES = (
    Table(
        "8",
        "multiplication",
        (
            _row("literal", 1, "equations (18)-(28), without the factor 2 of the derivative of E"),
            _row("closest", 2, "equations (16) and (17), with the factor 2 of the derivative of E"),
        ),
    ),
)
