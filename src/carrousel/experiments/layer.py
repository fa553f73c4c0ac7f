"""One net of a population as a layer of its own: it traces, and its states can be carried on."""

import torch
from torch import Tensor

from carrousel.nn.recurrent import Recurrent
from carrousel.nn.torch_layout import parameter_name
from carrousel.systems.network import Network

__all__ = ["layer_of"]


def layer_of(network: Network, weights: Tensor) -> Recurrent:
    """Return the recurrent layer of one net.

    Args:
        network: what the net looks like.
        weights: its row, (weight,).

    Example:
        >>> from carrousel import cells
        >>> network = Network(cells.get("lstm_1997"), 2, 1, 4, 2)
        >>> layer_of(network, network.draw(torch.Generator())).hidden_size
        4
    """
    layer = Recurrent(network.cell, network.inputs, network.hidden, bias=network.biased, block_size=network.block_size)
    layer.to(weights.dtype)
    with torch.no_grad():
        for group in network.cell.groups:
            if group.name in network.places:
                parameter = layer.get_parameter(f"{parameter_name(group.name)}_l0")
                parameter.copy_(network.part(weights[None], group.name)[0])
    return layer
