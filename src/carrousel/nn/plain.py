"""The plain call in few steps: one layer in one direction over a tensor, from fresh states, on compiled kernels.

A tiny net takes less time than the bookkeeping of its call. What is not plain, is mistaken, or might be watched by a
mode or a transform of torch, is left to `Layers.forward`, which gives the same.
"""

import functools
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from carrousel import backends
from carrousel.backends.rows import EVERY_STEP
from carrousel.nn import choice
from carrousel.nn.quick import is_watched, kinds_of

if TYPE_CHECKING:
    from carrousel.nn.layers import Layers

__all__ = ["call", "constant", "is_plain"]

#: Elements up to which states that are the same in every call are kept.
SMALL = 16_384


def is_plain(layer: "Layers") -> bool:
    """Whether calls of a layer can be plain: known when it is made."""
    several = layer.num_layers > 1 or layer.bidirectional or layer._nets
    special = layer.learn_initial_state or layer._layout.cell.definition.step_inputs
    return not several and not special and layer._layout.has_whole_stacks


def call(layer: "Layers", x: object) -> Any:
    """Run a layer as its call does; None for a call that is not plain.

    Args:
        layer: the layer.
        x: the input, in the layout of the layer.
    """
    if not layer._is_plain or type(x) is not Tensor or x.is_nested or is_watched():
        return None
    if layer.recompute or layer._is_regularised[layer.training] or layer.backend in ("torch", backends.REFERENCE):
        return None
    tensors = [x]
    for _, name in layer._names[0, False]:
        weight = layer._parameters.get(name)
        if weight is None or weight.dtype != x.dtype:  # None: parametrized
            return None
        tensors.append(weight)
    if x.dim() != 3 or x.shape[2] != layer.input_size or not x.numel():
        return None
    if layer.batch_first:
        tensors[0] = x.transpose(0, 1)
    ready = _ready(layer, tensors)
    found = _by_backend(layer, tensors) if ready is None else ready.run(tensors)
    if found is None:
        return None
    output, *finals = found
    return output.transpose(0, 1) if layer.batch_first else output, layer._states_back(tuple(finals), False)


def constant(x: Tensor, shape: tuple[int, ...], value: float) -> Tensor:
    """Return a tensor of one value and of the dtype and device of x, that nobody writes to."""
    size = 1
    for length in shape:
        size *= length
    if type(x) is not Tensor or is_watched() or not x.is_cpu or size > SMALL:
        return x.new_full(shape, value)
    return _kept(shape, value, x.dtype)


@functools.lru_cache(maxsize=64)
def _kept(shape: tuple[int, ...], value: float, dtype: torch.dtype) -> Tensor:
    with torch.inference_mode(False):
        return torch.full(shape, value, dtype=dtype, device="cpu")


# ---------------------------------------------------------------------- looking up what to call


def _backend_of(layer: "Layers", x: Tensor) -> str | None:
    name = choice.compiled(layer._layout.cell.definition, x, ())
    return name if layer.backend in ("auto", name) else None


def _by_backend(layer: "Layers", tensors: list[Tensor]) -> tuple[Tensor, ...] | None:
    """Output and final states (1, batch, size) of x and weights; None if no compiled backend can."""
    x, *weights = tensors
    name = _backend_of(layer, x)
    if name is None:
        return None
    definition = layer._layout.cell.definition
    parameters = {group.name: weight for group, weight in zip(definition.groups, weights, strict=True)}
    states = layer._fresh(x, 0, x.shape[1])
    output, finals, _ = backends.get(name).run(definition, x, states, parameters, (), EVERY_STEP, False, ())
    return output, *[final.unsqueeze(0) for final in finals]


def _ready(layer: "Layers", tensors: list[Tensor]) -> Any:
    """What runs inputs of this kind, from the second one on; None for the first."""
    x, keep = tensors[0], torch.is_grad_enabled() and torch._C._any_requires_grad(*tensors)
    kinds, kind = kinds_of(layer, "_ready"), (x.shape, x.dtype, x.layout, keep)
    if kind not in kinds:
        return kinds.begin(kind, None)
    ready = kinds[kind]
    if ready is None or not ready.fits(tensors):
        ready = kinds[kind] = _made(layer, tensors, keep)
    return ready


def _made(layer: "Layers", tensors: list[Tensor], keep: bool) -> Any:
    x, *weights = tensors
    name = _backend_of(layer, x)
    make = None if name is None else getattr(backends.get(name), "Ready", None)
    if make is None or x.dtype not in (torch.float32, torch.float64):
        return None
    ready = make(layer._layout.cell.definition, x, layer._fresh(x, 0, x.shape[1]), weights, keep)
    return ready if ready.is_whole and ready.fits(tensors) else None
