"""One call of a backend: drawn at random for any cell, run in any dtype with all gradients, compared with another."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from carrousel import backends
from carrousel.backends.rows import Rows
from carrousel.calculus.notation import HIDDEN, INPUT, OUTPUT
from carrousel.cell import Cell
from tolerances import TOLERANCES

#: The rule of DESIGN.md 8 for float32 wants as many values as this.
VALUES = 1000


@dataclass(frozen=True)
class Shape:
    """What a call is drawn for; `lengths` is a share of rows that end early, or how long all rows are."""

    time: int = 5
    batch: int = 3
    hidden: int = 5
    input: int = 3
    output: int = 2
    nets: int = 0
    lengths: str = ""  # "", "some", "zero" or "full"
    resets: bool = False
    reverse: bool = False
    traced: tuple[str, ...] = ()


@dataclass(frozen=True)
class Call:
    """Everything that a backend's `run` takes, in float64, and the loss's derivative by each of its results."""

    cell: Cell
    shape: Shape
    leaves: dict[str, Tensor]
    lengths: Tensor | None
    resets: Tensor | None
    weights: dict[str, Tensor]


def draw(cell: Cell, shape: Shape, dtype: torch.dtype = torch.float64, seed: int = 0, scale: float = 1.0) -> Call:
    """Draw a call whose numbers are those of a dtype."""
    generator = torch.Generator().manual_seed(seed)
    definition = cell.definition
    units = {INPUT: shape.input, HIDDEN: shape.hidden, OUTPUT: shape.output}
    nets = (shape.nets,) if shape.nets else ()
    rows = (*nets, shape.batch)

    def normal(*size: int, factor: float = 1.0) -> Tensor:
        return (factor * torch.randn(*size, dtype=torch.float64, generator=generator)).to(dtype).double()

    def state(name: str, *around: int) -> Tensor:
        value = normal(*around, units[definition.size[name]])
        return torch.full_like(value, cell.initial[name]) if math.isinf(cell.initial[name]) else value

    leaves = {"x": normal(shape.time, *rows, shape.input)}
    leaves |= {f"{s}_prev": state(s, *rows) for s in cell.states}
    leaves |= {f"{s}_fresh": state(s, *nets, *([1] * (1 + bool(nets) - len(nets)))) for s in cell.states}
    for group in cell.groups:
        columns = (units[str(group.columns)],) if group.is_matrix else ()
        factor = scale / math.sqrt(columns[0]) if columns else scale / 2
        leaves[group.name] = normal(*nets, len(group.gates) * units[group.rows], *columns, factor=factor)
    leaves |= {n: normal(shape.time, *rows, shape.hidden).sigmoid().to(dtype).double() for n in definition.step_inputs}
    lengths = None
    if shape.lengths:
        lengths = torch.randint(0, shape.time + 1, rows, generator=generator)
        lengths = {"some": lengths, "zero": 0 * lengths, "full": 0 * lengths + shape.time}[shape.lengths]
    resets = torch.rand(shape.time, *rows, generator=generator) < 0.3 if shape.resets else None
    first, whole = definition.size[cell.states[0]], (shape.time, *rows)
    sizes = {"output": (*whole, units[first])}
    sizes |= {f"final {s}": (*rows, units[definition.size[s]]) for s in cell.states}
    sizes |= {f"trace {q}": (*whole, units[definition.size.get(q, HIDDEN)]) for q in shape.traced}
    weights = {name: normal(*size) for name, size in sizes.items()}
    return Call(cell, shape, leaves, lengths, resets, weights)


def results(call: Call, backend: str = "llvm", dtype: torch.dtype = torch.float64) -> dict[str, Tensor]:
    """Run a call: every result, and the gradient of the weighted sum of all of them by every leaf, in float64."""
    leaves = {name: leaf.to(dtype).requires_grad_() for name, leaf in call.leaves.items()}
    cell, shape = call.cell, call.shape
    output, finals, traces = backends.get(backend).run(
        cell.definition,
        leaves["x"],
        tuple(leaves[f"{s}_prev"] for s in cell.states),
        {g.name: leaves[g.name] for g in cell.groups},
        [leaves[name] for name in cell.definition.step_inputs],
        Rows(call.lengths, call.resets, tuple(leaves[f"{s}_fresh"] for s in cell.states)),
        shape.reverse,
        [(name, call.weights[f"trace {name}"].shape[-1]) for name in shape.traced],
    )
    found = dict(zip(call.weights, (output, *finals, *traces), strict=True))
    loss = [(found[n], w.to(dtype)) for n, w in call.weights.items() if found[n].requires_grad]
    gradients = torch.autograd.grad(
        [f for f, _ in loss], list(leaves.values()), [w for _, w in loss], allow_unused=True, materialize_grads=True
    )
    found |= {f"d {name}": gradient for name, gradient in zip(leaves, gradients, strict=True)}
    return {name: value.detach().double() for name, value in found.items()}


def assert_close(got: dict[str, Tensor], expected: dict[str, Tensor], tolerance: str) -> None:
    """Compare with a tolerance of the table, times each result's largest value."""
    assert got.keys() == expected.keys()
    for name, value in expected.items():
        assert got[name].shape == value.shape, name
        allowed = TOLERANCES[tolerance].atol * scale_of(value)
        torch.testing.assert_close(got[name], value, rtol=0, atol=allowed, equal_nan=True, msg=lambda m: f"{name}: {m}")


def scale_of(value: Tensor) -> float:
    """The largest finite magnitude, at least one."""
    finite = value[value.isfinite()]
    return max(1.0, float(finite.abs().max())) if finite.numel() else 1.0


