"""The errors of states, of truncated BPTT and of weight drop, word for word, each with a call that ends with it."""

from collections.abc import Callable

import torch

import carrousel
from carrousel import State, WeightDrop, tbptt
from carrousel.errors import (
    BackendError,
    InputShapeError,
    InputTypeError,
    ModelError,
    OptionError,
    OptionTypeError,
    OutputError,
    UnknownNameError,
)

X = torch.ones(5, 2, 3)
STATE = State.of(carrousel.LSTM(3, 4), (torch.zeros(1, 2, 4), torch.zeros(1, 2, 4)))
LAYER = carrousel.Recurrent("lstm", 3, 4)

#: error, its text, what raises it
STATE_MESSAGES: list[tuple[type[Exception], str, Callable[[], object]]] = [
    (UnknownNameError, "State - no state 'm'; they are h, c - name one of them", lambda: STATE["m"]),
    (
        OptionError,
        "State.rows - got [2], there are rows 0 to 1 - name rows, or give a mask with one value per row",
        lambda: STATE.rows([2]),
    ),
    (
        OptionError,
        "State.rows - got [True], there are rows 0 to 1 - name rows, or give a mask with one value per row",
        lambda: STATE.rows([True]),
    ),
    (
        OptionError,
        "State.rows - got [[0]], there are rows 0 to 1 - name rows, or give a mask with one value per row",
        lambda: STATE.rows([[0]]),
    ),
    (
        InputShapeError,
        "State.rows - the states have shape (1, 4) = (layers * directions, size), expected a batch axis - "
        "they are one row already",
        lambda: STATE.rows(0).rows(0),
    ),
    (
        OutputError,
        "/nowhere/state.safetensors - can not be written: No such file or directory - name another place",
        lambda: STATE.save("/nowhere/state.safetensors"),
    ),
    (
        ModelError,
        "/nowhere/state.safetensors - can not be read: No such file or directory - give what State.save wrote",
        lambda: State.load("/nowhere/state.safetensors"),
    ),
    (
        ModelError,
        f"{__file__} - holds no states of a layer - give what State.save wrote",
        lambda: State.load(__file__),
    ),
    (
        BackendError,
        "tbptt - the layer is bidirectional: backwards, the first piece needs the last one - "
        "call it with the whole sequence",
        lambda: tbptt(carrousel.LSTM(3, 4, bidirectional=True), X, 2),
    ),
    (
        InputTypeError,
        "tbptt - input is a list, expected a padded tensor - pad it and pass lengths=",
        lambda: tbptt(LAYER, [X], 2),
    ),
    (
        OptionError,
        "tbptt - length is 0, expected at least 1 - give a larger number",
        lambda: tbptt(LAYER, X, 0),
    ),
    (
        OptionTypeError,
        "tbptt - length should be of type int, got: float - give a whole number",
        lambda: tbptt(LAYER, X, 2.0),
    ),
    (
        InputShapeError,
        "Recurrent: lengths have shape (3,), expected (2,) - one per row of the batch",
        lambda: tbptt(LAYER, X, 2, lengths=[1, 2, 3]),
    ),
    (
        OptionError,
        "WeightDrop - p is 1, expected a number from 0 to below 1 - it is the probability of dropping",
        lambda: WeightDrop(1),
    ),
]
