"""Every error of the layers, word for word: where, what is wrong, what to do; and a call that ends with it."""

from collections.abc import Callable

import torch
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

import carrousel
from carrousel import LSTM, LSTMCell, Population, Recurrent, RNNCell, backends, cells
from carrousel.errors import (
    BackendError,
    DtypeError,
    InputShapeError,
    InputTypeError,
    OptionError,
    OptionTypeError,
    UnknownNameError,
)
from carrousel.functions import sigmoid, tanh
from carrousel.nn import init
from carrousel.transforms import zoneout
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
        BackendError,
        "LSTM - backend 'torch' can not do transforms of torch.func - use backend='eager' or 'auto'",
        lambda: torch.func.vmap(carrousel.LSTM(3, 4, backend="torch"))(X.expand(2, 5, 2, 3)),
    ),
    (
        OptionTypeError,
        "LSTM - learn_initial_state should be of type bool, got: str - True or False",
        lambda: lstm(learn_initial_state="no"),
    ),
    (
        UnknownNameError,
        f"LSTM - unknown backend 'eagre'; they are auto, torch, {', '.join(backends.names())}. Did you mean eager?",
        lambda: lstm(backend="eagre"),
    ),
    (
        OptionTypeError,
        "Recurrent - input_size should be of type int, got: float - give a whole number",
        lambda: Recurrent("lstm", 3.0, 4),
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
        OptionError,
        "Recurrent - dropout should be a number in range [0, 1], got 1.5 - it is the probability of zeroing",
        lambda: recurrent(dropout=1.5),
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
        "LSTM - the cell gru has states (h), expected (h, c) - use carrousel.Recurrent for cells with other states",
        lambda: lstm(cell="gru"),
    ),
    (
        OptionError,
        "RNNCell - the cell irnn_zoneout takes inputs per step (keep_h_t), a single step has none - "
        "use carrousel.Recurrent",
        lambda: RNNCell(3, 4, cell=ZONED),
    ),
    (
        OptionError,
        "RNNCell - nonlinearity is 'sigmoid' - expected 'tanh' or 'relu'",
        lambda: RNNCell(3, 4, nonlinearity="sigmoid"),
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
        "choose another of torch, keras, orthogonal, identity, chrono",
        lambda: recurrent("gru", init="chrono"),
    ),
    (
        OptionTypeError,
        "init= - expected a name or a function, got 1 - names are torch, keras, orthogonal, identity, chrono",
        lambda: recurrent(init=1),
    ),
    (
        UnknownNameError,
        "init= - unknown initialiser 'ortogonal'; they are torch, keras, orthogonal, identity, chrono. "
        "Did you mean orthogonal?",
        lambda: recurrent(init="ortogonal"),
    ),
    # ------------------------------------------------------------------ inputs
    (
        InputTypeError,
        "LSTM: input is a list, expected a tensor or a PackedSequence - convert it with torch.as_tensor",
        lambda: lstm()([1.0, 2.0, 3.0]),
    ),
    (
        InputTypeError,
        "LSTM: input has 4 axes, expected 3 = (time, batch, input); got shape (1, 5, 2, 3) - reshape the input",
        lambda: lstm()(X.unsqueeze(0)),
    ),
    (
        InputTypeError,
        "Population: input has 3 axes, expected 4 = (net, time, batch, input); got shape (5, 2, 3) - reshape the input",
        lambda: nets()(X),
    ),
    (
        InputShapeError,
        "LSTM: input has 4 features (last axis), expected input_size=3; got shape (5, 2, 4) = (time, batch, input).",
        lambda: lstm()(torch.ones(5, 2, 4)),
    ),
    (
        InputShapeError,
        "LSTM: input has 4 features (last axis), expected input_size=3; got shape (2, 5, 4) = (batch, time, input).",
        lambda: lstm(batch_first=True)(torch.ones(2, 5, 4)),
    ),
    (  # through torch's own forward
        InputShapeError,
        "LSTM: input has 4 features (last axis), expected input_size=3; got shape (5, 2, 4) = (time, batch, input).",
        lambda: carrousel.LSTM(3, 4)(torch.ones(5, 2, 4)),
    ),
    (
        InputShapeError,
        "Population: input has 2 nets (first axis), expected 3; got shape (2, 5, 2, 3) = (net, time, batch, input) - "
        "to give every net the same, expand it",
        lambda: nets()(torch.ones(2, 5, 2, 3)),
    ),
    (
        DtypeError,
        "LSTM: RNN input dtype (torch.float64) does not match weight dtype (torch.float32) - "
        "Convert input: input.to(torch.float32), or convert model: model.to(torch.float64)",
        lambda: lstm()(X.double()),
    ),
    (
        InputShapeError,
        "LSTM: Expected sequence length to be larger than 0; got shape (0, 2, 3) - "
        "pass lengths= to allow empty sequences",
        lambda: lstm()(X[:0]),
    ),
    # ------------------------------------------------------------------ states
    (
        InputTypeError,
        "LSTM: hx is of type str, expected a tuple of tensors (h, c) - leave hx out to begin anew",
        lambda: lstm()(X, "zeros"),
    ),
    (
        InputTypeError,
        "GRU: hx is of type tuple of Tensor, expected a tensor - leave hx out to begin anew",
        lambda: carrousel.GRU(3, 4, backend="eager")(X, (H,)),
    ),
    (
        InputShapeError,
        "LSTM: got 1 initial states, expected 2: (h, c) - pass them as a tuple in this order",
        lambda: lstm()(X, H),
    ),
    (
        InputShapeError,
        "LSTM: initial state c - Expected hidden size (1, 2, 4), got [1, 3, 4] - "
        "the first axis counts layers times directions",
        lambda: lstm()(X, (H, torch.zeros(1, 3, 4))),
    ),
    (
        InputShapeError,
        "LSTM: initial state h - Expected hidden size (1, 4), got [1, 2, 4] - "
        "the first axis counts layers times directions",
        lambda: lstm()(X[:, 0], (H, H)),
    ),
    (
        DtypeError,
        "LSTM: initial state c is torch.float64, the input torch.float32 - convert it with .to(torch.float32)",
        lambda: lstm()(X, (H, H.double())),
    ),
    # ------------------------------------------------------------------ lengths, resets, step inputs, traces
    (
        InputTypeError,
        "LSTM: lengths are torch.float32, expected whole numbers - pass an integer tensor",
        lambda: lstm()(X, lengths=[5.0, 3.0]),
    ),
    (
        InputShapeError,
        "LSTM: lengths have shape (3,), expected (2,) - one per row of the batch",
        lambda: lstm()(X, lengths=[5, 3, 1]),
    ),
    (
        InputShapeError,
        "LSTM: lengths run from -1 to 6, expected 0 to 5, the steps of x - cut the lengths or pad the input",
        lambda: lstm()(X, lengths=[6, -1]),
    ),
    (
        InputTypeError,
        "LSTM: resets are torch.float32, expected booleans - pass `done.bool()`",
        lambda: lstm()(X, resets=torch.zeros(5, 2)),
    ),
    (
        InputShapeError,
        "LSTM: resets have shape (5, 2), expected (2, 5) - give them the input's axes without the features",
        lambda: lstm(batch_first=True)(torch.ones(2, 5, 3), resets=torch.zeros(5, 2, dtype=torch.bool)),
    ),
    (
        OptionError,
        "Recurrent: step_inputs name ['keep_c_t'], the cell takes ['keep_h_t'] - "
        'pass step_inputs={"<name>_t": tensor} for each of them',
        lambda: recurrent(ZONED)(X, step_inputs={"keep_c_t": X}),
    ),
    (
        InputShapeError,
        "Recurrent: step input keep_h_t has shape (5, 2, 3), expected (5, 2, 4) - "
        "give it the input's axes with hidden units for features",
        lambda: recurrent(ZONED)(X, step_inputs={"keep_h_t": X}),
    ),
    (
        DtypeError,
        "Recurrent: step input keep_h_t is torch.bool, the input torch.float32 - convert it with .to(torch.float32)",
        lambda: recurrent(ZONED)(X, step_inputs={"keep_h_t": torch.ones(5, 2, 4, dtype=torch.bool)}),
    ),
    (
        OptionTypeError,
        "LSTM: return_trace is 'f', expected a tuple of names - write return_trace=('f',)",
        lambda: lstm()(X, return_trace="f"),
    ),
    (
        UnknownNameError,
        "LSTM: return_trace names 'forget'; the cell's quantities are a_i, i, a_f, f, a_z, z, a_o, o, c, h.",
        lambda: lstm()(X, return_trace=("forget",)),
    ),
    # ------------------------------------------------------------------ packed sequences
    (
        InputShapeError,
        "LSTM: a PackedSequence has its lengths inside - leave lengths= out",
        lambda: lstm()(PACKED, lengths=[5, 3]),
    ),
    (
        InputShapeError,
        "LSTM: resets=, return_trace= and step_inputs= have no packed form - pass a padded tensor and lengths=",
        lambda: lstm()(PACKED, return_trace=("f",)),
    ),
    (
        InputShapeError,
        "LSTM: packed input has 1 axes, expected 2 = (step, input); got data of shape (2,) - "
        "pack a tensor (time, batch, input)",
        lambda: lstm()(PackedSequence(torch.ones(2), torch.tensor([1, 1]))),
    ),
    (
        InputShapeError,
        "Population: a PackedSequence has no net axis - pass a padded tensor and lengths=",
        lambda: nets()(PACKED),
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
    (
        BackendError,
        "LSTM - torch.jit.script can not read it - use torch.jit.trace, or load the weights into torch.nn.LSTM "
        "if the cell is its own",
        lambda: lstm().__prepare_scriptable__(),
    ),
    (
        BackendError,
        "Recurrent - torch.jit.script can not read it - use torch.jit.trace",
        lambda: recurrent().__prepare_scriptable__(),
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
