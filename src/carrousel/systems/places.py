"""Where real-time recurrent learning finds the weights of a net: which one multiplies what, into which unit."""

from collections.abc import Sequence

import torch
from torch import Tensor

from carrousel.calculus.grammar import INPUT, Group
from carrousel.calculus.tangent import tangent
from carrousel.calculus.trace import trace
from carrousel.errors import OptionError
from carrousel.systems.network import Network

__all__ = ["NOTHING", "ONE", "Places"]

#: Operands besides x and the previous states: of biases, and of vectors that the step itself multiplies.
ONE, NOTHING = "1", "0"


class Places:
    """The weights of a recurrent layer, by gate, unit and operand.

    Args:
        network: what all nets look like.

    Attributes:
        gates: in the order of the groups.
        operands: what each group multiplies, in the order of the groups; side by side they are the operands of a unit.
        is_own: whether a unit is influenced by its own weights alone: the gradient is truncated.
        width: the weights of the recurrent layer; also the number of a weight that is not there.
        index: (gate, unit, operand) -> weight.
        fed: the states that products read, each with the step between the units that count. Of a shared gate's copies,
            one for each cell of a block, the first alone is fed back.
        fed_operands: which operands these are.
        factors: for each vector that multiplies something its weights, (hidden,).
        columns: the weights that a unit's derivatives are taken by.
        factor_columns: which of them are those of `factors`, each (hidden,).

    Raises:
        OptionError: the cell has no tangent equations, or its gradient is truncated in part.
    """

    def __init__(self, network: Network) -> None:
        self.network, cell = network, network.cell
        self.gates = list(dict.fromkeys(gate for group in cell.groups for gate in group.gates))
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
        self.index = torch.cat([self._rows(group) for group in cell.groups], dim=-1)
        self.fed, self.fed_operands = self._fed_back()
        self.columns = self.index[:, 0].numel() if self.is_own else self.width
        self.factors, self.factor_columns = self._factors(factors)

    def size(self, operand: str) -> int:
        """How many elements an operand has."""
        return {"x": self.network.inputs, ONE: 1, NOTHING: 1}.get(operand, self.network.hidden)

    def _rows(self, group: Group) -> Tensor:
        """A group's weights, (gate, unit, operand); `width` where there is none."""
        stack = self.network.stacks[group.name].view(len(group.gates), self.network.hidden, -1)
        rows = torch.full((len(self.gates), *stack.shape[1:]), self.width)
        for k, gate in enumerate(group.gates):
            rows[self.gates.index(gate)] = stack[k].clamp(max=self.width)
        return rows

    def _fed_back(self) -> tuple[list[tuple[str, int]], Tensor]:
        network, start = self.network, 0
        fed, columns = [], []
        for name in self.operands:
            if name.endswith("_prev"):
                state = name.removesuffix("_prev")
                step = network.block_size if state in network.cell.shared else 1
                fed.append((state, step))
                columns.append(torch.arange(start, start + self.size(name), step))
            start += self.size(name)
        return fed, torch.cat(columns) if columns else torch.tensor([], dtype=torch.long)

    def _factors(self, factors: Sequence[tuple[str, str]]) -> tuple[list[Tensor], list[Tensor]]:
        ends = torch.tensor([self.size(name) for name in self.operands]).cumsum(0).tolist()
        starts = dict(zip([group.name for group in self.network.cell.groups], [0, *ends], strict=False))
        places, columns = [], []
        for group, gate in factors:
            at, column = self.gates.index(gate), starts[group]
            places.append(self.index[at, :, column])
            own = torch.full_like(places[-1], at * self.index.shape[-1] + column)
            columns.append(own if self.is_own else places[-1])
        return places, columns


def _operand(group: Group, factors: Sequence[tuple[str, str]]) -> str:
    """What a group's matrices multiply; ONE for biases, NOTHING for vectors that the step itself multiplies."""
    if any(group.name == name for name, _ in factors):
        return NOTHING
    return group.operands[0].removeprefix("stop_gradient(").removesuffix(")") if group.is_matrix else ONE
