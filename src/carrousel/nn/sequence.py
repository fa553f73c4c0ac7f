"""All layers and directions of a call, one sequence kernel after the other."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import dropout

from carrousel import backends
from carrousel.backends.rows import Rows, within
from carrousel.nn.torch_layout import Layout, suffix

__all__ = ["Call", "run_layers"]


@dataclass(frozen=True)
class Call:
    """What one forward call asks for.

    Attributes:
        x: (time, *rows, input); rows are (batch,), in a population (net, batch).
        states: initial states, each (layer * direction, *rows, size).
        fresh: the states' values after a reset, each (layer * direction, *1, size).
        lengths: (*rows,) or None.
        resets: (time, *rows) or None.
        step_inputs: each (time, *rows, hidden).
        traced: names of the quantities to return.
    """

    x: Tensor
    states: tuple[Tensor, ...]
    fresh: tuple[Tensor, ...]
    lengths: Tensor | None = None
    resets: Tensor | None = None
    step_inputs: Sequence[Tensor] = ()
    traced: tuple[str, ...] = ()


def run_layers(
    layout: Layout,
    parameters: Callable[[int, bool], Mapping[str, Tensor]],
    call: Call,
    *,
    backend: str,
    num_layers: int,
    bidirectional: bool,
    between: float,
) -> tuple[Tensor, tuple[Tensor, ...], dict[str, Tensor]]:
    """Run every layer in every direction through one backend.

    Args:
        layout: the layers' parameters and sizes.
        parameters: (layer, reverse) -> group -> stacked parameter.
        call: input, states and boundaries.
        backend: its name.
        num_layers: layers.
        bidirectional: whether a second direction walks backwards.
        between: dropout probability between layers, 0 in evaluation.

    Returns:
        The output (time, *rows, direction * size), the final states as in `call.states`, and the traces
        `<name>_l<layer>[_reverse]` -> (time, *rows, size).
    """
    cell = layout.cell
    kernels, traced = backends.get(backend), [(name, layout.kernel_size(name)) for name in call.traced]
    x, traces = call.x, dict[str, Tensor]()
    finals: list[tuple[Tensor, ...]] = []
    for layer in range(num_layers):
        if layer and between:
            x = _dropped(x, between, call.lengths)
        outputs = []
        for reverse in (False, True) if bidirectional else (False,):
            k = len(finals)
            rows = Rows(call.lengths, call.resets, _at(k, call.fresh, layout))
            output, after, seen = kernels.run(
                cell.definition,
                x,
                _at(k, call.states, layout),
                layout.kernel_parameters(parameters(layer, reverse)),
                call.step_inputs,
                rows,
                reverse,
                traced,
            )
            outputs.append(output)
            finals.append(tuple(layout.from_kernel(n, s) for n, s in zip(cell.states, after, strict=True)))
            for name, values in zip(call.traced, seen, strict=True):
                traces[name + suffix(layer, reverse)] = layout.from_kernel(name, values)
        x = torch.cat(outputs, dim=-1) if bidirectional else outputs[0]
    return x, tuple(torch.stack(s) for s in zip(*finals, strict=True)), traces


def _dropped(x: Tensor, probability: float, lengths: Tensor | None) -> Tensor:
    """Dropout of the steps that count: it draws what torch draws for the same steps in a PackedSequence."""
    if lengths is None:
        return dropout(x, probability, training=True)
    inside = within(lengths, x.shape[0])
    return torch.zeros_like(x).index_put((inside,), dropout(x[inside], probability, training=True))


def _at(k: int, states: Sequence[Tensor], layout: Layout) -> tuple[Tensor, ...]:
    """The states of one layer and direction, as the kernel takes them."""
    return tuple(layout.to_kernel(n, s[k]) for n, s in zip(layout.cell.states, states, strict=True))
