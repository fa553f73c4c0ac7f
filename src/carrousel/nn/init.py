"""Initialisers of recurrent weights, by name.

An initialiser is a function of a `Stack`: the parameters of one layer in one direction, seen gate by gate.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import init as torch_init

from carrousel.errors import OptionError, OptionTypeError, UnknownNameError, did_you_mean
from carrousel.nn.torch_layout import Layout

__all__ = ["Initialiser", "Stack", "INITIALISERS", "get", "torch_uniform", "keras", "orthogonal", "identity", "chrono"]


@dataclass(frozen=True)
class Stack:
    """The parameters of one layer in one direction.

    Attributes:
        layout: how they are stacked.
        parameters: group -> stacked tensor (rows[, columns]).
    """

    layout: Layout
    parameters: Mapping[str, Tensor]

    def gates(self, group: str) -> dict[str, Tensor]:
        """Return gate -> view of its rows; empty if there is no such group."""
        if group not in self.parameters:
            return {}
        spec = self.layout.cell.definition.group(group)
        return {gate: self.parameters[group][rows] for gate, rows in self.layout.gate_slices(spec).items()}

    @property
    def recurrent(self) -> list[str]:
        """The groups of matrices that do not multiply the input."""
        return [g for g, w in self.parameters.items() if w.dim() == 2 and g != "W"]

    @property
    def vectors(self) -> list[str]:
        """The groups of vectors: biases, peepholes; not the gains of layer normalisation, which begin at 1."""
        return [g for g, w in self.parameters.items() if w.dim() == 1 and g not in self.layout.cell.gains]


Initialiser = Callable[[Stack], None]


def torch_uniform(stack: Stack) -> None:
    """Draw everything from U(-k, k), k = 1 / sqrt(hidden_size), in PyTorch's order.

    Source: torch.nn.LSTM.
    """
    k = 1.0 / math.sqrt(stack.layout.hidden_size)
    for group, parameter in stack.parameters.items():
        if group not in stack.layout.cell.gains:
            torch_init.uniform_(parameter, -k, k)


def keras(stack: Stack) -> None:
    """Glorot uniform input weights, orthogonal recurrent weights over all gates, zero biases, forget bias 1.

    Source: keras.layers.LSTM.
    """
    if "W" in stack.parameters:
        torch_init.xavier_uniform_(stack.parameters["W"])
    for group in stack.recurrent:
        torch_init.orthogonal_(stack.parameters[group])
    _zero_vectors(stack)
    if "f" in stack.gates("b"):
        torch_init.ones_(stack.gates("b")["f"])


def orthogonal(stack: Stack) -> None:
    """Orthogonal recurrent matrices gate by gate, Xavier uniform input matrices gate by gate, zero biases.

    Source: Saxe, McClelland & Ganguli (2014), Exact solutions to the nonlinear dynamics of learning in deep linear
    neural networks.
    """
    for matrix in stack.gates("W").values():
        torch_init.xavier_uniform_(matrix)
    for group in stack.recurrent:
        for matrix in stack.gates(group).values():
            torch_init.orthogonal_(matrix)
    _zero_vectors(stack)


def identity(stack: Stack) -> None:
    """Identity recurrent matrices, zero biases, input weights from a normal distribution with deviation 0.001.

    Source: Le, Jaitly & Hinton (2015), A simple way to initialize recurrent networks of rectified linear units.
    """
    for matrix in stack.gates("W").values():
        torch_init.normal_(matrix, 0.0, 0.001)
    for group in stack.recurrent:
        for matrix in stack.gates(group).values():
            torch_init.eye_(matrix)
    _zero_vectors(stack)


def layer_norm(stack: Stack) -> None:
    """Matrices as PyTorch draws them, zero biases, the shifts of layer normalisation; its gains begin at 1 anyway.

    Source: Ba, Kiros & Hinton (2016), Layer normalization.
    """
    torch_uniform(stack)
    _zero_vectors(stack)


def chrono(max_steps: int = 1000) -> Initialiser:
    """Return the initialiser for dependencies of up to `max_steps` steps: b_f = log U(1, max_steps - 1), b_i = -b_f.

    All else is drawn as PyTorch draws it; a second bias of these gates is zero.

    Args:
        max_steps: the longest expected dependency, at least 3.

    Returns:
        The initialiser.

    Raises:
        OptionError: max_steps is below 3.

    Example:
        >>> import carrousel
        >>> lstm = carrousel.LSTM(1, 4, init=carrousel.nn.init.chrono(784))
        >>> bool((lstm.bias_ih_l0[4:8] >= 0).all())
        True

    Source:
        Tallec & Ollivier (2018), Can recurrent neural networks warp time?, section 2.
    """
    if max_steps < 3:
        raise OptionError(f"init.chrono - max_steps is {max_steps}, expected at least 3 - give the longest dependency")

    return _Chrono(max_steps)


@dataclass(frozen=True)
class _Chrono:
    """A class, not a closure: a layer that keeps its initialiser is pickled with it."""

    max_steps: int

    def __repr__(self) -> str:
        return f"chrono({self.max_steps})"

    def __call__(self, stack: Stack) -> None:
        bias = stack.gates("b")
        if "f" not in bias or "i" not in bias:
            raise OptionError(
                f"init 'chrono' - {stack.layout.cell.name} has no biased gates i and f - "
                f"choose another of {', '.join(INITIALISERS)}"
            )
        torch_uniform(stack)
        with torch.no_grad():
            bias["f"].uniform_(1.0, self.max_steps - 1.0).log_()
            bias["i"].copy_(-bias["f"])
            for gate in ("i", "f"):
                if gate in stack.gates("bR"):
                    stack.gates("bR")[gate].zero_()


INITIALISERS: dict[str, Initialiser] = {
    "torch": torch_uniform,
    "keras": keras,
    "orthogonal": orthogonal,
    "identity": identity,
    "layer_norm": layer_norm,
    "chrono": chrono(),
}


def get(init: str | Initialiser) -> Initialiser:
    """Return an initialiser by name; a function is returned as it is.

    Args:
        init: a key of INITIALISERS, or a function of a Stack, as `chrono(784)` returns.

    Returns:
        The initialiser.

    Raises:
        UnknownNameError: no initialiser has this name.
        OptionTypeError: it is neither a name nor a function.
    """
    if callable(init):
        return init
    if not isinstance(init, str):
        raise OptionTypeError(
            f"init= - expected a name or a function, got {init!r} - names are {', '.join(INITIALISERS)}"
        )
    if init not in INITIALISERS:
        raise UnknownNameError(
            f"init= - unknown initialiser {init!r}; they are {', '.join(INITIALISERS)}."
            f"{did_you_mean(init, INITIALISERS)}"
        )
    return INITIALISERS[init]


def draw(stack: Stack, initialiser: Initialiser, forget_bias: float | None) -> None:
    """Draw a stack's parameters; a forget bias that is not None replaces what was drawn.

    Raises:
        OptionError: the initialiser sets the gates' biases together, or the cell has no forget gate with a bias.
    """
    if forget_bias is not None and isinstance(initialiser, _Chrono):
        raise OptionError(
            f"forget_bias={forget_bias} - init 'chrono' draws the biases of f and i together - leave one of the two out"
        )
    for group in stack.layout.cell.gains:
        torch_init.ones_(stack.parameters[group])
    initialiser(stack)
    if forget_bias is not None:
        set_forget_bias(stack, forget_bias)


def set_forget_bias(stack: Stack, value: float) -> None:
    """Set the forget gate's bias to a value; a second bias of that gate becomes zero.

    Raises:
        OptionError: the cell has no forget gate with a bias.

    Source:
        Gers, Schmidhuber & Cummins (2000), section 3.2.
    """
    bias = stack.gates("b")
    if "f" not in bias:
        raise OptionError(
            f"forget_bias={value} - {stack.layout.cell.name} has no forget gate f with a bias - leave forget_bias out"
        )
    with torch.no_grad():
        bias["f"].fill_(value)
        if "f" in stack.gates("bR"):
            stack.gates("bR")["f"].zero_()


def _zero_vectors(stack: Stack) -> None:
    for group in stack.vectors:
        torch_init.zeros_(stack.parameters[group])
