"""The plain call gives what the layer's whole way gives, and leaves to it what is not plain."""

import copy
import pickle
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn.utils import parametrizations

import carrousel
from carrousel.nn import plain, quick

CELLS = ["lstm", "peephole_lstm", "gru", "gru_2014", "lstm_1997", "slstm", "layer_norm_lstm"]


@pytest.fixture
def whole_way(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[Tensor, ...]]:
    """Call a layer as if no call were plain."""

    def run(layer: torch.nn.Module, x: Tensor) -> tuple[Tensor, ...]:
        with monkeypatch.context() as patch:
            patch.setattr(plain, "call", lambda layer, x: None)
            return tensors(layer(x))

    return run


def tensors(result: tuple[Tensor, object]) -> tuple[Tensor, ...]:
    output, states = result
    return output, *(states if isinstance(states, tuple) else (states,))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("batch_first", [False, True], ids=["time first", "batch first"])
@pytest.mark.parametrize("cell", CELLS)
def test_both_ways_give_the_same_bits(whole_way, cell: str, batch_first: bool, dtype: torch.dtype) -> None:
    layer = carrousel.Recurrent(cell, 3, 16, batch_first=batch_first, dtype=dtype)
    x = torch.randn(5, 4, 3, dtype=dtype)
    assert plain.call(layer, x) is not None
    expected = whole_way(layer, x)
    with torch.no_grad():
        results = [tensors(layer(x)) for _ in range(3)]
    for result in (tensors(layer(x)), *results):
        assert [t.shape for t in result] == [t.shape for t in expected]
        assert all(map(torch.equal, result, expected))
    gradients = [torch.autograd.grad(out[0].sum(), list(layer.parameters())) for out in (tensors(layer(x)), expected)]
    assert all(map(torch.equal, *gradients))


@pytest.mark.parametrize("units", [5, 16])
@torch.no_grad()
def test_what_was_looked_up_does_not_go_stale(whole_way, units: int) -> None:
    layer = carrousel.LSTM(3, units)
    x = torch.randn(6, 2, 3)
    for _ in range(3):
        layer(x)
    layer.weight_hh_l0.mul_(2)
    assert all(map(torch.equal, tensors(layer(x)), whole_way(layer, x)))
    layer.weight_ih_l0.data = torch.randn(3, 4 * units).T  # the same shape, other strides
    assert all(map(torch.equal, tensors(layer(x)), whole_way(layer, x)))
    assert all(map(torch.equal, tensors(layer(x[:, ::2])), whole_way(layer, x[:, ::2])))
    strange = torch.randn(3, 2, 6).permute(2, 1, 0)
    assert all(map(torch.equal, tensors(layer(strange)), whole_way(layer, strange)))
    layer.weight_ih_l0.data = torch.randn(4 * units, 2)
    with pytest.raises(carrousel.errors.InputShapeError, match="W has shape"):
        layer(x)


def test_threads_are_counted_anew(whole_way) -> None:
    layer, x = carrousel.Recurrent("lstm", 8, 64).requires_grad_(False), torch.randn(50, 4, 8)
    before = torch.get_num_threads()
    try:
        for threads in (2, 1, 2, 2):
            torch.set_num_threads(threads)
            with torch.no_grad():
                assert all(map(torch.equal, tensors(layer(x)), whole_way(layer, x)))
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda layer: pickle.loads(pickle.dumps(layer))])
@torch.no_grad()
def test_a_copy_goes_its_own_way(duplicate: Callable) -> None:
    layer, x = carrousel.LSTM(3, 16), torch.randn(6, 2, 3)
    for _ in range(3):
        output, _ = layer(x)
    other = duplicate(layer)
    assert not other.__dict__["_ready"]
    other.weight_hh_l0.zero_()
    for _ in range(3):
        assert not torch.equal(other(x)[0], output)
    assert torch.equal(layer(x)[0], output)


@torch.no_grad()
def test_a_layer_keeps_a_few_kinds_of_inputs() -> None:
    layer = carrousel.LSTM(3, 16)
    for steps in range(1, 40):
        for _ in range(2):
            layer(torch.randn(steps, 2, 3))
    assert 0 < len(layer.__dict__["_ready"]) <= quick.KINDS


def test_initial_states_stay_as_they_are() -> None:
    for cell in CELLS:
        layer, x = carrousel.Recurrent(cell, 3, 4), torch.randn(5, 2, 3)
        for _ in range(2):
            output, states = layer(x)
            (output.sum() + sum(s.sum() for s in (states if isinstance(states, tuple) else (states,)))).backward()
            for state in states if isinstance(states, tuple) else (states,):
                state.data.fill_(7)
        expected = [value for value in layer._layout.cell.initial.values()]
        assert [float(state.unique()) for state in layer._fresh(x, 0, 2)] == expected


def _made(*arguments: object, **options: object) -> carrousel.Recurrent:
    return carrousel.Recurrent("lstm", 3, 4, *arguments, **options)


X = torch.randn(5, 2, 3)
NOT_PLAIN = {
    "two layers": (_made(2), X),
    "two directions": (_made(bidirectional=True), X),
    "a population": (carrousel.Population("lstm", 4, 3, 4), torch.randn(4, 5, 2, 3)),
    "blocks": (carrousel.Recurrent("lstm_1997", 3, 4, block_size=2), X),
    "biases of some gates": (_made(bias=("i",)), X),
    "learned states": (_made(learn_initial_state=True), X),
    "recompute": (_made(recompute=True), X),
    "masks": (_made(zoneout=0.1), X),
    "a mask of the input": (_made(input_dropout=0.1), X),
    "eager": (_made(backend="eager"), X),
    "another dtype": (_made(), X.double()),
    "other features": (_made(), X[..., :2]),
    "one row without its axis": (_made(), X[0]),
    "no steps": (_made(), X[:0]),
    "sparse": (_made(), X.to_sparse()),
    "elsewhere": (_made(), X.to("meta")),
    "a subclass": (_made(), torch.nn.Parameter(X)),
    "no tensor": (_made(), X.numpy()),
    "a parametrized weight": (parametrizations.weight_norm(_made(), "weight_hh_l0"), X),
}


@pytest.mark.parametrize("name", NOT_PLAIN)
def test_what_is_not_plain_is_left_alone(name: str) -> None:
    layer, x = NOT_PLAIN[name]
    assert plain.call(layer, x) is None


def test_whoever_watches_sees_the_whole_way() -> None:
    layer = _made()
    seen = []
    torch.func.vmap(lambda x: seen.append(plain.call(layer, x)) or x)(X[None])
    with torch.autocast("cpu"):
        seen.append(plain.call(layer, X))
    with torch._subclasses.FakeTensorMode():
        seen.append(plain.call(layer, X))
    torch.func.jvp(lambda x: seen.append(plain.call(layer, X)) or x, (X,), (X,))
    assert seen == [None] * 4
