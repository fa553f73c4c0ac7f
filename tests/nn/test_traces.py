"""`return_trace=`: any quantity of the cell, per layer and direction, in the input's layout."""

import pytest
import torch
from torch import Tensor

import carrousel
from carrousel import cell, cells
from carrousel.functions import sigmoid, tanh
from nn.twins import assert_same, ours, sequence

TIME, BATCH, INPUT, HIDDEN = 5, 3, 2, 4


def layer(cell: str, **options: object) -> carrousel.Recurrent:
    torch.manual_seed(1)
    return carrousel.Recurrent(cell, INPUT, HIDDEN, dtype=torch.float64, **options)


@pytest.mark.parametrize("name", cells.names())
def test_every_quantity_of_every_cell(name: str) -> None:
    made = layer(name, num_layers=2, bidirectional=True)
    names = made.cell.quantities
    output, states, trace = made(sequence(TIME, BATCH, INPUT), return_trace=names, lengths=[5, 0, 3])
    directions = ("_l0", "_l0_reverse", "_l1", "_l1_reverse")
    assert list(trace) == [q + direction for direction in directions for q in names]
    assert {t.shape for t in trace.values()} == {(TIME, BATCH, HIDDEN)}
    shown = made.cell.states[0]
    assert torch.equal(torch.cat([trace[f"{shown}_l1"], trace[f"{shown}_l1_reverse"]], dim=-1), output)
    for state, after in zip(made.cell.states, states if isinstance(states, tuple) else (states,), strict=True):
        assert torch.equal(trace[f"{state}_l0"][4, 0], after[0, 0])
        assert torch.equal(trace[f"{state}_l0"][2, 2], after[0, 2])
        assert torch.equal(trace[f"{state}_l1_reverse"][0, 0], after[3, 0])
    for values in trace.values():
        assert not values[:, 1].any()
        assert not values[3:, 2].any()


def test_gates_have_the_values_of_their_equations() -> None:
    made = layer("peephole_lstm", backend="eager")
    x = sequence(TIME, BATCH, INPUT)
    _, _, trace = made(x, return_trace=("i", "z", "o", "c", "h"))
    W, R, p, b = (w.detach() for w in made.parameters())
    h, c = torch.zeros(BATCH, HIDDEN, dtype=torch.float64), torch.zeros(BATCH, HIDDEN, dtype=torch.float64)
    for t in range(TIME):
        a_i, _, a_z, a_o = (x[t] @ W.T + h @ R.T + b).chunk(4, dim=-1)
        p_i, _, p_o = p.chunk(3)
        assert_same(trace["i_l0"][t], torch.sigmoid(a_i + p_i * c))
        assert_same(trace["z_l0"][t], torch.tanh(a_z))
        c = trace["c_l0"][t]
        h = trace["h_l0"][t]
        assert_same(trace["o_l0"][t], torch.sigmoid(a_o + p_o * c))
        assert_same(h, torch.sigmoid(a_o + p_o * c) * torch.tanh(c))


def test_a_gate_that_is_a_constant_is_a_tensor() -> None:
    _, _, trace = layer("nig")(sequence(TIME, BATCH, INPUT), return_trace=("i",), lengths=[5, 0, 2])
    expected = torch.ones(TIME, BATCH, HIDDEN, dtype=torch.float64)
    expected[:, 1], expected[2:, 2] = 0, 0
    assert torch.equal(trace["i_l0"], expected)


def test_the_input_s_layout() -> None:
    made = layer("lstm", bidirectional=True)
    x = sequence(TIME, BATCH, INPUT)
    trace = made(x, return_trace=("f",))[2]
    made.batch_first = True
    for name, values in made(x.transpose(0, 1), return_trace=("f",))[2].items():
        assert_same(values.transpose(0, 1), trace[name])
    for name, values in made(x[:, 1], return_trace=("f",))[2].items():
        assert_same(values, trace[name][:, 1])


@pytest.mark.parametrize("batch_first", [False, True])
def test_layout_of_a_population(batch_first: bool) -> None:
    torch.manual_seed(1)
    nets = carrousel.Population("lstm", 2, INPUT, HIDDEN, batch_first=batch_first, dtype=torch.float64)
    x = sequence(2, BATCH, TIME, INPUT) if batch_first else sequence(2, TIME, BATCH, INPUT)
    trace = nets(x, return_trace=("f",))[2]
    for k in range(2):
        assert_same(trace["f_l0"][k], nets.net(k)(x[k], return_trace=("f",))[2]["f_l0"])


def test_results_are_the_same_bits_with_and_without() -> None:
    for name in ("slstm", "gru_2014", "peephole_lstm"):
        made = layer(name)
        x = sequence(TIME, BATCH, INPUT)
        output, states = made(x)
        again, after, _ = made(x, return_trace=made.cell.traceable)
        assert torch.equal(output, again)
        assert_same(states, after)


def test_gradients_flow_through_a_trace() -> None:
    made = layer("lstm", backend="eager")
    x = sequence(TIME, BATCH, INPUT).requires_grad_()
    _, _, trace = made(x, return_trace=("f",))
    trace["f_l0"][2].sum().backward()
    assert x.grad is not None
    assert x.grad[:3].all()
    assert not x.grad[3:].any()


@pytest.mark.parametrize("time", [0, 1])
def test_sizes_of_a_projected_cell_and_of_an_empty_sequence(time: int) -> None:
    made = layer("nig", proj_size=3)
    _, _, trace = made(sequence(time, BATCH, INPUT), return_trace=made._layout.cell.quantities)
    assert {name: values.shape[-1] for name, values in trace.items()} == {
        **{f"{q}_l0": HIDDEN for q in made._layout.cell.quantities},
        "h_l0": 3,
    }
    assert all(values.shape[:2] == (time, BATCH) for values in trace.values())


def test_a_constant_gate_beside_a_single_projected_state() -> None:
    @carrousel.cell
    def constant(x, h_prev, W, R):
        k = 2
        h = k * tanh(W.h @ x + R.h @ h_prev)
        return h

    torch.manual_seed(1)
    made = carrousel.Recurrent(constant, INPUT, HIDDEN, proj_size=3)
    for time in (0, 2):
        _, _, trace = made(torch.ones(time, BATCH, INPUT), return_trace=("k", "h"))
        assert trace["k_l0"].shape == (time, BATCH, HIDDEN)
        assert trace["h_l0"].shape == (time, BATCH, 3)
        assert (trace["k_l0"] == 2).all()


@pytest.mark.parametrize("name", ["LSTM", "GRU", "RNN"])
def test_drop_ins_have_it(name: str) -> None:
    made = ours(name, INPUT, HIDDEN, 2, dtype=torch.float64)
    x = sequence(TIME, BATCH, INPUT)
    output, state, trace = made(x, return_trace=["h"])
    assert_same((output, state), made(x))
    assert_same(trace["h_l1"], output)
    assert isinstance(trace["h_l0"], Tensor)
    assert len(made(x, return_trace=())) == 2
    assert len(made(x, return_trace=None)) == 2


@cell
def steady(x, h_prev, W, t, b):
    """A leaky unit whose leak depends on parameters alone."""
    keep = sigmoid(t.keep)
    h = keep * h_prev + tanh(W.z @ x + b.z)
    return h


@pytest.mark.parametrize("lengths", [None, [4, 2]])
def test_a_quantity_of_parameters_alone_comes_back_for_each_row(lengths: list[int] | None) -> None:
    layer = carrousel.Recurrent(steady, 3, 5)
    _, _, trace = layer(torch.randn(4, 2, 3), lengths=lengths, return_trace=("keep",))
    assert trace["keep_l0"].shape == (4, 2, 5)
    assert_same(trace["keep_l0"][0, 1], layer.t_l0.sigmoid(), "layers in float32")


@pytest.mark.parametrize("name", ["elman_relu", "gru_2014", "lstm_1997_truncated"])
def test_a_pre_activation_is_a_quantity(name: str) -> None:
    made = layer(name)
    _, _, trace = made(sequence(TIME, BATCH, INPUT), return_trace=made.cell.traceable)
    gate, function = {"elman_relu": ("h", torch.relu)}.get(name, (made.cell.quantities[0], torch.sigmoid))
    assert_same(trace[f"{gate}_l0"], function(trace[f"a_{gate}_l0"]))
