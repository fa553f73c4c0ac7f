"""The functions: value and derivative against torch, at the corners too; numbers, symbols, identity."""

import copy
import math
import pickle

import pytest
import sympy
import torch
from torch.nn import functional

from carrousel import functions
from carrousel.errors import OptionTypeError
from carrousel.functions import TABLE, Function
from tolerances import TOLERANCES

#: What each function of one argument is in torch.
TORCH = {
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": torch.relu,
    "exp": torch.exp,
    "log": torch.log,
    "sqrt": torch.sqrt,
    "softplus": lambda a: functional.softplus(a, threshold=1e3),
    "log_sigmoid": functional.logsigmoid,
    "step": lambda a: torch.heaviside(a, torch.zeros((), dtype=a.dtype)),
    "stop_gradient": torch.detach,
}
REAL = [-700.0, -40.0, -3.0, -1.0, -1e-9, -0.0, 0.0, 1e-9, 0.5, 1.0, 3.0, 40.0, 700.0]
POSITIVE = [1e-300, 1e-9, 0.5, 1.0, 3.0, 40.0, 1e300]
#: Pairs with ties.
PAIRS = [(-2.0, 1.0), (1.0, -2.0), (1.0, 1.0), (0.0, -0.0), (-3.0, -3.0), (1e9, 1.0), (-math.inf, 1.0), (2.0, math.inf)]
#: (a, low, high): inside, outside, at both bounds, and where low is above high.
CLIPS = [(0.5, -1.0, 1.0), (-2.0, -1.0, 1.0), (3.0, -1.0, 1.0), (-1.0, -1.0, 1.0), (1.0, -1.0, 1.0), (0.0, 1.0, -1.0)]

one_argument = pytest.mark.parametrize("name", TORCH)


def arguments_of(name: str) -> torch.Tensor:
    return torch.tensor(POSITIVE if name in ("log", "sqrt") else REAL, dtype=torch.float64)


def evaluate(expression: sympy.Expr, values: dict[sympy.Symbol, torch.Tensor]) -> torch.Tensor:
    """Evaluate a SymPy expression of our functions on tensors."""
    run = sympy.lambdify(list(values), expression, modules=[dict(TABLE), "math"])
    return torch.as_tensor(run(*values.values()), dtype=torch.float64).expand_as(next(iter(values.values())))


def close(got: torch.Tensor, expected: torch.Tensor) -> None:
    torch.testing.assert_close(got, expected, rtol=TOLERANCES["derivative"].atol, atol=0)


def gradients(function: Function, *arguments: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """The partial derivatives by autograd through torch's own value."""
    leaves = [a.clone().requires_grad_() for a in arguments]
    value = function(*leaves)
    if not value.requires_grad:
        return tuple(torch.zeros_like(a) for a in arguments)
    return torch.autograd.grad(value.sum(), leaves, allow_unused=True, materialize_grads=True)


def test_table_holds_every_function() -> None:
    public = {name for name in functions.__all__ if isinstance(getattr(functions, name), Function)}
    assert set(TABLE) == public == {*TORCH, "maximum", "minimum", "clip", "mean"}


@one_argument
def test_value(name: str) -> None:
    a = arguments_of(name)
    close(TABLE[name](a), TORCH[name](a))


@one_argument
def test_number(name: str) -> None:
    for a in (0.5, 2):
        value = TABLE[name](a)
        assert type(value) is float
        assert value == TORCH[name](torch.tensor([float(a)], dtype=torch.float64)).item()


@one_argument
def test_derivative_as_symbols(name: str) -> None:
    function, symbol, a = TABLE[name], sympy.Symbol("a"), arguments_of(name)
    derived = evaluate(sympy.diff(function(symbol), symbol), {symbol: a})
    (expected,) = gradients(function, a)
    close(derived, expected)


@one_argument
def test_derivative_on_tensors(name: str) -> None:
    function, a = TABLE[name], arguments_of(name)
    (derived,) = function.derivative(function(a), a)
    close(torch.as_tensor(derived, dtype=torch.float64).expand_as(a), gradients(function, a)[0])


@one_argument
def test_second_derivative(name: str) -> None:
    symbol = sympy.Symbol("a")
    a = torch.tensor([0.25, 0.5, 1.0, 2.0, 3.0], dtype=torch.float64, requires_grad=True)
    value = TABLE[name](a)
    expected = torch.zeros_like(a)
    if value.requires_grad:
        (first,) = torch.autograd.grad(value.sum(), a, create_graph=True)
        if first.requires_grad:
            (expected,) = torch.autograd.grad(first.sum(), a, materialize_grads=True)
    derived = evaluate(sympy.diff(TABLE[name](symbol), symbol, 2), {symbol: a.detach()})
    torch.testing.assert_close(derived, expected, rtol=TOLERANCES["second derivative"].atol, atol=0)


@pytest.mark.parametrize("name", ["maximum", "minimum"])
def test_choice_and_its_ties(name: str) -> None:
    function, a, b = TABLE[name], *torch.tensor(PAIRS, dtype=torch.float64).unbind(1)
    assert torch.equal(function(a, b), getattr(torch, name)(a, b))
    symbols = sympy.symbols("a b")
    for symbol, expected in zip(symbols, gradients(function, a, b), strict=True):
        derived = evaluate(sympy.diff(function(*symbols), symbol), dict(zip(symbols, (a, b), strict=True)))
        assert torch.equal(derived, expected)
    assert [float(g[2]) for g in gradients(function, a, b)] == [0.5, 0.5]
    assert function(2.0, 3) == {"maximum": 3.0, "minimum": 2.0}[name]


@pytest.mark.parametrize("name", ["maximum", "minimum"])
def test_choice_between_a_tensor_and_a_number(name: str) -> None:
    a = torch.tensor([-1.0, 2.0], dtype=torch.float32)
    for value in (TABLE[name](a, 1), TABLE[name](1, a)):
        assert value.dtype == torch.float32
        assert torch.equal(value, getattr(torch, name)(a, torch.ones(2)))


def test_clip_passes_the_gradient_at_its_bounds() -> None:
    symbol = sympy.Symbol("a")
    for a, low, high in CLIPS:
        tensor = torch.tensor([a], dtype=torch.float64, requires_grad=True)
        (expected,) = torch.autograd.grad(functions.clip(tensor, low, high).sum(), tensor)
        derived = evaluate(sympy.diff(functions.clip(symbol, low, high), symbol), {symbol: tensor.detach()})
        assert torch.equal(derived, expected), (a, low, high)
        assert functions.clip(a, low, high) == tensor.clamp(low, high).item()
    assert functions.clip.derivative(None, symbol, -1, 1)[1:] == (0, 0)


def test_gradient_of_relu_at_zero_is_zero() -> None:
    a = torch.tensor([0.0, -0.0], dtype=torch.float64)
    assert torch.equal(functions.relu.derivative(functions.relu(a), a)[0], torch.zeros(2, dtype=torch.float64))


def test_mean_is_the_same_for_every_hidden_unit() -> None:
    a = torch.randn(4, 5, dtype=torch.float64)
    assert torch.equal(functions.mean(a), a.mean(-1, keepdim=True).expand(4, 5))
    assert functions.mean.is_reduction
    assert [name for name, f in TABLE.items() if f.is_reduction] == ["mean"]


def test_stop_gradient_stops_it() -> None:
    a = torch.ones(3, requires_grad=True)
    assert not functions.stop_gradient(a).requires_grad
    assert functions.stop_gradient(2) == 2.0


@pytest.mark.parametrize("name", TABLE)
def test_symbols_are_not_evaluated(name: str) -> None:
    function = TABLE[name]
    numbers = [sympy.Float(0.5), sympy.Integer(-1), sympy.Integer(1)][: function.arity]
    expression = function(*numbers)
    assert expression.func is function.symbol
    assert expression.args == tuple(numbers)
    assert function.symbol(*numbers) == expression


@pytest.mark.parametrize("name", TABLE)
def test_wrong_number_of_arguments(name: str) -> None:
    function = TABLE[name]
    a = torch.ones(2)
    plural = "s" if function.arity > 1 else ""
    with pytest.raises(OptionTypeError) as caught:
        function(*[a] * (function.arity + 1))
    assert str(caught.value) == (
        f"{name} - expected {function.arity} argument{plural}, got {function.arity + 1} - {function.__doc__}"
    )


@pytest.mark.parametrize(("wrong", "named"), [("0.5", "str"), ([0.5], "list"), (None, "NoneType")])
def test_argument_that_is_no_tensor(wrong: object, named: str) -> None:
    with pytest.raises(OptionTypeError) as caught:
        functions.tanh(wrong)
    assert str(caught.value) == f"tanh - expected tensors, got {named} - use torch.as_tensor"


@pytest.mark.parametrize("name", TABLE)
def test_identity(name: str) -> None:
    function = TABLE[name]
    assert pickle.loads(pickle.dumps(function)) is function
    assert copy.copy(function) is function
    assert copy.deepcopy(function) is function
    assert repr(function) == f"carrousel.functions.{name}"
    assert function.__doc__.startswith("Return ")
    assert function.__doc__.endswith(".")
