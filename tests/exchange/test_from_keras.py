"""Weights of Keras, against outputs that Keras computed (keras.json), and against its equations written out."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

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
from carrousel.exchange import from_keras

REFERENCE = json.loads((Path(__file__).parent / "keras.json").read_text(encoding="utf-8"))

#: float32 on both sides, four steps, values around one.
TOLERANCE = 2e-6


def weights_of(case: dict[str, Any]) -> list[np.ndarray]:
    return [np.array(array, np.float32) for array in case["weights"]]


class LSTM:
    """A Keras layer as far as its weights are concerned; other kinds and Bidirectional are made from it."""

    def __init__(self, weights: list[np.ndarray], **config: object) -> None:
        self.weights, self.config = weights, {"activation": "tanh", **config}

    def get_weights(self) -> list[np.ndarray]:
        return self.weights

    def get_config(self) -> dict[str, object]:
        return self.config


def keras_layer(case: dict[str, Any]) -> LSTM:
    """What Keras would hand over for a case."""
    kind = type(case["kind"], (LSTM,), {})
    if not case["bidirectional"]:
        return kind(weights_of(case), **case["config"])
    layer = type("Bidirectional", (LSTM,), {})(weights_of(case), merge_mode="concat")
    layer.forward_layer = layer.backward_layer = kind([], **case["config"])
    return layer


def assert_as_keras(layer: carrousel.Recurrent, case: dict[str, Any]) -> None:
    with torch.no_grad():
        found = layer(torch.tensor(REFERENCE["x"]))[0]
    expected = torch.tensor(case["y"])
    assert found.shape == expected.shape
    assert float((found - expected).abs().max()) <= TOLERANCE * max(1.0, float(expected.abs().max()))


@pytest.mark.parametrize("name", REFERENCE["cases"])
def test_layers(name: str) -> None:
    case = REFERENCE["cases"][name]
    assert_as_keras(from_keras(keras_layer(case)), case)


@pytest.mark.parametrize("name", REFERENCE["cases"])
def test_weights_alone(name: str) -> None:
    case = REFERENCE["cases"][name]
    config = case["config"]
    options = {key: config[key] for key in ("activation", "recurrent_activation") if key in config}
    if name == "GRU without bias":
        options["reset_after"] = True
    assert_as_keras(from_keras(weights_of(case), case["kind"], **options), case)


def test_reset_after_follows_from_the_bias() -> None:
    rows = {name: from_keras(weights_of(REFERENCE["cases"][name]), "GRU") for name in ("GRU", "GRU, reset before")}
    assert [layer.cell.name for layer in rows.values()] == ["gru", "gru_2014"]
    alone = [np.ones((3, 6)), np.ones((2, 6))]
    assert from_keras(alone, "GRU", reset_after=False).cell.name == "gru_2014"
    assert from_keras(alone, "GRU").cell.name == "gru"


def test_hard_sigmoid_of_keras_two() -> None:
    """0.2 a + 0.5, cut at 0 and 1; that of Keras 3 is a / 6 + 0.5."""
    weights = [np.ones((1, 4)), np.zeros((1, 4)), np.zeros(4)]
    for name, slope in {"keras2_hard_sigmoid": 0.2, "hard_sigmoid": 1 / 6}.items():
        layer = from_keras(weights, "LSTM", recurrent_activation=name, activation="linear")
        for a in (-4.0, -1.0, 0.5, 4.0):
            gate = min(max(slope * a + 0.5, 0), 1)
            output = layer(torch.tensor([[[a]]], dtype=torch.float64))[0].detach()
            assert float(output) == pytest.approx(gate * (gate * a), abs=1e-12)


def test_loads_into_torch() -> None:
    """The second bias is zero, so the layer is PyTorch's: two biases, the same names and order of gates."""
    case = REFERENCE["cases"]["LSTM"]
    ours, theirs = from_keras(weights_of(case), "LSTM"), torch.nn.LSTM(3, 2, batch_first=True)
    theirs.load_state_dict(ours.state_dict())
    assert_as_keras(theirs, case)
    assert not ours.bias_hh_l0.any()
    assert ours.bias_ih_l0[2:4].tolist() == [1.0, 1.0]  # unit_forget_bias


def test_keeps_float64_and_takes_tensors() -> None:
    layer = from_keras([torch.ones(3, 8).double(), torch.ones(2, 8).double()], "LSTM", batch_first=False)
    assert layer.weight_ih_l0.dtype == torch.float64
    assert (
        from_keras([np.ones((3, 2), np.float16), np.ones((2, 2), int)], "SimpleRNN").weight_hh_l0.dtype == torch.float32
    )
    assert not layer.batch_first


def test_draws_nothing() -> None:
    """The weights that come belong to the layer alone."""
    arrays = [np.ones((3, 2)), np.ones((2, 2))]
    layer = from_keras(arrays, "SimpleRNN")
    arrays[0][:] = 5
    assert bool((layer.weight_ih_l0 == 1).all())


# ---------------------------------------------------------------------- wrong use

KERNEL, RECURRENT, BIAS = np.zeros((3, 20)), np.zeros((5, 20)), np.zeros(20)

SHAPES = "expected kernel (input, 4 * units), recurrent kernel (units, 4 * units), bias (4 * units) - "
SHAPES += "pass the arrays in this order"


def merged() -> LSTM:
    layer = type("Bidirectional", (LSTM,), {})([KERNEL], merge_mode="sum")
    layer.forward_layer = LSTM([])
    return layer


def of_two_kinds() -> LSTM:
    layer = type("Bidirectional", (LSTM,), {})([KERNEL], merge_mode="concat")
    layer.forward_layer, layer.backward_layer = LSTM([], units=5), LSTM([], units=5, activation="relu")
    return layer


MISTAKES = [
    (
        OptionError,
        "from_keras - activation of backward_layer is 'relu', that of layer is 'tanh'; both directions of a layer have "
        "the same equations here - load them as two layers, and flip the second one's input in time",
        lambda: from_keras(of_two_kinds()),
    ),
    (
        UnknownNameError,
        "from_keras - the kind of layer is 'RNN', expected LSTM, GRU, SimpleRNN - "
        'name it beside the weights: kind="LSTM"',
        lambda: from_keras(type("RNN", (LSTM,), {})([KERNEL])),
    ),
    (
        OptionTypeError,
        "from_keras - got str, expected a Keras layer or what its get_weights() returns - "
        "of a model, pass one layer after the other",
        lambda: from_keras("model.keras"),
    ),
    (
        UnknownNameError,
        "from_keras - the kind of layer is None, expected LSTM, GRU, SimpleRNN - "
        'name it beside the weights: kind="LSTM"',
        lambda: from_keras([KERNEL, RECURRENT, BIAS]),
    ),
    (
        UnknownNameError,
        "from_keras - the kind of layer is 'Dense', expected LSTM, GRU, SimpleRNN - "
        'name it beside the weights: kind="LSTM"',
        lambda: from_keras(type("Dense", (LSTM,), {})([KERNEL])),
    ),
    (
        OptionError,
        "from_keras - merge_mode is 'sum', expected 'concat' - combine the halves of the output yourself",
        lambda: from_keras(merged()),
    ),
    (
        OptionError,
        "from_keras - go_backwards=True has no form here - flip the input in time, and load it again",
        lambda: from_keras(LSTM([KERNEL, RECURRENT, BIAS], go_backwards=True)),
    ),
    (
        OptionError,
        "from_keras - the layer has no weights yet - build it, or call it once",
        lambda: from_keras(LSTM([])),
    ),
    (
        UnknownNameError,
        "from_keras - activation 'hard_tanh' has no form here; these have: tanh, sigmoid, hard_sigmoid, "
        "keras2_hard_sigmoid, relu, relu6, softplus, exponential, linear. Did you mean tanh?",
        lambda: from_keras([KERNEL, RECURRENT], "LSTM", activation="hard_tanh"),
    ),
    (
        InputShapeError,
        "from_keras - got 1 arrays, expected kernel, recurrent kernel and bias (2 or 3), or both directions' (4 or 6) "
        "- pass what get_weights() returns",
        lambda: from_keras([KERNEL], "LSTM"),
    ),
    (
        InputShapeError,
        f"from_keras - the kernel of LSTM has shape (5, 20, 1), {SHAPES}",
        lambda: from_keras([RECURRENT[..., None], RECURRENT], "LSTM"),
    ),
    (
        InputShapeError,
        f"from_keras - the recurrent kernel of LSTM has shape (5, 15), {SHAPES}",
        lambda: from_keras([KERNEL, np.zeros((5, 15))], "LSTM"),
    ),
    (
        InputShapeError,
        "from_keras - the bias of GRU has shape (3, 15), expected kernel (input, 3 * units), recurrent kernel (units, "
        "3 * units), bias (3 * units) or (2, 3 * units) - pass the arrays in this order",
        lambda: from_keras([np.zeros((3, 15)), np.zeros((5, 15)), np.zeros((3, 15))], "GRU"),
    ),
    (
        InputTypeError,
        "from_keras - bias holds no real numbers - pass it as a NumPy array or a tensor of floats",
        lambda: from_keras([KERNEL, RECURRENT, "zeros"], "LSTM"),
    ),
    (
        OptionTypeError,
        "from_keras - reset_after should be of type bool, got: str - True or False",
        lambda: from_keras([KERNEL, RECURRENT], "GRU", reset_after="yes"),
    ),
]


@pytest.mark.parametrize(("error", "text", "call"), MISTAKES)
def test_message(error: type[CarrouselError], text: str, call: Callable[[], object]) -> None:
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value) == text
    assert type(caught.value) is error
