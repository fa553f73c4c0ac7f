"""A population is n independent networks in one call: nothing of one reaches another."""

import copy

import pytest
import torch
from torch import nn

import carrousel
from carrousel.errors import OptionError, OptionTypeError
from nn.drawn import CELLS, as_tuple
from nn.twins import assert_same, everything, sequence

NETS, TIME, BATCH, INPUT, HIDDEN = 3, 5, 2, 2, 4


def population(cell: str, **options: object) -> carrousel.Population:
    torch.manual_seed(1)
    return carrousel.Population(cell, NETS, INPUT, HIDDEN, dtype=torch.float64, **options)


def case(cell: str, *, bidirectional: bool, batch_first: bool) -> tuple:
    """A population, its input, and lengths and resets of every net."""
    nets = population(cell, num_layers=2, bidirectional=bidirectional, batch_first=batch_first, **CELLS[cell])
    x = sequence(NETS, TIME, BATCH, INPUT)
    resets = torch.rand(NETS, TIME, BATCH) < 0.3
    if batch_first:
        x, resets = x.transpose(1, 2).contiguous(), resets.transpose(1, 2)
    return nets, x, torch.tensor([[5, 2], [0, 4], [1, 5]]), resets


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(("bidirectional", "batch_first"), [(b, f) for b in (False, True) for f in (False, True)])
def test_every_net_is_a_layer_of_its_own(cell: str, bidirectional: bool, batch_first: bool) -> None:
    nets, x, lengths, resets = case(cell, bidirectional=bidirectional, batch_first=batch_first)
    assert {p.shape[0] for p in nets.parameters()} == {NETS}
    output, state = nets(x, lengths=lengths, resets=resets)
    plain, _ = nets(x)
    for k in range(NETS):
        alone = nets.net(k)
        assert type(alone) is carrousel.Recurrent
        expected, after = alone(x[k], lengths=lengths[k], resets=resets[k])
        assert_same([output[k], *(s[k] for s in as_tuple(state))], [expected, *as_tuple(after)])
        assert_same(plain[k], alone(x[k])[0])


@pytest.mark.parametrize("cell", CELLS)
def test_gradients_stay_with_their_net(cell: str) -> None:
    nets, x, lengths, resets = case(cell, bidirectional=True, batch_first=False)
    x.requires_grad_()
    nets(x, lengths=lengths, resets=resets)[0][1].square().sum().backward()
    for gradient in (x.grad, *(p.grad for p in nets.parameters())):
        assert gradient[1].any()
        assert not gradient[[0, 2]].any()
    alone = nets.net(1)
    alone(x[1].detach(), lengths=lengths[1], resets=resets[1])[0].square().sum().backward()
    for mine, expected in zip(nets.parameters(), alone.parameters(), strict=True):
        assert_same(mine.grad[1], expected.grad)


def test_given_states_have_the_net_first() -> None:
    nets = population("lstm", num_layers=2)
    x = sequence(NETS, TIME, BATCH, INPUT)
    hx = tuple(torch.rand(NETS, 2, BATCH, HIDDEN, dtype=torch.float64) for _ in range(2))
    output, (h, c) = nets(x, hx)
    assert h.shape == c.shape == (NETS, 2, BATCH, HIDDEN)
    for k in range(NETS):
        expected, (h_k, c_k) = nets.net(k)(x[k], tuple(s[k] for s in hx))
        assert_same((output[k], h[k], c[k]), (expected, h_k, c_k))


def test_a_net_that_breaks_does_not_break_the_others() -> None:
    nets = population("slstm")
    x = sequence(NETS, TIME, BATCH, INPUT)
    expected = nets(x)[0]
    with torch.no_grad():
        nets.weight_hh_l0[1] = float("nan")
    output = nets(x)[0]
    assert output[1].isnan().any()
    assert torch.equal(output[[0, 2]], expected[[0, 2]])


def test_every_net_draws_its_own_weights() -> None:
    nets = population("lstm", init="keras", forget_bias=2.0)
    for name, parameter in nets.named_parameters():
        if name.startswith("weight"):
            assert all(not torch.equal(parameter[a], parameter[b]) for a, b in ((0, 1), (0, 2), (1, 2)))
    eye = torch.eye(HIDDEN, dtype=torch.float64)
    assert_same(nets.weight_hh_l0.mT @ nets.weight_hh_l0, eye.expand(NETS, -1, -1))
    assert torch.equal(nets.bias_ih_l0[:, HIDDEN : 2 * HIDDEN], torch.full((NETS, HIDDEN), 2.0, dtype=torch.float64))
    torch.manual_seed(1)
    first = carrousel.Recurrent("lstm", INPUT, HIDDEN, dtype=torch.float64, init="keras", forget_bias=2.0)
    for name, parameter in first.named_parameters():
        assert torch.equal(nets.get_parameter(name)[0], parameter), name


# ---------------------------------------------------------------------- select and net


@pytest.mark.parametrize(
    "chosen", [[2, 0], (1,), torch.tensor([0, 2]), torch.tensor([True, False, True]), [True, True, False], [-1, -3]]
)
def test_select(chosen: object) -> None:
    nets = population("peephole_lstm", num_layers=2, learn_initial_state=True).eval()
    nets.bias_ih_l0.requires_grad_(False)
    some = nets.select(chosen)
    kept = torch.arange(NETS)[torch.as_tensor(chosen)]
    assert len(some) == len(kept)
    assert type(some) is carrousel.Population
    assert not some.training
    assert [p.requires_grad for p in some.parameters()] == [p.requires_grad for p in nets.parameters()]
    x = sequence(NETS, TIME, BATCH, INPUT)
    assert_same(some(x[kept])[0], nets(x)[0][kept])
    assert repr(some).startswith(f"Population({len(kept)} x 'peephole_lstm', ")


def test_selected_nets_are_copies() -> None:
    nets = population("gru")
    some, alone, before = nets.select([0, 1]), nets.net(0), copy.deepcopy(nets.state_dict())
    for parameter in (*some.parameters(), *alone.parameters()):
        nn.init.zeros_(parameter)
    assert_same(nets.state_dict(), before)
    assert len(nets) == NETS


def test_selecting_draws_no_random_numbers_and_does_not_warn(recwarn: pytest.WarningsRecorder) -> None:
    with pytest.warns(UserWarning, match="num_layers=1"):
        nets = population("lstm", dropout=0.5)
    recwarn.clear()
    before = torch.get_rng_state()
    nets.select([0])
    nets.net(0)
    assert torch.equal(torch.get_rng_state(), before)
    assert not recwarn


def test_options_changed_after_construction_stay_changed() -> None:
    nets = population("lstm", num_layers=2, dropout=0.5)
    nets.dropout, nets.batch_first = 0.0, True
    x = sequence(NETS, BATCH, TIME, INPUT)
    assert_same(nets.select([1])(x[1:2])[0][0], nets(x)[0][1])
    assert_same(nets.net(1)(x[1])[0], nets(x)[0][1])


@pytest.mark.parametrize(
    "chosen", [[], [3], [-4], [0.5], [[0, 1]], 1, [False, False, False], [True, False], [True] * 4]
)
def test_select_refuses(chosen: object) -> None:
    with pytest.raises(OptionError, match=r"^Population\.select - got .*, there are nets 0 to 2 - name at least one"):
        population("gru").select(chosen)


@pytest.mark.parametrize("index", [3, -4, 0.5, True])
def test_net_refuses(index: object) -> None:
    with pytest.raises(OptionError, match=r"^Population\.net - got .*, there are nets 0 to 2 - name one of them$"):
        population("gru").net(index)


@pytest.mark.parametrize(
    ("n", "error"), [(0, OptionError), (-1, OptionError), (2.0, OptionTypeError), (True, OptionTypeError)]
)
def test_the_number_of_nets_is_checked(n: object, error: type) -> None:
    with pytest.raises(error, match=r"^Population - n "):
        carrousel.Population("gru", n, INPUT, HIDDEN)


def test_one_net_is_a_population_too() -> None:
    torch.manual_seed(1)
    one = carrousel.Population("gru", 1, INPUT, HIDDEN, dtype=torch.float64)
    x = sequence(1, TIME, BATCH, INPUT)
    expected = everything(one.net(0), x[0].clone())
    assert_same([v[0] for v in everything(one, x).values()], list(expected.values()))


def test_arguments_by_position() -> None:
    nets = carrousel.Population("lstm", 2, 3, 4, 2, ("f",), True, 0.25, True, 6, "cpu", torch.float64)
    assert repr(nets) == (
        "Population(2 x 'lstm', 3, 4, proj_size=6, num_layers=2, bias=('f',), batch_first=True, dropout=0.25, "
        "bidirectional=True)"
    )
    assert nets.select([1])(torch.ones(1, 5, 7, 3, dtype=torch.float64))[0].shape == (1, 5, 7, 12)
    assert nets.net(1).to("cpu")(torch.ones(5, 7, 3, dtype=torch.float64))[0].shape == (5, 7, 12)
