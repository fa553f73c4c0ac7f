"""The nets of the papers: a recurrent layer under output units, the weights of one net in one row."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from carrousel.cell import Cell
from carrousel.errors import OptionError
from carrousel.nn.torch_layout import Layout

__all__ = ["LOOKED_UP", "Network", "Place"]

#: Symbols above which inputs are looked up; below, a product with a one-hot vector is as fast.
LOOKED_UP = 16

#: The weights of the output units: from the cells, from the inputs (a shortcut), biases.
OUTPUT, SHORTCUT, BIAS = "output", "shortcut", "output bias"


class Place(NamedTuple):
    """Where a group of weights stands in the row of a net."""

    start: int
    shape: tuple[int, ...]

    @property
    def stop(self) -> int:
        """Where the next group starts."""
        return self.start + torch.Size(self.shape).numel()


@dataclass(frozen=True)
class Network:
    """A recurrent layer under output units; only the memory cells' outputs (and a shortcut) reach them.

    Attributes:
        cell: the recurrent layer's.
        inputs: input units, or symbols.
        outputs: output units.
        hidden: memory cells.
        block_size: memory cells that share the cell's shared gates.
        biased: whether the hidden units have biases, or the gates that have one.
        linear: whether the outputs are linear; else logistic.
        output_bias: whether the outputs have biases.
        shortcut: whether the inputs are connected to the outputs.
        symbols: whether the input is the number of a symbol: one-hot units, of which nothing is multiplied.
        scale: weights are drawn from [-scale, scale].
        start: gate -> the biases that its units start with, one for each block.
        fixed: gates whose biases do not learn.
    """

    cell: Cell
    inputs: int
    outputs: int
    hidden: int
    block_size: int = 1
    biased: bool | tuple[str, ...] = True
    linear: bool = False
    output_bias: bool = True
    shortcut: bool = False
    symbols: bool = False
    scale: float = 0.1
    start: Mapping[str, Sequence[float]] = field(default_factory=dict)
    fixed: tuple[str, ...] = ()

    @cached_property
    def layout(self) -> Layout:
        """The hidden units' parameters and their places."""
        return Layout(self.cell, self.hidden, 0, self.block_size, self.biased, stacked_nets=True)

    @cached_property
    def places(self) -> dict[str, Place]:
        """Group -> its place in a row of weights: the cell's groups, then those of the output units."""
        shapes: dict[str, tuple[int, ...]] = dict(self.layout.shapes(self.inputs))
        shapes[OUTPUT] = (self.outputs, self.hidden)
        if self.shortcut:
            shapes[SHORTCUT] = (self.outputs, self.inputs)
        if self.output_bias:
            shapes[BIAS] = (self.outputs,)
        places: dict[str, Place] = {}
        end = 0
        for name, shape in shapes.items():
            places[name] = Place(end, shape)
            end = places[name].stop
        return places

    @property
    def weights(self) -> int:
        """The weights of one net, as the papers' tables count them."""
        return max(place.stop for place in self.places.values())

    def part(self, weights: Tensor, name: str) -> Tensor:
        """Return a group's weights, (net, *shape): a view of (net, weight)."""
        place = self.places[name]
        view: Tensor = weights[:, place.start : place.stop].unflatten(1, place.shape)
        return view

    @cached_property
    def stacks(self) -> dict[str, Tensor]:
        """Group of the cell -> for each element of the kernel's stack the place of its weight, `weights` for a zero.

        The rows of a shared gate name the same weights once for each cell of a block.
        """
        numbers = torch.arange(1, self.weights + 1, dtype=torch.float64).unsqueeze(0)
        groups = {group.name: self.part(numbers, group.name) for group in self.cell.groups if group.name in self.places}
        kernel = self.layout.kernel_parameters(groups)
        return {name: torch.where(stack[0] > 0, stack[0] - 1, self.weights).long() for name, stack in kernel.items()}

    def learning(self, nets: int) -> Tensor | None:
        """Return 1 for weights that change and 0 for those that do not, (net, weight); None if all do."""
        if not self.fixed:
            return None
        learns = torch.ones(nets, self.weights)
        for gate in self.fixed:
            self.part(learns, "b")[:, self._bias_of(gate)] = 0
        return learns

    def draw(self, generator: torch.Generator, dtype: torch.dtype = torch.float32) -> Tensor:
        """Draw the weights of one net.

        Args:
            generator: the source of randomness.
            dtype: of the result; the numbers are the same.

        Returns:
            (weight,), uniform in [-scale, scale] but for the biases that `start` names.

        Raises:
            OptionError: `start` has another number of biases than there are units.
        """
        weights = self.scale * (2 * torch.rand(self.weights, generator=generator, dtype=torch.float64) - 1)
        for gate, biases in self.start.items():
            units = self.part(weights.unsqueeze(0), "b")[0, self._bias_of(gate)]
            if len(biases) != len(units):
                raise OptionError(
                    f"{self.cell.name} - {len(biases)} first biases for {gate}, expected {len(units)}, one for each "
                    f"unit; got {tuple(biases)} - give {len(units)} numbers"
                )
            units.copy_(torch.tensor(biases))
        return weights.to(dtype)

    def _bias_of(self, gate: str) -> slice:
        bias = next(group for group in self.cell.groups if group.name == "b")
        slices = self.layout.gate_slices(bias)
        if gate not in slices:
            raise OptionError(
                f"{self.cell.name} - first biases for {gate!r}, but those with a bias are {', '.join(slices)} - "
                "name one of them, or give it a bias"
            )
        return slices[gate]
