"""The messages of the compiled backend: what it can not do, and tensors that do not fit together."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.func import functional_call, functionalize

import carrousel
from calls import HERE, Shape
from carrousel.backends import llvm
from carrousel.backends.llvm import target
from carrousel.errors import BackendError, CarrouselError, DtypeError, InputShapeError, OptionError
from operators import SEQUENCE, arguments

X = torch.zeros(4, 2, 3)


def layer(dtype: torch.dtype = torch.float32) -> carrousel.LSTM:
    return carrousel.LSTM(3, 5, backend="llvm", dtype=dtype)


# ---------------------------------------------------------------------- what it can not do


def under_forward_differentiation() -> object:
    with forward_ad.dual_level():
        return layer()(X)


REFUSED: dict[str, Callable[[], object]] = {
    "a tensor on meta": lambda: layer().to("meta")(X.to("meta")),
    "the dtype torch.complex64": lambda: layer(torch.complex64)(X.to(torch.complex64)),
    "transforms of torch.func": lambda: functionalize(layer())(X),
    "forward differentiation": under_forward_differentiation,
    "exports": lambda: torch.jit.trace(layer(), (X,)),
}


@pytest.mark.parametrize("reason", REFUSED)
@pytest.mark.filterwarnings("ignore")  # of torch, about complex modules and its tracer
def test_what_it_can_not_do(reason: str) -> None:
    with pytest.raises(BackendError) as caught:
        REFUSED[reason]()
    assert str(caught.value) == f"LSTM - backend 'llvm' can not do {reason} - use backend='eager' or 'auto'"


def test_a_layout_without_strides() -> None:
    reasons = llvm.refusals(carrousel.cells.get("lstm").definition, X.to_sparse(), ())
    assert reasons == ["the layout torch.sparse_coo"]


def test_a_function_without_a_vector_form(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(llvm, "NAMES", ("sigmoid",))
    llvm._unknown.clear()
    try:
        assert llvm.refusals(carrousel.cells.get("lstm").definition, X, ()) == ["the function tanh"]
    finally:
        llvm._unknown.clear()


# ---------------------------------------------------------------------- tensors that do not fit together


def with_weight(weight: Tensor) -> object:
    module = layer()
    return functional_call(module, {**dict(module.named_parameters()), "weight_hh_l0": weight}, (X,))


def operator(place: int, value: Any, lengths: str = "") -> Any:
    """The operator with another value for one argument."""
    given = list(arguments("lstm", Shape(time=4, batch=2, lengths=lengths), grad=False))
    given[place] = value
    return SEQUENCE(*given)


DOUBLE = torch.zeros(4, 2, 3, dtype=torch.float64)

MISTAKES: dict[str, tuple[type[CarrouselError], Callable[[], object], str]] = {
    "a weight on another device": (
        BackendError,
        lambda: with_weight(torch.zeros(20, 5, device="meta")),
        "lstm - backend 'llvm' computes on the CPU, R is elsewhere - move it with .cpu()",
    ),
    "a weight of another dtype": (
        DtypeError,
        lambda: with_weight(torch.zeros(20, 5, dtype=torch.float64)),
        "lstm - R is torch.float64, expected torch.float32 - convert it with .to()",
    ),
    "a weight of another shape": (
        InputShapeError,
        lambda: with_weight(torch.zeros(20, 4)),
        "lstm - R has shape (20, 4), expected (20, 5) - check its axes",
    ),
    "fewer states": (
        InputShapeError,
        lambda: operator(2, []),
        "lstm - got (0, 4, 0, 0) states, parameters, step inputs and fresh states with x of shape (4, 2, 3), "
        "expected (2, 4, 0, 0) with (time, [net,] batch, input) - call it through a layer",
    ),
    "an input without a batch": (
        InputShapeError,
        lambda: operator(1, DOUBLE[:, 0]),
        "lstm - got (2, 4, 0, 0) states, parameters, step inputs and fresh states with x of shape (4, 3), "
        "expected (2, 4, 0, 0) with (time, [net,] batch, input) - call it through a layer",
    ),
    "an input of half precision": (
        DtypeError,
        lambda: operator(1, DOUBLE.half()),
        "lstm - x is torch.float16, kernels compute in float32 or float64 - convert it with .to()",
    ),
    "lengths of another shape": (
        InputShapeError,
        lambda: operator(6, torch.tensor([1, 2, 3]), lengths="some"),
        "lstm - lengths has shape (3,), expected (2,) - check its axes",
    ),
    "lengths of another dtype": (
        DtypeError,
        lambda: operator(6, torch.tensor([1, 2], dtype=torch.int32), lengths="some"),
        "lstm - lengths is torch.int32, expected torch.int64 - convert it with .to()",
    ),
    "a definition of another process": (
        BackendError,
        lambda: operator(0, "0123456789abcdef"),
        "carrousel::sequence - no cell of this process has the definition 0123456789ab - "
        "run a layer of the cell once, then what was exported from it",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes(mistake: str) -> None:
    kind, call, message = MISTAKES[mistake]
    with pytest.raises(CarrouselError) as caught:
        call()
    assert type(caught.value) is kind
    assert str(caught.value) == message


def test_lengths_beyond_the_input_read_nothing_beyond_it() -> None:
    """Layers check lengths; the operator, which a compiler may call, cuts them."""
    whole = operator(6, torch.tensor([4, 0]), lengths="some")
    for found, expected in zip(operator(6, torch.tensor([1 << 40, -7]), lengths="some"), whole, strict=True):
        assert torch.equal(found, expected)


# ---------------------------------------------------------------------- the environment


def test_unknown_instruction_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(target.VARIABLE, "mmx")
    with pytest.raises(OptionError) as caught:
        layer()(X)
    assert str(caught.value) == (
        f"CARROUSEL_ISA - is 'mmx', this CPU has {', '.join(HERE)} - name one of them, or leave the variable out"
    )


def test_instruction_set_that_this_cpu_does_not_have(monkeypatch: pytest.MonkeyPatch) -> None:
    missing = next(name for name in target.ISAS if name not in HERE)
    monkeypatch.setenv(target.VARIABLE, missing)
    with pytest.raises(OptionError, match=f"^CARROUSEL_ISA - is '{missing}', this CPU has"):
        layer()(X)


def test_cpu_that_llvm_does_not_know(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(target, "_host_features", frozenset)
    target._chosen.cache_clear()
    try:
        with pytest.raises(OptionError) as caught:
            target.host()
    finally:
        target._chosen.cache_clear()
    assert str(caught.value) == (
        "CARROUSEL_ISA - is '', this CPU has none that is known - name one of them, or leave the variable out"
    )
