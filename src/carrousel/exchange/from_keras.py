"""Layers and weights of Keras."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from carrousel import cells
from carrousel.cell import Cell
from carrousel.errors import InputShapeError, OptionError, OptionTypeError, UnknownNameError
from carrousel.exchange.activations import with_activations
from carrousel.exchange.filling import fill, tensor_of
from carrousel.exchange.gate_orders import gate_order
from carrousel.nn import Recurrent
from carrousel.nn.checks import flag

__all__ = ["from_keras"]

#: Keras's name -> ours in the table of gate orders.
_KINDS = {"LSTM": "LSTM", "GRU": "GRU", "SimpleRNN": "RNN"}


def from_keras(
    source: Any,
    kind: str | None = None,
    *,
    activation: str = "tanh",
    recurrent_activation: str = "sigmoid",
    reset_after: bool = True,
    batch_first: bool = True,
) -> Recurrent:
    """Make a layer from a Keras layer, or from its weights alone.

    Keras keeps kernels as (input, gates * units) and has one bias where PyTorch has two: the second becomes zero. What
    `unit_forget_bias` adds at the start is in the weights already.

    Args:
        source: a built Keras layer LSTM, GRU, SimpleRNN or Bidirectional of one, which then says all that follows; or
            what its `get_weights()` returns: kernel, recurrent kernel and, if it has one, bias, and these again for
            the direction that walks backwards. Keras itself is not needed.
        kind: "LSTM", "GRU" or "SimpleRNN", for weights alone.
        activation, recurrent_activation: the functions of block input and gates, for weights alone. "hard_sigmoid" is
            that of Keras 3, "keras2_hard_sigmoid" the one of Keras 1 and 2.
        reset_after: of a GRU without biases, for weights alone; a bias of two rows says it.
        batch_first: whether inputs are (batch, time, input), as Keras has them.

    Returns:
        A Recurrent of one layer, of the weights' type: `lstm`, `gru` (reset_after=True), `gru_2014` (False) or `elman`,
        or a variant with other functions. It gives the outputs of all steps, as `return_sequences=True` does; dropout
        is not taken over.

    Shapes:
        - kernel: (input, gates * units); recurrent kernel: (units, gates * units)
        - bias: (gates * units,), of a GRU with reset_after (2, gates * units)

    Raises:
        OptionTypeError: the source is neither a Keras layer nor a list of arrays.
        OptionError: the layer is not built, or has an option that has no form here: a merge_mode that is not "concat",
            go_backwards.
        UnknownNameError: another kind of layer, or an activation that has no form here.
        InputShapeError, InputTypeError: an array has another shape, or no numbers.

    Example:
        >>> import numpy, torch
        >>> kernel, recurrent, bias = numpy.ones((3, 20)), numpy.ones((5, 20)), numpy.zeros(20)
        >>> layer = from_keras([kernel, recurrent, bias], "LSTM")
        >>> layer
        Recurrent('lstm', 3, 5, batch_first=True)
        >>> layer(torch.ones(2, 7, 3, dtype=torch.float64))[0].shape
        torch.Size([2, 7, 5])

    Source:
        The documentation of keras.layers.LSTM, GRU, SimpleRNN and Bidirectional.
    """
    if hasattr(source, "get_weights") and hasattr(source, "get_config"):
        kind, options, arrays = _read(source)
        activation, recurrent_activation = options["activation"], options.get("recurrent_activation", "sigmoid")
        reset_after = options.get("reset_after", True)
    elif isinstance(source, Sequence) and not isinstance(source, str):
        arrays = list(source)
    else:
        raise OptionTypeError(
            f"from_keras - got {type(source).__name__}, expected a Keras layer or what its get_weights() returns - "
            "of a model, pass one layer after the other"
        )
    kind = _checked_kind(kind)
    flag("from_keras", "reset_after", reset_after)
    directions = _directions(kind, arrays)
    first = directions[0]
    if len(first) == 3 and kind == "GRU":
        reset_after = first[2].dim() == 2
    cell = with_activations("from_keras", _cell(kind, reset_after), recurrent_activation, activation)
    layer = Recurrent(
        cell,
        first[0].shape[0],
        first[1].shape[0],
        bias=len(first) == 3,
        batch_first=batch_first,
        bidirectional=len(directions) == 2,
        dtype=first[0].dtype,
    )
    for reverse, weights in enumerate(directions):
        fill(layer, _gates(kind, weights), reverse=bool(reverse))
    return layer


def _read(layer: Any) -> tuple[str, Mapping[str, Any], list[Any]]:
    """Kind, options and weights of a Keras layer."""
    kind = type(layer).__name__
    inner = layer
    if kind == "Bidirectional":
        merge = layer.get_config()["merge_mode"]
        if merge != "concat":
            raise OptionError(
                f"from_keras - merge_mode is {merge!r}, expected 'concat' - combine the halves of the output yourself"
            )
        inner = layer.forward_layer
        kind = type(inner).__name__
        _check_alike(inner, layer.backward_layer)
    kind = _checked_kind(kind)
    options = inner.get_config()
    if options.get("go_backwards"):
        raise OptionError("from_keras - go_backwards=True has no form here - flip the input in time, and load it again")
    weights = layer.get_weights()
    if not weights:
        raise OptionError("from_keras - the layer has no weights yet - build it, or call it once")
    return kind, options, weights


def _checked_kind(kind: str | None) -> str:
    if kind not in _KINDS:
        raise UnknownNameError(
            f"from_keras - the kind of layer is {kind!r}, expected {', '.join(_KINDS)} - "
            'name it beside the weights: kind="LSTM"'
        )
    return kind


#: Options of a Keras layer that both directions must have alike.
_SHARED = ("units", "activation", "recurrent_activation", "use_bias", "reset_after")


def _check_alike(forward: Any, backward: Any) -> None:
    """Refuse a Bidirectional whose `backward_layer` computes something else than its `layer`."""
    kinds = type(forward).__name__, type(backward).__name__
    options = forward.get_config(), backward.get_config()
    pairs = {"kind": kinds, **{name: (options[0].get(name), options[1].get(name)) for name in _SHARED}}
    for name, (there, back) in pairs.items():
        if there != back:
            raise OptionError(
                f"from_keras - {name} of backward_layer is {back!r}, that of layer is {there!r}; both directions of a "
                "layer have the same equations here - load them as two layers, and flip the second one's input in time"
            )


def _cell(kind: str, reset_after: bool) -> Cell:
    return cells.get({"LSTM": "lstm", "GRU": "gru" if reset_after else "gru_2014", "SimpleRNN": "elman"}[kind])


def _directions(kind: str, arrays: Sequence[Any]) -> list[list[Tensor]]:
    """The weights of each direction, checked."""
    if len(arrays) not in (2, 3, 4, 6):
        raise InputShapeError(
            f"from_keras - got {len(arrays)} arrays, expected kernel, recurrent kernel and bias (2 or 3), "
            "or both directions' (4 or 6) - pass what get_weights() returns"
        )
    count = len(arrays) if len(arrays) < 4 else len(arrays) // 2
    names = ("kernel", "recurrent kernel", "bias")
    found = [tensor_of("from_keras", names[k % count], array) for k, array in enumerate(arrays)]
    directions = [found[k : k + count] for k in range(0, len(found), count)]
    gates = len(gate_order(_KINDS[kind], "keras"))
    units = found[1].shape[0] if found[1].dim() == 2 else 0
    inputs = found[0].shape[0] if found[0].dim() == 2 else 0
    wide = gates * units
    biases = [(wide,), (2, wide)] if kind == "GRU" else [(wide,)]
    expected = [[(inputs, wide)], [(units, wide)], biases]
    for weights in directions:
        for name, array, shapes in zip(names, weights, expected, strict=False):
            if tuple(array.shape) not in shapes or not array.numel():
                raise InputShapeError(
                    f"from_keras - the {name} of {kind} has shape {tuple(array.shape)}, expected kernel (input, "
                    f"{gates} * units), recurrent kernel (units, {gates} * units), bias ({gates} * units)"
                    f"{' or (2, 3 * units)' if kind == 'GRU' else ''} - pass the arrays in this order"
                )
    return directions


def _gates(kind: str, weights: Sequence[Tensor]) -> dict[str, dict[str, Tensor]]:
    """Group -> gate -> weights."""
    order = gate_order(_KINDS[kind], "keras")

    def cut(array: Tensor) -> dict[str, Tensor]:
        return dict(zip(order, array.chunk(len(order)), strict=True))

    kernel, recurrent, *rest = weights
    found = {"W": cut(kernel.T), "R": cut(recurrent.T)}
    if rest:
        bias = rest[0] if rest[0].dim() == 2 else [rest[0], rest[0].new_zeros(rest[0].shape)]
        found |= {"b": cut(bias[0]), "bR": cut(bias[1])}
    return found
