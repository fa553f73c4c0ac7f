"""The output units of many nets: logistic or linear, trained on E = sum (t - y)^2."""

from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from carrousel.systems.network import BIAS, OUTPUT, SHORTCUT, Network

__all__ = ["back", "deltas", "deviations", "misses", "outputs"]

_Errors = TypeVar("_Errors", Tensor, np.ndarray)


def outputs(network: Network, weights: Tensor, hidden: Tensor, x: Tensor) -> Tensor:
    """Compute the output units.

    Args:
        network: what all nets look like.
        weights: (net, weight).
        hidden: the memory cells' outputs, (net, row, hidden).
        x: the inputs of the same steps, (net, row, input) or symbols (net, row); read if there is a shortcut.

    Returns:
        (net, row, output).
    """
    y = hidden @ network.part(weights, OUTPUT).mT
    if network.output_bias:
        y = y + network.part(weights, BIAS).unsqueeze(1)
    if network.shortcut:
        direct = network.part(weights, SHORTCUT)
        y = y + (_columns(direct, x) if network.symbols else x @ direct.mT)
    return y if network.linear else y.sigmoid()


def _columns(direct: Tensor, symbols: Tensor) -> Tensor:
    """The product with one-hot inputs: (net, row, output)."""
    return direct.mT.gather(1, symbols.unsqueeze(-1).expand(*symbols.shape, direct.shape[1]))


def deltas(network: Network, y: Tensor, target: Tensor) -> Tensor:
    """Compute `f'(net) (t - y)`: minus half the derivative of E by the output units' net inputs.

    Args:
        network: what all nets look like.
        y: (net, row, output).
        target: the same; or numbers of symbols, (net, row), -1 where nothing is asked.

    Returns:
        (net, row, output).

    Source:
        Hochreiter & Schmidhuber (1997), appendix A.1, equation (19), which leaves the factor 2 of E out.
    """
    error = deviations(y, target)
    return error if network.linear else error * y * (1 - y)


def deviations(y: Tensor, target: Tensor) -> Tensor:
    """Return t - y, 0 where nothing is asked; arguments and shapes as of `deltas`."""
    if target.is_floating_point():
        return target - y
    asked = target.unsqueeze(-1)
    error = torch.where(asked < 0, 0, -y)
    return error.scatter_add_(-1, asked.clamp(min=0), (asked >= 0).to(y.dtype))


def misses(error: _Errors, within: float) -> _Errors:
    """Tell which errors, none of them negative, are not below a bound; what is no number is not."""
    return ~(error < within)


def back(network: Network, weights: Tensor, gradient: Tensor, delta: Tensor, hidden: Tensor, x: Tensor) -> Tensor:
    """Write what the output units' weights are to change by, and return what goes on to the memory cells.

    Args:
        network: what all nets look like.
        weights: (net, weight).
        gradient: (net, weight), its places for the output units are written.
        delta: (net, row, output).
        hidden: (net, row, hidden), as for `outputs`.
        x: as for `outputs`.

    Returns:
        (net, row, hidden), minus half the derivative of E by the memory cells' outputs.
    """
    torch.bmm(delta.mT, hidden, out=network.part(gradient, OUTPUT))
    if network.output_bias:
        torch.sum(delta, 1, out=network.part(gradient, BIAS))
    if network.shortcut:
        direct = network.part(gradient, SHORTCUT)
        if network.symbols:
            direct.zero_().mT.scatter_add_(1, x.unsqueeze(-1).expand_as(delta), delta)
        else:
            torch.bmm(delta.mT, x, out=direct)
    return delta @ network.part(weights, OUTPUT)
