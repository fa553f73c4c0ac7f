"""torch's own recurrent operators: which cells and calls they can do, and the call."""

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import _VF, Tensor
from torch._C._functorch import CVmapInterpreterPtr, RandomnessType, TransformType, get_interpreter_stack
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from carrousel import cells
from carrousel.cell import Cell
from carrousel.errors import BackendError

if TYPE_CHECKING:
    from carrousel.nn.layers import Layers
    from carrousel.nn.sequence import Call

__all__ = ["can_be", "check_draws", "mode_of", "refusals", "run", "transforms_active"]


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


def refusals(layer: "Layers", call: "Call | None" = None, training: bool = True) -> list[str]:
    """Return why the operator can not do a call.

    Args:
        layer: the layers.
        call: what is asked of them; None for any call.
        training: whether the masks of training are at work.
    """
    mode = mode_of(layer.cell)
    reasons = [*(["recompute=True"] if layer.recompute else []), *layer.regularisers.in_equations(training)]
    if mode is None:
        reasons.append(f"the cell {layer.cell.name}")
    if layer._nets:
        reasons.append("populations")
    if layer.proj_size >= layer.hidden_size or (layer.proj_size and mode != "LSTM"):
        reasons.append(f"proj_size={layer.proj_size} (it projects an LSTM below hidden_size={layer.hidden_size})")
    if not isinstance(layer.bias, bool):
        reasons.append("biases of some gates only")
    if call is not None:
        asked = {"resets=": call.resets is not None, "return_trace=": call.traced, "time 0": not call.x.shape[0]}
        reasons += [name for name, is_asked in asked.items() if is_asked]
        if transforms_active():
            reasons.append("transforms of torch.func")
        elif call.lengths is not None and torch.compiler.is_compiling():
            reasons.append("lengths= under torch.compile")
        elif call.lengths is not None and (not call.lengths.numel() or int(call.lengths.min()) == 0):
            reasons.append("a row of length 0")
    return reasons


def check_draws(layer: "Layers") -> None:
    """Check that `vmap`, if it is at work, allows a layer in training to draw at random.

    Raises:
        BackendError: it does not.
    """
    regularisers = layer.regularisers
    between = layer.dropout if layer.num_layers > 1 else 0
    if not (between or regularisers.input_dropout or layer._training_layout is not layer._layout):
        return
    for interpreter in get_interpreter_stack() or ():
        is_vmap = interpreter.key() == TransformType.Vmap
        if is_vmap and CVmapInterpreterPtr(interpreter).randomness() == RandomnessType.Error:
            raise BackendError(
                f"{layer._where} - in training it draws dropout at random, and vmap was not told how - "
                "call vmap with randomness='different' or 'same', or the layer in eval mode"
            )


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
