"""The LSTM whose input gate and forget gate are one."""

from carrousel.cell import cell
from carrousel.functions import sigmoid, tanh


@cell
def coupled_lstm(x, h_prev, c_prev, W, R, b):
    """LSTM with coupled input and forget gate: what enters replaces what is forgotten. No peepholes.

    Source: Greff et al. (2017), LSTM: a search space odyssey, CIFG without peepholes; `input_forget` of ONNX LSTM.
    """
    i = sigmoid(W.i @ x + R.i @ h_prev + b.i)  # input gate
    o = sigmoid(W.o @ x + R.o @ h_prev + b.o)  # output gate
    z = tanh(W.z @ x + R.z @ h_prev + b.z)     # block input
    c = (1 - i) * c_prev + i * z
    h = o * tanh(c)
    return h, c
