"""Real-time recurrent learning: what every weight has done to every unit, carried forward with the states.

The recursion of the influences follows from the cell's equations (`carrousel.calculus.tangent`). Where the cell's
gradient is truncated, a unit is influenced by its own weights alone: equations (25) and (27) of the paper.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from carrousel.backends import eager
from carrousel.calculus.grammar import INPUT, Group
from carrousel.calculus.tangent import tangent
from carrousel.calculus.trace import trace
from carrousel.errors import OptionError
from carrousel.systems.network import Network

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
        cell = network.cell
        self.step = eager.compile_kernel(eager.tangent_step(cell.definition))
        gates = list(dict.fromkeys(gate for group in cell.groups for gate in group.gates))
        factors = [vector.partition(".")[::2] for vector in tangent(trace(cell.definition)).factors]
        self.operands = [_operand(group, factors) for group in cell.groups]
        recurrent = [group for group in cell.groups if group.is_matrix and group.columns != INPUT]
        stopped = {all("stop_gradient" in operand for operand in group.operands) for group in recurrent}
        if len(stopped) > 1:
            raise OptionError(
                f"{cell.name} - real-time recurrent learning, but the gradient is stopped at some products and not at "
                "others - stop it at all with cell.truncated(), or at none"
            )
        self.is_own = stopped != {False}
        self.width = network.places["output"].start
        self.index = torch.cat([self._rows(group, gates) for group in cell.groups], dim=-1)
        self.gates = len(gates)
        self.fed, self.fed_columns = self._fed_back()
        self.places, self.by_themselves = self._factors(factors, gates)
        self.begin(nets)

    def _rows(self, group: Group, gates: Sequence[str]) -> Tensor:
        """The places of a group's weights, (gate, unit, operand); `width` where there is none."""
        stack = self.network.stacks[group.name].view(len(group.gates), self.network.hidden, -1)
        rows = torch.full((len(gates), *stack.shape[1:]), self.width)
        for k, gate in enumerate(group.gates):
            rows[gates.index(gate)] = stack[k].clamp(max=self.width)
        return rows

    def _fed_back(self) -> tuple[list[tuple[str, int]], Tensor]:
        """The states that products read, each with the step between the units that count, and these operands' places.

        Of a shared gate's copies, one for each cell of a block, the first alone is fed back.
        """
        network, start = self.network, 0
        fed, columns = [], []
        for name in self.operands:
            size = {"x": network.inputs, "1": 1, "0": 1}.get(name, network.hidden)
            if name.endswith("_prev"):
                state = name.removesuffix("_prev")
                step = network.block_size if state in network.cell.shared else 1
                fed.append((state, step))
                columns.append(torch.arange(start, start + size, step))
            start += size
        return fed, torch.cat(columns) if columns else torch.tensor([], dtype=torch.long)

    def _factors(self, factors: Sequence[tuple[str, str]], gates: Sequence[str]) -> tuple[list[Tensor], list[Tensor]]:
        """For each vector that multiplies something its weights' places, (hidden,), and its tangent, (1, hidden, *)."""
        sizes = {"x": self.network.inputs, "1": 1, "0": 1}
        ends = torch.tensor([sizes.get(name, self.network.hidden) for name in self.operands]).cumsum(0).tolist()
        starts = dict(zip([group.name for group in self.network.cell.groups], [0, *ends], strict=False))
        places, tangents = [], []
        for group, gate in factors:
            at, column = gates.index(gate), starts[group]
            places.append(self.index[at, :, column])
            tangent = torch.zeros(1, self.network.hidden, self._columns, dtype=self.dtype)
            if self.is_own:
                tangent[..., at * self.index.shape[-1] + column] = 1
            else:
                tangent.scatter_(2, places[-1].view(1, -1, 1), 1)
            tangents.append(tangent)
        return places, tangents

    @property
    def _columns(self) -> int:
        """The weights that a unit's derivatives are taken by."""
        return self.index[:, 0].numel() if self.is_own else self.width + 1

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
            "1": x.new_ones(len(x), 1),
            "0": x.new_zeros(len(x), 1),
            **{f"{s}_prev": v for s, v in self.states.items()},
        }
        operands = torch.cat([given[name] for name in self.operands], dim=1)
        padded = torch.cat([w[:, : self.width], w.new_zeros(len(w), 1)], dim=1)
        matrix = padded[:, self.index.flatten(0, 1)]  # (net, gate * unit, operand)
        net_inputs = (matrix @ operands.unsqueeze(-1)).unflatten(1, (self.gates, -1)).unbind(1)
        moved = self._own(operands) if self.is_own else self._all(matrix, operands)
        before = [value.unsqueeze(-1) for value in self.states.values()]
        factors = [padded[:, place].unsqueeze(-1) for place in self.places]
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
        fed = torch.cat([self.by_weight[state][:, ::step] for state, step in self.fed], dim=1)
        through = matrix[..., self.fed_columns] @ fed
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
        if not self.is_own:
            return (adjoint.unsqueeze(1) @ influence).squeeze(1)[:, :-1]
        by_place = (adjoint.unsqueeze(-1) * influence).flatten(1)
        places = self.index.transpose(0, 1).flatten()
        return by_place.new_zeros(len(adjoint), self.width + 1).index_add_(1, places, by_place)[:, :-1]


def _operand(group: Group, factors: Sequence[tuple[str, str]]) -> str:
    """What a group's matrices multiply; "1" for biases, "0" for vectors that multiply something in the step itself."""
    if any(group.name == name for name, _ in factors):
        return "0"
    return group.operands[0].removeprefix("stop_gradient(").removesuffix(")") if group.is_matrix else "1"
