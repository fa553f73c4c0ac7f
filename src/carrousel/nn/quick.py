"""What quick calls share: when a call can be quick, and what a layer keeps for them."""

from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from carrousel.nn.layers import Layers

__all__ = ["Kinds", "is_watched", "kinds_of"]

#: Kinds of inputs for which a layer keeps what its calls need.
KINDS = 8


def is_watched() -> bool:
    """Whether something of torch follows the operators that are called."""
    return torch.compiler.is_compiling() or bool(
        torch._C._len_torch_dispatch_stack()
        or torch._C._are_functorch_transforms_active()
        or torch._C._get_tracing_state()
        or torch.is_autocast_enabled("cpu")
        or torch.autograd.forward_ad._current_level >= 0
    )


class Kinds(dict[Any, Any]):
    """Kind of input -> what is kept for it; that holds addresses, so a copy of the layer begins with none."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Kinds, ()

    def begin(self, kind: Any, value: Any) -> Any:
        """Keep something for a new kind, and return it; when there are too many, only for this one."""
        if len(self) >= KINDS:
            self.clear()
        self[kind] = value
        return value


def kinds_of(layer: "Layers", name: str) -> Kinds:
    """Return what a layer keeps under a name."""
    found: Kinds | None = layer.__dict__.get(name)
    if found is None:
        found = layer.__dict__[name] = Kinds()
    return found
