"""The functions of the notation: each with its value and its derivative, defined once.

A function is called with torch tensors (the reference), with SymPy expressions (the calculus) or with plain numbers.
The derivative is written in the same functions, as partial derivatives by each argument; its first parameter is the
function's own value, so that `sigmoid' = y * (1 - y)` costs no second exponential.

Conventions at the corners, PyTorch's own: `relu'(0) = 0`; a tie of `maximum` or `minimum` gives each argument half of
the gradient; `clip` passes the gradient at its bounds.
"""

import functools
import inspect
from collections.abc import Callable
from typing import Any

from carrousel.errors import OptionTypeError

__all__ = [
    "Function",
    "sigmoid",
    "tanh",
    "relu",
    "exp",
    "log",
    "sqrt",
    "softplus",
    "log_sigmoid",
    "maximum",
    "minimum",
    "clip",
    "step",
    "mean",
    "stop_gradient",
    "TABLE",
]

#: Part of every kernel's identity: raise it when a value or derivative below changes.
VERSION = 1

Partials = Callable[..., tuple[Any, ...]]


class Function:
    """A function of the notation, callable on tensors, SymPy expressions and numbers.

    Attributes:
        name: its name in equations.
        arity: the number of its arguments.
        derivative: `(value, *arguments) -> partial derivatives`, written in the functions of this module; None for a
            reduction over the hidden units, whose adjoint rule is in the calculus.
    """

    def __init__(self, on_tensors: Callable[..., Any], derivative: Partials | None) -> None:
        self.name = on_tensors.__name__
        self.arity = len(inspect.signature(on_tensors).parameters)
        self.derivative = derivative
        self._on_tensors = on_tensors
        functools.update_wrapper(self, on_tensors)

    @property
    def is_reduction(self) -> bool:
        """Whether the function reduces over the hidden units."""
        return self.derivative is None

    def __call__(self, *arguments: Any) -> Any:
        """Evaluate the function: a tensor, a SymPy expression or a number, like its arguments."""
        if len(arguments) != self.arity:
            expected = f"{self.arity} argument{'s'[: self.arity > 1]}"
            raise OptionTypeError(f"{self.name} - expected {expected}, got {len(arguments)} - {self.__doc__}")
        if all(isinstance(a, int | float) for a in arguments):
            return self._on_numbers(*arguments)
        if any(hasattr(a, "free_symbols") for a in arguments):
            return self.symbol(*arguments)
        import torch

        if not any(isinstance(a, torch.Tensor) for a in arguments):
            got = ", ".join(type(a).__name__ for a in arguments)
            raise OptionTypeError(f"{self.name} - expected tensors, got {got} - use torch.as_tensor")
        return self._on_tensors(*arguments)

    def _on_numbers(self, *arguments: float) -> float:
        import torch

        return float(self._on_tensors(*(torch.tensor([a], dtype=torch.float64) for a in arguments)))

    @functools.cached_property
    def symbol(self) -> Any:
        """The function as a SymPy class, with this derivative and no evaluation of its own."""
        import sympy

        def fdiff(expression: Any, argindex: int = 1) -> Any:
            assert self.derivative is not None
            return sympy.sympify(self.derivative(expression, *expression.args)[argindex - 1])

        unevaluated = {"nargs": self.arity, "fdiff": fdiff, "_eval_evalf": lambda expression, digits: None}
        return type(self.name, (sympy.Function,), unevaluated)

    def __repr__(self) -> str:
        return f"carrousel.functions.{self.name}"

    def __reduce__(self) -> str:
        return self.name

    def __deepcopy__(self, memo: dict) -> "Function":
        return self


def _function(derivative: Partials | None) -> Callable[[Callable[..., Any]], Function]:
    return lambda on_tensors: Function(on_tensors, derivative)


@_function(lambda y, a: (y * (1 - y),))
def sigmoid(a):
    """Return the logistic function 1 / (1 + exp(-a))."""
    return a.sigmoid()


@_function(lambda y, a: (1 - y**2,))
def tanh(a):
    """Return the hyperbolic tangent of a."""
    return a.tanh()


@_function(lambda y, a: (0,))
def step(a):
    """Return 1 where a > 0, else 0."""
    return (a > 0).to(a.dtype)


@_function(lambda y, a: (step(a),))
def relu(a):
    """Return a where a > 0, else 0."""
    return a.relu()


@_function(lambda y, a: (y,))
def exp(a):
    """Return the exponential of a."""
    return a.exp()


@_function(lambda y, a: (1 / a,))
def log(a):
    """Return the natural logarithm of a."""
    return a.log()


@_function(lambda y, a: (1 / (2 * y),))
def sqrt(a):
    """Return the square root of a."""
    return a.sqrt()


@_function(lambda y, a: (sigmoid(a),))
def softplus(a):
    """Return log(1 + exp(a)), exact for every a."""
    from torch.nn.functional import logsigmoid

    return -logsigmoid(-a)


@_function(lambda y, a: (sigmoid(-a),))
def log_sigmoid(a):
    """Return log(sigmoid(a)), exact for every a."""
    from torch.nn.functional import logsigmoid

    return logsigmoid(a)


@_function(lambda y, a, b: ((1 + step(a - b) - step(b - a)) / 2, (1 + step(b - a) - step(a - b)) / 2))
def maximum(a, b):
    """Return the larger of a and b."""
    import torch

    return torch.maximum(*_both_tensors(a, b))


@_function(lambda y, a, b: ((1 + step(b - a) - step(a - b)) / 2, (1 + step(a - b) - step(b - a)) / 2))
def minimum(a, b):
    """Return the smaller of a and b."""
    import torch

    return torch.minimum(*_both_tensors(a, b))


@_function(lambda y, a, low, high: ((1 - step(low - a)) * (1 - step(a - high)), 0, 0))
def clip(a, low, high):
    """Return a, not below the number low and not above the number high."""
    return a.clamp(low, high)


@_function(None)
def mean(a):
    """Return the mean of a over the hidden units, the same for each of them."""
    return a.mean(-1, keepdim=True).expand(*[-1] * (a.dim() - 1), a.shape[-1])


@_function(lambda y, a: (0,))
def stop_gradient(a):
    """Return a; no gradient flows back through it."""
    return a.detach()


def _both_tensors(a, b):
    import torch

    like = a if isinstance(a, torch.Tensor) else b
    return tuple(torch.as_tensor(value, dtype=like.dtype, device=like.device) for value in (a, b))


#: name -> Function, for everything the notation knows.
TABLE: dict[str, Function] = {name: f for name, f in list(globals().items()) if isinstance(f, Function)}
