"""Five kinds of layer that everything has to work for: four of the registry, and one of a cell that is defined here."""

from collections.abc import Callable

from torch import nn

import carrousel
from carrousel.functions import sigmoid, tanh

__all__ = ["LAYERS", "leaky_pair"]


@carrousel.cell
def leaky_pair(x, h_prev, m_prev, W, R, b):
    """A cell of these tests."""
    m = 0.9 * m_prev + 0.1 * tanh(W.m @ x + R.m @ h_prev + b.m)
    h = sigmoid(W.h @ x + b.h) * m
    return h, m


LAYERS: dict[str, Callable[..., nn.Module]] = {
    "lstm": lambda **options: carrousel.LSTM(3, 4, **options),
    "peephole_lstm": lambda **options: carrousel.LSTM(3, 4, cell="peephole_lstm", **options),
    "gru": lambda **options: carrousel.GRU(3, 4, **options),
    "lstm_1997": lambda **options: carrousel.Recurrent("lstm_1997", 3, 4, **options),
    "of these tests": lambda **options: carrousel.Recurrent(leaky_pair, 3, 4, **options),
}
