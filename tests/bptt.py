"""Back-propagation through time twice: by the derived backward of a step, and by autograd through the definition."""

import ast
import inspect
import math
from dataclasses import dataclass
from types import SimpleNamespace

import torch
from torch import Tensor

from carrousel.backends.eager import groups
from carrousel.calculus.lower import variables
from carrousel.calculus.notation import HIDDEN, INPUT, OUTPUT, parse
from carrousel.cell import Cell
from carrousel.functions import TABLE
from tolerances import TOLERANCES

TIME, BATCH = 5, 4
SIZE = {INPUT: 3, HIDDEN: 5, OUTPUT: 2}


def cell_of(text: str, initial: dict[str, float] | None = None, **constants: object) -> Cell:
    """Make a cell from a definition's text."""
    return Cell(parse(text, {**TABLE, **constants}, "cell"), initial)


@dataclass
class Sequence:
    """What a cell is run on: a sequence of each input, first states, parameters, and the weights of the loss."""

    x: Tensor
    states: dict[str, Tensor]
    step_inputs: dict[str, Tensor]
    parameters: dict[str, dict[str, Tensor]]
    weights: dict[str, Tensor]

    def leaves(self) -> dict[str, Tensor]:
        """Everything that has a gradient, by name."""
        vectors = {f"{group}.{gate}": w for group, gates in self.parameters.items() for gate, w in gates.items()}
        return {"x": self.x, **{f"{s}_prev": v for s, v in self.states.items()}, **self.step_inputs, **vectors}


def sequence_of(cell: Cell, seed: int = 0) -> Sequence:
    """Draw a sequence for a cell, in float64."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, dtype=torch.float64, generator=generator)

    definition = cell.definition
    shape = {g.name: (SIZE[g.rows], SIZE[g.columns]) if g.columns is not None else (SIZE[HIDDEN],) for g in cell.groups}
    sizes = {s: SIZE[definition.size[s]] for s in cell.states}
    states = {s: draw(BATCH, sizes[s]) for s in cell.states}
    for state, value in cell.initial.items():
        if math.isinf(value):
            states[state] = torch.full_like(states[state], value)
    return Sequence(
        x=draw(TIME, BATCH, SIZE[INPUT]),
        states=states,
        step_inputs={name: draw(TIME, BATCH, SIZE[HIDDEN]).sigmoid() for name in definition.step_inputs},
        parameters={g.name: {gate: 0.6 * draw(*shape[g.name]) for gate in g.gates} for g in cell.groups},
        weights={s: draw(TIME, BATCH, sizes[s]) for s in cell.states},
    )


def by_autograd(cell: Cell, on: Sequence) -> dict[str, Tensor]:
    """The gradients of the weighted sum of all states at all steps, by autograd through the definition."""
    leaves = {name: leaf.requires_grad_() for name, leaf in on.leaves().items()}
    states, wrapped, loss = tuple(on.states.values()), groups(on.parameters), torch.zeros((), dtype=torch.float64)
    for t in range(TIME):
        after = cell(on.x[t], *states, *(s[t] for s in on.step_inputs.values()), **wrapped)
        states = after if isinstance(after, tuple) else (after,)
        for state, value in zip(cell.states, states, strict=True):
            loss = loss + (on.weights[state][t] * value).sum()
    found = torch.autograd.grad(loss, list(leaves.values()), allow_unused=True, materialize_grads=True)
    for leaf in leaves.values():
        leaf.requires_grad_(False)
    return dict(zip(leaves, found, strict=True))


def forward_values(cell: Cell, values: dict[str, object]) -> dict[str, object]:
    """Evaluate the normal form of one step: every quantity, pre-activation, product and mean."""
    values = {**TABLE, **cell.definition.constants, **values}
    for equation in cell.equations:
        code = compile(ast.fix_missing_locations(ast.Expression(equation.value)), equation.name, "eval")
        values[equation.name] = eval(code, {}, values)
    for symbol, variable in variables(cell.adjoint).items():
        values[str(symbol)] = values[str(variable)] = eval(str(symbol), {}, values)
    return values


def steps_of(cell: Cell, on: Sequence) -> list[dict[str, object]]:
    """Run the forward over the sequence and keep the values of each step."""
    steps, states = [], on.states
    for t in range(TIME):
        given = {"x": on.x[t], **{f"{s}_prev": v for s, v in states.items()}, **groups(on.parameters)}
        given.update({name: value[t] for name, value in on.step_inputs.items()})
        steps.append(forward_values(cell, given))
        states = {s: steps[-1][s] for s in cell.states}
    return steps


def by_adjoint(cell: Cell, on: Sequence) -> dict[str, Tensor]:
    """The same gradients, by the derived backward of one step, driven from the last step to the first."""
    backward = cell.step("eager", "backward")
    arguments = list(inspect.signature(backward).parameters)
    found = {name: torch.zeros_like(leaf) for name, leaf in on.leaves().items()}
    later = {s: torch.zeros_like(v) for s, v in on.states.items()}
    for t, values in reversed(list(enumerate(steps_of(cell, on)))):
        gradients = {f"d{g.name}": SimpleNamespace() for g in cell.groups}
        arriving = {f"d{s}": on.weights[s][t] + later[s] for s in cell.states}
        given = {**values, **gradients, **arriving}
        results = backward(*(given[name] for name in arguments))
        results = results if isinstance(results, tuple) else (results,)
        dx, *others = results
        found["x"][t] = dx
        for state, value in zip(cell.states, others, strict=False):
            later[state] = value
        for name, value in zip(on.step_inputs, others[len(cell.states) :], strict=True):
            found[name][t] = value
        for group in cell.groups:
            for gate in group.gates:
                gradient = getattr(gradients[f"d{group.name}"], gate)
                over_batch = isinstance(gradient, Tensor) and not group.is_matrix
                found[f"{group.name}.{gate}"] += gradient.sum(0) if over_batch else gradient
    return {**found, **{f"{s}_prev": torch.as_tensor(v) + 0 * on.weights[s][0] for s, v in later.items()}}


def assert_same_gradients(got: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    """Compare to the adjoint's tolerance of each gradient's own largest value."""
    assert got.keys() == expected.keys()
    largest = max(float(value.abs().max()) for value in expected.values())
    for name, value in expected.items():
        assert value.isfinite().all(), name
        allowed = TOLERANCES["adjoint"].atol * (float(value.abs().max()) + 1e-3 * largest)
        difference = float((got[name] - value).abs().max())
        assert difference <= allowed, f"{name}: {difference} > {allowed}\n{cell_difference(got[name], value)}"


def cell_difference(got: Tensor, expected: Tensor) -> str:
    """Both values, for the message of a failure."""
    return f"got\n{got}\nexpected\n{expected}"
