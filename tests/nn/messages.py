"""Every error of the layers, word for word: where, what is wrong, what to do; and a call that ends with it."""

from collections.abc import Callable

import torch
from torch.nn.utils.rnn import pack_padded_sequence

import carrousel
from carrousel import LSTM, LSTMCell, Population, Recurrent, RNNCell, cells
from carrousel.errors import (
    BackendError,
    InputShapeError,
    InputTypeError,
    OptionError,
    OptionTypeError,
    UnknownNameError,
)
from carrousel.functions import sigmoid, tanh
from carrousel.nn import init
from carrousel.transforms import zoneout
from nn.regulariser_messages import REGULARISER_MESSAGES
from nn.state_messages import STATE_MESSAGES
from nn.step_messages import STEP_MESSAGES

X = torch.ones(5, 2, 3)
H = torch.zeros(1, 2, 4)
PACKED = pack_padded_sequence(X, torch.tensor([5, 3]))
ZONED = zoneout(cells.get("irnn"))


@carrousel.cell
def biased_twice(x, h_prev, W, b, bias_ih):
    h = W.h @ x + b.h + bias_ih.h
    return h


@carrousel.cell(shared=("i",))
def peeping_block(x, h_prev, W, R, p, b):
    i = sigmoid(W.i @ x + R.i @ h_prev + p.i * h_prev + b.i)
    h = i * tanh(W.z @ x + R.z @ h_prev + b.z)
    return h


@carrousel.cell(shared=("i",))
def mixed_block(x, h_prev, i_prev, W, R, b):
    i = sigmoid(W.i @ x + R.i @ i_prev + b.i)
    h = i * tanh(W.z @ x + R.z @ h_prev + b.z)
    return h, i


def recurrent(cell: object = "lstm", *args: object, **options: object) -> Recurrent:
    return Recurrent(cell, 3, 4, *args, **options)


def lstm(**options: object) -> LSTM:
    return LSTM(3, 4, **{"backend": "eager", **options})


def step(**options: object) -> LSTMCell:
    return LSTMCell(3, 4, **{"backend": "eager", **options})


def nets() -> Population:
    return Population("lstm", 3, 3, 4)


#: error, its text, what raises it
MESSAGES: list[tuple[type[Exception], str, Callable[[], object]]] = [
    # ------------------------------------------------------------------ options
    (
        OptionError,
        "peeping_block - block_size=2, but the shared gate i reads h_prev, of which each memory cell has its own - "
        "take the gate out of @cell(shared=...), or leave block_size out",
        lambda: recurrent(peeping_block, block_size=2),
    ),
    (
        OptionError,
        "mixed_block - block_size=2, but R multiplies gates that a block shares and states that it does not: "
        "i_prev, h_prev - use a group for each",
        lambda: recurrent(mixed_block, block_size=2),
    ),
    (
        OptionError,
        "lstm_1997_full_zoneout(g_range=2, h_range=1) - block_size=2, but the shared gate i reads i_new, of which "
        "each memory cell has its own - take the gate out of @cell(shared=...), or leave block_size out",
        lambda: recurrent(zoneout(cells.get("lstm_1997_full"), "i"), block_size=2),
    ),
    (
        OptionError,
        "forget_bias=1.0 - init 'chrono' draws the biases of f and i together - leave one of the two out",
        lambda: lstm(init="chrono", forget_bias=1.0),
    ),
    (
        OptionTypeError,
        "LSTM - learn_initial_state should be of type bool, got: str - True or False",
        lambda: lstm(learn_initial_state="no"),
    ),
    (
        OptionError,
        "Recurrent - hidden_size is 0, expected at least 1 - give a larger number",
        lambda: Recurrent("lstm", 3, 0),
    ),
    (
        OptionTypeError,
        "LSTM - block_size should be of type int, got: float - give a whole number",
        lambda: lstm(cell="lstm_1997", block_size=2.0),
    ),
    (
        OptionTypeError,
        "LSTM - forget_bias is '1', expected a number - for example 1.0",
        lambda: lstm(forget_bias="1"),
    ),
    (
        OptionError,
        "forget_bias=1.0 - gru has no forget gate f with a bias - leave forget_bias out",
        lambda: recurrent("gru", forget_bias=1.0),
    ),
    (
        OptionTypeError,
        "Recurrent - bidirectional should be of type bool, got: int - True or False",
        lambda: recurrent(bidirectional=1),
    ),
    (
        OptionTypeError,
        "Recurrent - bias should be of type bool, or gates' names, got: 'i' - True, False or ('i', 'o')",
        lambda: recurrent(bias="i"),
    ),
    (
        OptionError,
        "Recurrent - bias names 'g', the cell's biased gates are ['f', 'i', 'o', 'z'] - name some of them",
        lambda: recurrent(bias=("f", "g")),
    ),
    (
        OptionError,
        "lstm - block_size=2, but its gates are not shared by blocks - "
        'use a cell with @cell(shared=...), as "lstm_1997"',
        lambda: recurrent(block_size=2),
    ),
    (
        OptionError,
        "lstm_1997(g_range=2, h_range=1) - block_size=3 does not divide hidden_size=4 - "
        "hidden_size counts all memory cells: blocks * block_size",
        lambda: recurrent("lstm_1997", block_size=3),
    ),
    (
        OptionError,
        "biased_twice - the parameters of b and bias_ih would both be called bias_ih - "
        "rename bias_ih in the definition",
        lambda: recurrent(biased_twice),
    ),
    (
        OptionError,
        "RNNCell - the cell irnn_zoneout takes inputs per step (keep_h_t), a single step has none - "
        "use carrousel.Recurrent",
        lambda: RNNCell(3, 4, cell=ZONED),
    ),
    # ------------------------------------------------------------------ initialisers
    (
        OptionError,
        "init.chrono - max_steps is 2, expected at least 3 - give the longest dependency",
        lambda: init.chrono(2),
    ),
    (
        OptionError,
        "init 'chrono' - gru has no biased gates i and f - "
        "choose another of torch, keras, orthogonal, identity, layer_norm, chrono",
        lambda: recurrent("gru", init="chrono"),
    ),
    (
        OptionTypeError,
        "init= - expected a name or a function, got 1 - "
        "names are torch, keras, orthogonal, identity, layer_norm, chrono",
        lambda: recurrent(init=1),
    ),
    (
        UnknownNameError,
        "init= - unknown initialiser 'ortogonal'; they are torch, keras, orthogonal, identity, layer_norm, chrono. "
        "Did you mean orthogonal?",
        lambda: recurrent(init="ortogonal"),
    ),
    # ------------------------------------------------------------------ backends
    (
        BackendError,
        "LSTM - backend 'torch' can not do the cell peephole_lstm - use backend='eager' or 'auto'",
        lambda: lstm(cell="peephole_lstm", backend="torch"),
    ),
    (
        BackendError,
        "Population - backend 'torch' can not do populations - use backend='eager' or 'auto'",
        lambda: Population("lstm", 3, 3, 4, backend="torch"),
    ),
    (
        BackendError,
        "Recurrent - backend 'torch' can not do proj_size=6 (it projects an LSTM below hidden_size=4), "
        "biases of some gates only - use backend='eager' or 'auto'",
        lambda: recurrent(proj_size=6, bias=("f",), backend="torch"),
    ),
    (
        BackendError,
        "Recurrent - backend 'torch' can not do resets=, return_trace=, time 0, a row of length 0 - "
        "use backend='eager' or 'auto'",
        lambda: recurrent(backend="torch")(
            X[:0], lengths=[0, 0], resets=torch.zeros(0, 2, dtype=torch.bool), return_trace=("f",)
        ),
    ),
    (
        BackendError,
        "LSTMCell - backend 'torch' can not do the cell peephole_lstm - use backend='eager' or 'auto'",
        lambda: step(cell="peephole_lstm", backend="torch"),
    ),
    (
        BackendError,
        "LSTMCell - backend 'torch' can not do transforms of torch.func - use backend='eager' or 'auto'",
        lambda: torch.func.vmap(step(backend="torch"))(X),
    ),
    # ------------------------------------------------------------------ single steps
    (
        InputTypeError,
        "LSTMCell: Expected input to be 1D or 2D, got 3D instead - its axes are (batch, input) or (input)",
        lambda: step()(X),
    ),
    (
        InputShapeError,
        "LSTMCell: input has inconsistent input_size: got 4 expected 3 - the last axis holds the features",
        lambda: step()(torch.ones(2, 4)),
    ),
    (
        InputTypeError,
        "LSTMCell: Expected hx[0] to be 1D or 2D, got 3D instead - its axes are (batch, hidden) or (hidden)",
        lambda: step()(X[0], (H, H)),
    ),
    (
        InputTypeError,
        "GRUCell: Expected hidden to be 1D or 2D, got 3D instead - its axes are (batch, hidden) or (hidden)",
        lambda: carrousel.GRUCell(3, 4, backend="eager")(X[0], H),
    ),
    (
        InputShapeError,
        "LSTMCell: hidden1 has inconsistent hidden_size: got 5, expected 4 - the last axis holds the hidden units",
        lambda: step()(X[0], (H[0], torch.zeros(2, 5))),
    ),
    (
        InputShapeError,
        "LSTMCell: hidden0 has 1 axes, the input 2 - both have a batch axis or neither",
        lambda: step()(X[0], (H[0, 0], H[0])),
    ),
    (
        InputShapeError,
        "LSTMCell: Input batch size 2 doesn't match hidden0 batch size 3 - one state per row of the batch",
        lambda: step()(X[0], (torch.zeros(3, 4), H[0])),
    ),
    *STEP_MESSAGES,
    *REGULARISER_MESSAGES,
    *STATE_MESSAGES,
    # ------------------------------------------------------------------ populations
    (
        OptionError,
        "Population.select - got [3], there are nets 0 to 2 - name at least one, or give a mask with one value per net",
        lambda: nets().select([3]),
    ),
    (
        OptionError,
        "Population.net - got 3, there are nets 0 to 2 - name one of them",
        lambda: nets().net(3),
    ),
]
