"""In which order other libraries stack the gates of one weight; the one place that knows.

Gates have carrousel's letters: `i f o` the gates of an LSTM and `z` its block input (called g, j, c or c~ elsewhere);
`r z n` reset gate, update gate and new state of a GRU; `h` the unit of a simple recurrent network.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

__all__ = ["LIBRARIES", "PEEPHOLES", "Library", "gate_order", "reordered"]

Library = Literal["torch", "keras", "tf1", "onnx"]

_ORDERS: dict[str, dict[str, tuple[str, ...]]] = {
    "LSTM": {
        "torch": ("i", "f", "z", "o"),
        "keras": ("i", "f", "z", "o"),
        "tf1": ("i", "z", "f", "o"),
        "onnx": ("i", "o", "f", "z"),
    },
    # TensorFlow 1 keeps n apart from r and z, in a kernel called candidate
    "GRU": {
        "torch": ("r", "z", "n"),
        "keras": ("z", "r", "n"),
        "tf1": ("r", "z", "n"),
        "onnx": ("z", "r", "n"),
    },
    "RNN": {"torch": ("h",), "keras": ("h",), "tf1": ("h",), "onnx": ("h",)},
}

#: The peepholes of ONNX's LSTM, P; TensorFlow 1 has a variable for each.
PEEPHOLES = ("i", "o", "f")

LIBRARIES = tuple(_ORDERS["LSTM"])


def gate_order(kind: str, library: str) -> tuple[str, ...]:
    """Return the gates in the order of a library's stacks.

    Args:
        kind: "LSTM", "GRU" or "RNN".
        library: "torch", "keras", "tf1" or "onnx".

    Returns:
        The gates' letters.

    Example:
        >>> gate_order("LSTM", "onnx")
        ('i', 'o', 'f', 'z')

    Source:
        torch.nn.LSTM and GRU; keras.layers.LSTM and GRU; tf.compat.v1.nn.rnn_cell.LSTMCell and GRUCell; the operators
        LSTM and GRU of ONNX.
    """
    return _ORDERS[kind][library]


def reordered(stack: Tensor, source: Sequence[str], target: Sequence[str], axis: int = 0) -> Tensor:
    """Put the gates of a stack into another order.

    Args:
        stack: all gates, each with the same number of rows.
        source: the gates' order in it.
        target: the order to return; gates may be left out.
        axis: the stacked axis.

    Returns:
        The new stack.

    Shapes:
        - stack: (..., gates * size, ...), the stacked axis in place `axis`
        - result: as stack

    Example:
        >>> reordered(torch.tensor([1, 2, 3, 4]), gate_order("LSTM", "tf1"), gate_order("LSTM", "torch")).tolist()
        [1, 3, 2, 4]
    """
    parts = dict(zip(source, stack.chunk(len(source), axis), strict=True))
    return torch.cat([parts[gate] for gate in target], axis)
