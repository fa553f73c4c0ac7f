"""Checks of what a layer is called with; each raises the class of error that torch.nn raises in its place."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch._C._functorch import get_unwrapped, is_batchedtensor, is_functorch_wrapped_tensor

from carrousel import backends
from carrousel.errors import (
    BackendError,
    DtypeError,
    InputShapeError,
    InputTypeError,
    OptionError,
    OptionTypeError,
    UnknownNameError,
    did_you_mean,
)
from carrousel.nn.operator import transforms_active
from carrousel.nn.state import State

__all__ = [
    "check_backend",
    "whole_number",
    "check_forget_bias",
    "axes",
    "check_device",
    "check_input",
    "check_step",
    "states_of",
    "check_states",
    "check_lengths",
    "check_resets",
    "check_step_inputs",
    "check_trace",
]


def check_backend(where: str, backend: str) -> None:
    """Check the name of a backend; "auto" takes the best that can do the call."""
    known = ("auto", "torch", *backends.names())
    if backend not in known:
        raise UnknownNameError(
            f"{where} - unknown backend {backend!r}; they are {', '.join(known)}.{did_you_mean(str(backend), known)}"
        )


def whole_number(where: str, name: str, value: object, least: int) -> int:
    """Return an option that is a whole number, or raise.

    Raises:
        OptionTypeError: it is no int.
        OptionError: it is below `least`.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise OptionTypeError(
            f"{where} - {name} should be of type int, got: {type(value).__name__} - give a whole number"
        )
    if value < least:
        raise OptionError(f"{where} - {name} is {value}, expected at least {least} - give a larger number")
    return value


def flag(where: str, name: str, value: object) -> bool:
    """Return an option that is True or False, or raise OptionTypeError."""
    if not isinstance(value, bool):
        raise OptionTypeError(f"{where} - {name} should be of type bool, got: {type(value).__name__} - True or False")
    return value


def check_forget_bias(where: str, value: object) -> None:
    """Check the forget gate's bias at the start."""
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
        raise OptionTypeError(f"{where} - forget_bias is {value!r}, expected a number - for example 1.0")


def axes(rows: tuple[str, ...], place: int) -> tuple[str, ...]:
    """Return the names of an input's axes, with time in some place among the rows."""
    return (*rows[:place], "time", *rows[place:], "input")


def check_input(where: str, x: Tensor, axes: Sequence[str], input_size: int, weight: Tensor) -> None:
    """Check the input's axes, features, dtype and device.

    Args:
        where: the layer's name.
        x: the input.
        axes: the names of its expected axes.
        input_size: features of its last axis.
        weight: one of the weights.
    """
    named = ", ".join(axes)
    if x.dim() != len(axes):
        raise InputTypeError(
            f"{where}: input has {x.dim()} axes, expected {len(axes)} = ({named}); got shape {tuple(x.shape)} - "
            "reshape the input"
        )
    if x.shape[-1] != input_size:
        raise InputShapeError(
            f"{where}: input has {x.shape[-1]} features (last axis), expected input_size={input_size}; "
            f"got shape {tuple(x.shape)} = ({named})."
        )
    _check_dtype(where, x, weight.dtype)
    check_device(where, x, weight)
    if x.layout != torch.strided:
        raise BackendError(
            f"{where}: input has the layout {x.layout}, expected a dense tensor - convert it with .to_dense()"
        )


def check_device(where: str, x: Tensor, weight: Tensor) -> None:
    """Check that the input is where the weights are."""
    if x.device != weight.device:
        raise BackendError(
            f"{where}: the input is on {x.device}, the weights are on {weight.device} - "
            f"move the input with .to({str(weight.device)!r}), or the module with .to({str(x.device)!r})"
        )


def _check_dtype(where: str, x: Tensor, dtype: torch.dtype) -> None:
    if x.dtype != dtype and not _autocasts(x):
        raise DtypeError(
            f"{where}: RNN input dtype ({x.dtype}) does not match weight dtype ({dtype}) - "
            f"Convert input: input.to({dtype}), or convert model: model.to({x.dtype})"
        )


def _autocasts(x: Tensor) -> bool:
    return x.device.type != "meta" and torch.is_autocast_enabled(x.device.type)


def states_of(where: str, names: Sequence[str], hx: object, takes_tuple: bool = True) -> tuple[Tensor, ...]:
    """Return the given initial states as a tuple, or raise.

    Args:
        where: the layer's name.
        names: the cell's states.
        hx: what the caller passed.
        takes_tuple: whether a single state may come as a tuple of one.
    """
    if isinstance(hx, State) and hx._fields != tuple(names):
        raise InputShapeError(
            f"{where}: hx is a state of ({', '.join(hx._fields)}), expected one of ({', '.join(names)}) - "
            "it comes from a layer of another cell"
        )
    if isinstance(hx, Tensor):
        states: tuple[Any, ...] = (hx,)
    elif isinstance(hx, tuple | list) and (takes_tuple or len(names) > 1 or isinstance(hx, State)):
        states = tuple(hx)
    else:
        states = (None,)
    if not all(isinstance(s, Tensor) for s in states):
        expected = "a tensor" if len(names) == 1 else f"a tuple of tensors ({', '.join(names)})"
        held = f" of {', '.join(type(s).__name__ for s in hx)}" if isinstance(hx, tuple | list) else ""
        raise InputTypeError(
            f"{where}: hx is of type {type(hx).__name__}{held}, expected {expected} - leave hx out to begin anew"
        )
    if len(states) != len(names):
        raise InputShapeError(
            f"{where}: got {len(states)} initial states, expected {len(names)}: ({', '.join(names)}) - "
            "pass them as a tuple in this order"
        )
    return states


def check_states(
    where: str,
    names: Sequence[str],
    states: Sequence[Tensor],
    rows: Sequence[tuple[str, int]],
    size_of: Callable[[str], int],
    x: Tensor,
) -> None:
    """Check that every state has its shape, and the dtype and device of the input.

    Args:
        where: the layer's name.
        names: the cell's states.
        states: what was given for them.
        rows: names and lengths of their axes, but for the last.
        size_of: name -> length of its last axis.
        x: the input.
    """
    for name, state in zip(names, states, strict=True):
        shape = (*(length for _, length in rows), size_of(name))
        if tuple(state.shape) != shape:
            axes = ", ".join((*(axis for axis, _ in rows), "size"))
            raise InputShapeError(
                f"{where}: initial state {name} - Expected hidden size {shape}, got {list(state.shape)} - "
                f"its axes are ({axes})"
            )
        _check_alike(where, f"initial state {name}", state, x)


def _check_alike(where: str, what: str, value: Tensor, x: Tensor) -> None:
    """Check that a tensor has the dtype and the device of the input."""
    if value.dtype != x.dtype and not _autocasts(x):
        raise DtypeError(f"{where}: {what} is {value.dtype}, the input {x.dtype} - convert it with .to({x.dtype})")
    if value.device != x.device:
        raise BackendError(
            f"{where}: {what} is on {value.device}, the input on {x.device} - move it with .to({str(x.device)!r})"
        )


def check_step(
    where: str, input: Tensor, states: Sequence[Tensor], input_size: int, hidden_size: int, dtype: torch.dtype
) -> None:
    """Check what a single step is called with, in the words of torch.nn.

    Args:
        where: the cell's name.
        input: ([batch,] input).
        states: each ([batch,] hidden); none to begin anew.
        input_size: features of the input.
        hidden_size: hidden units.
        dtype: the weights' dtype.
    """
    if input.dim() not in (1, 2):
        raise InputTypeError(
            f"{where}: Expected input to be 1D or 2D, got {input.dim()}D instead - "
            "its axes are (batch, input) or (input)"
        )
    if input.shape[-1] != input_size:
        raise InputShapeError(
            f"{where}: input has inconsistent input_size: got {input.shape[-1]} expected {input_size} - "
            "the last axis holds the features"
        )
    _check_dtype(where, input, dtype)
    for k, state in enumerate(states):
        if state.dim() not in (1, 2):
            raise InputTypeError(
                f"{where}: Expected {f'hx[{k}]' if len(states) > 1 else 'hidden'} to be 1D or 2D, got {state.dim()}D "
                "instead - its axes are (batch, hidden) or (hidden)"
            )
        if state.shape[-1] != hidden_size:
            raise InputShapeError(
                f"{where}: hidden{k} has inconsistent hidden_size: got {state.shape[-1]}, expected {hidden_size} - "
                "the last axis holds the hidden units"
            )
        if state.dim() != input.dim():
            raise InputShapeError(
                f"{where}: hidden{k} has {state.dim()} axes, the input {input.dim()} - "
                "both have a batch axis or neither"
            )
        if state.dim() == 2 and len(state) != len(input):
            raise InputShapeError(
                f"{where}: Input batch size {len(input)} doesn't match hidden{k} batch size {len(state)} - "
                "one state per row of the batch"
            )
        _check_alike(where, f"hidden{k}", state, input)


def check_lengths(where: str, lengths: Tensor | Sequence[int], x: Tensor) -> Tensor:
    """Return the lengths as a tensor of shape (*rows,), or raise.

    Args:
        where: the layer's name.
        lengths: steps of each row that count.
        x: (time, *rows, input).
    """
    lengths = _as_tensor(where, "lengths", lengths, x, "pass an integer tensor")
    if not lengths.numel():  # the tensor of [] is one of floats
        lengths = lengths.long()
    if lengths.is_floating_point() or lengths.is_complex() or lengths.dtype == torch.bool:
        raise InputTypeError(f"{where}: lengths are {lengths.dtype}, expected whole numbers - pass an integer tensor")
    lengths = lengths.long()
    if lengths.shape != x.shape[1:-1]:
        raise InputShapeError(
            f"{where}: lengths have shape {tuple(lengths.shape)}, expected {tuple(x.shape[1:-1])} - "
            "one per row of the batch"
        )
    if torch.compiler.is_compiling():
        torch._assert_async(
            ((lengths >= 0) & (lengths <= x.shape[0])).all(),
            f"{where}: lengths run below 0 or beyond the steps of x - cut the lengths or pad the input",
        )
    elif lengths.numel() and not _is_mapped(lengths) and (int(lengths.min()) < 0 or int(lengths.max()) > len(x)):
        raise InputShapeError(
            f"{where}: lengths run from {int(lengths.min())} to {int(lengths.max())}, expected 0 to {len(x)}, "
            "the steps of x - cut the lengths or pad the input"
        )
    return lengths


def _is_mapped(tensor: Tensor) -> bool:
    """Whether `vmap` maps over a tensor, below whatever other transforms: then nobody may look at its values."""
    while transforms_active() and is_functorch_wrapped_tensor(tensor):
        if is_batchedtensor(tensor):
            return True
        tensor = get_unwrapped(tensor)
    return False


def check_resets(where: str, resets: Tensor, x: Tensor) -> Tensor:
    """Return the resets as booleans in the layout of the input x, or raise."""
    resets = _as_tensor(where, "resets", resets, x, "pass `done.bool()`")
    if resets.is_floating_point() or resets.is_complex():
        raise InputTypeError(f"{where}: resets are {resets.dtype}, expected booleans - pass `done.bool()`")
    if resets.shape != x.shape[:-1]:
        raise InputShapeError(
            f"{where}: resets have shape {tuple(resets.shape)}, expected {tuple(x.shape[:-1])} - "
            "give them the input's axes without the features"
        )
    return resets.bool()


def _as_tensor(where: str, what: str, value: Any, x: Tensor, todo: str) -> Tensor:
    """A value as a tensor where the input is, or an error that says what to do."""
    try:
        return torch.as_tensor(value, device=x.device)
    except (TypeError, ValueError, RuntimeError) as error:
        is_elsewhere = isinstance(value, Tensor)
        found = f"a tensor on {value.device}" if is_elsewhere else repr(value)
        raise InputTypeError(
            f"{where}: {what} are {found}, which can not be read{f' on {x.device}' if is_elsewhere else ''} - {todo}"
        ) from error


def check_step_inputs(
    where: str, names: Sequence[str], given: Mapping[str, Tensor], x: Tensor, hidden_size: int
) -> list[Tensor]:
    """Return the inputs per step, in the order of the signature and the layout of the input x, or raise."""
    if not isinstance(given, Mapping) or not all(isinstance(value, Tensor) for value in given.values()):
        held = f" of {', '.join(type(v).__name__ for v in given.values())}" if isinstance(given, Mapping) else ""
        raise InputTypeError(
            f"{where}: step_inputs is a {type(given).__name__}{held}, expected a dict of tensors - "
            f"the cell takes {list(names)}"
        )
    if set(given) != set(names):
        raise OptionError(
            f"{where}: step_inputs name {sorted(given)}, the cell takes {list(names)} - "
            'pass step_inputs={"<name>_t": tensor} for each of them'
        )
    for name in names:
        expected = (*x.shape[:-1], hidden_size)
        if tuple(given[name].shape) != expected:
            raise InputShapeError(
                f"{where}: step input {name} has shape {tuple(given[name].shape)}, expected {expected} - "
                "give it the input's axes with hidden units for features"
            )
        _check_alike(where, f"step input {name}", given[name], x)
    return [given[name] for name in names]


def check_trace(where: str, names: Sequence[str], known: Sequence[str]) -> tuple[str, ...]:
    """Return the names of traced quantities, or raise."""
    if isinstance(names, str) or not isinstance(names, Sequence):
        example = names if isinstance(names, str) else known[0]
        raise OptionTypeError(
            f"{where}: return_trace is {names!r}, expected a tuple of names - write return_trace=({example!r},)"
        )
    for name in names:
        if name not in known:
            raise UnknownNameError(
                f"{where}: return_trace names {name!r}; the cell's quantities are {', '.join(known)}."
                f"{did_you_mean(str(name), known)}"
            )
    return tuple(names)
