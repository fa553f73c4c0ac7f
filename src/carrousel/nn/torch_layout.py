"""How parameters are named and stacked: PyTorch's names and gate order. No other file knows them."""

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn.functional import pad

from carrousel.calculus.notation import HIDDEN, INPUT, OUTPUT, Group
from carrousel.cell import Cell
from carrousel.errors import OptionError
from carrousel.transforms import PROJECTION

__all__ = ["Layout", "parameter_name", "suffix"]

#: group of the notation -> PyTorch's name; any other group keeps its own.
_NAMES = {
    "W": "weight_ih",
    "R": "weight_hh",
    "b": "bias_ih",
    "bR": "bias_hh",
    "p": "weight_ch",
    PROJECTION: "weight_hr",
}
_BIASES = ("b", "bR")


def suffix(layer: int, reverse: bool) -> str:
    """Return `_l0`, `_l0_reverse`, `_l1`..."""
    return f"_l{layer}{'_reverse' if reverse else ''}"


def parameter_name(group: str) -> str:
    """Return a group's name without layer and direction: `weight_ih` for W."""
    return _NAMES.get(group, group)


@dataclass(frozen=True)
class Layout:
    """The parameters of one layer in one direction: a stack of all gates per group.

    Attributes:
        cell: the cell, projected if proj_size is not 0.
        hidden_size: memory cells.
        proj_size: size of a projected output, 0 for none.
        block_size: memory cells that share one set of the cell's shared gates (1997), 1 for none.
        bias: True, False, or the names of the gates that have one.
        stacked_nets: whether every parameter has a leading net axis (a population).
        state_sizes: state -> its size as the user sees it: a shared gate has one value per block.
        has_whole_stacks: whether the parameters are the kernel's stacks as they are.
    """

    cell: Cell
    hidden_size: int
    proj_size: int = 0
    block_size: int = 1
    bias: bool | tuple[str, ...] = True
    stacked_nets: bool = False
    state_sizes: Mapping[str, int] = field(init=False, repr=False, compare=False)
    has_whole_stacks: bool = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        known = {HIDDEN: self.hidden_size, OUTPUT: self.proj_size}
        sizes = {state: known[size] for state, size in self.cell.definition.size.items()}
        sizes |= {state: self.blocks for state in self.cell.shared if state in sizes}
        is_whole = self.block_size == 1 and all(self.gates(group) == group.gates for group in self.cell.groups)
        object.__setattr__(self, "state_sizes", sizes)
        object.__setattr__(self, "has_whole_stacks", is_whole)
        self._check_names()
        if self.block_size > 1:
            self._check_blocks()

    def _check_names(self) -> None:
        named: dict[str, str] = {}
        for group in self.cell.groups:
            if named.setdefault(parameter_name(group.name), group.name) != group.name:
                raise OptionError(
                    f"{self.cell.name} - the parameters of {named[parameter_name(group.name)]} and {group.name} would "
                    f"both be called {parameter_name(group.name)} - rename {group.name} in the definition"
                )

    def _check_blocks(self) -> None:
        if not self.cell.shared:
            raise OptionError(
                f"{self.cell.name} - block_size={self.block_size}, but its gates are not shared by blocks - "
                'use a cell with @cell(shared=...), as "lstm_1997"'
            )
        if self.hidden_size % self.block_size:
            raise OptionError(
                f"{self.cell.name} - block_size={self.block_size} does not divide hidden_size={self.hidden_size} - "
                "hidden_size counts all memory cells: blocks * block_size"
            )
        self._check_sharing()

    def _check_sharing(self) -> None:
        """Refuse a shared gate that would differ between the memory cells of a block."""
        shared = {*self.cell.shared, *(f"{gate}_prev" for gate in self.cell.shared)}
        definition = self.cell.definition
        for equation in self.cell.equations:
            gate = equation.name.removeprefix("a_")
            read = elementwise(equation.value)
            if gate in self.cell.shared and (own := sorted(read - shared - {f"a_{gate}", *definition.constants})):
                raise OptionError(
                    f"{self.cell.name} - block_size={self.block_size}, but the shared gate {gate} reads "
                    f"{own[0]}, of which each memory cell has its own - "
                    "take the gate out of @cell(shared=...), or leave block_size out"
                )
        for group in self.cell.groups:
            fed = {_plain(operand).removesuffix("_prev") in self.cell.shared for operand in group.operands}
            if len(fed) > 1:
                raise OptionError(
                    f"{self.cell.name} - block_size={self.block_size}, but {group.name} multiplies gates that a block "
                    f"shares and states that it does not: {', '.join(group.operands)} - use a group for each"
                )

    # ------------------------------------------------------------------ sizes

    @property
    def blocks(self) -> int:
        """The number of memory cell blocks."""
        return self.hidden_size // self.block_size

    @property
    def output_size(self) -> int:
        """The size of the cell's output."""
        return self.state_size(self.cell.states[0])

    def state_size(self, state: str) -> int:
        """Return the size of a state as the user sees it: a shared gate has one value per block."""
        return self.state_sizes[state]

    def kernel_size(self, quantity: str) -> int:
        """Return the size of a quantity inside the kernel, where a shared gate is repeated for each memory cell."""
        return self.proj_size if self.cell.definition.size.get(quantity) == OUTPUT else self.hidden_size

    def _rows(self, group: Group, gate: str) -> int:
        if group.rows == OUTPUT:
            return self.proj_size
        return self.blocks if gate in self.cell.shared else self.hidden_size

    def _fed_by_shared_gate(self, group: Group) -> bool:
        """Whether the group's matrices multiply a shared gate's last activation."""
        return all(o.removesuffix("_prev") in self.cell.shared for o in map(_plain, group.operands))

    def _columns(self, group: Group, input_size: int) -> int:
        if group.columns == INPUT:
            return input_size
        if self._fed_by_shared_gate(group):
            return self.blocks
        return self.proj_size if group.columns == OUTPUT else self.hidden_size

    def gates(self, group: Group) -> tuple[str, ...]:
        """Return the gates that have rows in a group; a bias may be left out."""
        if group.name not in _BIASES or self.bias is True:
            return group.gates
        return tuple(g for g in group.gates if self.bias and g in self.bias)

    def shapes(self, input_size: int) -> dict[str, tuple[int, ...]]:
        """Return group -> shape of its stacked parameter, in the order of the signature.

        Args:
            input_size: features of this layer's input.

        Returns:
            (rows, columns) for a group of matrices, (rows,) for a group of vectors; groups without rows are left out.
        """
        shapes: dict[str, tuple[int, ...]] = {}
        for group in self.cell.groups:
            rows = sum(self._rows(group, gate) for gate in self.gates(group))
            if rows:
                shapes[group.name] = (rows, self._columns(group, input_size)) if group.is_matrix else (rows,)
        return shapes

    # ------------------------------------------------------------------ from parameters to the kernel's stacks

    def gate_slices(self, group: Group) -> dict[str, slice]:
        """Return gate -> its rows in the stack."""
        start, slices = 0, {}
        for gate in self.gates(group):
            slices[gate] = slice(start, start + self._rows(group, gate))
            start = slices[gate].stop
        return slices

    def kernel_parameters(self, parameters: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Return the stacks that a kernel takes: all gates of every group, each with the same number of rows.

        A parameter that is such a stack is returned itself, not a copy. With blocks, the rows of a shared gate are
        repeated for each cell of the block, and the columns that a fed-back gate meets are placed in the first copy,
        zeros elsewhere: else each gate would count block_size times.

        Args:
            parameters: group -> ([net,] rows[, columns]).

        Returns:
            group -> ([net,] gates * hidden[, columns]), gates in the group's order; a bias that is left out is zero.
        """
        if self.has_whole_stacks:
            return parameters
        like = next(iter(parameters.values()))
        return {group.name: self._kernel_stack(group, parameters.get(group.name), like) for group in self.cell.groups}

    def _kernel_stack(self, group: Group, stack: Tensor | None, like: Tensor) -> Tensor:
        if stack is not None and self.block_size == 1 and len(self.gates(group)) == len(group.gates):
            return stack
        rows = self.proj_size if group.rows == OUTPUT else self.hidden_size
        nets = like.shape[:1] if self.stacked_nets else ()
        if stack is None:
            return like.new_zeros(*nets, len(group.gates) * rows)
        axis = -2 if group.is_matrix else -1
        parts = dict.fromkeys(group.gates, like.new_zeros(*nets, rows))  # only biases are left out
        for gate, place in self.gate_slices(group).items():
            part = stack.narrow(axis, place.start, place.stop - place.start)
            parts[gate] = self._expanded(part, group, gate, axis)
        return torch.cat(list(parts.values()), dim=axis)

    def _expanded(self, part: Tensor, group: Group, gate: str, axis: int) -> Tensor:
        if self.block_size > 1:
            if gate in self.cell.shared:
                part = part.repeat_interleave(self.block_size, dim=axis)
            if group.is_matrix and self._fed_by_shared_gate(group):
                part = pad(part.unsqueeze(-1), (0, self.block_size - 1)).flatten(-2)
        return part

    # ------------------------------------------------------------------ states of blocks

    def to_kernel(self, names: Sequence[str], values: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Repeat what is of a shared gate for each cell of its block."""
        if self.block_size == 1:
            return values
        return tuple(
            value.repeat_interleave(self.block_size, dim=-1) if name in self.cell.shared else value
            for name, value in zip(names, values, strict=True)
        )

    def from_kernel(self, names: Sequence[str], values: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Take one value per block of what is of a shared gate."""
        if self.block_size == 1:
            return values
        return tuple(
            value[..., :: self.block_size] if name in self.cell.shared else value
            for name, value in zip(names, values, strict=True)
        )

    # ------------------------------------------------------------------ the gates' names, beside saved weights

    def gate_names(self) -> dict[str, list[str]]:
        """Return group -> gates in the order of its rows."""
        return {group.name: list(self.gates(group)) for group in self.cell.groups if self.gates(group)}


def elementwise(node: ast.expr) -> set[str]:
    """The names that an equation reads one value per hidden unit of; gates of groups under the gate's name."""
    match node:
        case ast.BinOp(op=ast.MatMult()):
            return {node.left.attr} if isinstance(node.left, ast.Attribute) else set()
        case ast.Attribute():
            return {node.attr}
        case ast.Name():
            return {node.id}
        case ast.Call():
            return set().union(*map(elementwise, node.args))
    return set().union(*(elementwise(child) for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr)))


def _plain(operand: str) -> str:
    """The name inside `stop_gradient(h_prev)`."""
    return operand.removeprefix("stop_gradient(").removesuffix(")")
