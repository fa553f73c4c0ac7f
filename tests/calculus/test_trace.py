"""The equations on symbols: what is opaque, what has a name, in which order."""

import sympy

from bptt import cell_of
from carrousel import cells
from carrousel.calculus.trace import Mean, Product
from carrousel.functions import sigmoid, tanh


def test_equations_of_the_lstm() -> None:
    trace = cells.get("lstm").trace
    assert [str(symbol) for symbol, _ in trace.equations] == ["a_i", "i", "a_f", "f", "a_z", "z", "a_o", "o", "c", "h"]
    equations = {str(symbol): value for symbol, value in trace.equations}
    f, i, o, z, c, c_prev, a_i = sympy.symbols("f i o z c c_prev a_i")
    assert equations["i"] == sigmoid(a_i)
    assert equations["c"] == f * c_prev + i * z
    assert equations["h"] == o * tanh(c)
    assert {str(s) for s in equations["a_i"].free_symbols} == {"W.i @ x", "R.i @ h_prev", "b.i", "bR.i"}


def test_opaque_nodes() -> None:
    text = """
def small(x, h_prev, W, R):
    z = W.z @ x + R.z @ stop_gradient(h_prev)
    h = z - mean(z) + R.z @ (z * h_prev)
    return h
"""
    trace = cell_of(text).trace
    assert {str(symbol): node for symbol, node in trace.opaque.items()} == {
        "W.z @ x": Product("W", "z", "x", "z"),
        "R.z @ stop_gradient(h_prev)": Product("R", "z", "h_prev", "z", stopped=True),
        "mean(z)": Mean("z", "h"),
        "R.z @ u_h": Product("R", "z", "u_h", "h"),
    }
    assert [node.variable for node in trace.opaque.values()] == ["W_z_x", "R_z_h_prev", "mean_z", "R_z_u_h"]


def test_order_is_that_of_the_definition() -> None:
    order = cells.get("gru").trace.order
    assert list(order)[:6] == ["x", "h_prev", "W", "R", "b", "bR"]
    assert sorted(order.values()) == list(range(len(order)))
    assert order["a_r"] < order["r"] < order["a_z"] < order["z"] < order["a_n"] < order["n"] < order["h"]


def test_parameters_are_the_vectors() -> None:
    assert [str(p) for p in cells.get("peephole_lstm").trace.parameters] == [
        "p.i",
        "p.f",
        "p.o",
        "b.i",
        "b.f",
        "b.z",
        "b.o",
    ]


def test_constants_are_numbers_and_quantities_keep_their_names() -> None:
    trace = cells.get("lstm_1997").trace
    assert dict(trace.equations)[sympy.Symbol("z")] == 4 * sigmoid(sympy.Symbol("a_z")) - 2
    assert dict(cells.get("nig").trace.equations)[sympy.Symbol("i")] == 1
