"""Experiment 1, embedded Reber grammar (Table 1): predict all symbols that may come next."""

from typing import Any

import torch

from carrousel.experiments.criteria import Grammar
from carrousel.experiments.hochreiter_1997.setting import SOURCE, lstm, sizes
from carrousel.experiments.training import side_by_side
from carrousel.experiments.trials import Published, Row
from carrousel.tasks.reber import INPUTS, OUTPUTS, stream, training_and_test_sets
from carrousel.tasks.sequences import Sequences

__all__ = ["ROWS", "Epochs", "Strings"]

#: (blocks, block size, learning rate) -> share of successful trials, sequences
PUBLISHED = {
    (4, 1, 0.1): (1.0, 39_740),
    (3, 2, 0.1): (1.0, 21_730),
    (3, 2, 0.2): (0.97, 14_060),
    (4, 1, 0.5): (0.97, 9_500),
    (3, 2, 0.5): (1.0, 8_440),
}
WEIGHTS = {(4, 1): 264, (3, 2): 276}
TRIALS, PAIRS = 30, 3

#: reading -> what it decides, first bias of the output gates of the k-th block, note
READINGS: dict[str, Any] = {
    "literal": ({}, lambda block: -float(block), "weights change at every step, on which the text is silent"),
    "closest": (
        {"full_gradient": True, "g_range": 1, "h_range": 2},
        lambda block: -1.0,
        "full gradient; g and h in the ranges that the caption of Table 10 gives; all output gates start at -1; "
        "weights change at every step",
    ),
    "biases fixed": (
        {"full_gradient": True, "h_range": 2, "fixed": ("o",)},
        lambda block: -float(block),
        "full gradient; g and h in [-2, 2]; the biases of the output gates, -1, -2, -3(, -4), do not learn; weights "
        "change at every step",
    ),
}


class Strings:
    """One of three pairs of a training and a test set; trials take turns.

    Args:
        seed: of the trial.
    """

    def __init__(self, seed: int) -> None:
        self._training, self._test = training_and_test_sets(torch.Generator().manual_seed(seed % PAIRS))
        self._generator = torch.Generator().manual_seed(seed + 2**32)

    def training(self, count: int) -> Sequences:
        """Draw a stream of strings from the training set."""
        return stream(1, self._training, count, generator=self._generator)

    def test(self, count: int) -> Sequences:
        """Return both sets, whatever the count."""
        both = side_by_side([self._training, self._test])
        assert both.allowed is not None
        x, target, allowed = (values.flatten(1, 2) for values in (both.x, both.target, both.allowed))
        return Sequences(x, both.lengths.flatten(), target, allowed)


class Epochs(Strings):
    """The same for those who learn by epochs: the whole training set at once."""

    def training(self, count: int) -> Sequences:
        """Return the training set, whatever the count."""
        return self._training


def _row(setting: tuple[int, int, float], reading: str) -> Row:
    blocks, block_size, rate = setting
    success, presentations = PUBLISHED[setting]
    decisions, output_gate, note = READINGS[reading]
    return Row(
        table="1",
        name=f"LSTM {blocks}x{block_size} rate {rate}",
        reading=reading,
        published=Published({"solved": presentations}, success, WEIGHTS[blocks, block_size], TRIALS, {}, SOURCE),
        start=lstm(
            INPUTS,
            OUTPUTS,
            blocks,
            block_size,
            rate,
            output_gates=[output_gate(block + 1) for block in range(blocks)],
            biased=("i", "o"),
            output_bias=False,
            symbols=True,
            scale=0.2,
            every_step=True,
            **decisions,
        ),
        data=Strings,
        criterion=Grammar,
        limit=sizes(500, 200_000 if rate == 0.1 else 60_000, 200_000),
        trials=sizes(3, 16 if rate == 0.1 else 30, TRIALS),
        block=5,
        note=note,
    )


ROWS = tuple(_row(setting, reading) for setting in PUBLISHED for reading in READINGS)
