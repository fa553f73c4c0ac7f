"""One module of each kind, small, with an input that it takes."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

import carrousel
from nn.five import LAYERS

KINDS: dict[str, Callable[[], nn.Module]] = {
    "LSTM": lambda: carrousel.LSTM(3, 4, 2, bidirectional=True),
    "LSTM in eager": lambda: carrousel.LSTM(3, 4, 2, bidirectional=True, proj_size=2, backend="eager"),
    "LSTM with peepholes": lambda: carrousel.LSTM(3, 4, 2, bidirectional=True, cell="peephole_lstm"),
    "LSTM with learned states": lambda: carrousel.LSTM(3, 4, learn_initial_state=True),
    "GRU": lambda: carrousel.GRU(3, 4),
    "GRU of 2014": lambda: carrousel.GRU(3, 4, cell="gru_2014"),
    "RNN": lambda: carrousel.RNN(3, 4, nonlinearity="relu"),
    "IRNN": lambda: carrousel.RNN(3, 4, cell="irnn"),
    "Recurrent": lambda: carrousel.Recurrent("lstm", 3, 4, proj_size=6),
    "sLSTM": lambda: carrousel.Recurrent("slstm", 3, 4, 2, learn_initial_state=True, init=carrousel.nn.init.chrono(9)),
    "LSTM of 1997": lambda: carrousel.Recurrent("lstm_1997", 3, 4),
    "a cell of the tests": LAYERS["of these tests"],
    "blocks": lambda: carrousel.Recurrent("lstm_1997_full", 3, 4, block_size=2, bias=("i", "o")),
    "Population": lambda: carrousel.Population("fgr", 2, 3, 4, bidirectional=True),
    "LSTMCell": lambda: carrousel.LSTMCell(3, 4),
    "LSTMCell with peepholes": lambda: carrousel.LSTMCell(3, 4, cell="peephole_lstm", forget_bias=1.0),
    "GRUCell in eager": lambda: carrousel.GRUCell(3, 4, backend="eager"),
    "RNNCell": lambda: carrousel.RNNCell(3, 4, nonlinearity="relu"),
}


def input_of(module: nn.Module, dtype: torch.dtype = torch.float32) -> Tensor:
    """An input that the module takes."""
    shape = (5, 2, 3)
    if isinstance(module, carrousel.Population):
        shape = (len(module), 5, 2, 3)
    elif isinstance(module, nn.RNNCellBase):
        shape = (2, 3)
    draw = torch.Generator().manual_seed(3)
    return torch.randn(shape, dtype=torch.float64, generator=draw).to(dtype)
