"""Layers and weights of PyTorch."""

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from carrousel.errors import InputTypeError, OptionError, OptionTypeError
from carrousel.exchange.gate_orders import gate_order
from carrousel.nn import convert
from carrousel.nn.torch_layout import suffix

__all__ = ["from_torch"]

_LAYERS: dict[str, type[nn.RNNBase]] = {"LSTM": nn.LSTM, "GRU": nn.GRU, "RNN": nn.RNN}
_SWAPPED = (nn.RNNBase, nn.RNNCellBase)


def from_torch(
    source: nn.Module | Mapping[str, Tensor],
    *,
    backend: str | None = None,
    nonlinearity: str = "tanh",
    batch_first: bool = False,
    dropout: float = 0.0,
) -> nn.Module:
    """Make carrousel's layers from PyTorch's, or from their weights alone; what was given stays as it is.

    Args:
        source: torch.nn.LSTM, GRU, RNN, one of their cells, or a model that contains some: it is copied, and every
            such layer of the copy becomes ours (`carrousel.convert` does it in place). Or the `state_dict` of one LSTM,
            GRU or RNN, from which kind and sizes follow.
        backend: as in `carrousel.convert`.
        nonlinearity: of an RNN, which a state_dict does not say: "tanh" or "relu".
        batch_first, dropout: of the layer, which a state_dict does not say either.

    Returns:
        The copy, or a carrousel.LSTM, GRU or RNN with copies of the weights, of their type.

    Shapes:
        - weight_ih_l0: (gates * hidden, input), with 4 gates an LSTM, with 3 a GRU, with 1 an RNN
        - weight_hh_l0: (gates * hidden, proj_size or hidden)
        - weight_hr_l0: (proj_size, hidden)

    Raises:
        OptionTypeError: the source is neither a module nor a state_dict.
        OptionError: it holds no recurrent layer, or one with parametrizations, or a state_dict that is no layer's.
        InputTypeError: a weight of the state_dict is no tensor.

    Example:
        >>> import torch
        >>> theirs = torch.nn.LSTM(3, 5, num_layers=2, bidirectional=True)
        >>> ours = from_torch(theirs.state_dict())
        >>> ours
        LSTM(3, 5, num_layers=2, bidirectional=True)
        >>> x = torch.randn(7, 2, 3)
        >>> torch.allclose(ours(x)[0], theirs(x)[0], atol=1e-6)
        True

    Source:
        The documentation of torch.nn.LSTM, GRU and RNN.
    """
    if isinstance(source, nn.Module):
        return _copied(source, backend)
    if isinstance(source, Mapping):
        layer = _of_weights(source, nonlinearity, batch_first, dropout)
        return convert(layer, backend=backend)
    raise OptionTypeError(
        f"from_torch - got {type(source).__name__}, expected a module or a state_dict - "
        "load what torch.save wrote with torch.load first"
    )


def _copied(model: nn.Module, backend: str | None) -> nn.Module:
    found = {name or "the module": each for name, each in model.named_modules() if isinstance(each, _SWAPPED)}
    if not found:
        raise OptionError(
            f"from_torch - {type(model).__name__} has no torch.nn.LSTM, GRU or RNN inside - "
            "pass the model that has them, before it is scripted or quantized"
        )
    for name, each in found.items():
        if is_parametrized(each):
            raise OptionError(
                f"from_torch - {name} has parametrizations, which a copy would share - use carrousel.convert, which "
                "works in place, or torch.nn.utils.parametrize.remove_parametrizations first"
            )
    return convert(copy.deepcopy(model), backend=backend)


def _of_weights(state: Mapping[str, Any], nonlinearity: str, batch_first: bool, dropout: float) -> nn.Module:
    """torch's own layer with these weights."""
    for name, value in state.items():
        if not isinstance(value, Tensor):
            raise InputTypeError(
                f"from_torch - {name!r} is of type {type(value).__name__}, expected a tensor - pass a state_dict"
            )
    if "weight_ih_l0" not in state or "weight_hh_l0" not in state:
        raise OptionError(
            f"from_torch - the names are {_listed(state)}, expected weight_ih_l0, weight_hh_l0 and so on - take one "
            "layer's, without what stands before these names"
        )
    first, recurrent = state["weight_ih_l0"], state["weight_hh_l0"]
    projection = state.get("weight_hr_l0")
    hidden = recurrent.shape[-1] if projection is None else projection.shape[-1]
    kind = next((k for k in _LAYERS if first.shape[0] == len(gate_order(k, "torch")) * hidden), None)
    layers = 0
    while f"weight_ih{suffix(layers, False)}" in state:
        layers += 1
    options: dict[str, Any] = {
        "bias": "bias_ih_l0" in state,
        "bidirectional": "weight_ih_l0_reverse" in state,
        "batch_first": batch_first,
        "dropout": dropout,
        "dtype": first.dtype,
    }
    if kind == "RNN":
        options["nonlinearity"] = nonlinearity
    if kind == "LSTM" and projection is not None:
        options["proj_size"] = projection.shape[0]
    if kind is not None:
        with torch.random.fork_rng(devices=()):
            layer = _LAYERS[kind](first.shape[-1], hidden, layers, **options)
        if {n: v.shape for n, v in layer.state_dict().items()} == {n: v.shape for n, v in state.items()}:
            layer.load_state_dict(state)
            return layer
    shapes = ", ".join(f"{name} {tuple(value.shape)}" for name, value in state.items())
    raise OptionError(
        f"from_torch - these are not the weights of one torch.nn.LSTM, GRU or RNN: {shapes} - "
        "pass its whole state_dict; other cells load into carrousel.Recurrent"
    )


def _listed(names: Mapping[str, Any]) -> str:
    shown = list(names)[:4]
    return ", ".join(shown) + (", ..." if len(names) > 4 else "") if shown else "none"
