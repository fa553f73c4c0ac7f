"""Checks of what a layer is called with; each raises the class of error that torch.nn raises in its place."""

from collections.abc import Sequence

import torch
from torch import Tensor

from carrousel.errors import (
    InputShapeError,
    InputTypeError,
    OptionError,
    OptionTypeError,
    UnknownNameError,
    did_you_mean,
)

__all__ = [
    "whole_number",
    "check_input",
    "check_states",
    "check_lengths",
    "check_resets",
    "check_step_inputs",
    "check_trace",
]


#: "auto" takes torch's operator where it can do the call, else eager.
BACKENDS = ("auto", "torch", "eager")


def check_backend(where: str, backend: str) -> None:
    """Check the name of a backend."""
    if backend not in BACKENDS:
        raise UnknownNameError(
            f"{where} - unknown backend {backend!r}; they are {', '.join(BACKENDS)}."
            f"{did_you_mean(str(backend), BACKENDS)}"
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


def check_input(where: str, x: Tensor, axes: Sequence[str], input_size: int, dtype: torch.dtype) -> None:
    """Check the input's axes, features and dtype.

    Args:
        where: the layer's name.
        x: the input.
        axes: the names of its expected axes; the first may be missing for one sequence without a batch.
        input_size: features of its last axis.
        dtype: the weights' dtype.
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
    if x.dtype != dtype and not torch.is_autocast_enabled(x.device.type):
        raise InputTypeError(
            f"{where}: input is {x.dtype}, the weights are {dtype} - convert the input with .to({dtype}) "
            f"or the layer with .to({x.dtype})"
        )


def check_states(
    where: str, names: Sequence[str], states: Sequence[Tensor], expected: Sequence[tuple[int, ...]]
) -> None:
    """Check that every state has its shape."""
    if len(states) != len(names):
        raise InputShapeError(
            f"{where}: got {len(states)} initial states, expected {len(names)}: ({', '.join(names)}) - "
            "pass them as a tuple in this order"
        )
    for name, state, shape in zip(names, states, expected, strict=True):
        if tuple(state.shape) != tuple(shape):
            raise InputShapeError(
                f"{where}: initial state {name} - Expected hidden size {tuple(shape)}, got {list(state.shape)} - "
                "the first axis counts layers times directions"
            )


def check_lengths(where: str, lengths: Tensor | Sequence[int], x: Tensor, time: int) -> Tensor:
    """Return the lengths as a tensor of shape (*rows,), or raise.

    Args:
        where: the layer's name.
        lengths: steps of each row that count.
        x: (time, *rows, input).
        time: steps in x.
    """
    lengths = torch.as_tensor(lengths, device=x.device)
    if lengths.is_floating_point() or lengths.is_complex() or lengths.dtype == torch.bool:
        raise InputTypeError(f"{where}: lengths are {lengths.dtype}, expected whole numbers - pass an integer tensor")
    if lengths.shape != x.shape[1:-1]:
        raise InputShapeError(
            f"{where}: lengths have shape {tuple(lengths.shape)}, expected {tuple(x.shape[1:-1])} - "
            "one per row of the batch"
        )
    if lengths.numel() and (int(lengths.min()) < 0 or int(lengths.max()) > time):
        raise InputShapeError(
            f"{where}: lengths run from {int(lengths.min())} to {int(lengths.max())}, expected 0 to {time}, "
            "the steps of x - cut the lengths or pad the input"
        )
    return lengths


def check_resets(where: str, resets: Tensor, x: Tensor) -> Tensor:
    """Return the resets as booleans of shape (time, *rows), or raise."""
    resets = torch.as_tensor(resets, device=x.device)
    if resets.is_floating_point() or resets.is_complex():
        raise InputTypeError(f"{where}: resets are {resets.dtype}, expected booleans - pass `done.bool()`")
    if resets.shape != x.shape[:-1]:
        raise InputShapeError(
            f"{where}: resets have shape {tuple(resets.shape)} as (time, batch), expected {tuple(x.shape[:-1])} - "
            "resets have the input's axes without the features"
        )
    return resets.bool()


def check_step_inputs(
    where: str, names: Sequence[str], given: dict[str, Tensor], x: Tensor, hidden_size: int
) -> list[Tensor]:
    """Return the inputs per step in the order of the signature, or raise."""
    if set(given) != set(names):
        raise OptionError(
            f"{where}: step_inputs name {sorted(given)}, the cell takes {list(names)} - "
            'pass step_inputs={"<name>_t": tensor} for each of them'
        )
    for name in names:
        expected = (*x.shape[:-1], hidden_size)
        if tuple(given[name].shape) != expected:
            raise InputShapeError(
                f"{where}: step input {name} has shape {tuple(given[name].shape)}, expected {expected} as "
                "(time, batch, hidden) - one value per step and hidden unit"
            )
    return [given[name] for name in names]


def check_trace(where: str, names: Sequence[str], known: Sequence[str]) -> tuple[str, ...]:
    """Return the names of traced quantities, or raise."""
    if isinstance(names, str):
        raise OptionTypeError(
            f"{where}: return_trace is {names!r}, expected a tuple of names - write return_trace=({names!r},)"
        )
    for name in names:
        if name not in known:
            raise UnknownNameError(
                f"{where}: return_trace names {name!r}; the cell's quantities are {', '.join(known)}."
                f"{did_you_mean(name, known)}"
            )
    return tuple(names)
