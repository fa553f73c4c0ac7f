"""Backends: kernel text in, callable out. They know kernels, not cells and not modules."""

import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, cast

from carrousel.errors import UnknownNameError, did_you_mean

if TYPE_CHECKING:
    from torch import Tensor

    from carrousel.backends.rows import Rows
    from carrousel.calculus.notation import Definition

__all__ = ["Backend", "get", "names"]

#: name -> module of this package; the first runs what torch's own operators can not.
_REGISTRY = {"eager": "eager"}


class Backend(Protocol):
    """What a module of this package offers."""

    def source(self, definition: "Definition", direction: str = "forward", traced: Sequence[str] = ()) -> str:
        """Return the text of a step; forward, `traced` quantities come back besides the states."""

    def compile_kernel(self, text: str) -> Callable[..., Any]:
        """Turn what `source` returned, and no other text, into a step."""

    def run(
        self,
        step: Callable[..., Any],
        x: "Tensor",
        states: "tuple[Tensor, ...]",
        parameters: "Mapping[str, Mapping[str, Tensor]]",
        step_inputs: "Sequence[Tensor]",
        rows: "Rows",
        reverse: bool,
        traced: Sequence[int],
    ) -> "tuple[Tensor, tuple[Tensor, ...], tuple[Tensor, ...]]":
        """Run one layer in one direction: output, final states, traced quantities."""


def names() -> tuple[str, ...]:
    """Return the names of the backends that run any cell, the default first."""
    return tuple(_REGISTRY)


def get(name: str) -> Backend:
    """Return a backend by name.

    Args:
        name: one of `names()`.

    Returns:
        The backend.

    Raises:
        UnknownNameError: no backend has this name.
    """
    if name not in _REGISTRY:
        raise UnknownNameError(
            f"backends - unknown backend {name!r}; they are {', '.join(_REGISTRY)}.{did_you_mean(name, _REGISTRY)}"
        )
    return cast(Backend, importlib.import_module(f"carrousel.backends.{_REGISTRY[name]}"))
