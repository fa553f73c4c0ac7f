"""Packed sequences, as torch.nn takes them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from carrousel.errors import InputShapeError
from carrousel.nn import checks

if TYPE_CHECKING:
    from carrousel.nn.layers import Layers

__all__ = ["run"]


def run(
    layer: "Layers", packed: PackedSequence, hx: Any, resets: Any, return_trace: Sequence[str], step_inputs: Any
) -> Any:
    """Pad, run with lengths, pack again: the packed order is that of the input.

    Args:
        layer: the layer.
        packed: its input.
        hx: its initial states.
        resets, return_trace, step_inputs: the call's other arguments, which have no packed form.

    Returns:
        The output, packed as the input is, and the states.

    Raises:
        InputShapeError: an argument has no packed form, or the packed data has other axes.
    """
    if layer._nets:
        raise InputShapeError(f"{layer._where}: a PackedSequence has no net axis - pass a padded tensor and lengths=")
    if resets is not None or return_trace or step_inputs:
        raise InputShapeError(
            f"{layer._where}: resets=, return_trace= and step_inputs= have no packed form - "
            "pass a padded tensor and lengths="
        )
    if packed.data.dim() != 2:
        raise InputShapeError(
            f"{layer._where}: packed input has {packed.data.dim()} axes, expected 2 = (step, input); "
            f"got data of shape {tuple(packed.data.shape)} - pack a tensor (time, batch, input)"
        )
    checks.check_input(layer._where, packed.data, ("step", "input"), layer.input_size, layer._weight)
    x, lengths = pad_packed_sequence(PackedSequence(packed.data, packed.batch_sizes))
    given = None if hx is None else layer._given(hx, x, unbatched=False)
    call = layer._call(x, given, lengths.to(x.device), None, (), layer._step_inputs({}, x))
    order, back = packed.sorted_indices, packed.unsorted_indices
    if order is not None and call.states is not None:
        call = call._replace(states=tuple(s.index_select(1, order) for s in call.states))
    output, states, _ = layer._run(call)
    if back is not None:
        states = tuple(s.index_select(1, back) for s in states)
    data = pack_padded_sequence(output, lengths).data
    return PackedSequence(data, packed.batch_sizes, order, back), layer._states_back(states, False)
