"""What people call by mistake, and the answer, word for word: where, what is wrong, what to do."""

import tempfile
from collections.abc import Callable

import numpy as np
import torch
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

import carrousel
from carrousel import LSTM, Population, Recurrent, RNNCell, backends, cells, exchange
from carrousel.errors import (
    BackendError,
    DtypeError,
    InputShapeError,
    InputTypeError,
    OptionError,
    OptionTypeError,
    OutputError,
    UnknownNameError,
)
from carrousel.transforms import zoneout

X = torch.ones(5, 2, 3)
H = torch.zeros(1, 2, 4)
PACKED = pack_padded_sequence(X, torch.tensor([5, 3]))
ZONED = zoneout(cells.get("irnn"))
TEMPORARY = tempfile.gettempdir()


def recurrent(cell: object = "lstm", **options: object) -> Recurrent:
    return Recurrent(cell, 3, 4, **options)


def lstm(**options: object) -> LSTM:
    return LSTM(3, 4, **{"backend": "eager", **options})


def nets() -> Population:
    return Population("lstm", 3, 3, 4)


def broken() -> Recurrent:
    """A layer whose training has gone wrong."""
    layer = recurrent()
    torch.nn.init.constant_(layer.weight_hh_l0[:1, :1], float("nan"))
    return layer


#: error, its text, the call
WRONG_CALLS: list[tuple[type[Exception], str, Callable[[], object]]] = [
    # ------------------------------------------------------------------ options
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
        "Recurrent - dropout should be a number in range [0, 1], got 1.5 - it is the probability of zeroing",
        lambda: recurrent(dropout=1.5),
    ),
    (
        OptionError,
        "LSTM - the cell gru has states (h), expected (h, c) - use carrousel.Recurrent for cells with other states",
        lambda: lstm(cell="gru"),
    ),
    (
        OptionError,
        "RNNCell - nonlinearity is 'sigmoid' - expected 'tanh' or 'relu'",
        lambda: RNNCell(3, 4, nonlinearity="sigmoid"),
    ),
    (  # torch.nn's own word
        ValueError,
        "proj_size has to be smaller than hidden_size",
        lambda: lstm(proj_size=4),
    ),
    (
        OptionError,
        "Recurrent - proj_size is -1, expected at least 0 - give a larger number",
        lambda: recurrent(proj_size=-1),
    ),
    (
        OptionTypeError,
        "Recurrent - state_batch_first should be of type bool, got: int - True or False",
        lambda: recurrent(state_batch_first=1),
    ),
    (
        OptionTypeError,
        "cells.get - expected a Cell or a registry name, got 3 - decorate the function with @carrousel.cell",
        lambda: recurrent(3),
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
    (
        InputTypeError,
        "LSTM: input has 1 axes, expected 3 = (time, batch, input); got shape (3,) - reshape the input",
        lambda: lstm()(torch.ones(3)),
    ),
    (
        InputTypeError,
        "LSTM: input is a ndarray, expected a tensor or a PackedSequence - convert it with torch.as_tensor",
        lambda: lstm()(np.ones((5, 2, 3))),
    ),
    (
        BackendError,
        "LSTM: input has the layout torch.sparse_coo, expected a dense tensor - convert it with .to_dense()",
        lambda: lstm()(X.to_sparse()),
    ),
    (
        BackendError,
        "LSTM: the input is on meta, the weights are on cpu - "
        "move the input with .to('cpu'), or the module with .to('meta')",
        lambda: carrousel.LSTM(3, 4)(X.to("meta")),
    ),
    (
        BackendError,
        "LSTMCell: the input is on meta, the weights are on cpu - "
        "move the input with .to('cpu'), or the module with .to('meta')",
        lambda: carrousel.LSTMCell(3, 4)(X[0].to("meta")),
    ),
    (
        BackendError,
        "lstm - backend 'llvm' computes on the CPU, W is elsewhere - move it with .cpu()",
        lambda: Recurrent("lstm", 3, 4, device="meta")(X),
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
        "its axes are (layers * directions, batch, size)",
        lambda: lstm()(X, (H, torch.zeros(1, 3, 4))),
    ),
    (
        InputShapeError,
        "LSTM: initial state h - Expected hidden size (1, 4), got [1, 2, 4] - its axes are (layers * directions, size)",
        lambda: lstm()(X[:, 0], (H, H)),
    ),
    (
        DtypeError,
        "LSTM: initial state c is torch.float64, the input torch.float32 - convert it with .to(torch.float32)",
        lambda: lstm()(X, (H, H.double())),
    ),
    (
        InputTypeError,
        "LSTM: hx is of type list of ndarray, ndarray, expected a tuple of tensors (h, c) - leave hx out to begin anew",
        lambda: lstm()(X, [H.numpy(), H.numpy()]),
    ),
    (
        InputShapeError,
        "LSTM: hx is a state of (h, c, n, m), expected one of (h, c) - it comes from a layer of another cell",
        lambda: lstm()(X, recurrent("slstm")(X)[1]),
    ),
    (
        InputShapeError,
        "Recurrent: hx is a state of (h, c), expected one of (h, c, n, m) - it comes from a layer of another cell",
        lambda: recurrent("slstm").eval().requires_grad_(False).step(X[0], recurrent()(X)[1]),
    ),
    (  # h and c the wrong way round
        InputShapeError,
        "Recurrent: initial state h - Expected hidden size (1, 2, 2), got [1, 2, 4] - "
        "its axes are (layers * directions, batch, size)",
        lambda: recurrent(proj_size=2)(X, (H, H[..., :2])),
    ),
    (  # a state of a layer with more units
        InputShapeError,
        "Recurrent: initial state h - Expected hidden size (1, 2, 4), got [1, 2, 5] - "
        "its axes are (layers * directions, batch, size)",
        lambda: recurrent()(X, Recurrent("lstm", 3, 5)(X)[1]),
    ),
    (  # no batch axis
        InputShapeError,
        "LSTM: initial state h - Expected hidden size (1, 2, 4), got [1, 4] - "
        "its axes are (layers * directions, batch, size)",
        lambda: lstm()(X, (H[:, 0], H[:, 0])),
    ),
    (
        InputShapeError,
        "LSTM: initial state h - Expected hidden size (2, 1, 4), got [1, 2, 4] - "
        "its axes are (batch, layers * directions, size)",
        lambda: lstm(state_batch_first=True)(X, (H, H)),
    ),
    (
        InputShapeError,
        "Population: initial state h - Expected hidden size (3, 1, 2, 4), got [1, 2, 4] - "
        "its axes are (net, layers * directions, batch, size)",
        lambda: nets()(X.expand(3, 5, 2, 3), (H, H)),
    ),
    (
        BackendError,
        "LSTM: initial state c is on meta, the input on cpu - move it with .to('cpu')",
        lambda: lstm()(X, (H, H.to("meta"))),
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
    (
        InputShapeError,
        "LSTM: lengths have shape (5,), expected (2,) - one per row of the batch",
        lambda: lstm()(X, lengths=torch.full((5,), 2)),
    ),
    (
        InputTypeError,
        "LSTM: lengths are 'all', which can not be read - pass an integer tensor",
        lambda: lstm()(X, lengths="all"),
    ),
    (
        InputTypeError,
        "LSTM: lengths are a tensor on meta, which can not be read on cpu - pass an integer tensor",
        lambda: lstm()(X, lengths=torch.tensor([5, 3], device="meta")),
    ),
    (
        InputTypeError,
        "LSTM: resets are 'never', which can not be read - pass `done.bool()`",
        lambda: lstm()(X, resets="never"),
    ),
    (
        OptionError,
        "Recurrent: step_inputs name [], the cell takes ['keep_h_t'] - "
        'pass step_inputs={"<name>_t": tensor} for each of them',
        lambda: recurrent(ZONED)(X),
    ),
    (
        InputTypeError,
        "Recurrent: step_inputs is a dict of ndarray, expected a dict of tensors - the cell takes ['keep_h_t']",
        lambda: recurrent(ZONED)(X, step_inputs={"keep_h_t": np.ones((5, 2, 4), np.float32)}),
    ),
    (
        BackendError,
        "Recurrent: step input keep_h_t is on meta, the input on cpu - move it with .to('cpu')",
        lambda: recurrent(ZONED)(X, step_inputs={"keep_h_t": torch.ones(5, 2, 4, device="meta")}),
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
    # ------------------------------------------------------------------ what torch does with modules
    (
        BackendError,
        "LSTM - backend 'torch' can not do transforms of torch.func - use backend='eager' or 'auto'",
        lambda: torch.func.vmap(carrousel.LSTM(3, 4, backend="torch"))(X.expand(2, 5, 2, 3)),
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
    (
        BackendError,
        "LSTM - in training it draws dropout at random, and vmap was not told how - "
        "call vmap with randomness='different' or 'same', or the layer in eval mode",
        lambda: torch.func.vmap(lstm(num_layers=2, dropout=0.5))(X.expand(2, 5, 2, 3)),
    ),
    (
        BackendError,
        "Recurrent - in training it draws dropout at random, and vmap was not told how - "
        "call vmap with randomness='different' or 'same', or the layer in eval mode",
        lambda: torch.func.vmap(recurrent(recurrent_dropout=0.5))(X.expand(2, 5, 2, 3)),
    ),
    (
        BackendError,
        "Recurrent - backend 'llvm' can not do transforms of torch.func, forward differentiation - "
        "use backend='eager' or 'auto'",
        lambda: torch.func.jvp(lambda x: recurrent(backend="llvm")(x)[0], (X,), (X,)),
    ),
    # ------------------------------------------------------------------ exports
    (
        InputTypeError,
        "to_onnx - weight_hh_l0 holds 1 values that are nan or infinite - "
        "train again, or load weights from before they went wrong",
        lambda: exchange.to_onnx(broken(), f"{TEMPORARY}/a.onnx"),
    ),
    (
        OptionError,
        "to_onnx - unsupported opset 5, expected 18 to 22 - leave it out for 18",
        lambda: exchange.to_onnx(recurrent(), "/nowhere/a.onnx", opset=5),
    ),
    (
        OutputError,
        "/nowhere - is no folder - make it, or name another",
        lambda: exchange.to_onnx(recurrent(), "/nowhere/a.onnx"),
    ),
    (
        OptionError,
        "to_onnx - a Population is many nets - write one of them, with Population.net(k)",
        lambda: exchange.to_onnx(nets(), "/nowhere/a.onnx"),
    ),
    (
        InputTypeError,
        "to_c - weight_hh_l0 has a NaN or an infinite value in float32 - train again, or look where it comes from",
        lambda: exchange.to_c(broken(), "/nowhere/a"),
    ),
    (
        OptionError,
        "to_c - module is bidirectional - a step can not read what comes later: train it with bidirectional=False",
        lambda: exchange.to_c(recurrent(bidirectional=True), "/nowhere/a"),
    ),
    (
        OutputError,
        "/nowhere/a.c - can not be written: No such file or directory - name another place",
        lambda: exchange.to_c(recurrent(), "/nowhere/a"),
    ),
]
