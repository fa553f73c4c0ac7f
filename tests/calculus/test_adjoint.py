"""The derived backward equals autograd through the definition.

Every cell of the registry, what the transforms make of them, definitions that try each rule of the calculus, and
definitions drawn at random. `bptt` drives the derived backward of one step over a sequence.
"""

import pytest
from hypothesis import given, settings

from bptt import BATCH, SIZE, assert_same_gradients, by_adjoint, by_autograd, cell_of, sequence_of, steps_of
from carrousel import cells
from carrousel.calculus.notation import HIDDEN
from carrousel.cell import Cell
from definitions import RULES, TRANSFORMED, cell_of_rule, legal_cells
from tolerances import TOLERANCES


def assert_right(cell: Cell) -> None:
    on = sequence_of(cell)
    assert_same_gradients(by_adjoint(cell, on), by_autograd(cell, on))


@pytest.mark.parametrize("name", cells.names())
def test_registry(name: str) -> None:
    assert_right(cells.get(name))


@pytest.mark.parametrize("name", TRANSFORMED)
def test_transformed(name: str) -> None:
    assert_right(TRANSFORMED[name]())


@pytest.mark.parametrize("rule", RULES)
def test_rule(rule: str) -> None:
    assert_right(cell_of_rule(rule))


@settings(max_examples=50, deadline=None, derandomize=True)
@given(legal_cells())
def test_random_definitions(cell: Cell) -> None:
    assert_right(cell)


@pytest.mark.parametrize("name", cells.names())
def test_normal_form_has_the_values_of_the_definition(name: str) -> None:
    """What the backward is derived from and fed with is what the forward computes."""
    cell = cells.get(name)
    on = sequence_of(cell)
    values = steps_of(cell, on)[0]
    states = cell(on.x[0], *on.states.values(), **{g.name: values[g.name] for g in cell.groups})
    for state, value in zip(cell.states, states if isinstance(states, tuple) else (states,), strict=True):
        assert values[state].shape == (BATCH, SIZE[HIDDEN])
        assert float((values[state] - value).abs().max()) <= TOLERANCES["operations"].atol


# ---------------------------------------------------------------------- how it reads


def test_reads_like_a_textbook() -> None:
    lines = str(cells.get("peephole_lstm").adjoint).splitlines()
    assert lines[:3] == [
        "do      = dh*tanh(c)",
        "da_o    = do*o*(1 - o)",
        "dc      = dc + da_o*p.o + dh*o*(1 - tanh(c)**2)",
    ]


def test_dead_adjoints_are_gone() -> None:
    """Neither what stops at step nor the derivative by a number is computed."""
    lines = ["k = 2", "q = exp(W.q @ x)", "h = k * tanh(R.h @ h_prev) + step(q)", "return h"]
    adjoint = cell_of("\n    ".join(["def rule(x, h_prev, W, R):", *lines])).adjoint
    assert [left for left, _ in adjoint.lines] == ["da_h", "dx", "dh_prev", "dW.q", "dR.h"]
    assert dict(adjoint.lines)["dx"] == "0"
    assert dict(adjoint.lines)["dW.q"] == "0"


def test_equal_adjoints_are_computed_once() -> None:
    text = "def rule(x, h_prev, W, R, b):\n    h = tanh(2 * (W.h @ x) + 2 * (R.h @ h_prev) + 2 * b.h)\n    return h\n"
    lines = dict(cell_of(text).adjoint.lines)
    assert lines["da_h_W"] == "2*da_h"
    assert lines["da_h_R"] == "da_h_W"
    assert lines["db.h"] == "da_h_W"


def test_a_stopped_value_is_read_as_it_is() -> None:
    assert dict(cells.get("peephole_lstm_2002").adjoint.lines)["dp.o"] == "da_o*c"


def test_interface() -> None:
    adjoint = cell_of_rule("a step input in a product and elementwise").adjoint
    assert adjoint.inputs == ("dh",)
    assert adjoint.outputs == ("dx", "dh_prev", "dm_t")
    assert [(m.group, m.gate, str(m)) for m in adjoint.matrices] == [
        ("W", "h", "outer(da_h, x)"),
        ("R", "h", "outer(da_h, h_prev)"),
        ("D", "h", "outer(da_h, m_t)"),
    ]
