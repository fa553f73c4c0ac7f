"""Initialisers by name: their exact properties, and the statistics of what they draw."""

import math

import pytest
import torch
from torch import Tensor, nn

import carrousel
from carrousel import cells
from carrousel.errors import OptionError
from carrousel.nn import init
from carrousel.nn.init import INITIALISERS, Stack
from nn.twins import assert_same, theirs

INPUT, HIDDEN = 30, 40


def layer(cell: str, how: object = None, **options: object) -> carrousel.Recurrent:
    torch.manual_seed(1)
    return carrousel.Recurrent(cell, INPUT, HIDDEN, init=how, **options)


def gates(weight: Tensor, names: str) -> dict[str, Tensor]:
    return dict(zip(names, weight.detach().chunk(len(names)), strict=True))


def is_uniform(weight: Tensor, bound: float) -> bool:
    """Within the bound, close to it, and of a uniform distribution's deviation."""
    inside = float(weight.abs().max()) <= bound
    near = float(weight.abs().max()) > 0.95 * bound
    deviation = float(weight.std()) / (bound / math.sqrt(3))
    return inside and near and abs(deviation - 1) < 0.1


def has_orthonormal_columns(weight: Tensor) -> bool:
    product = weight.mT @ weight if weight.shape[0] >= weight.shape[1] else weight @ weight.mT
    return torch.allclose(product, torch.eye(len(product)), atol=1e-5)


@pytest.mark.parametrize("name", cells.names())
def test_every_cell_takes_every_initialiser(name: str) -> None:
    definition = cells.get(name).definition
    biased = {gate for group in definition.groups if group.name == "b" for gate in group.gates}
    for how in INITIALISERS:
        if how == "chrono" and not {"i", "f"} <= biased:
            with pytest.raises(OptionError, match="has no biased gates i and f"):
                layer(name, how)
            continue
        made = layer(name, how, num_layers=2, bidirectional=True, learn_initial_state=True)
        assert all(p.isfinite().all() for p in made.parameters())
        weights = [p.detach().clone() for p in made.parameters()]
        torch.manual_seed(1)
        made.reset_parameters()
        assert all(torch.equal(p, w) for p, w in zip(made.parameters(), weights, strict=True))


@pytest.mark.parametrize("name", ["lstm", "slstm", "gru_2014", "fgr"])
def test_torch(name: str) -> None:
    for parameter in layer(name).parameters():
        assert is_uniform(parameter.detach(), 1 / math.sqrt(HIDDEN))
    made, again = layer(name, "torch").parameters(), layer(name).parameters()
    assert all(torch.equal(a, b) for a, b in zip(made, again, strict=True))


def test_torch_draws_what_torch_draws() -> None:
    for cell, name in (("lstm", "LSTM"), ("gru", "GRU"), ("elman", "RNN")):
        made = layer(cell, num_layers=2, bidirectional=True)
        expected = theirs(name, INPUT, HIDDEN, 2, bidirectional=True)
        assert_same(made.state_dict(), expected.state_dict())


def test_keras() -> None:
    made = layer("lstm", "keras")
    assert is_uniform(made.weight_ih_l0.detach(), math.sqrt(6 / (INPUT + 4 * HIDDEN)))
    assert has_orthonormal_columns(made.weight_hh_l0.detach())
    bias = gates(made.bias_ih_l0, "ifzo")
    assert torch.equal(bias["f"], torch.ones(HIDDEN))
    assert not any(bias[g].any() for g in "izo")
    assert not made.bias_hh_l0.any()
    assert not layer("gru", "keras").bias_ih_l0.any()
    assert not layer("peephole_lstm", "keras").weight_ch_l0.any()


def test_orthogonal() -> None:
    made = layer("fgr", "orthogonal")
    for matrix in gates(made.weight_ih_l0, "ifzo").values():
        assert is_uniform(matrix, math.sqrt(6 / (INPUT + HIDDEN)))
    for group, names in (("weight_hh_l0", "ifzo"), ("Ri_l0", "ifo"), ("Rf_l0", "ifo"), ("Ro_l0", "ifo")):
        assert all(has_orthonormal_columns(m) for m in gates(getattr(made, group), names).values())
    assert not made.bias_ih_l0.any()
    assert not made.weight_ch_l0.any()


def test_identity_and_the_default_of_irnn() -> None:
    for made in (layer("irnn"), layer("elman_relu", "identity"), carrousel.RNN(INPUT, HIDDEN, cell="irnn")):
        assert torch.equal(made.weight_hh_l0, torch.eye(HIDDEN))
        assert abs(float(made.weight_ih_l0.detach().std()) - 0.001) < 1e-4
        assert not made.bias_ih_l0.any()
    assert torch.equal(layer("gru_2014", "identity").weight_hh_l0, torch.eye(HIDDEN).repeat(3, 1))
    assert not torch.equal(layer("irnn", "torch").weight_hh_l0, torch.eye(HIDDEN))


@pytest.mark.parametrize("how", [None, *INITIALISERS])
def test_gains_begin_at_one(how: str | None) -> None:
    made = layer("layer_norm_lstm", how, num_layers=2, bidirectional=True)
    for name, parameter in made.named_parameters():
        assert name[0] != "g" or torch.equal(parameter, torch.ones_like(parameter)), name
    if how in (None, "layer_norm"):
        assert is_uniform(made.weight_hh_l0.detach(), 1 / math.sqrt(HIDDEN))
        assert not made.bias_ih_l0.any()
    per_gate = carrousel.LSTMCell(INPUT, HIDDEN, cell="layer_norm_lstm_per_gate", init=how)
    assert torch.equal(per_gate.g, torch.ones(5 * HIDDEN))


def test_own_functions_may_set_gains() -> None:
    def quarters(stack: Stack) -> None:
        nn.init.constant_(stack.parameters["g"], 0.25)

    assert torch.equal(layer("layer_norm_lstm", quarters).g_l0, torch.full((HIDDEN,), 0.25))
    assert torch.equal(layer("layer_norm_lstm", quarters).gW_l0, torch.ones(4 * HIDDEN))


@pytest.mark.parametrize("longest", [3, 50, 1000])
def test_chrono(longest: int) -> None:
    made, plain = layer("lstm", init.chrono(longest)), layer("lstm", "torch")
    bias, second = gates(made.bias_ih_l0, "ifzo"), gates(made.bias_hh_l0, "ifzo")
    assert torch.equal(bias["i"], -bias["f"])
    assert float(bias["f"].min()) >= 0
    assert float(bias["f"].max()) <= math.log(longest - 1)
    assert abs(float(bias["f"].exp().mean()) - longest / 2) < 0.15 * longest  # exp(b_f) is U(1, longest - 1)
    assert not second["i"].any()
    assert not second["f"].any()
    assert torch.equal(made.weight_ih_l0, plain.weight_ih_l0)
    assert torch.equal(made.weight_hh_l0, plain.weight_hh_l0)
    for gate in "zo":
        assert torch.equal(bias[gate], gates(plain.bias_ih_l0, "ifzo")[gate])


def test_chrono_refuses_short_dependencies() -> None:
    with pytest.raises(
        OptionError, match=r"^init\.chrono - max_steps is 2, expected at least 3 - give the longest dependency$"
    ):
        init.chrono(2)


def test_a_function_of_one_s_own() -> None:
    def halves(stack: Stack) -> None:
        for parameter in stack.parameters.values():
            nn.init.constant_(parameter, 0.5)
        nn.init.constant_(stack.gates("W")["f"], 0.25)

    made = carrousel.Recurrent("lstm", 2, 3, 2, init=halves)
    assert torch.equal(made.weight_ih_l1[3:6], torch.full((3, 3), 0.25))
    assert torch.equal(made.weight_ih_l1[:3], torch.full((3, 3), 0.5))
    assert "init=halves" in repr(made)
    assert torch.equal(carrousel.LSTMCell(2, 3, init=halves).weight_ih[3:6], torch.full((3, 2), 0.25))


# ---------------------------------------------------------------------- forget_bias, bias


@pytest.mark.parametrize("cell", ["lstm", "peephole_lstm", "slstm", "fgr"])
def test_forget_bias(cell: str) -> None:
    made = layer(cell, forget_bias=1.5, num_layers=2, bidirectional=True)
    plain = layer(cell, num_layers=2, bidirectional=True)
    for suffix in ("l0", "l0_reverse", "l1", "l1_reverse"):
        assert torch.equal(gates(getattr(made, f"bias_ih_{suffix}"), "ifzo")["f"], torch.full((HIDDEN,), 1.5))
        if cell == "lstm":
            assert not gates(getattr(made, f"bias_hh_{suffix}"), "ifzo")["f"].any()
    assert torch.equal(gates(made.bias_ih_l1, "ifzo")["i"], gates(plain.bias_ih_l1, "ifzo")["i"])
    assert torch.equal(gates(layer(cell, "keras", forget_bias=0).bias_ih_l0, "ifzo")["f"], torch.zeros(HIDDEN))


def test_biases_of_some_gates() -> None:
    some = carrousel.Recurrent("lstm", 2, 3, bias=("f", "o"), dtype=torch.float64, forget_bias=1.0)
    assert (some.bias_ih_l0.shape, some.bias_hh_l0.shape) == ((6,), (6,))
    assert torch.equal(some.bias_ih_l0[:3], torch.ones(3, dtype=torch.float64))
    every = carrousel.Recurrent("lstm", 2, 3, dtype=torch.float64)
    with torch.no_grad():
        for name in ("weight_ih_l0", "weight_hh_l0"):
            getattr(every, name).copy_(getattr(some, name))
        for name in ("bias_ih_l0", "bias_hh_l0"):
            zeros = torch.zeros(3, dtype=torch.float64)
            f, o = getattr(some, name).chunk(2)
            getattr(every, name).copy_(torch.cat([zeros, f, zeros, o]))
    x = torch.rand(5, 2, 2, dtype=torch.float64)
    assert_same(some(x), every(x))


@pytest.mark.parametrize("none", [False, (), []])
def test_no_biases(none: object) -> None:
    made = carrousel.Recurrent("peephole_lstm", 2, 3, bias=none)
    assert [name for name, _ in made.named_parameters()] == ["weight_ih_l0", "weight_hh_l0", "weight_ch_l0"]
    assert made(torch.ones(5, 2, 2))[0].shape == (5, 2, 3)
    with pytest.raises(OptionError, match="has no forget gate f with a bias"):
        carrousel.Recurrent("peephole_lstm", 2, 3, bias=none, forget_bias=1.0)
