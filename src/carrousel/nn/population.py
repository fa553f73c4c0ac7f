"""Many independent networks of one shape, as one layer."""

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
    _options: tuple[tuple[Any, ...], dict[str, Any]]

    def __init__(self, cell: Cell | str, n: int, input_size: int, hidden_size: int, *args: Any, **options: Any) -> None:
        self.__dict__["_nets"] = (whole_number("Population", "n", n, 1),)  # before Module.__init__ is there
        self.__dict__["_options"] = (args, options)
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
        chosen = chosen.nonzero().flatten() if chosen.dtype == torch.bool else chosen
        if not chosen.numel() or int(chosen.max()) >= len(self) or int(chosen.min()) < -len(self):
            raise OptionError(
                f"Population.select - got {chosen.tolist()}, there are nets 0 to {len(self) - 1} - name at least one"
            )
        args, options = self._options
        first = next(self.parameters())
        made = {**options, "device": "meta", "dtype": first.dtype} if len(args) < 7 else options
        selected = Population(self.cell, len(chosen), self.input_size, self.hidden_size, *args, **made)
        for name, parameter in self.named_parameters():
            copy = parameter.detach()[chosen.to(parameter.device)].clone()
            selected.register_parameter(name, Parameter(copy, requires_grad=parameter.requires_grad))
        return selected.train(self.training)

    def net(self, index: int) -> Recurrent:
        """Return one network as a layer of its own, with copies of its weights.

        Args:
            index: which network.

        Returns:
            A Recurrent.
        """
        args, options = self._options
        layer = Recurrent(self.cell, self.input_size, self.hidden_size, *args, **options)
        weights = {name: p.detach()[index].clone() for name, p in self.named_parameters()}
        for name, weight in weights.items():
            layer.register_parameter(name, Parameter(weight))
        return layer.train(self.training)

    def extra_repr(self) -> str:
        """Show the number of networks and the layer's options."""
        return f"{len(self)} x {super().extra_repr()}"
