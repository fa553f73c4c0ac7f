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
from carrousel.transforms import clip_cell, clip_gates, detached, projected, truncated, zoneout
from definitions import legal_cells
from tolerances import TOLERANCES

#: One transform, or two.
TRANSFORMED = {
    "gru truncated": lambda: truncated(cells.get("gru")),
    "gru_2014 truncated": lambda: truncated(cells.get("gru_2014")),
    "fgr truncated": lambda: truncated(cells.get("fgr")),
    "fgr detached": lambda: detached(cells.get("fgr"), "p"),
    "lstm zoneout": lambda: zoneout(cells.get("lstm")),
    "gru_2014 zoneout": lambda: zoneout(cells.get("gru_2014"), "h"),
    "slstm zoneout": lambda: zoneout(cells.get("slstm"), "h", "c", "n"),
    "lstm clip_cell": lambda: clip_cell(cells.get("lstm"), 0.7),
    "lstm clip_gates": lambda: clip_gates(cells.get("lstm"), 0.9),
    "gru clip_gates": lambda: clip_gates(cells.get("gru"), 0.9),
    "lstm projected": lambda: projected(cells.get("lstm")),
    "peephole_lstm projected": lambda: projected(cells.get("peephole_lstm")),
    "slstm projected": lambda: projected(cells.get("slstm")),
    "lstm projected, truncated": lambda: truncated(projected(cells.get("lstm"))),
    "peephole_lstm clipped, zoned out, projected": lambda: projected(
        zoneout(clip_cell(cells.get("peephole_lstm"), 0.5), "c")
    ),
}

#: A rule of the calculus -> a cell that fails without it: its arguments, its lines.
RULES = {
    "layer normalisation": (
        "x, h_prev, W, R, b, g",
        """
        a = W.a @ x + R.a @ h_prev
        e = a - mean(a)
        s = sqrt(mean(e * e) + 0.001)
        h = tanh(g.a * e / s + b.a)
        """,
    ),
    "mean of a product, and of what is used again": (
        "x, h_prev, W, R",
        """
        h = tanh(W.a @ x - mean(W.a @ x) + mean(h_prev) * mean(h_prev) + R.a @ h_prev)
        """,
    ),
    "two stages": (
        "x, h_prev, c_prev, W, R, P, b",
        """
        r = sigmoid(W.r @ x + R.r @ h_prev + b.r)
        c = 0.5 * c_prev + tanh(P.c @ (r * h_prev) + b.c)
        q = tanh(P.q @ c)
        h = q + r * (P.h @ q)
        """,
    ),
    "a step input in a product and elementwise": (
        "x, h_prev, m_t, W, R, D",
        """
        h = m_t * tanh(W.h @ x + D.h @ m_t + R.h @ h_prev) + (1 - m_t) * h_prev
        """,
    ),
    "a product in two equations": (
        "x, h_prev, W, R, b",
        """
        r = sigmoid(W.a @ x + R.a @ h_prev)
        z = tanh(r * (R.a @ h_prev) + b.z)
        h = z * (W.a @ x) * (R.a @ h_prev) + r
        """,
    ),
    "a product twice in an equation": (
        "x, h_prev, W, R",
        """
        h = tanh((W.a @ x) * (R.a @ h_prev) + (R.a @ h_prev) ** 2)
        """,
    ),
    "one matrix and two states": (
        "x, h_prev, c_prev, n_prev, W, R",
        """
        c = tanh(R.a @ c_prev + R.b @ h_prev) + n_prev
        n = tanh(R.a @ h_prev + R.b @ c + W.a @ x)
        h = tanh(R.a @ n_prev) * c
        """,
    ),
    "two products of a group in a line": (
        "x, h_prev, W, R, b",
        """
        r = sigmoid(W.r @ x + b.r)
        h = tanh(r * (R.n @ h_prev) + (1 - r) * (R.m @ h_prev))
        """,
    ),
    "a quantity with the name of a product's adjoint": (
        "x, h_prev, W, R",
        """
        n_R = sigmoid(W.r @ x)
        n = n_R * (R.n @ h_prev) + n_R**2
        h = tanh(n)
        """,
    ),
    "a quantity with the name of a kept product or mean": (
        "x, h_prev, W, R",
        """
        R_n_h_prev2 = sigmoid(W.r @ x)
        mean_z = 2 * mean(R_n_h_prev2)
        z = tanh(R.n @ h_prev) * mean_z
        mean_z2 = mean(z) * mean(z)
        h = mean_z2 + (R.n @ h_prev) * mean(R_n_h_prev2) * R_n_h_prev2
        """,
    ),
    "pre-activations that the definition names itself": (
        "x, h_prev, W, R",
        """
        a_h = W.h @ x
        da_h2 = R.h @ h_prev
        h = tanh(R.h @ h_prev + a_h) * a_h * da_h2
        """,
    ),
    "nested functions": (
        "x, h_prev, W, R, b",
        """
        z = sigmoid(tanh(W.z @ x) * exp(-sigmoid(R.z @ h_prev)))
        h = tanh(maximum(z, tanh(b.h)) - minimum(z, softplus(h_prev)) + log(1 + exp(z)) * log_sigmoid(z - h_prev))
        """,
    ),
    "powers and fractions": (
        "x, h_prev, W, R",
        """
        z = sigmoid(W.z @ x + R.z @ h_prev)
        q = (z * (1 + h_prev**2)) ** 1.5 / (1 + z) ** 2 - 1 / 3 * z ** (-2) + z ** (1 / 2)
        h = tanh(-q / 3 / (2 + z) - (-z) ** 3 * 2 / 7)
        """,
    ),
    "numbers that are named": (
        "x, h_prev, W, R",
        """
        k = 3
        j = k / 2 - 1
        h = tanh(j * (W.h @ x) + clip(R.h @ h_prev, -k, k) - k * h_prev / 7)
        """,
    ),
    "states that are aliases": (
        "x, h_prev, c_prev, n_prev, W, R",
        """
        z = tanh(W.z @ x + R.z @ h_prev + R.n @ n_prev)
        c = c_prev + z
        n = h_prev
        h = c
        """,
    ),
    "a state that its own next value does not read": (
        "x, h_prev, c_prev, W, R",
        """
        c = tanh(W.c @ x)
        h = c * tanh(R.h @ c_prev)
        """,
    ),
    "an adjoint that looks like a rebound one": (
        "x, h_prev, c_prev, W, R",
        """
        u = tanh(W.u @ x + R.u @ h_prev + c_prev)
        r = sigmoid(W.r @ x)
        c = u
        h = r * c + r * u
        """,
    ),
    "lines that nothing reads": (
        "x, h_prev, W, R, b",
        """
        seen = exp(W.s @ x) + b.s
        more = R.s @ seen
        h = tanh(W.h @ x + R.h @ h_prev)
        """,
    ),
    "a parameter that is transformed": (
        "x, h_prev, W, R, t",
        """
        keep = sigmoid(t.a)
        h = keep * h_prev + (1 - keep) * tanh(W.h @ x + R.h @ (keep * h_prev)) + mean(keep)
        """,
    ),
    "gradients that stop": (
        "x, h_prev, c_prev, W, R",
        """
        z = tanh(W.z @ x + R.z @ stop_gradient(h_prev) + stop_gradient(R.z @ h_prev))
        c = stop_gradient(z) * c_prev + z * stop_gradient(c_prev + z)
        h = tanh(c + R.h @ stop_gradient(z * c)) + stop_gradient(mean(c))
        """,
    ),
    "corners": (
        "x, h_prev, c_prev, W, R",
        """
        z = W.z @ x + R.z @ h_prev
        c = clip(relu(z), 0, 0.5) + step(z - 0.1) * c_prev / 2
        h = tanh(maximum(c, c) + minimum(relu(c_prev), relu(-c_prev)) + maximum(z - z, 0))
        """,
    ),
    "an infinite bound": (
        "x, h_prev, W, R",
        """
        z = maximum(W.z @ x + R.z @ h_prev, -inf)
        h = tanh(clip(z, -inf, inf) + minimum(z, inf) + clip(h_prev, 0.1, inf))
        """,
    ),
    "terms that cancel": (
        "x, h_prev, W, R",
        """
        h = tanh(W.h @ x + R.h @ tanh(h_prev - h_prev)) + 0 * h_prev + h_prev / h_prev
        """,
    ),
}


def assert_right(cell: Cell) -> None:
    on = sequence_of(cell)
    assert_same_gradients(by_adjoint(cell, on), by_autograd(cell, on))


def cell_of_rule(rule: str) -> Cell:
    arguments, lines = RULES[rule]
    body = [line.strip() for line in lines.strip().splitlines()]
    states = [a.removesuffix("_prev") for a in arguments.split(", ") if a.endswith("_prev")]
    text = "\n    ".join([f"def rule({arguments}):", *body, f"return {', '.join(states)}"])
    return cell_of(text + "\n", inf=float("inf"))


@pytest.mark.parametrize("name", cells.names())
def test_registry(name: str) -> None:
    assert_right(cells.get(name))


@pytest.mark.parametrize("name", TRANSFORMED)
def test_transformed(name: str) -> None:
    assert_right(TRANSFORMED[name]())


@pytest.mark.parametrize("rule", RULES)
def test_rule(rule: str) -> None:
    assert_right(cell_of_rule(rule))


@settings(max_examples=80, deadline=None, derandomize=True)
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
