"""Which backend does a call: the named one, which may refuse; "auto" takes the first that can."""

import warnings
from typing import Any

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.func import vmap

import carrousel
from carrousel import backends, cells
from carrousel.backends import eager
from carrousel.errors import BackendError
from carrousel.nn.sequence import Call
from nn.twins import LAYERS, STEPS, assert_same, ours, packed, sequence, states_for, tensors, theirs

X = sequence(5, 2, 3)


class Recorded:
    """A backend that notes what it is asked and what it runs; eager does the work."""

    def __init__(self) -> None:
        self.reasons: list[str] = []
        self.asked: list[tuple[Any, ...]] = []
        self.ran: list[tuple[Any, ...]] = []

    def source(self, definition, direction="forward", traced=(), stage=None) -> str:
        return f"{definition.name} {direction} {' '.join(traced)} {stage}"

    def refusals(self, definition, x, traced) -> list[str]:
        self.asked.append((definition, x, tuple(traced)))
        return self.reasons

    def run(self, definition, x, states, parameters, step_inputs, rows, reverse, traced):
        self.ran.append((definition, tuple(x.shape), parameters, tuple(traced)))
        return eager.run(definition, x, states, parameters, step_inputs, rows, reverse, traced)


def registered(monkeypatch: pytest.MonkeyPatch, **placed: Recorded) -> None:
    """Make these the registry, in this order."""
    monkeypatch.setattr(backends, "_loaded", dict(placed))
    monkeypatch.setattr(backends, "_REGISTRY", {name: name for name in placed})


@pytest.fixture
def fast() -> Recorded:
    return Recorded()


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch, fast: Recorded) -> Recorded:
    """Eager, recorded; `fast` stands before it and `late` after it."""
    slow = Recorded()
    registered(monkeypatch, fast=fast, eager=slow, late=Recorded())
    return slow


#: What is called, made new for each test: a layer or single step, and its arguments.
OWN = {
    **{name: lambda name=name: (ours(name, 3, 4, dtype=torch.float64), (X,)) for name in LAYERS},
    **{name: lambda name=name: (ours(name, 3, 4, dtype=torch.float64), (X[0],)) for name in STEPS},
    "states": lambda: (ours("GRU", 3, 4, dtype=torch.float64), (X, states_for("GRU", 1, 2, 4))),
    "unbatched": lambda: (ours("LSTM", 3, 4, dtype=torch.float64), (X[:, 0],)),
    "unbatched step": lambda: (ours("LSTMCell", 3, 4, dtype=torch.float64), (X[0, 0],)),
    "packed": lambda: (ours("LSTM", 3, 4, dtype=torch.float64), (packed(X, [2, 5]),)),
    "learned": lambda: (ours("LSTM", 3, 4, learn_initial_state=True, dtype=torch.float64), (X,)),
    "Recurrent": lambda: (carrousel.Recurrent("lstm", 3, 4, dtype=torch.float64), (X,)),
}
OTHER = {
    "peepholes": lambda: (ours("LSTM", 3, 4, cell="peephole_lstm", dtype=torch.float64), (X,)),
    "step": lambda: (ours("GRUCell", 3, 4, cell="gru_2014", dtype=torch.float64), (X[0],)),
    "slstm": lambda: (carrousel.Recurrent("slstm", 3, 4, dtype=torch.float64), (X,)),
    "projected": lambda: (carrousel.Recurrent("elman", 3, 4, proj_size=2, dtype=torch.float64), (X,)),
    "Population": lambda: (carrousel.Population("gru", 2, 3, 4, dtype=torch.float64), (X.expand(2, -1, -1, -1),)),
}


@pytest.mark.parametrize("what", [*OWN, *OTHER])
def test_auto_takes_the_first_that_can_on_the_cpu(fast: Recorded, slow: Recorded, what: str) -> None:
    module, args = (OWN | OTHER)[what]()
    results = module(*args)
    assert len(fast.ran) == 1
    assert not slow.ran
    module.backend = "eager"
    expected = module(*args)
    assert len(slow.ran) == 1
    if isinstance(results, torch.Tensor):
        assert torch.equal(results, expected)
    else:
        assert_same(results, expected)


@pytest.mark.parametrize("what", OWN)
def test_auto_takes_torch_s_operator_where_that_one_can_not(fast: Recorded, slow: Recorded, what: str) -> None:
    fast.reasons = ["this"]
    module, args = OWN[what]()
    module(*args)
    assert fast.asked
    assert not fast.ran
    assert not slow.ran


@pytest.mark.parametrize("what", OTHER)
def test_auto_takes_eager_where_neither_can(fast: Recorded, slow: Recorded, what: str) -> None:
    fast.reasons = ["this"]
    module, args = OTHER[what]()
    module(*args)
    assert fast.asked
    assert not fast.ran
    assert len(slow.ran) == 1


def test_auto_asks_in_the_order_of_the_registry(fast: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    second, reference, late = Recorded(), Recorded(), Recorded()
    registered(monkeypatch, fast=fast, second=second, eager=reference, late=late)
    layer = carrousel.Recurrent("slstm", 3, 4, dtype=torch.float64)
    layer(X)
    assert not second.asked
    fast.reasons = ["this"]
    layer(X)
    second.reasons = ["that"]
    layer(X)
    assert [len(b.ran) for b in (fast, second, reference, late)] == [1, 1, 1, 0]
    layer.backend = "late"
    layer(X)
    assert len(late.ran) == 1


@pytest.mark.usefixtures("slow")
@pytest.mark.parametrize("device", ["meta", "cuda"])
def test_auto_asks_on_the_cpu_only(fast: Recorded, device: str) -> None:
    with FakeTensorMode():  # its tensors have a device and no values
        x, step = torch.empty(5, 2, 3, device=device), torch.empty(2, 3, device=device)
    layer, other = carrousel.LSTM(3, 4), carrousel.Recurrent("slstm", 3, 4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that it runs step by step
        chosen = [module._backend_of(Call(x, (), ()), module._layout) for module in (layer, other)]
    assert chosen == ["torch", "eager"]
    assert layer._namesake_does(x)
    assert carrousel.LSTMCell(3, 4)._namesake_does(step)
    assert not fast.asked


def test_the_operator_does_what_backend_torch_asks_for(fast: Recorded, slow: Recorded) -> None:
    for name in LAYERS:
        made, expected = (make(name, 3, 4, dtype=torch.float64) for make in (ours, theirs))
        made.backend = "torch"
        assert all(torch.equal(a, b) for a, b in zip(tensors(made(X)), tensors(expected(X)), strict=True))
    for name in STEPS:
        made, expected = (make(name, 3, 4, dtype=torch.float64) for make in (ours, theirs))
        made.backend = "torch"
        assert all(torch.equal(a, b) for a, b in zip(tensors(made(X[0])), tensors(expected(X[0])), strict=True))
    assert not fast.asked
    assert not slow.ran


def test_what_a_backend_is_asked(fast: Recorded, slow: Recorded) -> None:
    layer = carrousel.Recurrent("elman", 3, 4, 2, proj_size=2, bidirectional=True, dtype=torch.float64)
    layer(X, return_trace=("a_m", "h"))
    ((definition, x, traced),) = fast.asked  # once for all layers and directions
    assert definition.projected
    assert definition == layer._layout.cell.definition
    assert torch.equal(x, X)
    assert traced == ("a_m", "h")
    assert [shape for _, shape, _, _ in fast.ran] == [(5, 2, 3), (5, 2, 3), (5, 2, 4), (5, 2, 4)]
    assert all(d is definition and names == (("a_m", 4), ("h", 2)) for d, _, _, names in fast.ran)
    nn.Sequential(ours("LSTM", 3, 4, cell="peephole_lstm"))(X.float())
    assert fast.asked[-1][0] is cells.get("peephole_lstm").definition


def test_shapes_are_checked_whoever_does_the_call(fast: Recorded, slow: Recorded) -> None:
    for name in (*LAYERS, *STEPS):
        with pytest.raises(RuntimeError, match="input"):
            ours(name, 3, 4)(torch.ones(5, 2, 7)[: 1 + 4 * (name in LAYERS)].squeeze(0))
    assert not fast.ran
    assert not slow.ran


# ---------------------------------------------------------------------- a named backend refuses


REFUSED = "{} - backend 'fast' can not do tensors of torch.float64, transforms - use backend='eager' or 'auto'"


@pytest.mark.parametrize("what", [*OWN, *OTHER])
def test_a_named_backend_says_why_it_can_not(fast: Recorded, slow: Recorded, what: str) -> None:
    fast.reasons = ["tensors of torch.float64", "transforms"]
    module, args = (OWN | OTHER)[what]()
    module.backend = "fast"
    with pytest.raises(BackendError) as caught:
        module(*args)
    assert str(caught.value) == REFUSED.format(type(module).__name__)
    assert not fast.ran
    assert not slow.ran


@pytest.mark.parametrize("name", [*LAYERS, *STEPS])
def test_backends_are_asked_under_transforms(fast: Recorded, slow: Recorded, name: str) -> None:
    fast.reasons = ["transforms of torch.func"]
    x = torch.stack([X, X]) if name in LAYERS else X
    module = ours(name, 3, 4, dtype=torch.float64)
    vmap(module)(x)
    assert fast.asked
    assert len(slow.ran) == 1  # torch's operators do not follow transforms everywhere
    module.backend = "fast"
    with pytest.raises(BackendError, match=f"^{name} - backend 'fast' can not do transforms of torch.func - use"):
        vmap(module)(x)


@pytest.mark.usefixtures("slow")
def test_a_named_backend_can_be_chosen_at_construction() -> None:
    for name in (*LAYERS, *STEPS):
        assert ours(name, 3, 4, backend="fast").backend == "fast"
    assert carrousel.Population("gru", 2, 3, 4, backend="fast").backend == "fast"


# ---------------------------------------------------------------------- cells


@pytest.mark.usefixtures("slow")
def test_a_cell_has_the_texts_of_every_backend() -> None:
    cell = cells.get("gru")
    assert cell.source("fast") == "gru forward  None"
    assert cell.source("fast", "backward", "assembly") == "gru backward  assembly"
    assert cell.source("fast", stage="ir") == "gru forward  ir"


@pytest.mark.usefixtures("slow")
def test_a_step_on_tensors_is_what_eager_offers() -> None:
    with pytest.raises(BackendError) as caught:
        cells.get("gru").step("fast")
    assert str(caught.value) == ("backend 'fast' - it has no step as a function on tensors - backend 'eager' has one")
