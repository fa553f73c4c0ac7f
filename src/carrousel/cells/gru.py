"""The gated recurrent unit, reset after the product: the form of torch.nn.GRU."""

from carrousel.cell import cell
from carrousel.functions import sigmoid, tanh


@cell
def gru(x, h_prev, W, R, b, bR):
    """Gated recurrent unit, the reset gate after the recurrent product.

    Source: Cho et al. (2014), Learning phrase representations using RNN encoder-decoder; torch.nn.GRU.
    """
    r = sigmoid(W.r @ x + b.r + R.r @ h_prev + bR.r)     # reset gate
    z = sigmoid(W.z @ x + b.z + R.z @ h_prev + bR.z)     # update gate
    n = tanh(W.n @ x + b.n + r * (R.n @ h_prev + bR.n))  # new state
    h = (1 - z) * n + z * h_prev
    return h
