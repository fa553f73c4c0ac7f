"""The tangent equations, against finite steps of the definition itself and as text."""

import pytest
import torch

from carrousel import cells
from carrousel.backends import eager
from carrousel.calculus.tangent import tangent
from carrousel.calculus.trace import trace
from carrousel.errors import OptionError
from carrousel.transforms import variant

PLAIN = [
    "elman",
    "irnn",
    "lstm",
    "lstm_1997",
    "lstm_1997_full",
    "lstm_1997_full_truncated",
    "coupled_lstm",
    "peephole_lstm",
]


def test_as_text() -> None:
    derived = tangent(trace(cells.get("lstm_1997").definition))
    assert str(derived).splitlines() == [
        "i  = sigmoid(a_i)",
        "o  = sigmoid(a_o)",
        "z  = 4*sigmoid(a_z) - 2",
        "c  = c_prev + i*z",
        "h  = o*(2*sigmoid(c) - 1)",
        "ti = i*(1 - i)*ta_i",
        "to = o*(1 - o)*ta_o",
        "tz = 4*(1 - sigmoid(a_z))*sigmoid(a_z)*ta_z",
        "tc = tc_prev + z*ti + i*tz",
        "th = (2*sigmoid(c) - 1)*to + 2*o*(1 - sigmoid(c))*sigmoid(c)*tc",
    ]
    assert derived.net_inputs == {"i": "a_i", "o": "a_o", "z": "a_z"}


@pytest.mark.parametrize("name", PLAIN)
def test_against_differences(name: str) -> None:
    definition = cells.get(name).definition
    step = eager.compile_kernel(eager.tangent_step(definition))
    derived = tangent(trace(definition))
    states = len(definition.states)
    count = len(derived.net_inputs) + len(derived.factors) + states
    generator = torch.Generator().manual_seed(0)
    values = list(torch.randn(count, 5, dtype=torch.float64, generator=generator))
    tangents = list(torch.randn(count, 5, dtype=torch.float64, generator=generator))
    found = step(*values, *tangents)
    for sign, size in ((1, 1e-6),):
        after = step(*(v + sign * size * t for v, t in zip(values, tangents, strict=True)), *tangents)[:states]
        before = step(*(v - sign * size * t for v, t in zip(values, tangents, strict=True)), *tangents)[:states]
        for up, down, got in zip(after, before, found[states:], strict=True):
            torch.testing.assert_close(got, (up - down) / (2 * size), atol=1e-8, rtol=1e-7)


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("gru", "a_n = W.n @ x + b.n + r*(R.n @ h_prev + bR.n)"),
        ("gru_2014", "a_n = W.n @ x + R.n @ u_n + b.n"),
    ],
)
def test_products_that_are_no_plain_terms(name: str, line: str) -> None:
    with pytest.raises(OptionError) as caught:
        eager.tangent_step(cells.get(name).definition)
    assert str(caught.value) == (
        f"{name} - real-time recurrent learning takes products and biases as plain terms of a gate's net input, got "
        f"{line} - learn through time"
    )


def test_a_state_that_nothing_moves_has_the_tangent_zero() -> None:
    text = eager.tangent_step(cells.get("slstm").definition)
    assert text.rstrip().endswith("th, tc, tn, 0")


def test_vectors_that_multiply_something_have_tangents_of_their_own() -> None:
    derived = tangent(trace(cells.get("peephole_lstm_2002").definition))
    assert derived.net_inputs == {"i": "n_i", "f": "n_f", "z": "a_z", "o": "n_o"}
    assert derived.factors == {"p.i": "p_i", "p.f": "p_f", "p.o": "p_o"}
    lines = dict(derived.lines)
    assert lines["a_o"] == "n_o + p_o*stop_gradient(c)"
    assert lines["ta_o"] == "tn_o + c*tp_o"
    assert dict(tangent(trace(cells.get("peephole_lstm").definition)).lines)["ta_o"] == "p_o*tc + tn_o + c*tp_o"


def test_a_group_that_is_both_biases_and_factors() -> None:
    both = variant(cells.get("peephole_lstm"), "both", "Odd.", z="tanh(W.z @ x + R.z @ h_prev + p.z)")
    with pytest.raises(OptionError) as caught:
        tangent(trace(both.definition))
    assert str(caught.value) == (
        "both - real-time recurrent learning, but p.z is a bias and p.f multiplies something - use a group for each"
    )
