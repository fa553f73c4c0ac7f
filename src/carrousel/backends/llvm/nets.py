"""Networks in the lanes: sixteen tiny networks side by side in one register.

A register that holds the hidden units of one network of four units is three quarters empty. Let it hold the same unit
of many networks instead: the products are plain multiply-adds, the equations are the same.
"""

from collections.abc import Sequence

from torch import Tensor
from torch.nn.functional import pad

__all__ = ["UNITS", "gather", "spread", "suits"]

#: Hidden units up to which networks fill the lanes better than units do, in populations of at least so many.
UNITS, NETS = 12, 8


def suits(x: Tensor, states: Sequence[Tensor]) -> bool:
    """Whether the lanes should hold networks.

    Args:
        x: (time, [net,] batch, input).
        states: each ([net,] batch, size).
    """
    return x.dim() == 4 and x.shape[1] >= NETS and max(state.shape[-1] for state in states) <= UNITS


def gather(tensor: Tensor, lanes: int) -> Tensor:
    """Bring networks side by side: (..., net, row, size) -> (..., group, row, size * lane)."""
    *front, nets, rows, size = tensor.shape
    groups = -(-nets // lanes)
    if groups * lanes != nets:
        tensor = pad(tensor, (0, 0, 0, 0, 0, groups * lanes - nets))
    return tensor.reshape(*front, groups, lanes, rows, size).movedim(-3, -1).reshape(*front, groups, rows, size * lanes)


def spread(tensor: Tensor, nets: int, lanes: int) -> Tensor:
    """Undo `gather`: (..., group, row, size * lane) -> (..., net, row, size)."""
    *front, groups, rows, elements = tensor.shape
    parted = tensor.reshape(*front, groups, rows, elements // lanes, lanes).movedim(-1, -3)
    return parted.reshape(*front, groups * lanes, rows, elements // lanes)[..., :nets, :, :]
