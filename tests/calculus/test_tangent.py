"""The tangent equations, against finite steps of the definition itself and as text."""

import pytest
import torch

from carrousel import cells
from carrousel.backends import eager
from carrousel.calculus.tangent import tangent
from carrousel.calculus.trace import trace
from carrousel.errors import OptionError

PLAIN = ["elman", "irnn", "lstm", "lstm_1997", "lstm_1997_full", "lstm_1997_full_truncated", "coupled_lstm"]


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
    count, states = len(derived.net_inputs) + len(definition.states), len(definition.states)
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
        ("peephole_lstm", "a_i = W.i @ x + R.i @ h_prev + p.i*c_prev + b.i"),
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
