"""Layers: any cell over sequences, and stand-ins for torch.nn's."""

from carrousel.nn import init
from carrousel.nn.cells import GRUCell, LSTMCell, RNNCell
from carrousel.nn.conversion import convert
from carrousel.nn.drop_in import GRU, LSTM, RNN
from carrousel.nn.pieces import tbptt
from carrousel.nn.population import Population
from carrousel.nn.recurrent import Recurrent
from carrousel.nn.state import State
from carrousel.nn.weight_drop import WeightDrop

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "GRUCell",
    "LSTMCell",
    "Population",
    "RNNCell",
    "Recurrent",
    "State",
    "WeightDrop",
    "convert",
    "init",
    "tbptt",
]
