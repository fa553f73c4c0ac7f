"""Backends: a definition in, layers run and kernels shown. They know definitions, not cells and not modules."""

import importlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, cast

from carrousel.backends import forks  # noqa: F401 - notes forks from now on
from carrousel.errors import UnknownNameError, did_you_mean

if TYPE_CHECKING:
    from torch import Tensor

    from carrousel.backends.rows import Rows
    from carrousel.calculus.notation import Definition

__all__ = ["FOR_ONNX", "REFERENCE", "Backend", "before_reference", "get", "names"]

#: The backend that refuses no call, and that all others are compared with.
REFERENCE = "eager"

#: name -> module of this package. "auto" asks, on the CPU, those before the reference, in this order.
_REGISTRY = {"llvm": "llvm", "eager": "eager"}

#: The module that runs in the place of them all where torch.onnx.export looks into a layer.
FOR_ONNX = "carrousel.exchange.onnx_inside"

_loaded: "dict[str, Backend]" = {}


class Backend(Protocol):
    """What a module of this package offers."""

    def source(
        self,
        definition: "Definition",
        direction: str = "forward",
        traced: Sequence[str] = (),
        stage: str | None = None,
    ) -> str:
        """Return the text of a kernel.

        Args:
            definition: the cell's definition.
            direction: "forward" or "backward".
            traced: quantities that come back besides the states.
            stage: which of a backend's texts; None for the one that is written first.

        Returns:
            The text of what runs.

        Raises:
            UnknownNameError: there is no such direction or stage.
        """

    def refusals(self, definition: "Definition", x: "Tensor", traced: Sequence[str]) -> list[str]:
        """Return why a call can not be done; asked before every call.

        Args:
            definition: the cell's definition.
            x: the input, its axes in any order.
            traced: quantities that are asked for besides the states.

        Returns:
            Reasons that follow "can not do", none if it can.
        """

    def run(
        self,
        definition: "Definition",
        x: "Tensor",
        states: "tuple[Tensor, ...]",
        parameters: "Mapping[str, Tensor]",
        step_inputs: "Sequence[Tensor]",
        rows: "Rows",
        reverse: bool,
        traced: Sequence[tuple[str, int]],
    ) -> "tuple[Tensor, tuple[Tensor, ...], tuple[Tensor, ...]]":
        """Run one layer in one direction over a sequence, with a kernel that is compiled once.

        Args:
            definition: the cell's definition.
            x: (time, *rows, input); rows are (batch,), in a population (net, batch).
            states: the states before the first step, each (*rows, size).
            parameters: group -> all its gates, one under the other: (gates * size, columns) in a group of matrices,
                else (gates * size,); with a leading net axis in a population.
            step_inputs: each (time, *rows, hidden).
            rows: lengths and resets.
            reverse: walk from the last step to the first.
            traced: name and size of each quantity to return.

        Returns:
            The output (time, *rows, size), the states after the last step, and the traced quantities
            (time, *rows, size).
        """


def names() -> tuple[str, ...]:
    """Return the names of the backends that run any cell."""
    return tuple(_REGISTRY)


def before_reference() -> tuple[str, ...]:
    """Return the names of the backends that "auto" asks on the CPU, the first to ask first."""
    known = names()
    return known[: known.index(REFERENCE)]


def get(name: str) -> Backend:
    """Return a backend by name.

    Args:
        name: one of `names()`.

    Returns:
        The backend.

    Raises:
        UnknownNameError: no backend has this name.
    """
    if name not in _REGISTRY and name != FOR_ONNX:
        raise UnknownNameError(
            f"backends - unknown backend {name!r}; they are {', '.join(_REGISTRY)}.{did_you_mean(name, _REGISTRY)}"
        )
    if name not in _loaded:
        module = name if name == FOR_ONNX else f"carrousel.backends.{_REGISTRY[name]}"
        _loaded[name] = cast(Backend, importlib.import_module(module))
    return _loaded[name]
