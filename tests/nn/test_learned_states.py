"""`learn_initial_state=True`: what the states begin with is a parameter, at the start and after every reset."""

import pytest
import torch

import carrousel
from nn.twins import LAYERS, assert_same, ours, sequence, states_for, tensors

TIME, BATCH, INPUT, HIDDEN = 5, 3, 2, 4


def layer(cell: str, **options: object) -> carrousel.Recurrent:
    torch.manual_seed(1)
    made = carrousel.Recurrent(cell, INPUT, HIDDEN, learn_initial_state=True, dtype=torch.float64, **options)
    for name, parameter in made.named_parameters():
        if name.startswith("initial"):
            torch.nn.init.uniform_(parameter, -1, 1)
    return made


def test_names_shapes_and_first_values() -> None:
    made = carrousel.Recurrent("slstm", INPUT, HIDDEN, 2, bidirectional=True, learn_initial_state=True)
    learned = {name: p for name, p in made.named_parameters() if name.startswith("initial")}
    assert list(learned) == ["initial_h", "initial_c", "initial_n"]  # m begins at -inf and stays a constant
    assert all(p.shape == (4, HIDDEN) and not p.any() for p in learned.values())
    projected = carrousel.LSTM(INPUT, HIDDEN, proj_size=2, learn_initial_state=True)
    assert (projected.initial_h.shape, projected.initial_c.shape) == ((1, 2), (1, HIDDEN))
    assert projected.all_weights == [[p for n, p in projected.named_parameters() if not n.startswith("initial")]]


def test_first_value_is_the_cell_s() -> None:
    @carrousel.cell(initial={"h": 0.25})
    def leaky(x, h_prev, W):
        h = 0.5 * h_prev + W.h @ x
        return h

    made = carrousel.Recurrent(leaky, INPUT, HIDDEN, learn_initial_state=True)
    assert torch.equal(made.initial_h, torch.full((1, HIDDEN), 0.25))
    torch.nn.init.zeros_(made.initial_h)
    made.reset_parameters()
    assert torch.equal(made.initial_h, torch.full((1, HIDDEN), 0.25))


@pytest.mark.parametrize("backend", ["auto", "torch", "eager"])
@pytest.mark.parametrize("name", LAYERS)
def test_they_are_what_hx_would_be(name: str, backend: str) -> None:
    options = {"num_layers": 2, "bidirectional": True, "dtype": torch.float64}
    learned = ours(name, INPUT, HIDDEN, learn_initial_state=True, backend=backend, **options)
    plain = ours(name, INPUT, HIDDEN, **options)
    hx = states_for(name, 4, HIDDEN)
    with torch.no_grad():
        for state, value in zip(("h", "c"), tensors(hx), strict=False):
            getattr(learned, f"initial_{state}").copy_(value)
    rows = [s.unsqueeze(1).repeat(1, BATCH, 1) for s in tensors(hx)]
    given = tuple(rows) if isinstance(hx, tuple) else rows[0]
    x = sequence(TIME, BATCH, INPUT)
    assert_same(learned(x), plain(x, given))
    assert_same(learned(x[:, 0]), plain(x[:, 0], hx))
    assert_same(learned(x, given), plain(x, given))
    learned(x)[0].sum().backward()
    assert learned.initial_h.grad.all()


@pytest.mark.parametrize("cell", ["lstm", "gru", "slstm", "fgr"])
def test_gradient_from_the_start_and_from_every_reset(cell: str) -> None:
    made = layer(cell)
    x = sequence(TIME, 1, INPUT)
    resets = torch.zeros(TIME, 1, dtype=torch.bool)
    resets[2] = True
    states = list(made._layout.cell.states)
    given = tuple(torch.zeros(1, 1, HIDDEN, dtype=torch.float64) for _ in states)
    start, both = made(x)[0], made(x, resets=resets)[0]
    after_reset = made(x, given if len(given) > 1 else given[0], resets=resets)[0]
    learned = [made.initial_h]
    from_start = torch.autograd.grad(start[:2].sum(), learned)[0]
    from_reset = torch.autograd.grad(after_reset.sum(), learned)[0]
    assert from_start.all()
    assert from_reset.all()
    assert_same(torch.autograd.grad(both.sum(), learned)[0], from_start + from_reset)


def test_given_states_count_at_the_start_and_learned_ones_after_a_reset() -> None:
    made = layer("gru")
    x, h = sequence(TIME, 1, INPUT), torch.ones(1, 1, HIDDEN, dtype=torch.float64)
    resets = torch.zeros(TIME, 1, dtype=torch.bool)
    resets[3] = True
    output, _ = made(x, h, resets=resets)
    assert_same(output[:3], made(x[:3], h)[0])
    assert_same(output[3:], made(x[3:])[0])


def test_a_row_of_length_0_returns_them() -> None:
    made = layer("lstm")
    _, (h, c) = made(sequence(TIME, 2, INPUT), lengths=[0, 5])
    assert torch.equal(h[:, 0], made.initial_h)
    assert torch.equal(c[:, 0], made.initial_c)
    h[:, 0].sum().backward()
    assert torch.equal(made.initial_h.grad, torch.ones(1, HIDDEN, dtype=torch.float64))


def test_populations_learn_one_per_net() -> None:
    nets = carrousel.Population("lstm", 3, INPUT, HIDDEN, 2, learn_initial_state=True, dtype=torch.float64)
    assert nets.initial_c.shape == (3, 2, HIDDEN)
    torch.nn.init.uniform_(nets.initial_c)
    x = sequence(3, TIME, BATCH, INPUT)
    output, (_, c) = nets(x)
    for k in range(3):
        alone, (_, c_alone) = nets.net(k)(x[k])
        assert_same((output[k], c[k]), (alone, c_alone))
