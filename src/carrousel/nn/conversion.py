"""A whole model's recurrent layers, swapped in place."""

import warnings

import torch
from torch.nn import Module
from torch.nn.utils.parametrize import is_parametrized

from carrousel.nn.cells import GRUCell, LSTMCell, RNNCell
from carrousel.nn.checks import check_backend
from carrousel.nn.drop_in import GRU, LSTM, RNN
from carrousel.nn.recurrent import Recurrent

__all__ = ["convert"]

_STAND_INS: dict[type[Module], type[Module]] = {
    torch.nn.LSTM: LSTM,
    torch.nn.GRU: GRU,
    torch.nn.RNN: RNN,
    torch.nn.LSTMCell: LSTMCell,
    torch.nn.GRUCell: GRUCell,
    torch.nn.RNNCell: RNNCell,
}


def convert(model: Module, *, backend: str | None = None) -> Module:
    """Swap every torch.nn recurrent layer of a model in place.

    The modules stay the same objects, with their parameters, hooks and mode: optimizers and references to them go on
    working. A layer that is ours already gets the backend, if one is named. A class that somebody derived from a
    torch.nn layer is left as it is, with a warning.

    Args:
        model: any module, a recurrent layer itself included.
        backend: as in `carrousel.Recurrent`; "auto" for a layer that is swapped if none is named.

    Returns:
        The model.

    Raises:
        UnknownNameError: there is no such backend.

    Example:
        >>> import torch, carrousel
        >>> model = carrousel.convert(torch.nn.Sequential(torch.nn.LSTM(3, 5), torch.nn.Identity()))
        >>> type(model[0])
        <class 'carrousel.nn.drop_in.LSTM'>
    """
    check_backend("convert", backend or "auto")
    for name, module in model.named_modules():
        kind = type(module)
        if is_parametrized(module):  # its class was made for it alone, on top of the layer's
            kind = kind.__bases__[0]
        if kind in _STAND_INS:
            if is_parametrized(module):
                type(module).__bases__ = (_STAND_INS[kind],)
            else:
                module.__class__ = _STAND_INS[kind]
            assert isinstance(module, LSTM | GRU | RNN | LSTMCell | GRUCell | RNNCell)
            module._adopt(module._own_cell(), backend or "auto")
        elif isinstance(module, Recurrent | LSTM | GRU | RNN | LSTMCell | GRUCell | RNNCell):
            module.backend = backend or module.backend
        elif isinstance(module, tuple(_STAND_INS)):
            warnings.warn(
                f"convert: {name or 'the model'} is a {kind.__name__}, not torch.nn's own: left as it is",
                stacklevel=2,
            )
    return model
