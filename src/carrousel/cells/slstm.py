"""The scalar LSTM with exponential gates."""

from math import inf

from carrousel.cell import cell
from carrousel.functions import exp, log_sigmoid, maximum, sigmoid, stop_gradient, tanh


@cell(initial={"m": -inf})
def slstm(x, h_prev, c_prev, n_prev, m_prev, W, R, b):
    """sLSTM: exponential input gate, normaliser n and stabiliser m.

    Source: Beck et al. (2024), xLSTM: extended long short-term memory, section 2.2.
    """
    log_i = W.i @ x + R.i @ h_prev + b.i
    log_f = log_sigmoid(W.f @ x + R.f @ h_prev + b.f)
    z = tanh(W.z @ x + R.z @ h_prev + b.z)
    o = sigmoid(W.o @ x + R.o @ h_prev + b.o)
    m = stop_gradient(maximum(log_f + m_prev, log_i))  # cancels in c / n
    i = exp(log_i - m)                                 # input gate
    f = exp(log_f + m_prev - m)                        # forget gate
    c = f * c_prev + i * z                             # cell state
    n = f * n_prev + i                                 # normaliser state
    h = o * c / n
    return h, c, n, m
