"""The printed text is what runs: it must mean what the expression means."""

from types import SimpleNamespace

import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

from carrousel.calculus.printing import text
from carrousel.functions import TABLE, clip, sigmoid, tanh
from tolerances import TOLERANCES


class Product:
    """Stands for a matrix: `W.i @ x` is a number."""

    def __matmul__(self, operand: float) -> float:
        return 1.75 * operand


EXACT = TOLERANCES["printing"].atol

#: symbol name -> its value, all above 0 so that fractional powers are real.
VALUES = {"a": 0.75, "b": 1.25, "c_prev": 0.5, "dh": 1.5, "b.i": 0.875, "W.i @ a": 1.75 * 0.75}
ORDER = {name: rank for rank, name in enumerate(["a", "b", "b.i", "W.i @ a", "c_prev"])}
A, B, C, D, P, W = sympy.symbols("a b c_prev dh b.i W.i\\ @\\ a")


def evaluated(shown: str) -> float:
    names = {**TABLE, "a": 0.75, "c_prev": 0.5, "dh": 1.5, "W": SimpleNamespace(i=Product())}

    class B(float):
        i = 0.875

    return eval(shown, {}, {**names, "b": B(1.25)})


def value(expression: sympy.Expr) -> float:
    run = sympy.lambdify([sympy.Symbol(name) for name in VALUES], expression, modules=[dict(TABLE), "math"])
    return float(run(*VALUES.values()))


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (A - B, "a - b"),
        (-A - B, "-a - b"),
        (1 - A, "1 - a"),
        (A - 1, "a - 1"),
        (A * (1 - A), "a*(1 - a)"),
        (-A * B, "-a*b"),
        (A / B / C, "a/b/c_prev"),
        (A / (B + C), "a/(b + c_prev)"),
        (1 / A, "1/a"),
        (-1 / A, "-1/a"),
        (A**2, "a**2"),
        (-(A**2), "-a**2"),
        ((-A) ** sympy.Rational(1, 2), "(-a)**(1/2)"),
        ((A + B) ** 2, "(a + b)**2"),
        (A ** sympy.Rational(-1, 2), "1/a**(1/2)"),
        (A**-2, "1/a**2"),
        (2 * A / 3, "2*a/3"),
        (-A / 2, "-a/2"),
        (A - sympy.Rational(1, 3), "a - 1/3"),
        (0.5 * A, "0.5*a"),
        (-0.5 * A, "-0.5*a"),
        (sigmoid(-A), "sigmoid(-a)"),
        (1 - tanh(A) ** 2, "1 - tanh(a)**2"),
        (clip(A - 1, -3, 3), "clip(a - 1, -3, 3)"),
        (A * W, "a*(W.i @ a)"),
        (W + B, "b + W.i @ a"),
        (A - W, "a - W.i @ a"),
        (-W, "-(W.i @ a)"),
        (W**2, "(W.i @ a)**2"),
        (tanh(W), "tanh(W.i @ a)"),
        (D * P * A * C * B, "dh*b.i*a*b*c_prev"),
        (sympy.oo, "inf"),
        (-sympy.oo, "-inf"),
        (sympy.Integer(-3), "-3"),
        (sympy.Rational(-3, 2), "-3/2"),
        (sympy.Float(-0.1), "-0.1"),
        (sympy.Float(1e-30), "1e-30"),
    ],
    ids=str,
)
def test_text(expression: sympy.Expr, expected: str) -> None:
    assert text(expression, ORDER) == expected


_LEAVES = st.sampled_from([*(A, B, C, D, P, W), *map(sympy.sympify, (1, -1, 2, -3, 0.5, -0.25, "1/3", "-2/7"))])


def _grown(inner: st.SearchStrategy) -> st.SearchStrategy:
    return st.one_of(
        st.builds(lambda a, b: a + b, inner, inner),
        st.builds(lambda a, b: a - b, inner, inner),
        st.builds(lambda a, b: a * b, inner, inner),
        st.builds(lambda a, b: a / (b**2 + 1), inner, inner),
        st.builds(lambda a: -a, inner),
        st.builds(
            lambda a, n: (a**2 + 1) ** n, inner, st.sampled_from([-3, -2, -1, 2, 3, 0.5, -1.5, sympy.Rational(2, 3)])
        ),
        st.builds(lambda a, n: a**n, inner, st.sampled_from([2, 3])),
        st.builds(lambda a: sigmoid(a * A), inner),
        st.builds(lambda a: sympy.diff(tanh(a * A) / sigmoid(A), A), inner),
    )


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.recursive(_LEAVES, _grown, max_leaves=6))
def test_text_means_what_the_expression_means(expression: sympy.Expr) -> None:
    shown = text(expression, ORDER)
    assert evaluated(shown) == pytest.approx(value(expression), rel=EXACT, abs=EXACT), shown


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.recursive(_LEAVES, _grown, max_leaves=6))
def test_text_in_brackets_where_it_stands_in_a_larger_expression(expression: sympy.Expr) -> None:
    for larger in (A * expression, A - expression, A / (expression + 1000), tanh(expression) ** 2):
        assert evaluated(text(larger, ORDER)) == pytest.approx(value(larger), rel=EXACT, abs=EXACT)
