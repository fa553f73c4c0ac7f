"""The gated recurrent unit as first published: reset before the product."""

from carrousel.cell import cell
from carrousel.functions import sigmoid, tanh


@cell
def gru_2014(x, h_prev, W, R, b):
    """Gated recurrent unit, the reset gate before the recurrent product: two stages.

    Source: Cho et al. (2014), Learning phrase representations using RNN encoder-decoder.
    """
    r = sigmoid(W.r @ x + R.r @ h_prev + b.r)        # reset gate
    z = sigmoid(W.z @ x + R.z @ h_prev + b.z)        # update gate
    n = tanh(W.n @ x + R.n @ (r * h_prev) + b.n)     # new state
    h = z * h_prev + (1 - z) * n
    return h
