"""A Cell: what it says of itself, its kernels, its identity."""

import copy
import pickle
import subprocess
import sys
from math import inf

import pytest
import torch

from bptt import cell_of, sequence_of
from carrousel import Cell, backends, cell, cells
from carrousel.backends import eager
from carrousel.cell import from_text
from carrousel.cells.elman import simple_recurrent
from carrousel.cells.lstm_1997 import memory_cell
from carrousel.errors import BackendError, UnknownNameError
from carrousel.functions import log_sigmoid, relu, sigmoid, tanh
from carrousel.transforms import variant

every_cell = pytest.mark.parametrize("name", cells.names())
LEAKY = "def leaky(x, h_prev, W, R):\n    h = k * h_prev + tanh(W.h @ x + R.h @ h_prev)\n    return h\n"


@cell
def plain(x, h_prev, W, R, b):
    """Return the tanh of the pre-activation.

    Source: a test.
    """
    h = tanh(W.h @ x + R.h @ h_prev + b.h)
    return h


@cell(initial={"m": -inf, "h": 1}, shared=("i",), init="identity")
def with_options(x, h_prev, m_prev, W, R):
    i = sigmoid(W.i @ x + R.i @ h_prev)
    m = m_prev
    h = i
    return h, m


# ---------------------------------------------------------------------- the decorator


def test_decorator() -> None:
    assert isinstance(plain, Cell)
    assert plain.name == "plain"
    assert plain.states == ("h",)
    assert plain.quantities == ("h",)
    assert plain.initial == {"h": 0.0}
    assert (plain.shared, plain.init) == ((), None)
    assert plain.paper == "a test."
    assert plain.doc.startswith("Return the tanh")


def test_decorator_with_options() -> None:
    assert with_options.initial == {"h": 1.0, "m": -inf}
    assert with_options.shared == ("i",)
    assert with_options.init == "identity"
    assert (with_options.doc, with_options.paper) == ("", "")


def test_decorator_called_as_a_function() -> None:
    def again(x, h_prev, W):
        h = tanh(W.h @ x)
        return h

    assert cell(again).name == "again"
    assert cell(initial={"h": 2})(again).initial == {"h": 2.0}


def test_str() -> None:
    assert str(plain).splitlines() == [
        "plain: Return the tanh of the pre-activation.",
        "a test.",
        "",
        "a_h = W.h @ x + R.h @ h_prev + b.h",
        "h   = tanh(a_h)",
    ]
    assert str(with_options).splitlines()[:3] == ["with_options", "", "a_i = W.i @ x + R.i @ h_prev"]


def test_repr() -> None:
    assert repr(with_options) == "<cell with_options: states h, m>"


@every_cell
def test_registry_cell_names_its_paper(name: str) -> None:
    found = cells.get(name)
    assert found.paper.startswith(("Elman", "Le,", "Hochreiter", "Gers", "Greff", "Cho", "Beck", "Ba,"))
    assert found.doc.splitlines()[0].endswith(".")


# ---------------------------------------------------------------------- constants


def test_constants_in_the_name() -> None:
    assert memory_cell(2, 1).name == "lstm_1997(g_range=2, h_range=1)"
    assert memory_cell(0.5, 1).name == "lstm_1997(g_range=0.5, h_range=1)"
    assert simple_recurrent(relu).name == "simple_recurrent(activation=relu)"
    assert cell_of(LEAKY.replace("k * h_prev", "maximum(h_prev, -k)"), k=inf).name == "leaky"


def test_constants_in_the_hash() -> None:
    made = [memory_cell(2, 1), memory_cell(1, 2), memory_cell(2.0, 1), simple_recurrent(relu), simple_recurrent(tanh)]
    assert len(set(made)) == len({c.definition.identity for c in made}) == 5
    assert memory_cell(2, 1) == memory_cell(2, 1)
    assert hash(memory_cell(2, 1)) == hash(memory_cell(2, 1))


# ---------------------------------------------------------------------- identity


@every_cell
def test_copies_are_equal(name: str) -> None:
    original = cells.get(name)
    again = pickle.loads(pickle.dumps(original))
    assert again is not original
    assert again == original
    assert hash(again) == hash(original)
    assert str(again) == str(original)
    assert again.groups == original.groups
    assert again.source("eager", "backward") == original.source("eager", "backward")
    assert copy.copy(original) is original
    assert copy.deepcopy({"cell": original})["cell"] is original


def test_pickle_across_processes() -> None:
    script = (
        "import pickle, sys\n"
        "cell = pickle.loads(sys.stdin.buffer.read())\n"
        "sys.stdout.write(cell.name + cell.source('eager'))\n"
    )
    made = [memory_cell(3, 1), with_options, simple_recurrent(log_sigmoid)]
    for original in made:
        done = subprocess.run(
            [sys.executable, "-c", script], input=pickle.dumps(original), capture_output=True, check=True
        )
        assert done.stdout.decode() == original.name + original.source("eager")


def test_equality_sees_every_part() -> None:
    base = cell_of(LEAKY, k=0.5)
    others = [
        cell_of(LEAKY, k=0.6),
        cell_of(LEAKY.replace("tanh", "relu"), k=0.5),
        cell_of(LEAKY, {"h": 1.0}, k=0.5),
        Cell(base.definition, shared=("h",)),
        Cell(base.definition, init="identity"),
    ]
    assert base == cell_of(LEAKY, k=0.5)
    assert base == Cell(base.definition, {"h": 0.0})
    for other in others:
        assert base != other
    assert base != base.name
    assert plain != Cell(plain.definition, gains=("b",))


def test_from_text_keeps_the_options_that_still_apply() -> None:
    text = "def less(x, h_prev, W, R):\n    i = sigmoid(W.i @ x + R.i @ h_prev)\n    h = i\n    return h\n"
    less = from_text(text, {}, with_options)
    assert (less.initial, less.shared, less.init) == ({"h": 1.0}, ("i",), "identity")
    normalised = cells.get("layer_norm_lstm")
    assert normalised.truncated().gains == normalised.gains == ("gW", "gR", "g")
    assert variant(normalised, "open", "No output norm.", h="o * tanh(c)").gains == ("gW", "gR")
    assert pickle.loads(pickle.dumps(normalised)).gains == normalised.gains


# ---------------------------------------------------------------------- kernels


def test_calling_a_cell_runs_its_definition() -> None:
    on = sequence_of(plain)
    parameters = eager.groups(on.parameters)
    h = plain(on.x[0], on.states["h"], **parameters)
    W, R, b = on.parameters["W"]["h"], on.parameters["R"]["h"], on.parameters["b"]["h"]
    assert torch.equal(h, torch.tanh(on.x[0] @ W.mT + on.states["h"] @ R.mT + b))


def test_infinite_constants_can_be_compiled() -> None:
    clipped = cell_of(LEAKY.replace("k * h_prev", "clip(h_prev, low, k)"), k=inf, low=-inf)
    on = sequence_of(clipped)
    parameters = eager.groups(on.parameters)
    assert clipped(on.x[0], on.states["h"], **parameters).isfinite().all()


def test_traced_quantities_come_second() -> None:
    on = sequence_of(with_options)
    step = with_options.step("eager", traced=("m", "i"))
    states, seen = step(on.x[0], *on.states.values(), **eager.groups(on.parameters))
    assert torch.equal(states[0], seen[1])
    assert torch.equal(states[1], seen[0])
    assert with_options.step("eager", traced=("m", "i")) is step


def test_source_is_what_runs() -> None:
    for direction in ("forward", "backward"):
        text = plain.source("eager", direction)
        assert plain.step("eager", direction) is plain.step("eager", direction)
        assert eager.compile_kernel(text).__code__.co_code == plain.step("eager", direction).__code__.co_code


UNKNOWN = f"backends - unknown backend 'cuda'; they are {', '.join(backends.names())}."


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: plain.source("cuda"), UnknownNameError, UNKNOWN),
        (lambda: plain.step("cuda"), UnknownNameError, UNKNOWN),
        (
            lambda: plain.source("torch"),
            BackendError,
            "backend 'torch' - its kernels are compiled into torch - backend 'eager' has text to show",
        ),
        (
            lambda: plain.source("eager", "sideways"),
            UnknownNameError,
            "cell.source - unknown direction 'sideways' - expected 'forward' or 'backward'",
        ),
        (
            lambda: plain.source("eager", stage="ir"),
            UnknownNameError,
            "cell.source - backend 'eager' has no stage 'ir', its one text is Python - leave stage out",
        ),
        (
            lambda: plain.step("torch"),
            BackendError,
            "backend 'torch' - it has no step as a function on tensors - backend 'eager' has one",
        ),
        (
            lambda: with_options.step("eager", traced=("j",)),
            UnknownNameError,
            "with_options - no quantity 'j', there are a_i, i, m, h - name one of them",
        ),
        (
            lambda: with_options.step("eager", traced=("hh",)),
            UnknownNameError,
            "with_options - no quantity 'hh', there are a_i, i, m, h - Did you mean h?",
        ),
    ],
)
def test_errors(call, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value) == message
