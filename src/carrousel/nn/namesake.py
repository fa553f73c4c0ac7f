"""What the stand-ins for torch.nn's layers and for its single steps have in common."""

from abc import abstractmethod
from typing import Any

from torch.nn import Module

from carrousel.cell import Cell
from carrousel.errors import BackendError, OptionError
from carrousel.nn.saving import GatesBesideWeights

__all__ = ["Namesake"]


class Namesake(GatesBesideWeights):
    """A module that is its torch.nn namesake, with another cell if the user asks for one."""

    _namesake: type[Any]
    _states: tuple[str, ...]
    #: Whether cell and parameters are the namesake's own.
    _is_own = True

    @abstractmethod
    def _own_cell(self) -> Cell:
        """The namesake's cell."""

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
