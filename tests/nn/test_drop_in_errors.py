"""LSTM, GRU and RNN refuse what their torch.nn namesakes refuse, with errors of the same types."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.nn.utils.rnn import PackedSequence

from carrousel.errors import CarrouselError
from nn.twins import LAYERS, OTHER_CELL, ours, packed, theirs, ways

X = torch.ones(5, 2, 3)
H = torch.zeros(1, 2, 4)

#: torch.nn stumbles over these in its own code; the stand-ins name what is wrong.
STUMBLES = (AttributeError, IndexError, TypeError)


def raised_by(call: Callable[[], Any]) -> BaseException | None:
    """The error that a call ends with."""
    with pytest.raises(Exception) as caught:  # noqa: PT011 - its type is what is compared
        call()
    return caught.value


# ---------------------------------------------------------------------- construction

WRONG_ARGUMENTS = [
    ((), {}),
    ((3,), {}),
    ((3, 4, 1, True, False, 0.0, False, 0, None, None, 1, 2), {}),
    ((3, 4), {"depth": 2}),
    ((3, 4), {"hidden_size": 5}),
    ((0, 4), {}),
    ((-1, 4), {}),
    ((3.0, 4), {}),
    (("3", 4), {}),
    ((None, 4), {}),
    ((3, 0), {}),
    ((3, -2), {}),
    ((3, 4.0), {}),
    ((3, "4"), {}),
    ((3, 4, 0), {}),
    ((3, 4, -1), {}),
    ((3, 4), {"num_layers": "2"}),
    ((3, 4), {"num_layers": 1.5}),
    ((3, 4), {"num_layers": None}),
    ((3, 4), {"bias": 1}),
    ((3, 4), {"bias": "yes"}),
    ((3, 4), {"bias": None}),
    ((3, 4), {"bias": ("i",)}),
    ((3, 4), {"batch_first": 0}),
    ((3, 4), {"batch_first": None}),
    ((3, 4), {"dropout": -0.1}),
    ((3, 4), {"dropout": 1.1}),
    ((3, 4), {"dropout": True}),
    ((3, 4), {"dropout": "0.5"}),
    ((3, 4), {"dropout": None}),
    ((3, 4), {"proj_size": -1}),
    ((3, 4), {"proj_size": 4}),
    ((3, 4), {"proj_size": 7}),
    ((3, 4), {"proj_size": "2"}),
    ((3, 4), {"device": "nowhere"}),
    ((3, 4), {"device": 1.5}),
    ((3, 4), {"dtype": "float32"}),
    ((3, 4), {"dtype": torch.int64}),
]
FOR_ONE = [
    ("GRU", (3, 4), {"proj_size": 2}),
    ("RNN", (3, 4), {"proj_size": 2}),
    ("RNN", (3, 4), {"nonlinearity": "sigmoid"}),
    ("RNN", (3, 4, 1, "sigmoid"), {}),
    ("RNN", (3, 4, 1, True), {}),
    ("LSTM", (3, 4), {"nonlinearity": "tanh"}),
    ("GRU", (3, 4), {"nonlinearity": "tanh"}),
]
CONSTRUCTIONS = [(name, args, options) for name in LAYERS for args, options in WRONG_ARGUMENTS] + FOR_ONE


@pytest.mark.parametrize(("name", "args", "options"), CONSTRUCTIONS)
def test_constructor_refuses_as_torch_does(name: str, args: tuple, options: dict) -> None:
    expected = raised_by(lambda: theirs(name, *args, **options))
    for way in ways(name):
        error = raised_by(lambda way=way: ours(name, *args, **options, **way))
        assert isinstance(error, type(expected)), way
        assert str(error).replace("carrousel.nn.drop_in.", "") == str(expected)  # it is torch's own


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("way", [{}, {"backend": "eager"}])
def test_constructor_warns_as_torch_does(name: str, way: dict) -> None:
    with pytest.warns(UserWarning, match="non-zero dropout expects num_layers greater than 1") as expected:
        theirs(name, 3, 4, dropout=0.5)
    with pytest.warns(UserWarning, match="non-zero dropout expects num_layers greater than 1") as warned:
        ours(name, 3, 4, dropout=0.5, **way)
    assert [str(w.message) for w in warned] == [str(w.message) for w in expected]


# ---------------------------------------------------------------------- calls


def pair(name: str, *shape: int, **options: Any) -> Any:
    """Initial states of zeros, as the layer takes them."""
    zeros = torch.zeros(*shape, **options)
    return (zeros, zeros.clone()) if name == "LSTM" else zeros


def packed_ones(features: int = 3, lengths: tuple[int, ...] = (5, 3), **options: Any) -> PackedSequence:
    return packed(torch.ones(5, 2, features, **options), list(lengths))


#: Each makes one wrong call of a layer with input_size 3 and hidden_size 4.
WRONG_CALLS: dict[str, Callable[[Any, str], Any]] = {
    "no input": lambda layer, name: layer(),
    "one argument too many": lambda layer, name: layer(X, pair(name, 1, 2, 4), 3),
    "unknown keyword": lambda layer, name: layer(X, lenghts=[5, 5]),
    "input a list": lambda layer, name: layer([[1.0, 2.0, 3.0]]),
    "input an array": lambda layer, name: layer(X.numpy()),
    "input none": lambda layer, name: layer(None),
    "four features": lambda layer, name: layer(torch.ones(5, 2, 4)),
    "four features unbatched": lambda layer, name: layer(torch.ones(5, 4)),
    "no axis": lambda layer, name: layer(torch.tensor(1.0)),
    "one axis": lambda layer, name: layer(torch.ones(3)),
    "four axes": lambda layer, name: layer(torch.ones(1, 5, 2, 3)),
    "time 0": lambda layer, name: layer(torch.ones(0, 2, 3)),
    "time 0 unbatched": lambda layer, name: layer(torch.ones(0, 3)),
    "time 0 and batch 0": lambda layer, name: layer(torch.ones(0, 0, 3)),
    "float64 input": lambda layer, name: layer(X.double()),
    "half input": lambda layer, name: layer(X.half()),
    "whole numbers": lambda layer, name: layer(X.long()),
    "complex input": lambda layer, name: layer(X.to(torch.complex64)),
    "sparse input": lambda layer, name: layer(X.to_sparse()),
    "input elsewhere": lambda layer, name: layer(X.to("meta"), pair(name, 1, 2, 4)),
    "hx elsewhere": lambda layer, name: layer(X, pair(name, 1, 2, 4, device="meta")),
    "hx of another batch": lambda layer, name: layer(X, pair(name, 1, 3, 4)),
    "hx of another size": lambda layer, name: layer(X, pair(name, 1, 2, 5)),
    "hx of two layers": lambda layer, name: layer(X, pair(name, 2, 2, 4)),
    "hx 2-D": lambda layer, name: layer(X, pair(name, 2, 4)),
    "hx 4-D": lambda layer, name: layer(X, pair(name, 1, 1, 2, 4)),
    "hx float64": lambda layer, name: layer(X, pair(name, 1, 2, 4, dtype=torch.float64)),
    "hx whole numbers": lambda layer, name: layer(X, pair(name, 1, 2, 4, dtype=torch.int64)),
    "hx 3-D for unbatched": lambda layer, name: layer(X[:, 0], pair(name, 1, 1, 4)),
    "hx 1-D for unbatched": lambda layer, name: layer(X[:, 0], pair(name, 4)),
    "hx size for unbatched": lambda layer, name: layer(X[:, 0], pair(name, 1, 5)),
    "hx layers for unbatched": lambda layer, name: layer(X[:, 0], pair(name, 2, 4)),
    "hx empty": lambda layer, name: layer(X, ()),
    "hx three tensors": lambda layer, name: layer(X, (torch.zeros(1, 2, 4),) * 3),
    "hx one in a list": lambda layer, name: layer(X, [torch.zeros(1, 2, 4)]),
    "hx text": lambda layer, name: layer(X, "zeros"),
    "hx number": lambda layer, name: layer(X, 0),
    "packed, four features": lambda layer, name: layer(packed_ones(4)),
    "packed, float64": lambda layer, name: layer(packed_ones(dtype=torch.float64)),
    "packed, data 1-D": lambda layer, name: layer(PackedSequence(torch.ones(2), torch.tensor([1, 1]))),
    "packed, hx batch": lambda layer, name: layer(packed_ones(), pair(name, 1, 3, 4)),
    "packed, hx size": lambda layer, name: layer(packed_ones(), pair(name, 1, 2, 5)),
    "packed, hx 2-D": lambda layer, name: layer(packed_ones(), pair(name, 2, 4)),
    "packed, hx float64": lambda layer, name: layer(packed_ones(), pair(name, 1, 2, 4, dtype=torch.float64)),
    "unsorted, hx batch": lambda layer, name: layer(packed_ones(lengths=(3, 5)), pair(name, 1, 1, 4)),
    "unsorted, hx 1-D": lambda layer, name: layer(packed_ones(lengths=(3, 5)), pair(name, 4)),
}
WRONG_CALLS_OF_ONE_STATE: dict[str, Callable[[Any, str], Any]] = {
    "packed, data 3-D": lambda layer, name: layer(PackedSequence(torch.ones(2, 1, 3), torch.tensor([1, 1]))),
    "hx in a tuple": lambda layer, name: layer(X, (H,)),
    "hx in a list": lambda layer, name: layer(X, [H]),
}
WRONG_STATES_OF_AN_LSTM: dict[str, Callable[[Any, str], Any]] = {
    "h without c": lambda layer, name: layer(X, H),
    "h alone in a tuple": lambda layer, name: layer(X, (H,)),
    "c of another size": lambda layer, name: layer(X, (H, torch.zeros(1, 2, 5))),
    "c of another batch": lambda layer, name: layer(X, (H, torch.zeros(1, 3, 4))),
    "c none": lambda layer, name: layer(X, (H, None)),
    "c float64": lambda layer, name: layer(X, (H, H.double())),
    "c float64, one step": lambda layer, name: layer(X[:1], (H, H.double())),
}
CALLS = [(name, WRONG_CALLS[key], key) for name in LAYERS for key in WRONG_CALLS]
CALLS += [(name, call, key) for name in ("GRU", "RNN") for key, call in WRONG_CALLS_OF_ONE_STATE.items()]
CALLS += [("LSTM", call, key) for key, call in WRONG_STATES_OF_AN_LSTM.items()]


@pytest.mark.parametrize(("name", "wrong"), [c[:2] for c in CALLS], ids=[f"{c[0]}: {c[2]}" for c in CALLS])
def test_call_refuses_as_torch_does(name: str, wrong: Callable[[Any, str], Any]) -> None:
    expected = raised_by(lambda: wrong(theirs(name, 3, 4), name))
    for way in ways(name):
        error = raised_by(lambda way=way: wrong(ours(name, 3, 4, **way), name))
        stumbles = isinstance(expected, STUMBLES) and isinstance(error, CarrouselError)
        assert stumbles or isinstance(error, type(expected)), f"{way}: {error!r}, torch.nn: {expected!r}"


@pytest.mark.parametrize(("h", "c"), [(4, 4), (2, 2), (4, 2)])
def test_projected_states_are_checked(h: int, c: int) -> None:
    hx = (torch.zeros(1, 2, h), torch.zeros(1, 2, c))
    expected = raised_by(lambda: theirs("LSTM", 3, 4, proj_size=2)(X, hx))
    for way in ways("LSTM"):
        error = raised_by(lambda way=way: ours("LSTM", 3, 4, proj_size=2, **way)(X, hx))
        assert isinstance(error, type(expected)), way


@pytest.mark.parametrize("name", LAYERS)
def test_errors_are_carrousel_s_and_python_s(name: str) -> None:
    error = raised_by(lambda: ours(name, 3, 4, cell=OTHER_CELL[name])(X.double()))
    assert isinstance(error, CarrouselError)
    assert isinstance(error, ValueError)  # what torch.nn raises
    assert isinstance(error, RuntimeError)  # what its operators raise
