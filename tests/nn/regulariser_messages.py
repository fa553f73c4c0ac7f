"""The errors of the layers' regularisers, word for word, each with a call that ends with it."""

from collections.abc import Callable

from carrousel import GRU, LSTM, Recurrent
from carrousel.errors import BackendError, OptionError, OptionTypeError, UnknownNameError


def recurrent(cell: str = "lstm", **options: object) -> Recurrent:
    return Recurrent(cell, 3, 4, **options)


#: error, its text, what raises it
REGULARISER_MESSAGES: list[tuple[type[Exception], str, Callable[[], object]]] = [
    (
        OptionTypeError,
        "LSTM - input_dropout should be a number, got True - give a probability",
        lambda: LSTM(3, 4, input_dropout=True),
    ),
    (
        OptionError,
        "Recurrent - recurrent_dropout is 1.0, expected at least 0 and below 1 - give a probability",
        lambda: recurrent(recurrent_dropout=1.0),
    ),
    (
        OptionError,
        "Recurrent - input_dropout is nan, expected at least 0 and below 1 - give a probability",
        lambda: recurrent(input_dropout=float("nan")),
    ),
    (
        OptionError,
        "Recurrent - recurrent_dropout=0.5 with proj_size=2: a mask has hidden_size values, the projected output has "
        "not - leave one of the two out",
        lambda: recurrent(recurrent_dropout=0.5, proj_size=2),
    ),
    (
        OptionTypeError,
        "Recurrent - zoneout of h should be a number, got (0.1, 0.2) - give a probability",
        lambda: recurrent(zoneout=(0.1, 0.2)),
    ),
    (
        OptionError,
        "Recurrent - zoneout of c is -0.1, expected at least 0 and below 1 - give a probability",
        lambda: recurrent(zoneout={"h": 0.1, "c": -0.1}),
    ),
    (
        OptionTypeError,
        "Recurrent - zoneout of c should be a number, got False - give a probability",
        lambda: recurrent(zoneout={"c": False}),
    ),
    (
        UnknownNameError,
        "GRU - zoneout names 'c', the states of gru are h - name some of them",
        lambda: GRU(3, 4, zoneout={"c": 0.1}),
    ),
    (
        OptionError,
        "Recurrent - zoneout of m, which begins at -inf - name the states that can keep their values: "
        'zoneout={"c": 0.1}',
        lambda: recurrent("slstm", zoneout=0.1),
    ),
    (
        OptionError,
        'Recurrent - zoneout of h, which is projected - name the states that can keep their values: zoneout={"c": 0.1}',
        lambda: recurrent(zoneout=0.1, proj_size=2),
    ),
    (
        OptionTypeError,
        "Recurrent - cell_clip should be a number, got '3' - give the largest magnitude",
        lambda: recurrent(cell_clip="3"),
    ),
    (
        OptionTypeError,
        "Recurrent - gate_clip should be a number, got True - give the largest magnitude",
        lambda: recurrent(gate_clip=True),
    ),
    (
        OptionError,
        "Recurrent - gate_clip is 0, expected it above 0 - give the largest magnitude",
        lambda: recurrent(gate_clip=0),
    ),
    (
        OptionError,
        "GRU - cell_clip=3.0, but the states of gru are h - leave cell_clip out, it bounds a state c",
        lambda: GRU(3, 4, cell_clip=3.0),
    ),
    (
        OptionError,
        "Recurrent - proj_clip=3.0 without a projection - give proj_size too",
        lambda: recurrent(proj_clip=3.0),
    ),
    (
        BackendError,
        "LSTM - backend 'torch' can not do recurrent_dropout=0.5, zoneout=0.1 - use backend='eager' or 'auto'",
        lambda: LSTM(3, 4, recurrent_dropout=0.5, zoneout=0.1, input_dropout=0.5, backend="torch"),
    ),
]
