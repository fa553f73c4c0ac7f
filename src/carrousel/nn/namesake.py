"""What the stand-ins for torch.nn's layers and for its single steps have in common."""

from abc import abstractmethod
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.nn import Module

from carrousel import cells
from carrousel.cell import Cell
from carrousel.errors import BackendError, OptionError
from carrousel.nn import init
from carrousel.nn.saving import GatesBesideWeights

__all__ = ["Namesake"]


class Namesake(GatesBesideWeights):
    """A module that is its torch.nn namesake, with another cell if the user asks for one."""

    _namesake: type[Any]
    _states: tuple[str, ...]
    #: Whether cell and parameters are the namesake's own.
    _is_own = True
    #: The parameters as the initialisers see them.
    _stacks: Callable[[], Iterator[init.Stack]]

    @abstractmethod
    def _adopt(self, cell: Cell, *args: Any, **options: Any) -> None:
        """Take the options that torch.nn does not have."""

    @abstractmethod
    def _own_cell(self) -> Cell:
        """The namesake's cell."""

    @abstractmethod
    def _replace_parameters(self) -> None:
        """Put the cell's parameters in the place of the namesake's."""

    @abstractmethod
    def _draw(self) -> None:
        """Draw the weights anew, the cell being known."""

    def _become(
        self, namesake: Callable[[], None], cell: Cell | str | None, forget_bias: float | None, **options: Any
    ) -> None:
        """Construct the namesake, take the added options, and draw weights that the namesake has not drawn.

        Args:
            namesake: calls the namesake's constructor.
            cell: the cell that the user asks for, None for the namesake's.
            forget_bias: the forget gate's bias at the start.
            **options: what `_adopt` takes besides, `init` among them.
        """
        chosen = None if cell is None else self._suitable(cells.get(cell))
        drawn_here = cell is not None or options["init"] is not None
        with torch.random.fork_rng(devices=(), enabled=drawn_here):
            namesake()
        self._adopt(chosen or self._own_cell(), forget_bias=forget_bias, **options)
        if not self._is_own:
            self._replace_parameters()
        if drawn_here:
            self.reset_parameters()
        elif forget_bias is not None:
            for stack in self._stacks():
                init.set_forget_bias(stack, forget_bias)

    def reset_parameters(self) -> None:
        """Draw the weights anew, as the namesake does unless `init=` says otherwise."""
        if "cell" in self.__dict__:
            self._draw()
        else:  # called by the namesake's constructor
            self._namesake.reset_parameters(self)

    def _suitable(self, cell: Cell) -> Cell:
        if cell.states != self._states:
            raise OptionError(
                f"{type(self).__name__} - the cell {cell.name} has states ({', '.join(cell.states)}), "
                f"expected ({', '.join(self._states)}) - use carrousel.Recurrent for cells with other states"
            )
        return cell

    def __prepare_scriptable__(self) -> Module:
        raise BackendError(
            f"{type(self).__name__} - torch.jit.script can not read it - use torch.jit.trace, or load the weights into "
            f"torch.nn.{self._namesake.__name__} if the cell is its own"
        )
