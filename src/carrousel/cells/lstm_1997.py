"""The LSTM of 1997: the constant error carrousel between an input gate and an output gate; no forget gate."""

from carrousel.cell import Cell, cell
from carrousel.functions import sigmoid


def memory_cell(g_range: float = 2, h_range: float = 1) -> Cell:
    """Return the memory cell with g in [-g_range, g_range] and h in [-h_range, h_range]; only cells feed back."""

    @cell(shared=("i", "o"))
    def lstm_1997(x, h_prev, c_prev, W, R, b):
        """LSTM of 1997: input and output gate, the carrousel, no forget gate.

        Source: Hochreiter & Schmidhuber (1997), Neural Computation 9(8), 1735-1780, section 4, equations (3)-(6).
        """
        i = sigmoid(W.i @ x + R.i @ h_prev + b.i)                             # input gate
        o = sigmoid(W.o @ x + R.o @ h_prev + b.o)                             # output gate
        z = 2 * g_range * sigmoid(W.z @ x + R.z @ h_prev + b.z) - g_range     # g of the cell's net input
        c = c_prev + i * z                                                    # the constant error carrousel
        h = o * (2 * h_range * sigmoid(c) - h_range)
        return h, c

    return lstm_1997


def fully_wired(g_range: float = 2, h_range: float = 1) -> Cell:
    """Return the memory cell of the experiments: cells and gates also receive the gates' last activations."""

    @cell(shared=("i", "o"))
    def lstm_1997_full(x, h_prev, c_prev, i_prev, o_prev, W, R, S, U, b):
        """LSTM of 1997 as its experiments wire it: the gates' own last activations (S, U) are fed back too.

        Source: Hochreiter & Schmidhuber (1997), Neural Computation 9(8), section 5, Table 10.
        """
        i = sigmoid(W.i @ x + S.i @ i_prev + U.i @ o_prev + R.i @ h_prev + b.i)
        o = sigmoid(W.o @ x + S.o @ i_prev + U.o @ o_prev + R.o @ h_prev + b.o)
        z = 2 * g_range * sigmoid(W.z @ x + S.z @ i_prev + U.z @ o_prev + R.z @ h_prev + b.z) - g_range
        c = c_prev + i * z
        h = o * (2 * h_range * sigmoid(c) - h_range)
        return h, c, i, o

    return lstm_1997_full


@cell
def lstm_1997_input_gate(x, c_prev, W):
    """The one unit of experiments 2a and 2b: a carrousel behind an input gate, nothing recurrent but itself.

    Source: Hochreiter & Schmidhuber (1997), Neural Computation 9(8), section 5.2: h is the identity, g logistic.
    """
    i = sigmoid(W.i @ x)
    z = sigmoid(W.z @ x)
    c = c_prev + i * z
    return c


lstm_1997 = memory_cell()
lstm_1997_full = fully_wired()
lstm_1997_truncated = lstm_1997.truncated()
lstm_1997_full_truncated = lstm_1997_full.truncated()
