"""The states of a layer as one object: a tuple to PyTorch, tensors with names to people."""

import contextlib
import json
import os
from collections import namedtuple
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor
from torch.utils._pytree import _register_namedtuple

from carrousel.errors import InputShapeError, ModelError, OptionError, UnknownNameError
from carrousel.writing import write_whole

if TYPE_CHECKING:
    from carrousel.nn.layers import Layers

__all__ = ["State", "class_of"]


class State(tuple[Tensor, ...]):
    """Hold the states of a layer: a tuple in the order of the cell's signature, with names and with what people do.

    It is what `carrousel.Recurrent` returns for a cell with several states, and what any layer takes as `hx`. It
    unpacks, and torch (pytrees, torch.func, torch.compile) treats it as the named tuple that it is. The stand-ins for
    torch.nn's layers return torch's plain tuple; `State.of(layer, hx)` gives it names. A program of torch.export that
    returns states other than (h, c) is loaded only where a layer of the cell was made; `tuple(state)` goes everywhere.

    Attributes:
        <state>: the tensor of a state, as `state.c`; `state["c"]` also finds one that is called like a method.

    Shapes:
        - each tensor: (layers * directions, batch, size), with state_batch_first (batch, layers * directions, size),
          unbatched (layers * directions, size); in a population with the net axis in front

    Example:
        >>> import tempfile, torch, carrousel
        >>> layer = carrousel.Recurrent("lstm", 3, 5)
        >>> output, state = layer(torch.randn(7, 2, 3))
        >>> h, c = state
        >>> state.c is c, state["h"] is h, state.rows([0]).c.shape
        (True, True, torch.Size([1, 1, 5]))
        >>> path = tempfile.mkdtemp() + "/state.safetensors"
        >>> state.detach().save(path)
        >>> output, state = layer(torch.randn(7, 2, 3), carrousel.State.load(path))

    Source:
        carrousel's own.
    """

    __slots__ = ()

    #: The names of the states.
    _fields: tuple[str, ...]
    #: Whether the batch axis stands before that of layers and directions.
    _batch_first: bool

    @classmethod
    def of(cls, layer: "Layers", hx: Any) -> "State":
        """Give the states of a layer their names.

        Args:
            layer: the layer that returned them, or is to take them.
            hx: a tuple in the order of the cell's signature, or a tensor if there is one state.

        Returns:
            The same tensors.

        Raises:
            InputTypeError, InputShapeError: hx is not such as the layer takes.

        Example:
            >>> import torch, carrousel
            >>> lstm = carrousel.LSTM(3, 5)
            >>> output, hx = lstm(torch.randn(7, 2, 3))
            >>> carrousel.State.of(lstm, hx).c.shape
            torch.Size([1, 2, 5])
        """
        from carrousel.nn.checks import states_of

        names = layer._layout.cell.states
        return tuple.__new__(class_of(names, layer.state_batch_first), states_of(layer._where, names, hx))

    # ------------------------------------------------------------------ looking into it

    def __getitem__(self, key: Any) -> Any:
        """Return a state by its name or its place."""
        if not isinstance(key, str):
            return tuple.__getitem__(self, key)
        if key not in self._fields:
            raise UnknownNameError(f"State - no state {key!r}; they are {', '.join(self._fields)} - name one of them")
        return tuple.__getitem__(self, self._fields.index(key))

    def rows(self, index: Any) -> "State":
        """Select rows of the batch.

        Args:
            index: a list, slice or tensor of row numbers, or a boolean mask (batch,); a single number gives the
                states of that row without a batch axis.

        Returns:
            Those rows, in that order.

        Raises:
            InputShapeError: the states have no batch axis.
            OptionError: there are no such rows.

        Example:
            >>> import torch, carrousel
            >>> _, state = carrousel.Recurrent("lstm", 3, 5)(torch.randn(7, 4, 3))
            >>> state.rows(torch.tensor([True, False, True, True])).h.shape, state.rows(2).h.shape
            (torch.Size([1, 3, 5]), torch.Size([1, 5]))
        """
        first = self[0]
        if first.dim() < 3:
            raise InputShapeError(
                f"State.rows - the states have shape {tuple(first.shape)} = (layers * directions, size), expected a "
                "batch axis - they are one row already"
            )
        axis = first.dim() - (3 if self._batch_first else 2)
        count = first.shape[axis]
        chosen = _chosen(count, index)
        if isinstance(chosen, int):
            return self._each(lambda state: state.select(axis, chosen))
        rows = torch.tensor(chosen, dtype=torch.long, device=first.device)
        return self._each(lambda state: state.index_select(axis, rows))

    # ------------------------------------------------------------------ what people do with it

    def detach(self) -> "State":
        """Return the same values without their history: the next call's gradient ends here."""
        return self._each(Tensor.detach)

    def to(self, *args: Any, **options: Any) -> "State":
        """Return the states on another device or in another dtype; arguments as those of `torch.Tensor.to`."""
        return self._each(lambda state: state.to(*args, **options))

    def turned(self, batch_first: bool) -> "State":
        """Return the same states with the batch axis before or behind that of layers and directions."""
        if batch_first == self._batch_first:
            return self
        return tuple.__new__(class_of(self._fields, batch_first), [state.movedim(-2, -3) for state in self])

    def _each(self, function: Any) -> "State":
        return tuple.__new__(type(self), [function(state) for state in self])

    # ------------------------------------------------------------------ files

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the states to a safetensors file: values and names, no code; whole or not at all.

        Args:
            path: the file; what is there already is replaced.

        Raises:
            OutputError: it can not be written.
        """
        form = {"states": json.dumps(self._fields), "state_batch_first": json.dumps(self._batch_first)}
        apart = [state.detach().cpu().clone(memory_format=torch.contiguous_format) for state in self]
        values = dict(zip(self._fields, apart, strict=True))
        write_whole({Path(path): save(values, form)})

    @staticmethod
    def load(path: str | os.PathLike[str], device: Any = "cpu") -> "State":
        """Read what `save` has written.

        Args:
            path: the file.
            device: where the tensors are made.

        Returns:
            The states.

        Raises:
            ModelError: there is no such file, or it holds no states.
        """
        try:
            with safe_open(path, framework="pt", device=str(device)) as file:
                form = file.metadata() or {}
                names, batch_first = json.loads(form["states"]), json.loads(form["state_batch_first"])
                return tuple.__new__(class_of(tuple(names), batch_first), [file.get_tensor(name) for name in names])
        except OSError as error:
            reason = error.strerror or str(error).partition(":")[0]
            raise ModelError(f"{path} - can not be read: {reason} - give what State.save wrote") from error
        except (SafetensorError, KeyError, ValueError, TypeError) as error:
            raise ModelError(f"{path} - holds no states of a layer - give what State.save wrote") from error

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (self._fields, self._batch_first, tuple(self))


def _chosen(count: int, index: Any) -> int | list[int]:
    """Row numbers as they count from the front."""
    found: Any = None
    with contextlib.suppress(IndexError, TypeError, ValueError, RuntimeError):  # torch's, which know no rows
        numbers = index if isinstance(index, slice) else torch.as_tensor(index).cpu()
        if isinstance(numbers, Tensor) and not numbers.numel():
            numbers = numbers.long()  # the tensor of [] is one of floats
        found = torch.arange(count)[numbers].tolist()
    if not isinstance(found, int) and (found is None or not all(isinstance(row, int) for row in found)):
        raise OptionError(
            f"State.rows - got {index!r}, there are rows 0 to {count - 1} - "
            "name rows, or give a mask with one value per row"
        )
    return found


def _restored(names: Sequence[str], batch_first: bool, states: Sequence[Tensor]) -> State:
    """What a copy is made by."""
    return tuple.__new__(class_of(tuple(names), batch_first), states)


#: By whether the batch axis comes first: names -> class.
_classes: tuple[dict[tuple[str, ...], type[State]], ...] = ({}, {})


def class_of(names: tuple[str, ...], batch_first: bool = False) -> type[State]:
    """Return the class of the states of some names, made once.

    It is a named tuple, the kind of tuple that torch and other libraries know how to take apart and make again.
    """
    made = _classes[batch_first].get(names)
    if made is None:
        named: Any = namedtuple("State", list(names), rename=True)  # type: ignore[misc]  # known at run time
        space = {"__slots__": (), "_fields": names, "_batch_first": batch_first, "__doc__": State.__doc__}
        made = _classes[batch_first][names] = cast(type[State], type("State", (State, named), space))
        first = "batch first " if batch_first else ""
        _register_namedtuple(made, serialized_type_name=f"carrousel.State {first}({', '.join(names)})")
    return made


class_of._dynamo_marked_constant = True  # type: ignore[attr-defined]  # a compiler calls it, and reads no further
for _is_first in (False, True):  # a saved program that returns the states of most cells finds their class
    class_of(("h", "c"), _is_first)
