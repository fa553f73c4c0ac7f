"""Experiment 2, long time lags (Tables 2 and 3, and 2b of the text): one symbol to remember among many others."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from carrousel.cell import Cell, cell
from carrousel.cells.lstm_1997 import lstm_1997_input_gate
from carrousel.experiments.criteria import Faultless
from carrousel.experiments.hochreiter_1997.setting import SOURCE, largest, lstm, sizes
from carrousel.experiments.trials import Draw, Drawn, Published, Row, Table
from carrousel.functions import sigmoid
from carrousel.systems import readout
from carrousel.systems.grown import Grown
from carrousel.systems.network import Network
from carrousel.systems.system import Nets
from carrousel.systems.through_time import ThroughTime
from carrousel.tasks.lags import (
    CORRECT_WITHIN,
    VERY_LONG_CORRECT_WITHIN,
    no_local_regularity,
    noise_free,
    very_long,
)
from carrousel.tasks.sequences import Sequences
from carrousel.transforms import variant

__all__ = ["TABLE_2", "TABLE_2B", "TABLE_3", "both_sequences", "pieces", "wrong_anywhere", "wrong_at_end"]

P, WEIGHTS, TRIALS = 100, 10_504, 18
#: task -> sequences
PUBLISHED = {"2a": 5_040, "2b": 5_680}
#: (q, p) -> weights, sequences
PUBLISHED_3 = {
    (50, 50): (364, 30_000),
    (100, 100): (664, 31_000),
    (200, 200): (1264, 33_000),
    (500, 500): (3064, 38_000),
    (1000, 1000): (6064, 49_000),
    (1000, 500): (3064, 49_000),
    (1000, 200): (1264, 75_000),
    (1000, 100): (664, 135_000),
    (1000, 50): (364, 203_000),
}
TRIALS_3 = 20


def _one_cell(p: int, unit: Cell, rate: float, seeds: Sequence[int]) -> Nets:
    """One memory cell and its input gate, beside the shortcut from inputs to outputs."""
    network = Network(unit, p + 1, p + 1, 1, output_bias=False, shortcut=True, symbols=True, scale=0.2)
    return Grown(ThroughTime(network, seeds, rate))


def wrong_anywhere(outputs: Tensor, sequences: Sequences) -> np.ndarray:
    """Return which sequences have an output that errs too much, at any step: (net, batch)."""
    error = readout.deviations(outputs.flatten(0, 1), sequences.target.flatten(0, 1))
    worst = error.abs().amax(-1).unflatten(0, sequences.target.shape[:2]).amax(0)
    found: np.ndarray = readout.misses(worst, CORRECT_WITHIN).numpy()
    return found


def wrong_at_end(outputs: Tensor, sequences: Sequences) -> np.ndarray:
    """Return which sequences have an output that errs too much at the last step: (net, batch)."""
    worst = readout.deviations(outputs[-1], sequences.target[-1]).abs().amax(-1)
    found: np.ndarray = readout.misses(worst, CORRECT_WITHIN).numpy()
    return found


def both_sequences(p: int, count: int, generator: torch.Generator) -> Sequences:
    """Return the two sequences of 2a, whatever the count."""
    drawn = noise_free(64, p, generator=generator)
    first = [int((drawn.x[0] == symbol).nonzero()[0]) for symbol in (p - 1, p)]
    return Sequences(drawn.x[:, first], drawn.lengths[first], drawn.target[:, first])


#: A gate that lets little in at first: the state does not reach 25 before the outputs have learned to read it.
SHUT = variant(lstm_1997_input_gate, "lstm_1997_shut_gate", "Nearly shut at first.", i="sigmoid(W.i @ x - 3)")


@cell
def lstm_1997_caption_gate(x, h_prev, c_prev, W):
    """The unit of experiments 2a and 2b with the ranges of g and h that the caption of Table 10 gives.

    Source: Hochreiter & Schmidhuber (1997), Table 10.
    """
    i = sigmoid(W.i @ x)
    z = 2 * sigmoid(W.z @ x) - 1  # without a mean, so that the state does not run away before it is read
    c = c_prev + i * z
    h = 4 * sigmoid(c) - 2
    return h, c


#: task -> reading -> the memory cell, the learning rate, what it decides
LITERAL = (lstm_1997_input_gate, 1.0, "weights change at the end of each sequence, on which the text is silent")
READINGS = {
    "2a": {
        "literal": LITERAL,
        "closest": (
            lstm_1997_caption_gate,
            2.0,
            "g and h in the ranges of Table 10's caption; the factor 2 of E's derivative kept",
        ),
    },
    "2b": {
        "literal": LITERAL,
        "closest": (
            SHUT,
            2.0,
            "a constant of -3 in the input gate, which the text does not have; error at the end only; the factor 2 of "
            "E's derivative kept",
        ),
    },
}
GROWTH = "the cell is added when the mean squared error of 100 sequences is not 2 % below that of the 100 before"


def _row_2(task: str, reading: str) -> Row:
    is_a, (unit, rate, note) = task == "2a", READINGS[task][reading]
    if is_a:
        data = partial(Drawn, partial(pieces, noise_free, P), draw_test=partial(both_sequences, P))
        criterion = partial(Faultless, wrong=wrong_anywhere, size=2, piece=2, recent=2)
    else:
        draw = at_end if reading == "closest" else pieces
        data, criterion = partial(Drawn, partial(draw, no_local_regularity, P)), partial(Faultless, wrong=wrong_at_end)
    return Row(
        table="2" if is_a else "2b",
        name=f"LSTM p={P}",
        reading=reading,
        published=Published({"solved": PUBLISHED[task]}, 1.0, WEIGHTS, TRIALS, {}, SOURCE),
        start=partial(_one_cell, P, unit, rate),
        data=data,
        criterion=criterion,
        limit=sizes(300, 20_000 if reading == "literal" else 50_000, 5_000_000),
        trials=sizes(3, 30, TRIALS),
        block=20,
        note=f"{note}; {GROWTH}",
    )


def pieces(draw: Draw, p: int, count: int, generator: torch.Generator) -> Sequences:
    """Draw sequences without the symbols that are allowed next, which nobody asks for here."""
    return draw(count, p, generator=generator)._replace(allowed=None)


def at_end(draw: Draw, p: int, count: int, generator: torch.Generator) -> Sequences:
    """Draw sequences of which only the last symbol is asked."""
    drawn = pieces(draw, p, count, generator)
    target = drawn.target.clone()
    target[:-1] = -1
    return drawn._replace(target=target)


#: reading -> what it decides, note
READINGS_3: dict[str, tuple[dict[str, Any], str]] = {
    "literal": ({}, ""),
    "closest": (
        {"recurrent": False, "g_range": 1, "h_range": 2},
        "hidden units receive from the inputs only, 36 weights fewer; g and h have the ranges of Table 10's caption",
    ),
}


def _row_3(q: int, p: int, reading: str) -> Row:
    weights, presentations = PUBLISHED_3[q, p]
    decisions, note = READINGS_3[reading]
    return Row(
        table="3",
        name=f"q={q} p={p}",
        reading=reading,
        published=Published({"solved": presentations}, 1.0, weights, TRIALS_3, {}, SOURCE),
        start=lstm(p + 4, 2, 2, 1, 0.01, biased=False, output_bias=False, symbols=True, scale=0.2, **decisions),
        data=partial(Drawn, partial(very_long, q=q, p=p)),
        criterion=partial(Faultless, wrong=_wrong_class),
        limit=sizes(500 if q == 1000 else 1_500, 400_000 if reading == "closest" else 150_000, 5_000_000),
        trials=sizes(3, 30 if q <= 500 else 16, TRIALS_3),
        block=50,
        note=note,
    )


def _wrong_class(outputs: Tensor, sequences: Sequences) -> np.ndarray:
    return readout.misses(largest(outputs, sequences), VERY_LONG_CORRECT_WITHIN)


TABLE_2, TABLE_2B = (tuple(_row_2(task, reading) for reading in READINGS[task]) for task in PUBLISHED)
TABLE_3 = Table(
    "3", "very long time lags", tuple(_row_3(*setting, reading) for setting in PUBLISHED_3 for reading in READINGS_3)
)
