"""The Jacobian of a step as straight-line code: against the tangent equations."""

import pytest
import torch

from carrousel import cells, functions
from carrousel.backends import eager
from carrousel.calculus.jacobian import Jacobian, jacobian
from carrousel.calculus.tangent import tangent
from carrousel.calculus.trace import trace

_ARITHMETIC = {"add": torch.add, "sub": torch.sub, "mul": torch.mul, "div": torch.div}


def evaluate(derived: Jacobian, values: list[torch.Tensor]) -> dict[str, torch.Tensor]:
    known = dict(zip(derived.given, values, strict=True))
    for operation in derived.operations:
        arguments = [
            known[a] if isinstance(a, str) else torch.tensor(a, dtype=torch.float64) for a in operation.arguments
        ]
        if operation.op in ("copy", "stop_gradient"):
            known[operation.name] = arguments[0]
        else:
            known[operation.name] = (_ARITHMETIC.get(operation.op) or functions.TABLE[operation.op])(*arguments)
    return known


@pytest.mark.parametrize(
    "name", ["lstm", "lstm_1997_full", "lstm_1997_truncated", "peephole_lstm_2002", "coupled_lstm", "irnn", "elman"]
)
def test_derivatives_are_the_coefficients_of_the_tangents(name: str) -> None:
    definition = cells.get(name).definition
    derived = jacobian(tangent(trace(definition)))
    step = eager.compile_kernel(eager.tangent_step(definition))
    count = len(derived.given)
    values = list(torch.randn(count, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1)))
    known = evaluate(derived, values)
    for k, moved in enumerate(derived.given):
        found = step(*values, *(torch.full((5,), float(k == n), dtype=torch.float64) for n in range(count)))
        states = len(definition.states)
        for state, value, change in zip(definition.states, found[:states], found[states:], strict=True):
            torch.testing.assert_close(known[state], value, atol=1e-14, rtol=0)
            by = derived.derivatives[state].get(moved, 0.0)
            expected = torch.as_tensor(change, dtype=torch.float64).expand(5)
            got = known[by] if isinstance(by, str) else torch.full((5,), by, dtype=torch.float64)
            torch.testing.assert_close(got, expected, atol=1e-14, rtol=0)


def test_the_carrousel_has_the_derivative_one() -> None:
    derived = jacobian(tangent(trace(cells.get("lstm_1997").definition)))
    assert derived.derivatives["c"]["c_prev"] == 1.0
    assert derived.given == ("a_i", "a_o", "a_z", "h_prev", "c_prev")
    assert str(derived.operations[0]) == "i = sigmoid(a_i)"
