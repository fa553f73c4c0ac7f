"""Two layer-normalised LSTMs: all gates together, and gate by gate."""

from carrousel.cell import cell
from carrousel.functions import mean, sigmoid, sqrt, tanh


@cell(init="layer_norm", gains=("gW", "gR", "g"))
def layer_norm_lstm(x, h_prev, c_prev, W, R, gW, gR, g, b):
    """LSTM whose W x, R h and cell state are normalised, the first two over the units of all gates together.

    W x and R h have gains of their own and share one shift, b: the paper's two shifts and bias add up to it. The
    cell state is normalised on its way to the output; what is carried is not.

    Source: Ba, Kiros & Hinton (2016), Layer normalization, its LSTM and its code's epsilon; LayerNormLSTM of haste.
    """
    xi = W.i @ x
    xf = W.f @ x
    xz = W.z @ x
    xo = W.o @ x
    mx = mean(xi + xf + xz + xo) / 4
    vx = mean((xi - mx) ** 2 + (xf - mx) ** 2 + (xz - mx) ** 2 + (xo - mx) ** 2) / 4
    sx = sqrt(vx + 1e-5)
    hi = R.i @ h_prev
    hf = R.f @ h_prev
    hz = R.z @ h_prev
    ho = R.o @ h_prev
    mh = mean(hi + hf + hz + ho) / 4
    vh = mean((hi - mh) ** 2 + (hf - mh) ** 2 + (hz - mh) ** 2 + (ho - mh) ** 2) / 4
    sh = sqrt(vh + 1e-5)
    i = sigmoid(gW.i * (xi - mx) / sx + gR.i * (hi - mh) / sh + b.i)  # input gate
    f = sigmoid(gW.f * (xf - mx) / sx + gR.f * (hf - mh) / sh + b.f)  # forget gate
    z = tanh(gW.z * (xz - mx) / sx + gR.z * (hz - mh) / sh + b.z)     # block input
    o = sigmoid(gW.o * (xo - mx) / sx + gR.o * (ho - mh) / sh + b.o)  # output gate
    c = f * c_prev + i * z                                            # cell state
    mc = mean(c)
    sc = sqrt(mean((c - mc) ** 2) + 1e-5)
    h = o * tanh(g.c * (c - mc) / sc + b.c)
    return h, c


@cell(init="layer_norm", gains=("g",))
def layer_norm_lstm_per_gate(x, h_prev, c_prev, W, R, g, b):
    """LSTM whose gates are normalised each on its own, and whose cell state is carried normalised.

    The published cell adds 1 to the forget gate: here `forget_bias=1.0` of the layer does.

    Source: Ba, Kiros & Hinton (2016), Layer normalization, as LayerNormBasicLSTMCell of tf.contrib.rnn computes it.
    """
    ni = W.i @ x + R.i @ h_prev
    nf = W.f @ x + R.f @ h_prev
    nz = W.z @ x + R.z @ h_prev
    no = W.o @ x + R.o @ h_prev
    mi = mean(ni)
    mf = mean(nf)
    mz = mean(nz)
    mo = mean(no)
    i = sigmoid(g.i * (ni - mi) / sqrt(mean((ni - mi) ** 2) + 1e-12) + b.i)  # input gate
    f = sigmoid(g.f * (nf - mf) / sqrt(mean((nf - mf) ** 2) + 1e-12) + b.f)  # forget gate
    z = tanh(g.z * (nz - mz) / sqrt(mean((nz - mz) ** 2) + 1e-12) + b.z)     # block input
    o = sigmoid(g.o * (no - mo) / sqrt(mean((no - mo) ** 2) + 1e-12) + b.o)  # output gate
    s = f * c_prev + i * z
    ms = mean(s)
    c = g.c * (s - ms) / sqrt(mean((s - ms) ** 2) + 1e-12) + b.c             # cell state
    h = o * tanh(c)
    return h, c
