"""The two wirings of the 1997 paper's rivals, and layers of weights in many networks."""

from dataclasses import dataclass

import torch
from torch import Tensor

from carrousel.systems.checks import at_least

__all__ = ["Layer", "Wiring"]


@dataclass(frozen=True)
class Wiring:
    """What is connected to what in a recurrent network of logistic units.

    Layered: a hidden layer that sees the inputs and its own last activations, under output units that see the hidden
    layer and, with shortcuts, the inputs. Fully recurrent: one layer of `hidden + outputs` units that see the inputs
    and the last activations of all units; the first ones are the outputs.

    Attributes:
        inputs: input units, or different symbols.
        hidden: hidden units.
        outputs: output units.
        fully_recurrent: whether the outputs are recurrent units like the others.
        shortcuts: whether the outputs of a layered network see the inputs.
        bias: whether all units have a bias.
        initial: weights are drawn from [-initial, initial].
        dtype: of all weights and activations.

    Raises:
        OptionError: a number of units is below 1, or `initial` below 0.
        OptionTypeError: a number of units is not a whole number.

    Example:
        >>> Wiring(inputs=7, hidden=12, outputs=7, fully_recurrent=True).weights
        494
        >>> Wiring(inputs=101, hidden=1, outputs=101).weights
        10404

    Source:
        Fully recurrent: Smith & Zipser (1989), whose net is that of Table 1 in Hochreiter & Schmidhuber (1997).
        Layered with shortcuts: section 5.2 there; the counts of Table 2 say that it has no biases. Layered without:
        Elman (1990).
    """

    inputs: int
    hidden: int
    outputs: int
    fully_recurrent: bool = False
    shortcuts: bool = True
    bias: bool = False
    initial: float = 0.2
    dtype: torch.dtype = torch.float32

    def __post_init__(self) -> None:
        for name in ("inputs", "hidden", "outputs"):
            at_least("Wiring", name, getattr(self, name), 1)
        at_least("Wiring", "initial", self.initial, 0.0)

    @property
    def units(self) -> int:
        """The recurrent units."""
        return self.hidden + self.outputs if self.fully_recurrent else self.hidden

    @property
    def recurrent_shape(self) -> tuple[int, int]:
        """(source, unit): the weights into the recurrent units; sources are inputs, units and the bias."""
        return self.inputs + self.units + self.bias, self.units

    @property
    def output_shape(self) -> tuple[int, int]:
        """(source, output): the weights into outputs that are no recurrent units, (0, 0) where there are none."""
        if self.fully_recurrent:
            return 0, 0
        return self.inputs * self.shortcuts + self.hidden + self.bias, self.outputs

    @property
    def weights(self) -> int:
        """The weights of one network."""
        return self.recurrent_shape[0] * self.recurrent_shape[1] + self.output_shape[0] * self.output_shape[1]

    def draw(self, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw the weights of one network.

        Args:
            generator: the source of randomness; the same state gives the same weights, whatever the dtype.

        Returns:
            The weights into the recurrent units, (source, unit), and those into the others, (source, output).
        """
        drawn = (2 * torch.rand(self.weights, generator=generator, dtype=torch.float64) - 1) * self.initial
        recurrent, output = drawn.to(self.dtype).split(
            [shape[0] * shape[1] for shape in (self.recurrent_shape, self.output_shape)]
        )
        return recurrent.view(self.recurrent_shape), output.view(self.output_shape)


class Layer:
    """The weights into one layer of units, of many networks.

    Args:
        weight: (net, source, unit); the sources are the inputs, then units, then the bias, a unit that is always 1.
        inputs: how many of the sources are inputs.
    """

    def __init__(self, weight: Tensor, inputs: int) -> None:
        self.weight = weight
        self.inputs = inputs
        # Views are made once: a step of a small network takes as long as a few calls of torch.
        self._symbols = weight.view(-1, weight.shape[-1])
        self._values = weight[:, :inputs]
        self._below = weight[:, inputs:]

    @property
    def from_units(self) -> Tensor:
        """The weights from units and the bias, (net, source - inputs, unit)."""
        return self._below

    def drive(self, x: Tensor, below: Tensor) -> Tensor:
        """Compute the units' net inputs.

        Args:
            x: values (net, batch, input), or the rows of symbols (net * batch,) in `weight.view(-1, unit)`.
            below: activations of the other sources, (net, batch, source - inputs).

        Returns:
            (net, batch, unit).
        """
        if not self.inputs:
            return torch.bmm(below, self._below)
        if x.is_floating_point():
            direct = torch.bmm(x, self._values)
        else:
            direct = self._symbols.index_select(0, x).view(len(below), below.shape[1], -1)
        return direct.baddbmm_(below, self._below)

    def add(self, x: Tensor, below: Tensor, delta: Tensor, rate: float) -> None:
        """Change every weight by rate times its source times what its unit is told, summed over the batch.

        Args:
            x, below: as in `drive`.
            delta: (net, batch, unit).
            rate: the learning rate.
        """
        self._below.baddbmm_(below.mT, delta, alpha=rate)
        if self.inputs and x.is_floating_point():
            self._values.baddbmm_(x.mT, delta, alpha=rate)
        elif self.inputs:
            self._symbols.index_add_(0, x, delta.reshape(len(x), -1), alpha=rate)
