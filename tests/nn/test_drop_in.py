"""LSTM, GRU and RNN are made as their torch.nn namesakes are: arguments, names, weights, printed form."""

import pytest
import torch
from torch import nn

import carrousel
from nn.twins import LAYERS, OTHER_CELL, ours, tensors, theirs

OPTIONS = [
    {},
    {"num_layers": 2, "bidirectional": True},
    {"bias": False},
    {"batch_first": True},
    {"num_layers": 3, "dropout": 0.3},
    {"dtype": torch.float64},
    {"device": "meta"},
    {
        "num_layers": 2,
        "bias": False,
        "batch_first": True,
        "dropout": 0.5,
        "bidirectional": True,
        "dtype": torch.bfloat16,
    },
]
CASES = [(name, options) for name in LAYERS for options in OPTIONS]
CASES += [("LSTM", {"proj_size": 2}), ("LSTM", {"proj_size": 3, "num_layers": 2, "bidirectional": True, "bias": False})]
CASES += [("RNN", {"nonlinearity": "relu"}), ("RNN", {"nonlinearity": "tanh", "bidirectional": True})]
ATTRIBUTES = (
    "mode",
    "input_size",
    "hidden_size",
    "num_layers",
    "bias",
    "batch_first",
    "dropout",
    "bidirectional",
    "proj_size",
    "training",
)


def test_stand_ins_are_their_namesakes() -> None:
    for name in LAYERS:
        assert issubclass(getattr(carrousel, name), getattr(nn, name))
        assert isinstance(ours(name, 3, 4), nn.RNNBase)
        assert getattr(carrousel, name).__name__ == name


@pytest.mark.parametrize(("name", "options"), CASES)
def test_same_seed_gives_the_same_weights(name: str, options: dict) -> None:
    expected, after = theirs(name, 3, 5, **options), torch.get_rng_state()
    made = ours(name, 3, 5, **options)
    assert torch.equal(torch.get_rng_state(), after)  # and what is made next is the same, too
    assert list(made.state_dict()) == list(expected.state_dict())
    for a, b in zip(made.parameters(), expected.parameters(), strict=True):
        assert (a.shape, a.dtype, a.device, a.requires_grad) == (b.shape, b.dtype, b.device, b.requires_grad)
        assert a.is_meta or torch.equal(a, b)


@pytest.mark.parametrize(("name", "options"), CASES)
def test_same_attributes_and_printed_form(name: str, options: dict) -> None:
    expected, made = theirs(name, 3, 5, **options), ours(name, 3, 5, **options)
    for attribute in ATTRIBUTES:
        assert getattr(made, attribute) == getattr(expected, attribute), attribute
    assert repr(made) == repr(expected)
    assert made.extra_repr() == expected.extra_repr()
    assert str(nn.Sequential(made)) == str(nn.Sequential(expected))
    assert [[tuple(w.shape) for w in group] for group in made.all_weights] == [
        [tuple(w.shape) for w in group] for group in expected.all_weights
    ]


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("LSTM", (3, 5, 2, False, True, 0.25, True, 2, "cpu", torch.float64)),
        ("GRU", (3, 5, 2, False, True, 0.25, True, 0, "cpu", torch.float64)),
        ("RNN", (3, 5, 2, "relu", False, True, 0.25, True)),
        ("RNN", (3, 5, 2, "tanh", True, False, 0.0, False, 0, "cpu", torch.float64)),
    ],
)
def test_all_arguments_by_position(name: str, args: tuple) -> None:
    expected, made = theirs(name, *args), ours(name, *args)
    assert [getattr(made, a) for a in ATTRIBUTES] == [getattr(expected, a) for a in ATTRIBUTES]
    assert repr(made) == repr(expected)
    assert all(torch.equal(a, b) for a, b in zip(made.parameters(), expected.parameters(), strict=True))


@pytest.mark.parametrize("name", LAYERS)
def test_reset_parameters_draws_what_torch_draws(name: str) -> None:
    expected = theirs(name, 3, 5, num_layers=2, bidirectional=True)
    made = ours(name, 3, 5, num_layers=2, bidirectional=True)
    for layer in (expected, made):
        torch.manual_seed(11)
        layer.reset_parameters()
    assert all(torch.equal(a, b) for a, b in zip(made.parameters(), expected.parameters(), strict=True))


@pytest.mark.parametrize("name", LAYERS)
def test_added_options_leave_the_other_weights_as_torch_draws_them(name: str) -> None:
    expected = theirs(name, 3, 5, num_layers=2).state_dict()
    learned = ours(name, 3, 5, num_layers=2, learn_initial_state=True)
    assert all(torch.equal(learned.state_dict()[key], value) for key, value in expected.items())
    same = ours(name, 3, 5, num_layers=2, init="torch", backend="eager")
    assert all(torch.equal(same.state_dict()[key], value) for key, value in expected.items())


def test_forget_bias_leaves_the_other_weights_as_torch_draws_them() -> None:
    expected, made = theirs("LSTM", 3, 5).state_dict(), ours("LSTM", 3, 5, forget_bias=1.5).state_dict()
    expected["bias_ih_l0"][5:10], expected["bias_hh_l0"][5:10] = 1.5, 0.0
    assert all(torch.equal(made[key], value) for key, value in expected.items())


@pytest.mark.parametrize("name", LAYERS)
def test_another_cell_begins_as_in_recurrent(name: str) -> None:
    made = ours(name, 3, 5, num_layers=2, cell=OTHER_CELL[name])
    torch.manual_seed(1)
    layer = carrousel.Recurrent(OTHER_CELL[name], 3, 5, num_layers=2)
    assert list(made.state_dict()) == list(layer.state_dict())
    assert all(torch.equal(a, b) for a, b in zip(made.parameters(), layer.parameters(), strict=True))


@pytest.mark.parametrize("name", LAYERS)
def test_all_weights_are_the_parameters_themselves(name: str) -> None:
    made = ours(name, 3, 5, num_layers=2)
    assert all(a is b for a, b in zip((w for group in made.all_weights for w in group), made.parameters(), strict=True))
    assert all(a is b for a, b in zip(made._flat_weights, made.parameters(), strict=True))
    assert made.flatten_parameters() is None


@pytest.mark.parametrize("name", LAYERS)
def test_default_device_and_dtype_count(name: str) -> None:
    with torch.device("meta"):
        assert all(p.is_meta for p in ours(name, 3, 5).parameters())
        assert all(p.is_meta for p in ours(name, 3, 5, cell=OTHER_CELL[name]).parameters())


def test_added_options_are_printed() -> None:
    lstm = carrousel.LSTM(
        3,
        5,
        2,
        cell="peephole_lstm",
        backend="eager",
        init="keras",
        forget_bias=2.0,
        learn_initial_state=True,
    )
    assert repr(lstm) == (
        "LSTM(3, 5, num_layers=2, cell='peephole_lstm', backend='eager', init='keras', forget_bias=2.0, "
        "learn_initial_state=True)"
    )
    assert repr(carrousel.LSTM(3, 4, cell="lstm_1997", block_size=2, bias=False)) == (
        "LSTM(3, 4, bias=False, cell='lstm_1997', block_size=2)"
    )
    assert repr(carrousel.LSTM(3, 4, init=carrousel.nn.init.chrono(50))) == "LSTM(3, 4, init=chrono(50))"
    assert repr(carrousel.GRU(3, 4, init=carrousel.nn.init.orthogonal)) == "GRU(3, 4, init=orthogonal)"


# ---------------------------------------------------------------------- another cell


@pytest.mark.parametrize(
    ("name", "cell", "like"),
    [
        ("RNN", "elman_relu", "elman_relu"),
        ("RNN", "gru", "gru"),
        ("GRU", "elman", "elman"),
        ("GRU", "elman_relu", "elman_relu"),
    ],
)
@pytest.mark.parametrize("backend", ["auto", "eager"])
def test_a_stand_in_with_the_cell_of_another_namesake_runs_that_cell(
    name: str, cell: str, like: str, backend: str
) -> None:
    made = ours(name, 3, 5, cell=cell, backend=backend, dtype=torch.float64)
    reference = carrousel.Recurrent(like, 3, 5, backend="eager", dtype=torch.float64)
    reference.load_state_dict(made.state_dict())
    x = torch.randn(4, 2, 3, dtype=torch.float64)
    torch.testing.assert_close(made(x), reference(x))
    assert f"cell={carrousel.cells.name_of(made.cell)!r}" in repr(made)


@pytest.mark.parametrize("name", LAYERS)
def test_another_cell_keeps_the_interface(name: str) -> None:
    made = ours(name, 3, 5, 2, cell=OTHER_CELL[name], bidirectional=True, batch_first=True)
    expected = theirs(name, 3, 5, 2, bidirectional=True, batch_first=True)
    x = torch.randn(2, 7, 3)
    for a, b in zip(tensors(made(x)), tensors(expected(x)), strict=True):
        assert a.shape == b.shape
    assert [names[:2] for names in made._all_weights] == [names[:2] for names in expected._all_weights]
    assert made._flat_weights_names == [name for name, _ in made.named_parameters()]
    assert all(a is b for a, b in zip(made._flat_weights, made.parameters(), strict=True))
