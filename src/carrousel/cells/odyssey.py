"""The eight variants of the vanilla (peephole) LSTM: what each part is worth."""

from carrousel.cell import Cell, cell
from carrousel.cells.lstm import lstm
from carrousel.cells.peephole_lstm import peephole_lstm as vanilla
from carrousel.functions import sigmoid, tanh
from carrousel.transforms import variant

_SOURCE = "\n\nSource: Greff, Srivastava, Koutnik, Steunebrink & Schmidhuber (2017), LSTM: a search space odyssey."


def _variant(name: str, what: str, **equations: str) -> Cell:
    return variant(vanilla, name, what + _SOURCE, **equations)


nig = _variant("nig", "No input gate.", i="1")
nfg = _variant("nfg", "No forget gate.", f="1")
nog = _variant("nog", "No output gate.", o="1")
niaf = _variant("niaf", "No input activation function.", z="W.z @ x + R.z @ h_prev + b.z")
noaf = _variant("noaf", "No output activation function.", h="o * c")
cifg = _variant("cifg", "Coupled input and forget gate.", f="1 - i")
np = lstm  # no peepholes


@cell
def fgr(x, h_prev, c_prev, i_prev, f_prev, o_prev, W, R, Ri, Rf, Ro, p, b):
    """Full gate recurrence: every gate also receives the gates' last activations.

    Source: Greff, Srivastava, Koutnik, Steunebrink & Schmidhuber (2017), LSTM: a search space odyssey.
    """
    i = sigmoid(W.i @ x + R.i @ h_prev + p.i * c_prev + Ri.i @ i_prev + Rf.i @ f_prev + Ro.i @ o_prev + b.i)
    f = sigmoid(W.f @ x + R.f @ h_prev + p.f * c_prev + Ri.f @ i_prev + Rf.f @ f_prev + Ro.f @ o_prev + b.f)
    z = tanh(W.z @ x + R.z @ h_prev + b.z)
    c = f * c_prev + i * z
    o = sigmoid(W.o @ x + R.o @ h_prev + p.o * c + Ri.o @ i_prev + Rf.o @ f_prev + Ro.o @ o_prev + b.o)
    h = o * tanh(c)
    return h, c, i, f, o
