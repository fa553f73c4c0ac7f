"""The LSTM whose gates see the cell state."""

from carrousel.cell import cell
from carrousel.functions import sigmoid, tanh
from carrousel.transforms import detached


@cell
def peephole_lstm(x, h_prev, c_prev, W, R, p, b):
    """LSTM with peephole connections.

    Source: Gers, Schraudolph & Schmidhuber (2002), Learning precise timing with LSTM, JMLR 3, 115-143.
    """
    i = sigmoid(W.i @ x + R.i @ h_prev + p.i * c_prev + b.i)  # input gate
    f = sigmoid(W.f @ x + R.f @ h_prev + p.f * c_prev + b.f)  # forget gate
    z = tanh(W.z @ x + R.z @ h_prev + b.z)                    # block input
    c = f * c_prev + i * z                                    # cell state
    o = sigmoid(W.o @ x + R.o @ h_prev + p.o * c + b.o)       # output gate sees the new cell state
    h = o * tanh(c)
    return h, c


# As the paper trained it: no error flows back through the peepholes.
peephole_lstm_2002 = detached(peephole_lstm, "p", name="peephole_lstm_2002")
