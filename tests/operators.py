"""Calls of the compiled backend's operator itself."""

from typing import Any

import torch

from calls import Shape, draw
from carrousel import cells
from carrousel.backends.llvm import operator

SEQUENCE, BACKWARD = torch.ops.carrousel.sequence.default, torch.ops.carrousel.sequence_backward.default


def arguments(name: str, shape: Shape, keep: bool = False, grad: bool = True) -> tuple[Any, ...]:
    """What the operator takes."""
    cell, call = cells.get(name), draw(cells.get(name), shape)
    leaves = {leaf: value.clone().requires_grad_(grad) for leaf, value in call.leaves.items()}
    return (
        operator.register(cell.definition),
        leaves["x"],
        [leaves[f"{state}_prev"] for state in cell.states],
        [leaves[group.name] for group in cell.groups],
        [leaves[step_input] for step_input in cell.definition.step_inputs],
        [leaves[f"{state} after a reset"] for state in cell.states] if shape.resets else [],
        call.lengths,
        call.resets,
        shape.reverse,
        list(shape.traced),
        [],
        keep,
    )


def backward_arguments(name: str, shape: Shape) -> tuple[Any, ...]:
    """What the operator's backward takes: the same, what was kept, and the derivatives of the results."""
    forward = arguments(name, shape, keep=True, grad=False)
    states = len(cells.get(name).states)
    count = 1 + states + len(shape.traced)
    results = SEQUENCE(*forward)
    output, saved = results[0], results[count:]
    if not saved[0].numel():
        saved[0] = output.clone()
    given = [torch.cos(result) for result in results[:count]]
    return (*forward[:-1], saved, given[0], given[1 : 1 + states], given[1 + states :], True)
