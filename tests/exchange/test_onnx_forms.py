"""A cell is recognised by its equations, in any order and under any name, and by nothing less."""

import pytest

from carrousel import cell, cells
from carrousel.exchange.onnx_forms import form_of
from carrousel.functions import sigmoid, tanh
from carrousel.transforms import projected, variant


@cell
def renamed(x, out_prev, memory_prev, A, B, V, c, d):
    keep = sigmoid(d.keep + V.keep @ out_prev + A.keep @ x + c.keep * memory_prev)
    enter = sigmoid(A.enter @ x + B.enter @ x + V.enter @ out_prev)
    new = tanh(d.new + V.new @ out_prev + A.new @ x)
    memory = new * enter + memory_prev * keep
    show = sigmoid(A.show @ x + memory * c.show)
    out = tanh(memory) * show
    return out, memory


def test_names_and_order_do_not_matter() -> None:
    form = form_of(renamed.definition)
    assert form is not None
    assert (form.operator, form.states) == ("LSTM", ("out", "memory"))
    f, i, z, o = (form.gates[letter] for letter in "fizo")
    assert (f.inputs, f.recurrent, f.biases, f.peepholes) == (
        (("A", "keep"),),
        (("V", "keep"),),
        (("d", "keep"),),
        (("c", "keep"),),
    )
    assert i.inputs == (("A", "enter"), ("B", "enter"))
    assert (z.biases, i.biases) == ((("d", "new"),), ())
    assert (o.recurrent, o.peepholes) == ((), (("c", "show"),))


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("lstm", {"c": "f * c_prev + 2 * i * z"}),
        ("lstm", {"c": "f * c_prev - i * z"}),
        ("lstm", {"c": "(1 - f) * c_prev + i * z"}),
        ("lstm", {"h": "o * tanh(c) + c"}),
        ("lstm", {"h": "tanh(c)"}),
        ("lstm", {"f": "tanh(W.f @ x + b.f + R.f @ h_prev + bR.f)"}),
        ("lstm", {"f": "sigmoid(2 * (W.f @ x) + b.f + R.f @ h_prev + bR.f)"}),
        ("peephole_lstm", {"o": "sigmoid(W.o @ x + R.o @ h_prev + p.o * c_prev + b.o)"}),
        ("peephole_lstm", {"z": "tanh(W.z @ x + R.z @ h_prev + p.z * c_prev + b.z)"}),
        ("gru", {"h": "z * n + (1 - z) * h_prev"}),
        ("gru", {"n": "tanh(W.n @ x + b.n + r * (W.n @ x + bR.n))"}),
        ("gru", {"n": "tanh(W.n @ x + b.n + z * (R.n @ h_prev) + r * bR.n)"}),
        ("gru_2014", {"n": "tanh(W.n @ x + R.n @ (r * r * h_prev) + b.n)"}),
        ("elman", {"h": "tanh(W.h @ x + R.h @ h_prev + b.h * bR.h)"}),
        ("elman", {"h": "tanh(W.h @ x + h_prev + R.h @ h_prev + b.h + bR.h)"}),
    ],
)
def test_near_misses(name: str, changes: dict[str, str]) -> None:
    assert form_of(cells.get(name).definition) is not None
    assert form_of(variant(cells.get(name), "near", "Nearly.", **changes).definition) is None


def test_projected_cells_and_long_sums_have_none() -> None:
    assert form_of(projected(cells.get("lstm")).definition) is None
    long = variant(cells.get("lstm"), "long", "Long.", c=" * ".join(["(i + f + o + z)"] * 6) + " * c_prev")
    assert form_of(long.definition) is None
