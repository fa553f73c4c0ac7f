"""The number of weights of every network in the paper's Table 10, and how the gates of a block share them."""

import pytest
import torch

import carrousel
from carrousel import Recurrent, cell
from carrousel.functions import sigmoid

FULL = "lstm_1997_full"
ALL = True
GATES = ("i", "o")

# Hochreiter & Schmidhuber (1997), Table 10:
# blocks, block size, inputs, outputs, biased hidden units, output bias, weights
TABLE_10 = {
    "1-1, 1-4": (4, 1, 7, 7, GATES, False, 264),
    "1-2, 1-3, 1-5": (3, 2, 7, 7, GATES, False, 276),
    "2c-1, 2c-9: p = 50": (2, 1, 54, 2, False, False, 364),
    "2c-2, 2c-8: p = 100": (2, 1, 104, 2, False, False, 664),
    "2c-3, 2c-7: p = 200": (2, 1, 204, 2, False, False, 1264),
    "2c-4, 2c-6: p = 500": (2, 1, 504, 2, False, False, 3064),
    "2c-5: p = 1000": (2, 1, 1004, 2, False, False, 6064),
    "3a, 3b, 3c": (3, 1, 1, 1, ALL, False, 102),
    "4-1, 4-2, 4-3": (2, 2, 2, 1, ALL, True, 93),
    "5": (2, 2, 2, 1, ALL, True, 93),
    "6a": (2, 2, 8, 4, ALL, True, 156),
    "6b": (3, 2, 8, 8, ALL, True, 308),
}


def weights(*modules: torch.nn.Module) -> int:
    return sum(p.numel() for module in modules for p in module.parameters())


@pytest.mark.parametrize("row", TABLE_10)
def test_table_10(row: str) -> None:
    blocks, size, inputs, outputs, biased, output_bias, published = TABLE_10[row]
    hidden = Recurrent(FULL, inputs, blocks * size, block_size=size, bias=biased)
    assert weights(hidden, torch.nn.Linear(blocks * size, outputs, bias=output_bias)) == published


def test_table_10_experiments_2a_and_2b() -> None:
    """Direct input-output weights, one cell with its input gate, its weights to the outputs."""
    cell = Recurrent("lstm_1997_input_gate", 101, 1)
    direct, upward = torch.nn.Linear(101, 101, bias=False), torch.nn.Linear(1, 101, bias=False)
    assert weights(direct, upward, cell) == 10504


def test_peephole_lstm_of_2002_has_17_weights() -> None:
    """Gers, Schraudolph & Schmidhuber (2002): one input, one cell, one output; everything biased, 3 peepholes."""
    hidden = carrousel.LSTM(1, 1, cell="peephole_lstm_2002")
    assert weights(hidden, torch.nn.Linear(1, 1)) == 17


@cell(shared=("i", "f", "o"))
def lstm_2000(x, h_prev, c_prev, W, R, b):
    """The LSTM with forget gates as published: one bias, g in [-2, 2], h in [-1, 1].

    Source: Gers, Schmidhuber & Cummins (2000).
    """
    i = sigmoid(W.i @ x + R.i @ h_prev + b.i)
    f = sigmoid(W.f @ x + R.f @ h_prev + b.f)
    z = 4 * sigmoid(W.z @ x + R.z @ h_prev + b.z) - 2
    o = sigmoid(W.o @ x + R.o @ h_prev + b.o)
    c = f * c_prev + i * z
    h = o * (2 * sigmoid(c) - 1)
    return h, c


def test_continual_reber_network_of_2000_has_424_weights() -> None:
    """Gers, Schmidhuber & Cummins (2000): 4 blocks of 2 cells, 7 inputs and outputs, gates not fed back.

    Gates and outputs are biased, and the input reaches the outputs directly.
    """
    hidden = Recurrent(lstm_2000, 7, 8, block_size=2, bias=("i", "f", "o"))
    output = torch.nn.Linear(8 + 7, 7)
    assert weights(hidden, output) == 424
