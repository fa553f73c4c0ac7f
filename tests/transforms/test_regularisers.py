"""The regularising transforms: masks in products, kept states, bounds; their values, gradients and errors."""

import pytest
import torch
from torch import Tensor

import carrousel
from bptt import BATCH, SIZE, Sequence, assert_same_gradients, by_adjoint, by_autograd, cell_of, sequence_of
from carrousel import cells
from carrousel.backends.eager import groups
from carrousel.calculus.notation import HIDDEN, OUTPUT
from carrousel.cell import Cell
from carrousel.errors import CarrouselError, OptionError, OptionTypeError, UnknownNameError
from carrousel.functions import tanh
from carrousel.transforms import (
    clip_cell,
    clip_gates,
    clip_projection,
    projected,
    recurrent_dropout,
    truncated,
    zoneout,
)

LSTM, GRU = cells.get("lstm"), cells.get("gru")


@carrousel.cell
def named(x, h_prev, W, R, b):
    """A cell that names its pre-activation."""
    a = W.h @ x + R.h @ h_prev + b.h
    h = tanh(a)
    return h


@carrousel.cell
def without_functions(x, h_prev, W, R):
    """A linear cell."""
    h = W.h @ x + R.h @ h_prev
    return h


def outputs(cell: Cell, on: Sequence, **step_inputs: Tensor) -> tuple[Tensor, ...]:
    """The states after one step."""
    parameters = {g.name: on.parameters[g.name] for g in cell.groups}
    after = cell(on.x[0], *on.states.values(), *step_inputs.values(), **groups(parameters))
    return after if isinstance(after, tuple) else (after,)


def equations(cell: Cell) -> dict[str, str]:
    return {e.name: str(e).partition(" = ")[2] for e in cell.definition.equations}


def mask(value: float) -> Tensor:
    return torch.full((BATCH, SIZE[HIDDEN]), value, dtype=torch.float64)


@pytest.mark.parametrize(
    ("changed", "name", "title"),
    [
        (
            recurrent_dropout(cells.get("elman")),
            "simple_recurrent_recurrent_dropout",
            "Simple recurrent network; dropout of h in products.",
        ),
        (zoneout(GRU, rate=0.5), "gru_zoneout", f"{GRU.doc.splitlines()[0][:-1]}; zoneout on h."),
        (
            clip_projection(projected(LSTM), 3),
            "lstm_projected_clip_projection",
            f"{LSTM.doc.splitlines()[0][:-1]}; projected output; projection clipped at 3.0.",
        ),
    ],
    ids=lambda value: value.name if isinstance(value, Cell) else "",
)
def test_name_and_title(changed: Cell, name: str, title: str) -> None:
    assert changed.definition.name == name
    assert changed.doc.splitlines()[0] == title


# ---------------------------------------------------------------------- recurrent dropout


def test_recurrent_dropout_of_nothing_is_the_cell() -> None:
    for name in ("lstm", "gru", "gru_2014", "slstm", "fgr", "layer_norm_lstm"):
        cell = cells.get(name)
        masked, on = recurrent_dropout(cell), sequence_of(cell)
        assert masked.groups == tuple(
            g if g.name != "R" else next(m for m in masked.groups if m.name == "R") for g in cell.groups
        )
        for got, expected in zip(outputs(masked, on, mask=mask(1)), outputs(cell, on), strict=True):
            assert torch.equal(got, expected)


def test_recurrent_dropout_is_one_operand_for_all_gates() -> None:
    masked = recurrent_dropout(LSTM)
    assert masked.definition.step_inputs == ("mask_h_t",)
    assert masked.definition.group("R").operands == ("h_masked",)
    assert equations(masked)["h_masked"] == "mask_h_t * h_prev"
    assert masked.definition.group("R").gates == LSTM.definition.group("R").gates


def test_recurrent_dropout_leaves_what_is_elementwise() -> None:
    """A dropped value leaves every product, and is kept where the update gate carries it over."""
    assert equations(recurrent_dropout(GRU))["h"] == "(1 - z) * n + z * h_prev"
    on, some = sequence_of(GRU), torch.ones(BATCH, SIZE[HIDDEN], dtype=torch.float64)
    some[:, 0] = 0
    (got,) = outputs(recurrent_dropout(GRU), on, mask=some)
    W, R, b, bR = (on.parameters[group] for group in ("W", "R", "b", "bR"))
    h = on.states["h"]
    x_net = {g: on.x[0] @ W[g].mT + b[g] for g in "rzn"}
    h_net = {g: (h * some) @ R[g].mT + bR[g] for g in "rzn"}
    r, z = ((x_net[g] + h_net[g]).sigmoid() for g in "rz")
    n = (x_net["n"] + r * h_net["n"]).tanh()
    torch.testing.assert_close(got, (1 - z) * n + z * h)


def test_recurrent_dropout_reaches_operands_that_are_named() -> None:
    masked = recurrent_dropout(cells.get("gru_2014"))
    assert equations(masked)["n"] == "tanh(W.n @ x + R.n @ (r * h_masked) + b.n)"
    text = "def small(x, h_prev, W, R):\n    u = 2 * h_prev\n    h = tanh(W.h @ x + R.h @ u) + u\n    return h\n"
    assert equations(recurrent_dropout(cell_of(text))) == {
        "h_masked": "mask_h_t * h_prev",
        "u": "2 * h_prev",
        "u_masked": "2 * h_masked",
        "h": "tanh(W.h @ x + R.h @ u_masked) + u",
    }


def test_recurrent_dropout_of_a_truncated_cell_stays_truncated() -> None:
    masked = recurrent_dropout(truncated(cells.get("irnn")))
    assert equations(masked)["h"] == "relu(W.h @ x + R.h @ stop_gradient(h_masked) + b.h)"


def test_recurrent_dropout_keeps_clear_of_taken_names() -> None:
    text = "def small(x, h_prev, W, R):\n    h_masked = W.h @ x\n    h = tanh(h_masked + R.h @ h_prev)\n    return h\n"
    assert set(equations(recurrent_dropout(cell_of(text)))) == {"h_masked", "h_masked2", "h"}


# ---------------------------------------------------------------------- zoneout


def test_zoneout_that_keeps_nothing_is_the_cell() -> None:
    cell, on = zoneout(LSTM), sequence_of(LSTM)
    for got, expected in zip(outputs(cell, on, h=mask(0), c=mask(0)), outputs(LSTM, on), strict=True):
        assert torch.equal(got, expected)


def test_zoneout_that_keeps_everything_holds_the_states() -> None:
    cell, on = zoneout(LSTM), sequence_of(LSTM)
    for got, expected in zip(outputs(cell, on, h=mask(1), c=mask(1)), on.states.values(), strict=True):
        assert torch.equal(got, expected)


def test_zoneout_of_one_state_does_not_reach_the_output_of_the_step() -> None:
    cell, on = zoneout(LSTM, "c"), sequence_of(LSTM)
    h, c = outputs(cell, on, c=mask(1))
    assert torch.equal(c, on.states["c"])
    assert torch.equal(h, outputs(LSTM, on)[0])
    assert cell.definition.step_inputs == ("keep_c_t",)


def test_zoneout_with_a_probability_is_the_expectation() -> None:
    cell, on = zoneout(GRU), sequence_of(GRU)
    (mixed,), (new,) = outputs(cell, on, h=mask(0.25)), outputs(GRU, on)
    torch.testing.assert_close(mixed, 0.25 * on.states["h"] + 0.75 * new)


def test_zoneout_with_a_rate_has_the_expectation_in_its_equations() -> None:
    cell, on = zoneout(LSTM, "c", rate=0.25), sequence_of(LSTM)
    assert cell.definition.step_inputs == ()
    assert cell.groups == LSTM.groups
    for got, expected in zip(outputs(cell, on), outputs(zoneout(LSTM, "c"), on, c=mask(0.25)), strict=True):
        assert torch.equal(got, expected)


def test_zoneout_of_a_state_named_twice_is_one() -> None:
    assert zoneout(LSTM, "c", "c") == zoneout(LSTM, "c")


def test_zoneout_keeps_clear_of_taken_names() -> None:
    text = "def small(x, h_prev, W):\n    h_new = tanh(W.h @ x)\n    h = h_new + h_prev\n    return h\n"
    assert set(equations(zoneout(cell_of(text)))) == {"h_new", "h_new2", "h"}


# ---------------------------------------------------------------------- clips


def test_clip_cell() -> None:
    on = sequence_of(LSTM)
    free, clipped = outputs(LSTM, on)[1], outputs(clip_cell(LSTM, 0.5), on)[1]
    assert float(free.abs().max()) > 0.5
    assert torch.equal(clipped, free.clamp(-0.5, 0.5))
    assert equations(clip_cell(LSTM, 2, state="h"))["h"] == "clip(o * tanh(c), -2.0, 2.0)"


def test_clip_gates() -> None:
    clipped = equations(clip_gates(GRU, 3))
    assert clipped["r"] == "sigmoid(clip(W.r @ x + b.r + R.r @ h_prev + bR.r, -3.0, 3.0))"
    assert clipped["h"] == "(1 - z) * n + z * h_prev"
    on = sequence_of(GRU)
    wide, narrow = outputs(clip_gates(GRU, 1e9), on), outputs(clip_gates(GRU, 1e-9), on)
    assert torch.equal(wide[0], outputs(GRU, on)[0])
    torch.testing.assert_close(narrow[0], 0.5 * on.states["h"], rtol=0, atol=1e-8)


@pytest.mark.parametrize("name", ["layer_norm_lstm", "layer_norm_lstm_per_gate"])
def test_clip_gates_behind_normalisation(name: str) -> None:
    cell = cells.get(name)
    clipped = equations(clip_gates(cell, 3))
    assert [q for q, e in clipped.items() if "clip(" in e] == ["i", "f", "z", "o"]
    assert clipped["z"].startswith("tanh(clip(g")
    on = sequence_of(cell)
    torch.testing.assert_close(outputs(clip_gates(cell, 1e9), on)[0], outputs(cell, on)[0], rtol=0, atol=1e-14)
    narrow = outputs(clip_gates(cell, 1e-9), on)  # gates of one half, no input
    if name == "layer_norm_lstm":
        torch.testing.assert_close(narrow[1], 0.5 * on.states["c"], rtol=0, atol=1e-8)


def test_clip_gates_of_named_pre_activations() -> None:
    assert equations(clip_gates(named, 2))["h"] == "tanh(clip(a, -2.0, 2.0))"


def test_clip_projection() -> None:
    cell = projected(LSTM)
    clipped, on = clip_projection(cell, 0.1), sequence_of(cell)
    assert clipped.definition.size == {"h": OUTPUT, "c": HIDDEN}
    free = outputs(cell, on)
    assert float(free[0].abs().max()) > 0.1
    got = outputs(clipped, on)
    assert torch.equal(got[0], free[0].clamp(-0.1, 0.1))
    assert torch.equal(got[1], free[1])
    assert_same_gradients(by_adjoint(clipped, on), by_autograd(clipped, on))


# ---------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: recurrent_dropout(cells.get("lstm_1997_input_gate")),
            OptionError,
            "recurrent_dropout(lstm_1997_input_gate) - no matrix multiplies c_prev, nothing can be masked - "
            "leave it out",
        ),
        (
            lambda: recurrent_dropout(recurrent_dropout(LSTM)),
            OptionError,
            "recurrent_dropout(lstm_recurrent_dropout) - state h is masked already - mask it once",
        ),
        (
            lambda: recurrent_dropout(projected(LSTM)),
            OptionError,
            "recurrent_dropout(lstm_projected) - state h is a projected output - project as the last change",
        ),
        (
            lambda: zoneout(LSTM, rate="0.1"),
            OptionTypeError,
            "zoneout(lstm) - rate should be a number, got '0.1' - give a probability",
        ),
        (
            lambda: zoneout(LSTM, rate=1.0),
            OptionError,
            "zoneout(lstm) - rate is 1.0, expected at least 0 and below 1 - give a probability",
        ),
        (
            lambda: clip_gates(without_functions, 1),
            OptionError,
            "clip_gates(without_functions) - no function takes what products make - leave it out",
        ),
        (
            lambda: clip_projection(LSTM, 1),
            OptionError,
            "clip_projection(lstm) - the output is not projected - use projected(cell) first",
        ),
        (
            lambda: clip_projection(projected(LSTM), -1),
            OptionError,
            "clip_projection(lstm_projected) - limit is -1, expected it above 0 - give the largest magnitude",
        ),
        (
            lambda: zoneout(LSTM, "s"),
            UnknownNameError,
            "zoneout(lstm) - no state 's', there are h, c - name one of them",
        ),
        (
            lambda: zoneout(cells.get("slstm")),
            OptionError,
            "zoneout(slstm) - state m begins at -inf - leave it out",
        ),
        (
            lambda: zoneout(zoneout(LSTM, "c"), "h", "c"),
            OptionError,
            "zoneout(lstm_zoneout) - state c is zoned out already - leave it out",
        ),
        (
            lambda: zoneout(projected(LSTM), "h"),
            OptionError,
            "zoneout(lstm_projected) - state h is a projected output - project as the last change",
        ),
        (
            lambda: clip_cell(GRU, 1),
            UnknownNameError,
            "clip_cell(gru) - no state 'c', there are h - name one of them",
        ),
        (
            lambda: clip_cell(projected(LSTM), 1, "h"),
            OptionError,
            "clip_cell(lstm_projected) - state h is a projected output - project as the last change",
        ),
        (
            lambda: clip_cell(LSTM, 0),
            OptionError,
            "clip_cell(lstm) - limit is 0, expected it above 0 - give the largest magnitude",
        ),
        (
            lambda: clip_gates(LSTM, float("nan")),
            OptionError,
            "clip_gates(lstm) - limit is nan, expected it above 0 - give the largest magnitude",
        ),
        (
            lambda: clip_gates(LSTM, "3"),
            OptionTypeError,
            "clip_gates(lstm) - limit should be a number, got '3' - give the largest magnitude",
        ),
        (
            lambda: clip_gates(LSTM, True),
            OptionTypeError,
            "clip_gates(lstm) - limit should be a number, got True - give the largest magnitude",
        ),
    ],
)
def test_errors(call, error: type[CarrouselError], message: str) -> None:
    with pytest.raises(error) as caught:
        call()
    assert type(caught.value) is error
    assert str(caught.value) == message
