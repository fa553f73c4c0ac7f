"""Many independent networks of one shape, as one layer."""

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter

from carrousel.cell import Cell
from carrousel.errors import OptionError
from carrousel.nn.checks import whole_number
from carrousel.nn.recurrent import Recurrent

__all__ = ["Population"]


class Population(Recurrent):
    """Run n independent networks side by side: trials of an experiment, an ensemble, one model per series.

    Args:
        cell: a Cell or a name of the registry.
        n: the number of networks.
        input_size, hidden_size, ...: as in `carrousel.Recurrent`; every network has these.

    Shapes:
        - every parameter: as in `carrousel.Recurrent`, with a leading net axis
        - input: (net, time, batch, input), with batch_first (net, batch, time, input)
        - hx: each state (net, layers * directions, batch, size)
        - lengths: (net, batch); resets: as input without features
        - output: (net, time, batch, directions * size)

    Raises:
        OptionError: n is below 1.

    Example:
        >>> import torch, carrousel
        >>> nets = carrousel.Population("lstm_1997", 10, input_size=2, hidden_size=4, block_size=2)
        >>> output, (h, c) = nets(torch.randn(10, 7, 3, 2))
        >>> output.shape, h.shape
        (torch.Size([10, 7, 3, 4]), torch.Size([10, 1, 3, 4]))
        >>> len(nets.select([0, 4, 9]))
        3

    Source:
        Ten and thirty trials an experiment: Hochreiter & Schmidhuber (1997), section 5.
    """

    _rows = ("net", "batch")

    def __init__(self, cell: Cell | str, n: int, input_size: int, hidden_size: int, *args: Any, **options: Any) -> None:
        self._nets = (whole_number("Population", "n", n, 1),)
        super().__init__(cell, input_size, hidden_size, *args, **options)

    def __len__(self) -> int:
        return self._nets[0]

    def select(self, nets: Sequence[int] | Tensor) -> "Population":
        """Return a population of some of the networks; those that are done leave it.

        Args:
            nets: indices, or a boolean mask of shape (net,).

        Returns:
            A new Population whose parameters are copies.

        Raises:
            OptionError: no network is selected, or an index is out of range.
        """
        chosen = torch.as_tensor(nets)
        if chosen.dtype == torch.bool and chosen.shape == (len(self),):
            chosen = chosen.nonzero().flatten()
        if chosen.dim() != 1 or not chosen.numel() or not self._has(chosen):
            raise OptionError(
                f"Population.select - got {nets}, there are nets 0 to {len(self) - 1} - "
                "name at least one, or give a mask with one value per net"
            )
        selected = self._only(chosen)
        selected._nets = (len(chosen),)
        return selected

    def net(self, index: int) -> Recurrent:
        """Return one network as a layer of its own, with copies of its weights.

        Args:
            index: which network.

        Returns:
            A Recurrent.

        Raises:
            OptionError: the index is out of range.
        """
        if not self._has(torch.as_tensor(index)):
            raise OptionError(f"Population.net - got {index}, there are nets 0 to {len(self) - 1} - name one of them")
        layer: Recurrent = self._only(torch.as_tensor(index))
        layer.__class__ = Recurrent
        del layer._nets
        layer._make_layout()
        return layer

    def _has(self, nets: Tensor) -> bool:
        is_whole = not (nets.is_floating_point() or nets.is_complex() or nets.dtype == torch.bool)
        return is_whole and int(nets.max()) < len(self) and int(nets.min()) >= -len(self)

    def _only(self, nets: Tensor) -> "Population":
        """A copy whose parameters are those of some networks."""
        copied = copy.deepcopy(self)
        for module in copied.modules():
            for name, parameter in module._parameters.items():
                if parameter is not None:
                    rows = parameter.detach()[nets.to(parameter.device)].clone()
                    module._parameters[name] = Parameter(rows, requires_grad=parameter.requires_grad)
        return copied

    def extra_repr(self) -> str:
        """Show the number of networks and the layer's options."""
        return f"{len(self)} x {super().extra_repr()}"
