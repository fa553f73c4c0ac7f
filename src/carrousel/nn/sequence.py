"""All layers and directions of a call, one sequence kernel after the other."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import dropout
from torch.utils.checkpoint import checkpoint

from carrousel import backends
from carrousel.backends.rows import EVERY_STEP, Rows, within
from carrousel.nn.operator import transforms_active
from carrousel.nn.torch_layout import Layout, suffix

__all__ = ["Call", "run_layers"]


#: Makes the states before the first step.
Fresh = Callable[..., tuple[Tensor, ...]]

#: The input of a layer (time, *rows, input) -> its inputs per step.
Masks = Callable[[Tensor], Sequence[Tensor]]


class Call(NamedTuple):
    """What one forward call asks for.

    Attributes:
        x: (time, *rows, input); rows are (batch,), in a population (net, batch).
        states: initial states, each (layer * direction, *rows, size); None for fresh ones.
        fresh: (number of the layer and direction, *rows) -> fresh states, each (*rows, size).
        lengths: (*rows,) or None.
        resets: (time, *rows) or None.
        step_inputs: each (time, *rows, hidden).
        traced: names of the quantities to return.
    """

    x: Tensor
    states: tuple[Tensor, ...] | None
    fresh: Fresh
    lengths: Tensor | None = None
    resets: Tensor | None = None
    step_inputs: Sequence[Tensor] = ()
    traced: tuple[str, ...] = ()


def run_layers(
    layout: Layout,
    parameters: Callable[[int, bool], Mapping[str, Tensor]],
    call: Call,
    masks: Masks | None = None,
    *,
    backend: str,
    num_layers: int,
    bidirectional: bool,
    between: float,
    recompute: bool = False,
) -> tuple[Tensor, tuple[Tensor, ...], dict[str, Tensor]]:
    """Run every layer in every direction through one backend.

    Args:
        layout: the layers' parameters and sizes.
        parameters: (layer, reverse) -> group -> stacked parameter.
        call: input, states and boundaries.
        masks: draws the inputs per step of one layer and direction; None for those of the call.
        backend: its name.
        num_layers: layers.
        bidirectional: whether a second direction walks backwards.
        between: dropout probability between layers, 0 in evaluation.
        recompute: whether the backward runs each layer's forward once more instead of keeping what happened inside.

    Returns:
        The output (time, *rows, direction * size), the final states as in `call.states`, and the traces
        `<name>_l<layer>[_reverse]` -> (time, *rows, size).
    """
    cell = layout.cell
    traced = [(name, layout.kernel_size(name)) for name in call.traced]
    run = backends.get(backend).run
    if recompute and torch.is_grad_enabled() and not transforms_active():  # they differentiate in another way
        run = functools.partial(checkpoint, run, use_reentrant=False, preserve_rng_state=False)
    x = call.x
    traces: dict[str, Tensor] = {}
    finals: list[tuple[Tensor, ...]] = []
    for layer in range(num_layers):
        if layer and between:
            x = _dropped(x, between, call.lengths)
        outputs = []
        for reverse in (False, True) if bidirectional else (False,):
            states, rows = _start(call, layout, len(finals))
            stacks = layout.kernel_parameters(parameters(layer, reverse))
            inputs = call.step_inputs if masks is None else masks(x)
            output, after, seen = run(cell.definition, x, states, stacks, inputs, rows, reverse, traced)
            outputs.append(output)
            finals.append(layout.from_kernel(cell.states, after))
            for name, values in zip(call.traced, layout.from_kernel(call.traced, seen), strict=True):
                traces[name + suffix(layer, reverse)] = values
        x = torch.cat(outputs, dim=-1) if bidirectional else outputs[0]
    if len(finals) == 1 and x.shape[0]:  # without steps they are the states that were given
        return x, tuple([state.unsqueeze(0) for state in finals[0]]), traces
    return x, tuple(map(torch.stack, zip(*finals, strict=True))), traces


def _start(call: Call, layout: Layout, k: int) -> tuple[tuple[Tensor, ...], Rows]:
    """The states before the first step of one layer and direction, and what happens to its rows."""
    names, rows = layout.cell.states, call.x.shape[1:-1]
    states = call.fresh(k, *rows) if call.states is None else tuple([state[k] for state in call.states])
    if call.lengths is None and call.resets is None:
        return layout.to_kernel(names, states), EVERY_STEP
    fresh = layout.to_kernel(names, call.fresh(k, *rows[:-1], 1))
    return layout.to_kernel(names, states), Rows(call.lengths, call.resets, fresh)


def _dropped(x: Tensor, probability: float, lengths: Tensor | None) -> Tensor:
    """Dropout of the steps that count: it draws what torch draws for the same steps in a PackedSequence."""
    if lengths is None:
        return dropout(x, probability, training=True)
    inside = within(lengths, x.shape[0])
    return torch.zeros_like(x).index_put((inside,), dropout(x[inside], probability, training=True))
