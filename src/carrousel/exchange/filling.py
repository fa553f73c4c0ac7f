"""A layer filled with weights that come gate by gate."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from carrousel.errors import InputTypeError
from carrousel.nn import Recurrent

__all__ = ["fill", "tensor_of"]


@torch.no_grad()
def fill(layer: Recurrent, weights: Mapping[str, Mapping[str, Tensor]], reverse: bool = False) -> None:
    """Copy weights into the first layer of a module.

    Args:
        layer: what is filled.
        weights: group of the cell -> gate -> (rows, columns) or (rows,); every group that the layer has.
        reverse: whether it is the direction that walks backwards.
    """
    definition = layer._layout.cell.definition
    for group, parameter in layer._stacked(0, reverse).items():
        gates = layer._layout.gates(definition.group(group))
        parameter.copy_(torch.cat([weights[group][gate] for gate in gates]))


def tensor_of(where: str, name: str, value: Any) -> Tensor:
    """Return an array as a tensor of float32 or float64.

    Raises:
        InputTypeError: it holds no real numbers.
    """
    try:
        found = value.detach().cpu() if isinstance(value, Tensor) else torch.from_numpy(np.array(value))
    except (TypeError, ValueError):
        found = torch.zeros(0, dtype=torch.bool)
    if found.dtype == torch.bool or found.is_complex():
        raise InputTypeError(f"{where} - {name} holds no real numbers - pass it as a NumPy array or a tensor of floats")
    return found if found.dtype == torch.float64 else found.float()
