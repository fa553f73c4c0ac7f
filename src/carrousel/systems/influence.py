"""Real-time recurrent learning: what every weight has done to every unit, carried forward with the states.

The recursion of the influences follows from the cell's equations (`carrousel.calculus.tangent`). Where the cell's
gradient is truncated, a unit is influenced by its own weights alone: equations (25) and (27) of the paper.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from carrousel.backends import eager
from carrousel.systems.network import Network
from carrousel.systems.places import NOTHING, ONE, Places

__all__ = ["Influence"]


class Influence:
    """The states of many nets, and their derivatives by the weights.

    Args:
        network: what all nets look like.
        nets: how many there are.
        dtype: of everything.

    Attributes:
        states: state -> (net, hidden).
        by_weight: state -> its derivative by the weights, (net, hidden, weight of the recurrent layer); with a
            truncated gradient by the unit's own weights, (net, hidden, gate * operand).

    Raises:
        OptionError: the cell has no tangent equations, or its gradient is truncated in part.

    Source:
        Williams & Zipser (1989), Neural Computation 1(2), 270-280; with a truncated gradient Hochreiter & Schmidhuber
        (1997), appendix A.1, equations (25)-(28).
    """

    def __init__(self, network: Network, nets: int, dtype: torch.dtype = torch.float32) -> None:
        self.network, self.dtype = network, dtype
        self.step = eager.compile_kernel(eager.tangent_step(network.cell.definition))
        self.places = places = Places(network)
        self.width, self.index, self.gates = places.width, places.index, len(places.gates)
        #: One column more stands for the weights that are not there.
        self._columns = places.columns + (not places.is_own)
        self.by_themselves = []
        for column in places.factor_columns:
            tangent = torch.zeros(1, network.hidden, self._columns, dtype=dtype)
            self.by_themselves.append(tangent.scatter_(2, column.view(1, -1, 1), 1))
        self.begin(nets)

    def begin(self, nets: int) -> None:
        """Put every state at its beginning."""
        hidden, initial = self.network.hidden, self.network.cell.initial
        self.states = {s: torch.full((nets, hidden), v, dtype=self.dtype) for s, v in initial.items()}
        self.by_weight = {s: torch.zeros(nets, hidden, self._columns, dtype=self.dtype) for s in initial}

    def reset(self, nets: Tensor) -> None:
        """Put the states of some nets, given by number, at their beginning."""
        for state, value in self.network.cell.initial.items():
            self.states[state].index_fill_(0, nets, value)
            self.by_weight[state].index_fill_(0, nets, 0)

    # ------------------------------------------------------------------ a step

    def advance(self, w: Tensor, x: Tensor) -> Tensor:
        """Take one step.

        Args:
            w: the weights, (net, weight).
            x: (net, input).

        Returns:
            The memory cells' outputs, (net, hidden).
        """
        given = {
            "x": x,
            ONE: x.new_ones(len(x), 1),
            NOTHING: x.new_zeros(len(x), 1),
            **{f"{s}_prev": v for s, v in self.states.items()},
        }
        operands = torch.cat([given[name] for name in self.places.operands], dim=1)
        padded = torch.cat([w[:, : self.width], w.new_zeros(len(w), 1)], dim=1)
        matrix = padded[:, self.index.flatten(0, 1)]  # (net, gate * unit, operand)
        net_inputs = (matrix @ operands.unsqueeze(-1)).unflatten(1, (self.gates, -1)).unbind(1)
        moved = self._own(operands) if self.places.is_own else self._all(matrix, operands)
        before = [value.unsqueeze(-1) for value in self.states.values()]
        factors = [padded[:, place].unsqueeze(-1) for place in self.places.factors]
        found = self.step(*net_inputs, *factors, *before, *moved, *self.by_themselves, *self.by_weight.values())
        names, count = list(self.states), len(self.states)
        self.states = {name: value.squeeze(-1) for name, value in zip(names, found[:count], strict=True)}
        for name, change in zip(names, found[count:], strict=True):
            self.by_weight[name] = torch.zeros_like(self.by_weight[name]) if isinstance(change, int) else change
        return self.states[names[0]]

    def _own(self, operands: Tensor) -> Sequence[Tensor]:
        """Each gate's net input by the weights of the unit's own gates, (net, 1, gate * operand): the operands."""
        gates = torch.eye(self.gates, dtype=self.dtype).view(self.gates, 1, 1, self.gates, 1)
        return (gates * operands.view(1, len(operands), 1, 1, -1)).flatten(-2).unbind(0)

    def _all(self, matrix: Tensor, operands: Tensor) -> Sequence[Tensor]:
        """Each gate's net input by all weights, (net, unit, weight): through the last states, and directly."""
        fed = torch.cat([self.by_weight[state][:, ::step] for state, step in self.places.fed], dim=1)
        through = matrix[..., self.places.fed_operands] @ fed
        index = self.index.flatten(0, 1).expand(len(operands), -1, -1)
        through.scatter_add_(2, index, operands.unsqueeze(1).expand_as(index))
        moved: Sequence[Tensor] = through.unflatten(1, (self.gates, -1)).unbind(1)
        return moved

    def gradient(self, adjoint: Tensor) -> Tensor:
        """Return the derivative of the loss by the recurrent layer's weights.

        Args:
            adjoint: its derivative by the memory cells' outputs, (net, hidden).

        Returns:
            (net, weight of the recurrent layer).
        """
        influence = self.by_weight[next(iter(self.states))]
        if not self.places.is_own:
            return (adjoint.unsqueeze(1) @ influence).squeeze(1)[:, :-1]
        by_place = (adjoint.unsqueeze(-1) * influence).flatten(1)
        places = self.index.transpose(0, 1).flatten()
        return by_place.new_zeros(len(adjoint), self.width + 1).index_add_(1, places, by_place)[:, :-1]
