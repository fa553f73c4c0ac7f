"""The LSTM with forget gates: what everyone calls LSTM today."""

from carrousel.cell import cell
from carrousel.functions import sigmoid, tanh


@cell
def lstm(x, h_prev, c_prev, W, R, b, bR):
    """LSTM with forget gate; its two biases are PyTorch's.

    Source: Gers, Schmidhuber & Cummins (2000), Learning to forget, Neural Computation 12(10), 2451-2471; torch.nn.LSTM.
    """
    i = sigmoid(W.i @ x + b.i + R.i @ h_prev + bR.i)  # input gate
    f = sigmoid(W.f @ x + b.f + R.f @ h_prev + bR.f)  # forget gate
    z = tanh(W.z @ x + b.z + R.z @ h_prev + bR.z)     # block input
    o = sigmoid(W.o @ x + b.o + R.o @ h_prev + bR.o)  # output gate
    c = f * c_prev + i * z                            # cell state
    h = o * tanh(c)
    return h, c
