"""Weights of TensorFlow 1, against its LSTMCell written out in NumPy as its documentation says."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

import carrousel
from carrousel.errors import (
    CarrouselError,
    InputShapeError,
    InputTypeError,
    OptionError,
    OptionTypeError,
    UnknownNameError,
)
from carrousel.exchange import from_tf1

TIME, BATCH, INPUT, HIDDEN, OUTPUT = 6, 3, 3, 4, 2

#: float64 on both sides, six steps.
TOLERANCE = 1e-13


def sigmoid(a: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-a))


def lstm_cell(
    x: np.ndarray,
    kernel: np.ndarray,
    bias: np.ndarray,
    peepholes: dict[str, np.ndarray] | None = None,
    projection: np.ndarray | None = None,
    forget_bias: float = 1.0,
    cell_clip: float | None = None,
    activation: Callable[[np.ndarray], np.ndarray] = np.tanh,
) -> np.ndarray:
    """tf.nn.rnn_cell.LSTMCell over x (batch, time, input): [i, j, f, o] = [x, m] @ kernel + bias."""
    hidden = len(bias) // 4
    looked = peepholes or dict.fromkeys(("w_i_diag", "w_f_diag", "w_o_diag"), np.zeros(hidden))
    c = np.zeros((len(x), hidden))
    m = np.zeros((len(x), hidden if projection is None else projection.shape[1]))
    outputs = []
    for t in range(x.shape[1]):
        i, j, f, o = np.split(np.concatenate([x[:, t], m], 1) @ kernel + bias, 4, axis=1)
        c = sigmoid(f + forget_bias + looked["w_f_diag"] * c) * c + sigmoid(i + looked["w_i_diag"] * c) * activation(j)
        if cell_clip is not None:
            c = np.clip(c, -cell_clip, cell_clip)
        m = sigmoid(o + looked["w_o_diag"] * c) * activation(c)
        if projection is not None:
            m = m @ projection
        outputs.append(m)
    return np.stack(outputs, 1)


def drawn(*shape: int) -> np.ndarray:
    return np.random.uniform(-0.9, 0.9, shape)


def variables(output: int = HIDDEN) -> tuple[np.ndarray, np.ndarray]:
    return drawn(INPUT + output, 4 * HIDDEN), drawn(4 * HIDDEN)


def diagonals() -> dict[str, np.ndarray]:
    return {name: drawn(HIDDEN) for name in ("w_f_diag", "w_i_diag", "w_o_diag")}


CASES: dict[str, Callable[[], dict[str, object]]] = {
    "BasicLSTMCell": dict,
    "forget_bias=0": lambda: {"forget_bias": 0.0},
    "forget_bias=2.5": lambda: {"forget_bias": 2.5},
    "peepholes": lambda: {"peepholes": diagonals()},
    "projection": lambda: {"projection": drawn(HIDDEN, OUTPUT)},
    "projection to more": lambda: {"projection": drawn(HIDDEN, 7)},
    "cell_clip": lambda: {"peepholes": diagonals(), "cell_clip": 0.2},
    "everything": lambda: {
        "peepholes": diagonals(),
        "projection": drawn(HIDDEN, OUTPUT),
        "forget_bias": 0.5,
        "cell_clip": 0.3,
    },
}


@pytest.mark.parametrize("name", CASES)
def test_as_tensorflow(name: str) -> None:
    options = CASES[name]()
    projection = options.get("projection")
    kernel, bias = variables(HIDDEN if projection is None else projection.shape[1])
    x = np.random.normal(size=(BATCH, TIME, INPUT))
    expected = lstm_cell(x, kernel, bias, **options)
    found, _ = from_tf1(kernel, bias, **options)(torch.from_numpy(x))
    assert found.shape == expected.shape
    assert np.abs(found.detach().numpy() - expected).max() <= TOLERANCE


def test_another_activation() -> None:
    kernel, bias = variables()
    x = np.random.normal(size=(BATCH, TIME, INPUT))
    expected = lstm_cell(x, kernel, bias, activation=lambda a: np.maximum(a, 0))
    found, _ = from_tf1(kernel, bias, activation="relu")(torch.from_numpy(x))
    assert np.abs(found.detach().numpy() - expected).max() <= TOLERANCE * np.abs(expected).max()


def test_layout() -> None:
    kernel, bias = variables()
    layer = from_tf1(kernel.astype(np.float32), bias, batch_first=False)
    assert layer(torch.randn(TIME, BATCH, INPUT))[0].shape == (TIME, BATCH, HIDDEN)
    plain = torch.nn.LSTM(INPUT, HIDDEN)
    plain.load_state_dict(layer.state_dict())  # PyTorch's names, order and biases
    before = bias.copy()
    from_tf1(kernel, bias)
    assert (bias == before).all()  # forget_bias is added to a copy


# ---------------------------------------------------------------------- wrong use

KERNEL, BIAS = np.zeros((INPUT + HIDDEN, 4 * HIDDEN)), np.zeros(4 * HIDDEN)

SHAPES = "expected kernel (input + output, 4 * hidden), bias (4 * hidden,), peepholes (hidden,), projection (hidden, "
SHAPES += "output) - output is hidden without projection"

MISTAKES = [
    (
        OptionTypeError,
        "from_tf1 - forget_bias is None, expected a number - LSTMCell adds 1.0 unless told otherwise",
        lambda: from_tf1(KERNEL, BIAS, forget_bias=None),
    ),
    (
        OptionTypeError,
        "from_tf1 - peepholes are of type list, expected TensorFlow's names and arrays - "
        "pass {'w_i_diag': ..., 'w_f_diag': ..., 'w_o_diag': ...}",
        lambda: from_tf1(KERNEL, BIAS, [np.zeros(HIDDEN)] * 3),
    ),
    (
        OptionError,
        "from_tf1 - the peepholes are f, i, expected w_i_diag, w_f_diag, w_o_diag - pass all three, or None for a cell "
        "without",
        lambda: from_tf1(KERNEL, BIAS, {"i": BIAS, "f": BIAS}),
    ),
    (
        InputShapeError,
        f"from_tf1 - kernel has shape (16,), {SHAPES}",
        lambda: from_tf1(BIAS, BIAS),
    ),
    (
        InputShapeError,
        f"from_tf1 - kernel has shape (4, 16), {SHAPES}",
        lambda: from_tf1(np.zeros((4, 16)), BIAS),
    ),
    (
        InputShapeError,
        f"from_tf1 - bias has shape (4, 4), {SHAPES}",
        lambda: from_tf1(KERNEL, BIAS.reshape(4, 4)),
    ),
    (
        InputShapeError,
        f"from_tf1 - w_f_diag has shape (16,), {SHAPES}",
        lambda: from_tf1(KERNEL, BIAS, {**diagonals(), "w_f_diag": BIAS}),
    ),
    (
        InputShapeError,
        f"from_tf1 - projection has shape (2, 4), {SHAPES}",
        lambda: from_tf1(KERNEL, BIAS, projection=np.zeros((2, 4))),
    ),
    (
        InputTypeError,
        "from_tf1 - kernel holds no real numbers - pass it as a NumPy array or a tensor of floats",
        lambda: from_tf1(KERNEL * 1j, BIAS),
    ),
    (
        UnknownNameError,
        "from_tf1 - activation 'swish' has no form here; these have: tanh, sigmoid, hard_sigmoid, keras2_hard_sigmoid, "
        "relu, relu6, softplus, exponential, linear.",
        lambda: from_tf1(KERNEL, BIAS, activation="swish"),
    ),
    (
        OptionError,
        "clip_cell(lstm) - limit is -1, expected it above 0 - give the largest magnitude",
        lambda: from_tf1(KERNEL, BIAS, cell_clip=-1),
    ),
]


@pytest.mark.parametrize(("error", "text", "call"), MISTAKES)
def test_message(error: type[CarrouselError], text: str, call: Callable[[], carrousel.Recurrent]) -> None:
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value) == text
    assert type(caught.value) is error
