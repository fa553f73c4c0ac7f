"""Jagged nested tensors: rows of their own lengths, without padding to see."""

from typing import TYPE_CHECKING, Any

import torch

from carrousel.backends.rows import within
from carrousel.errors import InputShapeError

if TYPE_CHECKING:
    from carrousel.nn.layers import Layers

__all__ = ["run"]


def run(layer: "Layers", input: Any, hx: Any, others: dict[str, Any]) -> Any:
    """Run a layer over a jagged tensor.

    Args:
        layer: the layer, batch first or not: a jagged tensor is always (batch, time, input).
        input: (batch, jagged time, input).
        hx: its initial states.
        others: the call's other arguments, which have no jagged form.

    Returns:
        The output, jagged as the input is, and the states.

    Raises:
        InputShapeError: another layout, or an argument without a jagged form.
    """
    where = layer._where
    given = [f"{name}=" for name, value in others.items() if value is not None and value != ()]
    if given:
        raise InputShapeError(
            f"{where}: a jagged tensor has its lengths inside, and {' and '.join(given)} no jagged form - "
            "pass a padded tensor and lengths="
        )
    if input.layout != torch.jagged or input.dim() != 3 or input._ragged_idx != 1 or input.lengths() is not None:
        raise InputShapeError(
            f"{where}: got a nested tensor of layout {input.layout} and {input.dim()} axes, expected (batch, time, "
            "input), jagged in time and without holes - make it with torch.nested.nested_tensor(rows, "
            "layout=torch.jagged)"
        )
    if layer._nets:
        raise InputShapeError(f"{where}: a jagged tensor has no net axis - pass a padded tensor and lengths=")
    values, offsets = input.values(), input.offsets()
    lengths = offsets.diff()
    time = int(lengths.max().clamp(min=1)) if len(lengths) else 1  # one step at least: torch.compile can rely on it
    torch._check(time >= 1)
    inside = within(lengths, time).T  # (batch, time), in the order of the values
    padded = values.new_zeros(*inside.shape, values.shape[-1]).index_put((inside,), values)
    output, state = layer(padded if layer.batch_first else padded.transpose(0, 1), hx, lengths=lengths)
    rows = output if layer.batch_first else output.transpose(0, 1)
    return torch.nested.nested_tensor_from_jagged(rows[inside], offsets), state
