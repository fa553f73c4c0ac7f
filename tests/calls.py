"""One call of a backend: drawn at random for any cell, run in any dtype with all gradients, compared with another."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from carrousel import backends
from carrousel.backends.llvm import target
from carrousel.backends.rows import Rows
from carrousel.calculus.notation import HIDDEN, INPUT, OUTPUT
from carrousel.cell import Cell
from tolerances import TOLERANCES

#: DESIGN.md, section 8: float32 is judged over so many values.
VALUES = 1000
#: The largest error of a few values is luck: so often they are drawn before it counts.
DRAWS = 10
#: The instruction sets of this machine, the best first.
HERE = tuple(isa.name for isa in target.ISAS.values() if target._host_features().issuperset(isa.needs))


@dataclass(frozen=True)
class Shape:
    """What a call is drawn for.

    Attributes:
        lengths: "" for none, "some" drawn at random, "zero" or "full".
        nets: networks of a population, 0 for a single one.
    """

    time: int = 5
    batch: int = 3
    hidden: int = 5
    input: int = 3
    output: int = 2
    nets: int = 0
    lengths: str = ""
    resets: bool = False
    reverse: bool = False
    traced: tuple[str, ...] = ()


@dataclass(frozen=True)
class Call:
    """What a backend's `run` takes, in float64: all that has a gradient, and the loss's derivative by each result.

    Attributes:
        read: the results that the loss reads, all if none is named.
    """

    cell: Cell
    shape: Shape
    leaves: dict[str, Tensor]
    lengths: Tensor | None
    resets: Tensor | None
    weights: dict[str, Tensor]
    read: tuple[str, ...] = ()


def draw(cell: Cell, shape: Shape, dtype: torch.dtype = torch.float64, seed: int = 0) -> Call:
    """Draw a call whose numbers are those of a dtype; a state that begins at infinity is there."""
    generator, definition = torch.Generator().manual_seed(seed), cell.definition
    units = {INPUT: shape.input, HIDDEN: shape.hidden, OUTPUT: shape.output}
    nets = (shape.nets,) if shape.nets else ()
    rows, one = (*nets, shape.batch), (*nets, 1)

    def normal(*size: int, factor: float = 1.0) -> Tensor:
        return (factor * torch.randn(*size, dtype=torch.float64, generator=generator)).to(dtype).double()

    def state(name: str, *around: int) -> Tensor:
        value, begins = normal(*around, units[definition.size[name]]), cell.initial[name]
        return torch.full_like(value, begins) if math.isinf(begins) else value

    leaves = {"x": normal(shape.time, *rows, shape.input)}
    leaves |= {f"{s}_prev": state(s, *rows) for s in cell.states}
    leaves |= {f"{s} after a reset": state(s, *one) for s in cell.states}
    for group in cell.groups:
        columns = [units[str(group.columns)]] if group.is_matrix else []
        count = len(group.gates) * units[group.rows]
        leaves[group.name] = normal(*nets, count, *columns, factor=1 / math.sqrt(columns[0]) if columns else 0.5)
    leaves |= {name: normal(shape.time, *rows, shape.hidden).abs() / 4 for name in definition.step_inputs}
    lengths = torch.randint(0, shape.time + 1, rows, generator=generator) if shape.lengths else None
    if lengths is not None and shape.lengths != "some":
        lengths.fill_({"zero": 0, "full": shape.time}[shape.lengths])
    resets = torch.rand(shape.time, *rows, generator=generator) < 0.3 if shape.resets else None
    sizes = {"output": (shape.time, *rows, units[definition.size[cell.states[0]]])}
    sizes |= {f"final {s}": (*rows, units[definition.size[s]]) for s in cell.states}
    sizes |= {f"trace {q}": (shape.time, *rows, units[definition.size.get(q, HIDDEN)]) for q in shape.traced}
    return Call(cell, shape, leaves, lengths, resets, {name: normal(*size) for name, size in sizes.items()})


def results(call: Call, backend: str = "llvm", dtype: torch.dtype = torch.float64) -> dict[str, Tensor]:
    """Run a call: each result, and the gradient of their weighted sum by each leaf, in float64."""
    cell, shape = call.cell, call.shape
    leaves = {name: leaf.to(dtype).requires_grad_() for name, leaf in call.leaves.items()}
    output, finals, traces = backends.get(backend).run(
        cell.definition,
        leaves["x"],
        tuple(leaves[f"{s}_prev"] for s in cell.states),
        {g.name: leaves[g.name] for g in cell.groups},
        [leaves[name] for name in cell.definition.step_inputs],
        Rows(call.lengths, call.resets, tuple(leaves[f"{s} after a reset"] for s in cell.states)),
        shape.reverse,
        [(name, call.weights[f"trace {name}"].shape[-1]) for name in shape.traced],
    )
    found = dict(zip(call.weights, (output, *finals, *traces), strict=True))
    read = [name for name in call.read or call.weights if found[name].requires_grad]
    if not read:  # nothing has a gradient
        return {name: value.double() for name, value in found.items()}
    gradients = torch.autograd.grad(
        [found[name] for name in read],
        list(leaves.values()),
        [call.weights[name].to(dtype) for name in read],
        allow_unused=True,
        materialize_grads=True,
    )
    found |= {f"gradient of {name}": gradient for name, gradient in zip(leaves, gradients, strict=True)}
    return {name: value.detach().double() for name, value in found.items()}


def errors(got: dict[str, Tensor], truth: dict[str, Tensor], least: float = 0.1) -> dict[str, Tensor]:
    """The differences of all values, in parts of their result's largest value; what is not finite must be equal.

    Args:
        got: the results.
        truth: what they should be.
        least: a result whose own values are small is measured by this part of the largest of its kind: of the results,
            or of the gradients.
    """
    assert got.keys() == truth.keys()
    largest = {
        name: float(value.nan_to_num(0, 0, 0).abs().amax()) if value.numel() else 0.0 for name, value in truth.items()
    }
    found = {}
    for name, value in truth.items():
        assert got[name].shape == value.shape, name
        finite = value.isfinite()
        assert torch.equal(got[name].isfinite(), finite), f"{name}: {got[name]}\n{value}"
        assert torch.equal(got[name][~finite].nan_to_num(nan=0.5), value[~finite].nan_to_num(nan=0.5)), name
        alike = [v for n, v in largest.items() if n.startswith("gradient") == name.startswith("gradient")]
        found[name] = (got[name] - value)[finite].abs() / (max(largest[name], least * max(alike)) or 1.0)
    return found


def worst(found: dict[str, Tensor]) -> float:
    """The largest of all errors."""
    return float(torch.cat([torch.zeros(1), *found.values()]).max())


def assert_right(call: Call, dtype: torch.dtype = torch.float64, tolerance: str = "float64") -> None:
    """Compare with the reference in float64."""
    got, truth = results(call, "llvm", dtype), results(call, "eager")
    for name, found in errors(got, truth).items():
        error = worst({name: found})
        assert error <= TOLERANCES[tolerance].atol, (
            f"{name}, {call.shape}: {error}\n{call.cell.definition.text}\n{got[name]}\n{truth[name]}"
        )


def assert_as_accurate(sides: Callable[[int], Sequence[dict[str, Tensor]]], times: float, tolerance: str) -> None:
    """Compare the largest error with that of another computation: over 1,000 values, and more before it counts.

    Args:
        sides: seed -> the truth, what is judged, what it is compared with.
        times: how much larger its error may be...
        tolerance: ...besides this one of the table.
    """
    runs, values, error, allowed = [], 0, 1.0, 0.0
    while values < VALUES or (error > allowed and len(runs) < DRAWS):
        runs.append(sides(len(runs)))
        values += sum(value.numel() for value in runs[-1][0].values()) or VALUES
        truth, *others = ({n: torch.stack([r[n] for r in side]) for n in side[0]} for side in zip(*runs, strict=True))
        error, other_error = (worst(errors(other, truth, least=1)) for other in others)
        allowed = times * other_error + TOLERANCES[tolerance].atol
    assert error <= allowed, {n: worst({n: found}) for n, found in errors(others[0], truth, least=1).items()}


def assert_as_accurate_as_torch(cell: Cell, shape: Shape, times: float = 1.5, tolerance: str = "as torch") -> None:
    """The rule of DESIGN.md 8: at most 1.5 times the error of torch in float32, and 2e-7, over 1,000 values."""

    def sides(seed: int) -> list[dict[str, Tensor]]:
        call = draw(cell, shape, torch.float32, seed)
        return [results(call, "eager"), *(results(call, backend, torch.float32) for backend in ("llvm", "eager"))]

    assert_as_accurate(sides, times, tolerance)
