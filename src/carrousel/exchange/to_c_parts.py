"""A network taken apart for C: one part after the other, each with the numbers that it needs. Plain data."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from carrousel import backends
from carrousel.backends.rows import EVERY_STEP
from carrousel.cell import Cell
from carrousel.errors import InputTypeError, OptionError, OptionTypeError
from carrousel.exchange.from_torch import from_torch
from carrousel.nn import Population
from carrousel.nn.layers import Layers

__all__ = ["Elementwise", "Embedded", "Layer", "Linear", "Part", "parts_of", "quantised", "rounded", "run"]


@dataclass(frozen=True)
class Layer:
    """One recurrent layer.

    Attributes:
        cell: with its projection, if it has one.
        weights: group -> gate -> (rows, columns) or (rows,).
        initial: state -> its value before the first step, (size,).
        input_size: features of its input.
        hidden_size: hidden units.
    """

    cell: Cell
    weights: Mapping[str, Mapping[str, Tensor]]
    initial: Mapping[str, Tensor]
    input_size: int
    hidden_size: int

    @property
    def output_size(self) -> int:
        """The size of the cell's output."""
        return len(self.initial[self.cell.states[0]])

    def __str__(self) -> str:
        return self.cell.name


@dataclass(frozen=True)
class Linear:
    """A linear layer: weight (output, input), bias (output,) or None."""

    weight: Tensor
    bias: Tensor | None

    @property
    def input_size(self) -> int:
        """Features of its input."""
        return self.weight.shape[1]

    @property
    def output_size(self) -> int:
        """The number of its values."""
        return self.weight.shape[0]

    def __str__(self) -> str:
        return "Linear"


@dataclass(frozen=True)
class Embedded:
    """A table of vectors, (symbol, size): its input is the number of a symbol."""

    table: Tensor
    input_size = 1

    @property
    def output_size(self) -> int:
        """The size of a vector."""
        return self.table.shape[1]

    def __str__(self) -> str:
        return "Embedding"


@dataclass(frozen=True)
class Elementwise:
    """A function of each value, by its name in the notation."""

    function: str
    input_size: int

    @property
    def output_size(self) -> int:
        """The size of its input."""
        return self.input_size

    def __str__(self) -> str:
        return self.function


Part = Layer | Linear | Embedded | Elementwise

_FUNCTIONS = {nn.Tanh: "tanh", nn.Sigmoid: "sigmoid", nn.ReLU: "relu"}


def parts_of(module: nn.Module) -> list[Part]:
    """Take a network apart.

    Args:
        module: one recurrent layer, or an nn.Sequential of what `carrousel.exchange.to_c` names.

    Returns:
        Its parts in order; several layers of one module are several parts. All numbers are float32, on the CPU.

    Raises:
        OptionTypeError: it is no module.
        OptionError: there is a part that has no C form, no recurrent layer, or a part that does not fit the one before.
        InputTypeError: a weight is not finite.
    """
    if not isinstance(module, nn.Module):
        raise OptionTypeError(f"to_c - got {type(module).__name__}, expected a module - pass a layer or nn.Sequential")
    _check_finite(module)
    parts: list[Part] = []
    with torch.no_grad():
        for name, each in _flat("module", module):
            parts += _parts(name, each, parts[-1].output_size if parts else None)
    if not any(isinstance(part, Layer) for part in parts):
        raise OptionError("to_c - the network has no recurrent layer - it steps from state to state, so give it one")
    for k, (before, after) in enumerate(itertools.pairwise(parts), 1):
        if before.output_size != after.input_size:
            raise OptionError(
                f"to_c - part {k}, {after}, takes {after.input_size} values, expected the {before.output_size} of part "
                f"{k - 1}, {before} - put parts together that fit"
            )
    return parts


def _check_finite(module: nn.Module) -> None:
    for name, value in module.named_parameters():
        if value.is_meta:
            raise InputTypeError(f"to_c - {name} is on the meta device, it has no values - load the weights first")
        if not value.detach().float().isfinite().all():
            raise InputTypeError(
                f"to_c - {name} has a NaN or an infinite value in float32 - train again, or look where it comes from"
            )


def _flat(name: str, module: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """The modules of nested nn.Sequentials, with their paths."""
    if type(module) is not nn.Sequential:
        yield name, module
        return
    for child_name, child in module.named_children():
        yield from _flat(f"{name}[{child_name}]", child)


def _parts(name: str, module: nn.Module, size: int | None) -> list[Part]:
    if isinstance(module, nn.Identity | nn.Dropout):
        return []
    if type(module) in (nn.LSTM, nn.GRU, nn.RNN):
        module = from_torch(module)
    if isinstance(module, Layers):
        _check_layers(name, module)
        return [_layer(module, layer) for layer in range(module.num_layers)]
    if isinstance(module, nn.Linear):
        bias = None if module.bias is None else _numbers(module.bias)
        return [Linear(_numbers(module.weight), bias)]
    if isinstance(module, nn.Embedding) and module.max_norm is None:
        return [Embedded(_numbers(module.weight))]
    if type(module) in _FUNCTIONS and size is not None:
        return [Elementwise(_FUNCTIONS[type(module)], size)]
    raise OptionError(
        f"to_c - {name} is of type {type(module).__name__}, which has no C form here; these have: recurrent layers, "
        "Linear, Embedding, and behind another part Tanh, Sigmoid, ReLU - pass an nn.Sequential of such parts"
    )


def _check_layers(name: str, module: Layers) -> None:
    reason = todo = ""
    if isinstance(module, Population):
        reason, todo = "is a population", "export one network: population.net(0)"
    elif module.bidirectional:
        reason, todo = "is bidirectional", "a step can not read what comes later: train it with bidirectional=False"
    elif module._layout.cell.definition.step_inputs:
        inputs = ", ".join(module._layout.cell.definition.step_inputs)
        reason, todo = f"takes inputs per step ({inputs})", "the step of C has x alone: export the cell without them"
    if reason:
        raise OptionError(f"to_c - {name} {reason} - {todo}")


def _layer(module: Layers, layer: int) -> Layer:
    layout = module._layout
    stacks = layout.kernel_parameters({g: _numbers(p) for g, p in module._stacked(layer, reverse=False).items()})
    weights = {
        group.name: dict(zip(group.gates, stacks[group.name].chunk(len(group.gates)), strict=True))
        for group in layout.cell.groups
    }
    fresh = module._fresh(next(iter(module.parameters())).detach(), layer, 1)
    names = layout.cell.states
    initial = {n: _numbers(v).squeeze(0) for n, v in zip(names, layout.to_kernel(names, fresh), strict=True)}
    size = module.input_size if layer == 0 else layout.output_size
    return Layer(layout.cell, weights, initial, size, module.hidden_size)


def _numbers(value: Tensor) -> Tensor:
    return value.detach().to("cpu", torch.float32)


# ---------------------------------------------------------------------- eight bits


def quantised(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Return a matrix as whole numbers from -127 to 127 and one scale a row: `scale * number` is near the weight.

    Args:
        matrix: (rows, columns).

    Returns:
        int8 (rows, columns) and float32 (rows,).

    Example:
        >>> import torch
        >>> numbers, scales = quantised(torch.tensor([[0.5, -1.0], [0.0, 0.0]]))
        >>> numbers.tolist(), scales.tolist()
        ([[64, -127], [0, 0]], [0.007874015718698502, 0.0])
    """
    scales = matrix.abs().amax(1) / 127
    numbers = (matrix / scales.where(scales > 0, 1).unsqueeze(1)).round().clamp(-127, 127)
    return numbers.to(torch.int8), scales


def rounded(parts: Sequence[Part]) -> list[Part]:
    """Return the parts with every matrix as `quantised` keeps it."""

    def near(matrix: Tensor) -> Tensor:
        numbers, scales = quantised(matrix)
        return numbers * scales.unsqueeze(1)

    changed: list[Part] = []
    for part in parts:
        if isinstance(part, Layer):
            matrices = {group.name for group in part.cell.groups if group.is_matrix}
            weights = {
                group: {gate: near(w) if group in matrices else w for gate, w in gates.items()}
                for group, gates in part.weights.items()
            }
            part = replace(part, weights=weights)
        elif isinstance(part, Linear):
            part = replace(part, weight=near(part.weight))
        elif isinstance(part, Embedded):
            part = replace(part, table=near(part.table))
        changed.append(part)
    return changed


def run(parts: Sequence[Part], x: Tensor) -> Tensor:
    """Run the parts in Python, step by step.

    Args:
        parts: of a network.
        x: (time, input), or (time, 1) with the numbers of symbols.

    Returns:
        (time, output).
    """
    for part in parts:
        if isinstance(part, Layer):
            stacks = {group: torch.cat(list(gates.values())) for group, gates in part.weights.items()}
            states = tuple(value.unsqueeze(0) for value in part.initial.values())
            eager = backends.get(backends.REFERENCE)
            output, _, _ = eager.run(part.cell.definition, x.unsqueeze(1), states, stacks, (), EVERY_STEP, False, ())
            x = output.squeeze(1)
        elif isinstance(part, Linear):
            x = nn.functional.linear(x, part.weight, part.bias)
        elif isinstance(part, Embedded):
            x = part.table[x.squeeze(1).long()]
        else:
            x = getattr(torch, part.function)(x)
    return x
