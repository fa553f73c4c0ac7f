"""torch's own recurrent operators: which cells and calls they can do, and the call."""

import functools
from collections.abc import Sequence
from typing import Any

import torch
from torch import _VF, Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from carrousel import cells
from carrousel.cell import Cell

__all__ = ["can_be", "mode_of", "run", "transforms_active"]


@functools.cache
def _modes() -> dict[Cell, str]:
    names = {"lstm": "LSTM", "gru": "GRU", "elman": "RNN_TANH", "elman_relu": "RNN_RELU"}
    return {cells.get(name): mode for name, mode in names.items()}


def mode_of(cell: Cell) -> str | None:
    """Return torch's name for a cell that it has an operator for (LSTM, GRU, RNN_TANH, RNN_RELU), else None."""
    return _modes().get(cell)


def transforms_active() -> bool:
    """Whether vmap or another transform of torch.func is at work; the operators do not follow them everywhere."""
    return bool(torch._C._are_functorch_transforms_active())


def can_be(backend: str) -> bool:
    """Whether a layer with this `backend=` may call the operator here."""
    return backend in ("auto", "torch") and not transforms_active()


def run(
    mode: str,
    x: Tensor,
    states: tuple[Tensor, ...],
    weights: Sequence[Tensor],
    *,
    bias: bool,
    num_layers: int,
    dropout: float,
    training: bool,
    bidirectional: bool,
    lengths: Tensor | None,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Run all layers through torch's operator.

    Args:
        mode: what `mode_of` returned.
        x: (time, batch, input).
        states: each (layer * direction, batch, size).
        weights: all parameters, layer by layer, in PyTorch's order.
        bias: whether biases are among them.
        num_layers: layers.
        dropout: probability between layers.
        training: whether dropout is on.
        bidirectional: whether there are two directions.
        lengths: (batch,), all above 0; None if every step counts.

    Returns:
        The output (time, batch, direction * size) and the states after each row's last step.
    """
    operator: Any = getattr(_VF, mode.lower())
    rest = (list(weights), bias, num_layers, dropout, training, bidirectional)
    hidden = states if mode == "LSTM" else states[0]
    if lengths is None:
        output, *after = operator(x, hidden, *rest, False)
        return output, tuple(after)
    packed = pack_padded_sequence(x, lengths.cpu(), enforce_sorted=False)
    order, back = packed.sorted_indices, packed.unsorted_indices
    assert order is not None
    assert back is not None
    hidden = tuple(s.index_select(1, order) for s in states) if mode == "LSTM" else states[0].index_select(1, order)
    data, *after = operator(packed.data, packed.batch_sizes, hidden, *rest)
    output, _ = pad_packed_sequence(PackedSequence(data, packed.batch_sizes, order, back), total_length=x.shape[0])
    return output, tuple(s.index_select(1, back) for s in after)
