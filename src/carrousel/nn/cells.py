"""Single steps: stand-ins for torch.nn.LSTMCell, GRUCell and RNNCell."""

import functools
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn import Module, Parameter

from carrousel import backends, cells
from carrousel.backends.rows import Rows
from carrousel.cell import Cell
from carrousel.errors import OptionError
from carrousel.nn import choice, operator
from carrousel.nn import init as initialisers
from carrousel.nn.checks import check_backend, check_device, check_forget_bias, check_step, states_of
from carrousel.nn.namesake import Namesake
from carrousel.nn.torch_layout import Layout, parameter_name

__all__ = ["GRUCell", "LSTMCell", "RNNCell"]


class _Step(Namesake, Module):
    """One step of a cell, with its namesake's interface."""

    input_size: int
    hidden_size: int
    bias: bool

    def __init__(
        self,
        *args: Any,
        cell: Cell | str | None = None,
        backend: str = "auto",
        init: str | initialisers.Initialiser | None = None,
        forget_bias: float | None = None,
        **kwargs: Any,
    ) -> None:
        namesake = functools.partial(self._namesake.__init__, self, *args, **kwargs)
        self._become(namesake, cell, forget_bias, backend=backend, init=init)

    def _replace_parameters(self) -> None:
        first = next(self.parameters())
        for name in list(self._parameters):
            del self._parameters[name]
        for group, shape in self._layout.shapes(self.input_size).items():
            value = torch.empty(shape, device=first.device, dtype=first.dtype)
            self.register_parameter(parameter_name(group), Parameter(value))

    def _own_cell(self) -> Cell:
        nonlinearity = getattr(self, "nonlinearity", None)
        if nonlinearity not in (None, "tanh", "relu"):
            raise OptionError(f"{type(self).__name__} - nonlinearity is {nonlinearity!r} - expected 'tanh' or 'relu'")
        return cells.get(
            {"relu": "elman_relu", "tanh": "elman"}.get(nonlinearity or "", "lstm" if len(self._states) == 2 else "gru")
        )

    def _suitable(self, cell: Cell) -> Cell:
        if cell.definition.step_inputs:
            raise OptionError(
                f"{type(self).__name__} - the cell {cell.name} takes inputs per step "
                f"({', '.join(cell.definition.step_inputs)}), a single step has none - use carrousel.Recurrent"
            )
        return super()._suitable(cell)

    def _adopt(
        self,
        cell: Cell,
        backend: str = "auto",
        init: str | initialisers.Initialiser | None = None,
        forget_bias: float | None = None,
    ) -> None:
        where = type(self).__name__
        check_backend(where, backend)
        check_forget_bias(where, forget_bias)
        initialisers.get(init or cell.init or "torch")
        self.cell, self.backend, self.init, self.forget_bias = cell, backend, init, forget_bias
        self._is_own = cell == self._own_cell()
        if backend == "torch" and not self._is_own:
            choice.refuse(where, "torch", [f"the cell {cell.name}"])
        self._layout = Layout(cell, self.hidden_size, bias=self.bias)
        choice.prepare(cell)

    def _draw(self) -> None:
        initialiser = initialisers.get(self.init or self.cell.init or "torch")
        for stack in self._stacks():
            initialisers.draw(stack, initialiser, self.forget_bias)

    def _stacks(self) -> Iterator[initialisers.Stack]:
        yield initialisers.Stack(self._layout, {g: p.detach() for g, p in self._stacked().items()})

    def _stacked(self) -> dict[str, Tensor]:
        found = {g.name: getattr(self, parameter_name(g.name), None) for g in self.cell.groups}
        return {group: p for group, p in found.items() if p is not None}

    def extra_repr(self) -> str:
        """Show the namesake's options and the added ones."""
        added = {"backend": "auto", "init": None, "forget_bias": None}
        shown = [self._namesake.extra_repr(self)]
        shown += [] if self._is_own else [f"cell={cells.name_of(self.cell)!r}"]
        chosen = {n: getattr(self, n) for n, default in added.items() if getattr(self, n) != default}
        shown += [f"{n}={getattr(value, '__name__', repr(value))}" for n, value in chosen.items()]
        return ", ".join(shown)

    def forward(self, input: Tensor, hx: Any = None) -> Any:
        """Take one step; see the class for arguments and shapes."""
        where, names = type(self).__name__, self.cell.states
        if self._namesake_does(input):
            if isinstance(input, Tensor):
                check_device(where, input, next(self.parameters()))
            return self._namesake.forward(self, input, hx)
        states = () if hx is None else states_of(where, names, hx, takes_tuple=False)
        parameters = self._stacked()
        check_step(where, input, states, self.input_size, self.hidden_size, next(iter(parameters.values())).dtype)
        unbatched = input.dim() == 1
        x = input.unsqueeze(0) if unbatched else input
        if hx is None:
            states = tuple(x.new_full((len(x), self.hidden_size), self.cell.initial[s]) for s in names)
        elif unbatched:
            states = tuple(s.unsqueeze(0) for s in states)
        if self.backend == "torch":
            choice.refuse(where, "torch", ["transforms of torch.func"])
        definition, stacks = self.cell.definition, self._layout.kernel_parameters(parameters)
        kernels = backends.get(choice.of_call(where, self.backend, definition, x, ()) or backends.REFERENCE)
        _, new, _ = kernels.run(definition, x[None], states, stacks, (), Rows(None, None, states), False, ())
        new = tuple(s.squeeze(0) for s in new) if unbatched else new
        return new if len(new) > 1 else new[0]

    def _namesake_does(self, input: object) -> bool:
        """Whether the namesake's forward does a call, mistaken ones among them."""
        if not self._is_own or not operator.can_be(self.backend):
            return False
        if self.backend == "torch" or not isinstance(input, Tensor):
            return True
        return choice.compiled(self.cell.definition, input, ()) is None


class LSTMCell(_Step, torch.nn.LSTMCell):
    """Stand in for torch.nn.LSTMCell.

    Args:
        *args, **kwargs: those of torch.nn.LSTMCell.
        cell: a Cell with states (h, c), or its registry name.
        backend, init, forget_bias: as in `carrousel.Recurrent`.

    Shapes:
        - input: (batch, input) or (input,)
        - hx: (h, c), each (batch, hidden) or (hidden,)
        - result: (h, c), as hx

    Raises:
        ValueError, RuntimeError: where torch.nn.LSTMCell raises them.

    Example:
        >>> import torch, carrousel
        >>> h, c = carrousel.LSTMCell(3, 5)(torch.randn(2, 3))
        >>> h.shape
        torch.Size([2, 5])

    Source:
        torch.nn.LSTMCell.
    """

    _namesake = torch.nn.LSTMCell
    _states = ("h", "c")


class GRUCell(_Step, torch.nn.GRUCell):
    """Stand in for torch.nn.GRUCell.

    Args:
        *args, **kwargs: those of torch.nn.GRUCell.
        cell: a Cell with the one state h, or its registry name.
        backend, init, forget_bias: as in `carrousel.Recurrent`.

    Shapes:
        - input: (batch, input) or (input,)
        - hx and result: (batch, hidden) or (hidden,)

    Example:
        >>> import torch, carrousel
        >>> carrousel.GRUCell(3, 5)(torch.randn(2, 3)).shape
        torch.Size([2, 5])

    Source:
        torch.nn.GRUCell.
    """

    _namesake = torch.nn.GRUCell
    _states = ("h",)


class RNNCell(_Step, torch.nn.RNNCell):
    """Stand in for torch.nn.RNNCell.

    Args:
        *args, **kwargs: those of torch.nn.RNNCell.
        cell: a Cell with the one state h, or its registry name.
        backend, init, forget_bias: as in `carrousel.Recurrent`.

    Shapes:
        - input: (batch, input) or (input,)
        - hx and result: (batch, hidden) or (hidden,)

    Example:
        >>> import torch, carrousel
        >>> carrousel.RNNCell(3, 5)(torch.randn(2, 3)).shape
        torch.Size([2, 5])

    Source:
        torch.nn.RNNCell.
    """

    _namesake = torch.nn.RNNCell
    _states = ("h",)
