"""The recurrent network of rectified linear units that starts as the identity."""

from carrousel.cell import cell
from carrousel.functions import relu


@cell(init="identity")
def irnn(x, h_prev, W, R, b):
    """Rectified linear units whose recurrent weights start as the identity matrix.

    Source: Le, Jaitly & Hinton (2015), A simple way to initialize recurrent networks of rectified linear units.
    """
    h = relu(W.h @ x + R.h @ h_prev + b.h)
    return h
