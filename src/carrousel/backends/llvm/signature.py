"""A call of the operator, what it looks like without its numbers, and whether its tensors fit together."""

import os
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from carrousel.backends.llvm.target import VARIABLE
from carrousel.backends.llvm.threads import available
from carrousel.calculus.notation import HIDDEN, INPUT, OUTPUT, Definition
from carrousel.errors import BackendError, DtypeError, InputShapeError

__all__ = ["Problem", "Shape", "Signature", "check", "signature_of", "units_of"]

Shape = tuple[int, ...]


class Problem(NamedTuple):
    """One layer in one direction, as the operator is called.

    Attributes:
        definition: the cell's.
        x: (time, [net,] batch, input).
        states: initial states, each ([net,] batch, size).
        parameters: in the order of the groups.
        step_inputs: each (time, [net,] batch, hidden).
        fresh: the states after a reset, each ([1 or net,] 1, size).
        lengths: ([net,] batch) or None.
        resets: (time, [net,] batch) or None; with them `fresh` is read.
        reverse: the direction.
        traced: names of quantities.
        nets: empty; or, if the lanes hold networks, how many there are and how many a register holds. Then `gather`
            has brought them side by side in all but the parameters.
    """

    definition: Definition
    x: Tensor
    states: Sequence[Tensor]
    parameters: Sequence[Tensor]
    step_inputs: Sequence[Tensor]
    fresh: Sequence[Tensor]
    lengths: Tensor | None
    resets: Tensor | None
    reverse: bool
    traced: Sequence[str]
    nets: Sequence[int]


class Signature(NamedTuple):
    """What a call looks like without its numbers: everything that a kernel and its memory depend on.

    Attributes:
        definition: the cell's.
        direction: "forward" or "backward".
        keep: whether the forward keeps what the backward needs.
        reverse: the direction of the walk.
        traced: names of quantities.
        nets: as in the problem.
        threads: how many there are.
        isa: the instruction set that CARROUSEL_ISA names.
        has_lengths: whether there are lengths.
        has_resets: whether there are resets.
        counts: how many states, parameters, step inputs and fresh states there are.
        shapes: of x, of these, of lengths and of resets.
        dtypes: of the same.
        on_cpu: whether each of the same is.
    """

    definition: Definition
    direction: str
    keep: bool
    reverse: bool
    traced: tuple[str, ...]
    nets: tuple[int, ...]
    threads: int
    isa: str
    has_lengths: bool
    has_resets: bool
    counts: tuple[int, int, int, int]
    shapes: tuple[Shape, ...]
    dtypes: tuple[torch.dtype, ...]
    on_cpu: tuple[bool, ...]

    @property
    def parameters(self) -> tuple[Shape, ...]:
        """The shapes of the parameters."""
        first = 1 + self.counts[0]
        return self.shapes[first : first + self.counts[1]]

    @property
    def fresh(self) -> tuple[Shape, ...]:
        """The shapes of the states after a reset."""
        first = 1 + sum(self.counts[:3])
        return self.shapes[first : first + self.counts[3]]


def signature_of(problem: Problem, direction: str, keep: bool) -> Signature:
    """Return the signature of a call."""
    definition, x, states, parameters, step_inputs, fresh, lengths, resets, reverse, traced, nets = problem
    tensors = [x, *states, *parameters, *step_inputs, *fresh]
    if lengths is not None:
        tensors.append(lengths)
    if resets is not None:
        tensors.append(resets)
    return Signature(
        definition,
        direction,
        keep,
        reverse,
        tuple(traced),
        tuple(nets),
        available(),
        os.environ.get(VARIABLE, ""),
        lengths is not None,
        resets is not None,
        (len(states), len(parameters), len(step_inputs), len(fresh)),
        tuple([tensor.shape for tensor in tensors]),
        tuple([tensor.dtype for tensor in tensors]),
        tuple([tensor.is_cpu for tensor in tensors]),
    )


def units_of(definition: Definition, shapes: Sequence[Shape], nets: Sequence[int]) -> dict[str, int]:
    """Return size -> units, read off the shapes of x, states and parameters."""
    lanes = nets[1] if nets else 1
    units = {INPUT: shapes[0][-1] // lanes, HIDDEN: 0, OUTPUT: 0}
    first = 1 + len(definition.states)
    for name, shape in zip(definition.states, shapes[1:first], strict=True):
        units[definition.size[name]] = shape[-1] // lanes
    for group, shape in zip(definition.groups, shapes[first : first + len(definition.groups)], strict=True):
        units[group.rows] = shape[-2 if group.is_matrix else -1] // len(group.gates)
    return units


# ---------------------------------------------------------------------- checks


def check(signature: Signature) -> None:
    """Check that tensors fit together, before anyone takes their addresses.

    Raises:
        InputShapeError, DtypeError: they do not.
        BackendError: one of them is not on the CPU.
    """
    definition, dtype, x = signature.definition, signature.dtypes[0], tuple(signature.shapes[0])
    where, states = definition.name, len(definition.states)
    counts = (states, len(definition.groups), len(definition.step_inputs), states if signature.has_resets else 0)
    if signature.counts != counts or len(x) not in (3, 4):
        raise InputShapeError(
            f"{where} - got {signature.counts} states, parameters, step inputs and fresh states with x of shape {x}, "
            f"expected {counts} with (time, [net,] batch, input) - call it through a layer"
        )
    if dtype not in (torch.float32, torch.float64):
        raise DtypeError(f"{where} - x is {dtype}, kernels compute in float32 or float64 - convert it with .to()")
    wanted = list(_wanted(signature))
    found = zip(signature.shapes, signature.dtypes, signature.on_cpu, strict=True)
    for (name, shape, kind), (own_shape, own_dtype, is_on_cpu) in zip(wanted, found, strict=True):
        if not is_on_cpu:
            raise BackendError(
                f"{where} - backend 'llvm' computes on the CPU, {name} is elsewhere - move it with .cpu()"
            )
        if own_dtype != (kind or dtype):
            raise DtypeError(f"{where} - {name} is {own_dtype}, expected {kind or dtype} - convert it with .to()")
        if tuple(own_shape) != shape:
            raise InputShapeError(f"{where} - {name} has shape {tuple(own_shape)}, expected {shape} - check its axes")


def _wanted(signature: Signature) -> Iterator[tuple[str, Shape, torch.dtype | None]]:
    """Name, shape and dtype (None for that of x) of every tensor, in order."""
    definition, shapes = signature.definition, signature.shapes
    units = units_of(definition, shapes, signature.nets)
    rows, nets, lanes = tuple(shapes[0][1:-1]), tuple(shapes[0][1:-2]), 1
    if signature.nets:
        nets, lanes = signature.nets[:1], signature.nets[1]
    yield "x", tuple(shapes[0]), None
    for state in definition.states:
        yield f"state {state}", (*rows, lanes * units[definition.size[state]]), None
    for group in definition.groups:
        count = len(group.gates) * units[group.rows]
        yield group.name, (*nets, count, *([units[str(group.columns)]] if group.is_matrix else [])), None
    for name in definition.step_inputs:
        yield name, (*shapes[0][:-1], lanes * units[HIDDEN]), None
    for state, shape in zip(definition.states, signature.fresh, strict=False):
        around = nets if shape[:-2] == nets else (1,) * len(nets)
        yield f"fresh {state}", (*around, 1, units[definition.size[state]]), None
    if signature.has_lengths:
        yield "lengths", rows, torch.int64
    if signature.has_resets:
        yield "resets", tuple(shapes[0][:-1]), torch.bool
