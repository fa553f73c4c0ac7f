"""The simple recurrent network."""

from carrousel.cell import Cell, cell
from carrousel.functions import Function, relu, tanh


def simple_recurrent(activation: Function) -> Cell:
    """Return the simple recurrent network with this activation; its two biases are PyTorch's."""

    @cell
    def simple_recurrent(x, h_prev, W, R, b, bR):
        """Simple recurrent network.

        Source: Elman (1990), Finding structure in time, Cognitive Science 14, 179-211; torch.nn.RNN.
        """
        h = activation(W.h @ x + b.h + R.h @ h_prev + bR.h)
        return h

    return simple_recurrent


elman = simple_recurrent(tanh)
elman_relu = simple_recurrent(relu)
