"""Layers and weights of PyTorch become ours, and what was given stays as it is."""

import copy
from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

import carrousel
from carrousel.errors import CarrouselError, InputTypeError, OptionError, OptionTypeError, UnknownNameError
from carrousel.exchange import from_torch

#: float32 on both sides, seven steps; the backends add in another order.
TOLERANCE = 1e-6

LAYERS: dict[str, Callable[[], nn.RNNBase]] = {
    "LSTM": lambda: nn.LSTM(3, 5),
    "LSTM, everything": lambda: nn.LSTM(3, 5, 2, bias=False, batch_first=True, bidirectional=True, proj_size=2),
    "GRU": lambda: nn.GRU(3, 5, 3),
    "GRU, both ways": lambda: nn.GRU(3, 5, bidirectional=True, bias=False),
    "RNN": lambda: nn.RNN(3, 5),
    "RNN, rectified": lambda: nn.RNN(3, 5, 2, nonlinearity="relu", batch_first=True),
    "LSTM of one unit": lambda: nn.LSTM(3, 1),
    "float64": lambda: nn.GRU(3, 5, dtype=torch.float64),
}


def assert_same(ours: nn.Module, theirs: nn.Module) -> None:
    x = torch.randn(7, 2, 3, dtype=next(theirs.parameters()).dtype)
    ours, theirs = ours.requires_grad_(False), theirs.requires_grad_(False)
    for one, other in zip(*(torch.utils._pytree.tree_leaves(layer(x)) for layer in (ours, theirs)), strict=True):
        assert one.shape == other.shape
        assert one.dtype == other.dtype
        assert float((one - other).abs().max()) <= TOLERANCE


@pytest.mark.parametrize("name", LAYERS)
def test_layers(name: str) -> None:
    theirs = LAYERS[name]()
    ours = from_torch(theirs)
    assert type(ours) is getattr(carrousel, type(theirs).__name__)
    assert type(theirs) is getattr(nn, type(theirs).__name__)
    assert_same(ours, theirs)


@pytest.mark.parametrize("name", LAYERS)
def test_weights_alone(name: str) -> None:
    theirs = LAYERS[name]()
    nonlinearity = getattr(theirs, "nonlinearity", "tanh")
    ours = from_torch(theirs.state_dict(), nonlinearity=nonlinearity, batch_first=theirs.batch_first)
    assert type(ours) is getattr(carrousel, type(theirs).__name__)
    assert_same(ours, theirs)


def test_draws_nothing_from_the_generator() -> None:
    state, before = nn.LSTM(3, 5).state_dict(), torch.get_rng_state()
    from_torch(state)
    assert torch.equal(torch.get_rng_state(), before)


def test_weights_are_copies() -> None:
    theirs = nn.LSTM(3, 5)
    for ours in (from_torch(theirs), from_torch(theirs.state_dict())):
        ours.weight_ih_l0.data.zero_()
    assert bool(theirs.weight_ih_l0.any())


def test_model() -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.recurrent, self.cell, self.readout = nn.LSTM(3, 5), nn.GRUCell(5, 4), nn.Linear(4, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.readout(self.cell(self.recurrent(x)[0][-1]))

    theirs = Model()
    ours = from_torch(theirs, backend="eager")
    assert type(ours.recurrent) is carrousel.LSTM
    assert type(ours.cell) is carrousel.GRUCell
    assert type(theirs.recurrent) is nn.LSTM
    assert ours.recurrent.backend == "eager"
    assert_same(ours, theirs)
    assert_same(ours, copy.deepcopy(ours))


def test_saved_weights(tmp_path) -> None:
    """The way from a file: no class of ours is in it."""
    theirs = nn.GRU(3, 5)
    torch.save(theirs.state_dict(), tmp_path / "gru.pt")
    assert_same(from_torch(torch.load(tmp_path / "gru.pt", weights_only=True)), theirs)


# ---------------------------------------------------------------------- wrong use

LSTM = nn.LSTM(3, 2).state_dict()
SHAPES = "weight_ih_l0 (8, 3), weight_hh_l0 (8, 2), bias_ih_l0 (8,)"

MISTAKES = [
    (
        OptionTypeError,
        "from_torch - got str, expected a module or a state_dict - load what torch.save wrote with torch.load first",
        lambda: from_torch("lstm.pt"),
    ),
    (
        OptionError,
        "from_torch - Linear has no torch.nn.LSTM, GRU or RNN inside - "
        "pass the model that has them, before it is scripted or quantized",
        lambda: from_torch(nn.Linear(3, 2)),
    ),
    (
        OptionError,
        "from_torch - 0 has parametrizations, which a copy would share - use carrousel.convert, which works in place, "
        "or torch.nn.utils.parametrize.remove_parametrizations first",
        lambda: from_torch(nn.Sequential(weight_norm(nn.LSTM(3, 2), "weight_hh_l0"))),
    ),
    (
        OptionError,
        "from_torch - the names are weight, bias, expected weight_ih_l0, weight_hh_l0 and so on - take one layer's, "
        "without what stands before these names",
        lambda: from_torch(nn.Linear(3, 2).state_dict()),
    ),
    (
        OptionError,
        "from_torch - the names are none, expected weight_ih_l0, weight_hh_l0 and so on - take one layer's, "
        "without what stands before these names",
        lambda: from_torch({}),
    ),
    (
        OptionError,
        "from_torch - the names are 0.weight_ih_l0, 0.weight_hh_l0, 0.bias_ih_l0, 0.bias_hh_l0, ..., expected "
        "weight_ih_l0, weight_hh_l0 and so on - take one layer's, without what stands before these names",
        lambda: from_torch(nn.Sequential(nn.LSTM(3, 2), nn.Linear(2, 1)).state_dict()),
    ),
    (
        InputTypeError,
        "from_torch - 'weight_ih_l0' is of type list, expected a tensor - pass a state_dict",
        lambda: from_torch({**LSTM, "weight_ih_l0": [1.0]}),
    ),
    (
        OptionError,
        f"from_torch - these are not the weights of one torch.nn.LSTM, GRU or RNN: {SHAPES} - "
        "pass its whole state_dict; other cells load into carrousel.Recurrent",
        lambda: from_torch({name: value for name, value in LSTM.items() if name != "bias_hh_l0"}),
    ),
    (
        OptionError,
        "from_torch - these are not the weights of one torch.nn.LSTM, GRU or RNN: weight_ih_l0 (10, 3), weight_hh_l0 "
        "(10, 2) - pass its whole state_dict; other cells load into carrousel.Recurrent",
        lambda: from_torch({"weight_ih_l0": torch.zeros(10, 3), "weight_hh_l0": torch.zeros(10, 2)}),
    ),
    (
        UnknownNameError,
        "convert - unknown backend 'fast'; they are auto, torch, ",
        lambda: from_torch(nn.LSTM(3, 2), backend="fast"),
    ),
    (
        ValueError,
        "Unknown nonlinearity 'sine'. Select from 'tanh' or 'relu'.",
        lambda: from_torch(nn.RNN(3, 2).state_dict(), nonlinearity="sine"),
    ),
]


@pytest.mark.parametrize(("error", "text", "call"), MISTAKES)
def test_message(error: type[CarrouselError], text: str, call: Callable[[], object]) -> None:
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value).startswith(text)
    assert type(caught.value) is error
