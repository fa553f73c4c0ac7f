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
    if torch.compiler.is_compiling() or not layer._is_plain or type(x) is not Tensor or x.is_nested or is_watched():
        return None
    if layer.recompute or layer._is_regularised[layer.training] or layer.backend in ("torch", backends.REFERENCE):
        return None
    weights = {}
    for group, name in layer._names[0, False]:
        weight = layer._parameters.get(name)
        if weight is None or weight.dtype != x.dtype:  # None: parametrized
            return None
        weights[group] = weight
    if x.dim() != 3 or x.shape[2] != layer.input_size or not x.numel():
        return None
    definition = layer._layout.cell.definition
    backend = choice.compiled(definition, x, ())
    if backend is None or layer.backend not in ("auto", backend):
        return None
    if layer.batch_first:
        x = x.transpose(0, 1)
    states = layer._fresh(x, 0, x.shape[1])
    output, finals, _ = backends.get(backend).run(definition, x, states, weights, (), EVERY_STEP, False, ())
    if layer.batch_first:
        output = output.transpose(0, 1)
    return output, layer._states_back(tuple([final.unsqueeze(0) for final in finals]), False)


def is_watched() -> bool:
    """Whether something of torch follows the operators that are called."""
    return bool(
        torch._C._len_torch_dispatch_stack()
        or torch._C._are_functorch_transforms_active()
        or torch._C._get_tracing_state()
        or torch.is_autocast_enabled("cpu")
        or torch.autograd.forward_ad._current_level >= 0
    )


def constant(x: Tensor, shape: tuple[int, ...], value: float) -> Tensor:
    """Return a tensor of one value and of the dtype and device of x, that nobody writes to."""
    size = 1
    for length in shape:
        size *= length
    if torch.compiler.is_compiling() or type(x) is not Tensor or not x.is_cpu or size > SMALL or is_watched():
        return x.new_full(shape, value)
    return _kept(shape, value, x.dtype)


@functools.lru_cache(maxsize=64)
def _kept(shape: tuple[int, ...], value: float, dtype: torch.dtype) -> Tensor:
    with torch.inference_mode(False):
        return torch.full(shape, value, dtype=dtype, device="cpu")
