"""Weights of TensorFlow 1's LSTMCell."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from carrousel import cells, transforms
from carrousel.errors import InputShapeError, OptionError, OptionTypeError
from carrousel.exchange.activations import with_activations
from carrousel.exchange.filling import fill, tensor_of
from carrousel.exchange.gate_orders import gate_order
from carrousel.nn import Recurrent

__all__ = ["from_tf1"]

#: TensorFlow's name -> the gate that looks at the cell state.
_PEEPHOLES = {"w_i_diag": "i", "w_f_diag": "f", "w_o_diag": "o"}


def from_tf1(
    kernel: Any,
    bias: Any,
    peepholes: Mapping[str, Any] | None = None,
    projection: Any = None,
    forget_bias: float = 1.0,
    *,
    cell_clip: float | None = None,
    activation: str = "tanh",
    batch_first: bool = True,
) -> Recurrent:
    """Make a layer from the variables of tf.nn.rnn_cell.LSTMCell or BasicLSTMCell.

    TensorFlow 1 stacks the gates as i, j, f, o, where j is the block input z, and adds `forget_bias` when the cell
    runs: it is in no variable, and here it goes into the bias of f. Peepholes look as in Gers, Schraudolph &
    Schmidhuber (2002): i and f at the previous cell state, o at the new one.

    Args:
        kernel: the variable `kernel`: rows of the input, then those of the recurrent output.
        bias: the variable `bias`.
        peepholes: `{"w_i_diag": ..., "w_f_diag": ..., "w_o_diag": ...}`, None for none.
        projection: the variable `projection/kernel`, None for none.
        forget_bias: what the cell was made with; 1.0 is its default.
        cell_clip: as in LSTMCell; None for none. `proj_clip` has no form here.
        activation: of block input and output, by Keras's name.
        batch_first: whether inputs are (batch, time, input), as tf.nn.dynamic_rnn has them.

    Returns:
        A Recurrent of one layer, of the kernel's type: `lstm` or `peephole_lstm`, clipped and projected where asked.

    Shapes:
        - kernel: (input + (projection or hidden), 4 * hidden)
        - bias: (4 * hidden,)
        - peepholes: each (hidden,)
        - projection: (hidden, projection)

    Raises:
        OptionTypeError: forget_bias is no number, or the peepholes are no mapping.
        OptionError: the peepholes have other names.
        UnknownNameError: the activation has no form here.
        InputShapeError, InputTypeError: an array has another shape, or no numbers.

    Example:
        >>> import numpy
        >>> layer = from_tf1(numpy.zeros((3 + 5, 20)), numpy.zeros(20))
        >>> layer
        Recurrent('lstm', 3, 5, batch_first=True)
        >>> layer.bias_ih_l0[5:10].tolist()
        [1.0, 1.0, 1.0, 1.0, 1.0]

    Source:
        The documentation of tf.compat.v1.nn.rnn_cell.LSTMCell; its projection: Sak, Senior & Beaufays (2014).
    """
    if isinstance(forget_bias, bool) or not isinstance(forget_bias, int | float):
        raise OptionTypeError(
            f"from_tf1 - forget_bias is {forget_bias!r}, expected a number - LSTMCell adds 1.0 unless told otherwise"
        )
    stack, biases = tensor_of("from_tf1", "kernel", kernel), tensor_of("from_tf1", "bias", bias)
    projected = None if projection is None else tensor_of("from_tf1", "projection", projection)
    diagonals = _peepholes(peepholes)
    hidden, output = _check(stack, biases, diagonals, projected)
    cell = cells.get("peephole_lstm" if diagonals else "lstm")
    cell = with_activations("from_tf1", cell, "sigmoid", activation)
    if cell_clip is not None:
        cell = transforms.clip_cell(cell, cell_clip)
    layer = Recurrent(
        cell,
        len(stack) - output,
        hidden,
        batch_first=batch_first,
        proj_size=0 if projected is None else output,
        dtype=stack.dtype,
    )
    order = gate_order("LSTM", "tf1")

    def cut(array: Tensor) -> dict[str, Tensor]:
        return dict(zip(order, array.chunk(len(order)), strict=True))

    weights = {"W": cut(stack[: len(stack) - output].T), "R": cut(stack[len(stack) - output :].T), "b": cut(biases)}
    weights["b"]["f"] = weights["b"]["f"] + forget_bias
    weights["bR"] = dict.fromkeys(order, torch.zeros(hidden, dtype=stack.dtype))
    weights["p"] = diagonals
    if projected is not None:
        weights[transforms.PROJECTION] = {"h": projected.T}
    fill(layer, weights)
    return layer


def _peepholes(given: Any) -> dict[str, Tensor]:
    """Gate -> peephole; empty for none."""
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise OptionTypeError(
            f"from_tf1 - peepholes are of type {type(given).__name__}, expected TensorFlow's names and arrays - "
            f"pass {{{', '.join(f'{name!r}: ...' for name in _PEEPHOLES)}}}"
        )
    if set(given) != set(_PEEPHOLES):
        raise OptionError(
            f"from_tf1 - the peepholes are {', '.join(sorted(map(str, given))) or 'none'}, expected "
            f"{', '.join(_PEEPHOLES)} - pass all three, or None for a cell without"
        )
    return {gate: tensor_of("from_tf1", name, given[name]) for name, gate in _PEEPHOLES.items()}


def _check(kernel: Tensor, bias: Tensor, peepholes: Mapping[str, Tensor], projection: Tensor | None) -> tuple[int, int]:
    """Return hidden and output size, or raise where a shape does not fit the others."""
    wide = kernel.shape[1] if kernel.dim() == 2 else 0
    hidden = wide // 4
    output = projection.shape[-1] if projection is not None and projection.dim() == 2 else hidden
    fits = {
        "kernel": (kernel, kernel.dim() == 2 and wide % 4 == 0 and hidden > 0 and len(kernel) > output),
        "bias": (bias, bias.shape == (wide,)),
        **{f"w_{gate}_diag": (value, value.shape == (hidden,)) for gate, value in peepholes.items()},
    }
    if projection is not None:
        fits["projection"] = (projection, projection.shape == (hidden, output) and output > 0)
    for name, (array, is_right) in fits.items():
        if not is_right:
            raise InputShapeError(
                f"from_tf1 - {name} has shape {tuple(array.shape)}, expected kernel (input + output, 4 * hidden), bias "
                "(4 * hidden,), peepholes (hidden,), projection (hidden, output) - output is hidden without projection"
            )
    return hidden, output
