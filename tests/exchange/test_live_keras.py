"""Weights of Keras layers that are made here, beside what Keras computes with them."""

import os

import numpy as np
import pytest
import torch

from carrousel.errors import OptionError
from carrousel.exchange import from_keras

os.environ.setdefault("KERAS_BACKEND", "torch")
keras = pytest.importorskip("keras")
layers = keras.layers

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of Keras, about NumPy

LAYERS = {
    "LSTM": lambda: layers.LSTM(4, return_sequences=True),
    "LSTM with drawn biases": lambda: layers.LSTM(4, return_sequences=True, bias_initializer="normal"),
    "LSTM without bias": lambda: layers.LSTM(4, return_sequences=True, use_bias=False),
    "LSTM, other activations": lambda: layers.LSTM(
        4, return_sequences=True, activation="relu", recurrent_activation="hard_sigmoid"
    ),
    "LSTM, unit_forget_bias=False": lambda: layers.LSTM(4, return_sequences=True, unit_forget_bias=False),
    "GRU": lambda: layers.GRU(4, return_sequences=True, bias_initializer="normal"),
    "GRU, reset before": lambda: layers.GRU(4, return_sequences=True, reset_after=False, bias_initializer="normal"),
    "SimpleRNN": lambda: layers.SimpleRNN(4, return_sequences=True, bias_initializer="normal"),
    "LSTM in both directions": lambda: layers.Bidirectional(layers.LSTM(4, return_sequences=True)),
    "GRU in both directions": lambda: layers.Bidirectional(
        layers.GRU(4, return_sequences=True), backward_layer=layers.GRU(4, return_sequences=True, go_backwards=True)
    ),
}


@pytest.mark.parametrize("name", LAYERS)
def test_the_same_outputs(name: str) -> None:
    keras.utils.set_random_seed(1)
    layer, x = LAYERS[name](), np.random.default_rng(2).normal(size=(2, 7, 3)).astype(np.float32)
    expected = torch.as_tensor(keras.ops.convert_to_numpy(layer(x)))
    with torch.no_grad():
        found, _ = from_keras(layer)(torch.from_numpy(x))
    assert torch.allclose(found, expected, atol=2e-6)


def test_directions_that_differ_are_refused() -> None:
    back = layers.LSTM(4, return_sequences=True, go_backwards=True, activation="relu")
    layer = layers.Bidirectional(layers.LSTM(4, return_sequences=True), backward_layer=back)
    layer(np.zeros((2, 7, 3), np.float32))
    with pytest.raises(OptionError, match="activation of backward_layer is 'relu', that of layer is 'tanh'"):
        from_keras(layer)
