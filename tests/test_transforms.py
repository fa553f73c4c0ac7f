"""The transforms: same values or other ones, as each says; gradients cut where each says; clear errors."""

import pytest
import torch
from torch import Tensor

from bptt import BATCH, SIZE, Sequence, assert_same_gradients, by_adjoint, by_autograd, cell_of, sequence_of
from carrousel import cells
from carrousel.backends.eager import groups
from carrousel.calculus.notation import OUTPUT
from carrousel.cell import Cell
from carrousel.errors import CarrouselError, DefinitionError, OptionError, UnknownNameError
from carrousel.nn.recurrent import Recurrent
from carrousel.transforms import clip_cell, clip_gates, detached, looked_up, projected, truncated, variant, zoneout

LSTM, GRU, PEEPHOLE = cells.get("lstm"), cells.get("gru"), cells.get("peephole_lstm")


def outputs(cell: Cell, on: Sequence, **step_inputs: Tensor) -> tuple[Tensor, ...]:
    """The states after one step."""
    parameters = {g.name: on.parameters[g.name] for g in cell.groups}
    after = cell(on.x[0], *on.states.values(), *step_inputs.values(), **groups(parameters))
    return after if isinstance(after, tuple) else (after,)


def gradients(cell: Cell, on: Sequence, *wanted: str) -> dict[str, Tensor]:
    found = by_autograd(cell, on)
    return {name: found[name] for name in wanted}


def equations(cell: Cell) -> dict[str, str]:
    return {e.name: str(e).partition(" = ")[2] for e in cell.definition.equations}


# ---------------------------------------------------------------------- what they all keep


@pytest.mark.parametrize(
    ("changed", "name", "title"),
    [
        (truncated(LSTM), "lstm_truncated", "LSTM with forget gate; its two biases are PyTorch's; truncated gradient."),
        (detached(PEEPHOLE, "p"), "peephole_lstm_detached", "LSTM with peephole connections; no gradient through p."),
        (
            zoneout(GRU),
            "gru_zoneout",
            "Gated recurrent unit, the reset gate after the recurrent product; zoneout on h.",
        ),
        (clip_cell(LSTM, 3), "lstm_clip_c", "LSTM with forget gate; its two biases are PyTorch's; c clipped at 3.0."),
        (
            clip_gates(LSTM, 3),
            "lstm_clip_gates",
            "LSTM with forget gate; its two biases are PyTorch's; gates clipped at 3.0.",
        ),
        (projected(LSTM), "lstm_projected", "LSTM with forget gate; its two biases are PyTorch's; projected output."),
        (looked_up(LSTM), "lstm_looked_up", "LSTM with forget gate; its two biases are PyTorch's; inputs looked up."),
        (variant(LSTM, "other", "Other.", f="1 - i"), "other", "Other."),
    ],
    ids=lambda value: value.name if isinstance(value, Cell) else "",
)
def test_name_and_title(changed: Cell, name: str, title: str) -> None:
    assert changed.definition.name == name
    assert changed.doc.splitlines()[0] == title


@pytest.mark.parametrize("name", ["lstm", "gru", "lstm_1997_full_truncated", "gru_2014", "slstm"])
def test_looked_up_takes_what_the_products_would_give(name: str) -> None:
    cell = cells.get(name)
    changed = looked_up(cell)
    groups = {group.name for group in cell.groups}
    (given,) = groups - {group.name for group in changed.groups}
    plain = Recurrent(cell, 3, 4, dtype=torch.float64)
    looked = Recurrent(changed, 1, 4, dtype=torch.float64)
    with torch.no_grad():
        for parameter, value in looked.named_parameters():
            value.copy_(plain.get_parameter(parameter))
    x = torch.randn(5, 2, 3, dtype=torch.float64)
    gates = next(group for group in cell.groups if group.name == given).gates
    products = (x @ plain.weight_ih_l0.T).chunk(len(gates), dim=-1)
    steps = {f"{given}_{gate}_t": product for gate, product in zip(gates, products, strict=True)}
    assert list(changed.definition.step_inputs) == list(steps)
    output, _ = looked(torch.zeros(5, 2, 1, dtype=torch.float64), step_inputs=steps)
    torch.testing.assert_close(output, plain(x)[0])


def test_paper_and_options_stay() -> None:
    slstm = cells.get("slstm")
    changed = projected(truncated(slstm))
    assert changed.paper == slstm.paper
    assert changed.initial == slstm.initial
    assert truncated(cells.get("lstm_1997")).shared == ("i", "o")
    assert truncated(cells.get("irnn")).init == "identity"
    assert truncated(cells.get("elman")).name == "simple_recurrent_truncated(activation=tanh)"


def test_the_cell_itself_is_not_changed() -> None:
    before = str(LSTM), LSTM.definition.identity
    for change in (truncated, zoneout, projected, lambda c: clip_gates(c, 1), lambda c: clip_cell(c, 1)):
        change(LSTM)
    assert (str(LSTM), LSTM.definition.identity) == before


def test_cell_without_a_docstring() -> None:
    bare = cell_of("def bare(x, h_prev, W, R):\n    h = tanh(W.h @ x + R.h @ h_prev)\n    return h\n")
    assert truncated(bare).doc == ""
    empty = cell_of('def bare(x, h_prev, W, R):\n    ""\n    h = tanh(W.h @ x + R.h @ h_prev)\n    return h\n')
    assert zoneout(empty).states == ("h",)


# ---------------------------------------------------------------------- truncated


@pytest.mark.parametrize("name", sorted(set(cells.names()) - {"lstm_1997_truncated", "lstm_1997_full_truncated"}))
def test_truncated_keeps_every_value(name: str) -> None:
    cell = cells.get(name)
    on = sequence_of(cell)
    for got, expected in zip(outputs(truncated(cell), on), outputs(cell, on), strict=True):
        assert torch.equal(got, expected)


def test_truncated_gradient_of_1997() -> None:
    """Worked by hand in torch: errors flow back through c only; h_prev enters every product as a constant."""
    cell = truncated(cells.get("lstm_1997"))
    on = sequence_of(cell)
    W, R, b = on.parameters["W"], on.parameters["R"], on.parameters["b"]
    leaves = [leaf.requires_grad_() for leaf in on.leaves().values()]
    (h, c), loss = on.states.values(), 0.0
    for t, x in enumerate(on.x):
        net = {g: x @ W[g].mT + h.detach() @ R[g].mT + b[g] for g in "ioz"}
        c = c + net["i"].sigmoid() * (4 * net["z"].sigmoid() - 2)
        h = net["o"].sigmoid() * (2 * c.sigmoid() - 1)
        loss = loss + (on.weights["h"][t] * h).sum() + (on.weights["c"][t] * c).sum()
    found = torch.autograd.grad(loss, leaves, allow_unused=True, materialize_grads=True)
    for leaf in leaves:
        leaf.requires_grad_(False)
    assert_same_gradients(by_adjoint(cell, on), dict(zip(on.leaves(), found, strict=True)))
    assert not by_autograd(cell, on)["h_prev"].any()


def test_truncated_cuts_what_reaches_back_through_named_quantities() -> None:
    """`R.n @ u` with u of r and v, v of h_prev, and a gate r with a peephole: the gradient stops at each h_prev."""
    text = """
def chained(x, h_prev, W, R, p):
    r = sigmoid(W.r @ x + R.r @ h_prev + p.r * h_prev)
    v = 2 * h_prev
    u = r * v
    n = tanh(W.n @ x + R.n @ u)
    h = 0.5 * h_prev + n
    return h
"""
    cell = truncated(cell_of(text))
    assert equations(cell)["n"] == "tanh(W.n @ x + R.n @ u_cut)"
    on = sequence_of(cell)
    (h,), W, R, p = on.states.values(), on.parameters["W"], on.parameters["R"], on.parameters["p"]
    leaves = [leaf.requires_grad_() for leaf in on.leaves().values()]
    loss = 0.0
    for t, x in enumerate(on.x):
        past = h.detach()
        r = (x @ W["r"].mT + past @ R["r"].mT + p["r"] * past).sigmoid()
        h = 0.5 * h + torch.tanh(x @ W["n"].mT + (r * 2 * past) @ R["n"].mT)
        loss = loss + (on.weights["h"][t] * h).sum()
    found = torch.autograd.grad(loss, leaves)
    for leaf in leaves:
        leaf.requires_grad_(False)
    assert_same_gradients(by_adjoint(cell, on), dict(zip(on.leaves(), found, strict=True)))


def test_truncated_leaves_the_way_through_a_new_state() -> None:
    """A projection of m = o * tanh(c) is this step's output: the carrousel still reaches it."""
    cell = truncated(projected(LSTM))
    assert equations(cell)["h"] == "Proj.h @ m"
    assert gradients(cell, sequence_of(cell), "c_prev")["c_prev"].any()


def test_truncating_twice_changes_nothing_more() -> None:
    assert equations(truncated(truncated(GRU))) == equations(truncated(GRU))


def test_method() -> None:
    assert LSTM.truncated() == truncated(LSTM)


# ---------------------------------------------------------------------- detached


def test_detached_keeps_values_and_the_peepholes_own_gradient() -> None:
    cell = detached(PEEPHOLE, "p")
    on = sequence_of(cell)
    for got, expected in zip(outputs(cell, on), outputs(PEEPHOLE, on), strict=True):
        assert torch.equal(got, expected)
    assert gradients(cell, on, "p.o")["p.o"].any()
    assert not torch.equal(gradients(cell, on, "c_prev")["c_prev"], gradients(PEEPHOLE, on, "c_prev")["c_prev"])


def test_detached_wherever_the_group_stands_in_a_product() -> None:
    forms = ["p.h * h_prev", "h_prev * p.h", "2 * p.h * h_prev", "-p.h * h_prev", "h_prev / p.h", "h_prev * (p.h * 3)"]
    for form in forms:
        text = f"def small(x, h_prev, W, p):\n    h = tanh(W.h @ x + {form})\n    return h\n"
        cell = detached(cell_of(text), "p")
        on = sequence_of(cell)
        assert not gradients(cell, on, "h_prev")["h_prev"].any(), form
        assert gradients(cell, on, "p.h")["p.h"].any(), form


def test_detached_stops_only_what_the_group_multiplies() -> None:
    text = (
        "def small(x, h_prev, W, p):\n    r = sigmoid(W.r @ x)\n    h = r * (p.h * h_prev + 2 * h_prev)\n    return h\n"
    )
    assert equations(detached(cell_of(text), "p"))["h"] == "r * (p.h * stop_gradient(h_prev) + 2 * h_prev)"


# ---------------------------------------------------------------------- projected, variant


def test_projected() -> None:
    cell = projected(LSTM)
    on = sequence_of(cell)
    h, c = outputs(cell, on)
    assert h.shape == (BATCH, SIZE[OUTPUT])
    W, R, b, bR = (on.parameters[group] for group in ("W", "R", "b", "bR"))
    net = {g: on.x[0] @ W[g].mT + on.states["h"] @ R[g].mT + b[g] + bR[g] for g in "ifzo"}
    new = net["f"].sigmoid() * on.states["c"] + net["i"].sigmoid() * net["z"].tanh()
    torch.testing.assert_close(c, new)
    torch.testing.assert_close(h, (net["o"].sigmoid() * new.tanh()) @ on.parameters["Proj"]["h"].mT)


def test_projected_keeps_clear_of_taken_names() -> None:
    assert "m2" in equations(projected(cells.get("slstm")))


def test_variant_drops_what_nothing_uses() -> None:
    coupled = variant(PEEPHOLE, "coupled", "f = 1 - i.\n\nSource: a test.", f="1 - i", o="1")
    assert [g.name for g in coupled.groups] == ["W", "R", "p", "b"]
    assert coupled.groups[0].gates == ("i", "z")
    assert coupled.paper == "a test."
    without = variant(PEEPHOLE, "without", "", **{g: f"sigmoid(W.{g} @ x + R.{g} @ h_prev + b.{g})" for g in "ifo"})
    assert [g.name for g in without.groups] == ["W", "R", "b"]
    assert without.doc == ""


# ---------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: detached(LSTM, "p"),
            UnknownNameError,
            "detached(lstm) - no group of vectors 'p'; they are b, bR - name one",
        ),
        (
            lambda: detached(cells.get("lstm_1997_input_gate"), "W"),
            UnknownNameError,
            "detached(lstm_1997_input_gate) - no group of vectors 'W'; they are none - name one",
        ),
        (
            lambda: detached(LSTM, "b"),
            OptionError,
            "detached(lstm) - group 'b' multiplies nothing - name a group like peepholes",
        ),
        (
            lambda: variant(GRU, "g", "G.", s="1"),
            UnknownNameError,
            "variant(gru) - no quantity 's', there are r, z, n, h - name one",
        ),
        (
            lambda: variant(GRU, "a b", "G."),
            OptionError,
            "variant(gru) - 'a b' can not name a cell - use letters, digits and _",
        ),
        (
            lambda: variant(GRU, "g", "G.", r="1 -"),
            DefinitionError,
            "g:  r = 1 -\n  `1 -` is not an expression\n  write the right-hand side alone",
        ),
        (
            lambda: variant(GRU, "g", "G.", n="tanh(k)"),
            DefinitionError,
            "g:  n = tanh(k)\n  unknown name 'k'; states and quantities at this line are h_prev, r, z.\n"
            "  compute it on a line above, or add it to the signature",
        ),
        (
            lambda: projected(projected(LSTM)),
            OptionError,
            "projected(lstm_projected) - the output is projected already - project once",
        ),
        (
            lambda: projected(GRU),
            DefinitionError,
            "gru_projected:  m = (1 - z) * n + z * h_prev\n"
            "  these shapes can not be combined: `z` has hidden_size values and `h_prev` has proj_size values\n"
            "  bring the projected output h back to the hidden size with a matrix: R.gate @ ...",
        ),
    ],
)
def test_errors(call, error: type[CarrouselError], message: str) -> None:
    with pytest.raises(error) as caught:
        call()
    assert type(caught.value) is error
    assert str(caught.value) == message
