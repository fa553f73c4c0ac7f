"""Weight drop: DropConnect on a weight, the same mask for every step of a sequence."""

from torch import Tensor
from torch.nn import Module
from torch.nn.functional import dropout

from carrousel.errors import OptionError

__all__ = ["WeightDrop"]


class WeightDrop(Module):
    """Drop single weights of a parameter in training, as a parametrization of torch.nn.utils.parametrize.

    The weights are drawn once a call, so the whole sequence has the same mask; those that stay are divided by 1 - p.
    In eval mode the weight is left as it is. A call of `layer.step` is a call: in training each step draws anew, unless
    the steps stand in `torch.nn.utils.parametrize.cached()`.

    Args:
        p: probability of dropping a weight.

    Shapes:
        - weight: any

    Raises:
        OptionError: p is no number from 0 to below 1.

    Example:
        >>> import torch, carrousel
        >>> from torch.nn.utils import parametrize
        >>> layer = carrousel.LSTM(3, 5, num_layers=2)
        >>> for name in ("weight_hh_l0", "weight_hh_l1"):
        ...     _ = parametrize.register_parametrization(layer, name, carrousel.WeightDrop(0.5))
        >>> output, state = layer(torch.randn(7, 2, 3))
        >>> [name for name, _ in layer.named_parameters() if "hh" in name and "weight" in name]
        ['parametrizations.weight_hh_l0.original', 'parametrizations.weight_hh_l1.original']

    Source:
        Merity, Keskar & Socher (2018), Regularizing and optimizing LSTM language models, section 2; Wan et al. (2013),
        Regularization of neural networks using DropConnect.
    """

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        if isinstance(p, bool) or not isinstance(p, int | float) or not 0 <= p < 1:
            raise OptionError(
                f"WeightDrop - p is {p!r}, expected a number from 0 to below 1 - it is the probability of dropping"
            )
        self.p = float(p)

    def forward(self, weight: Tensor) -> Tensor:
        """Return the weight with some of its elements dropped."""
        return dropout(weight, self.p, self.training)

    def extra_repr(self) -> str:
        """Show the probability."""
        return f"p={self.p}"
