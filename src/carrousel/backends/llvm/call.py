"""From tensors to a kernel's block of arguments and back."""

import threading
from array import array
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from carrousel.backends.llvm.kernel import layout_of
from carrousel.backends.llvm.layout import Record
from carrousel.backends.llvm.pages import memory
from carrousel.backends.llvm.plan import Plan, extents_of, plan_for
from carrousel.backends.llvm.signature import Problem, Shape, signature_of
from carrousel.backends.llvm.target import host
from carrousel.backends.llvm.threads import team
from carrousel.calculus.notation import HIDDEN, INPUT, OUTPUT

__all__ = [
    "Forward",
    "Gradients",
    "arguments",
    "backward",
    "call",
    "cut",
    "forward",
    "lend",
    "memory",
    "run",
    "saved_shapes",
]

#: Bytes of scratch memory that a thread keeps for its next call: fresh pages cost a large call a sixth of its time.
KEPT = 128 * 2**20
_own = threading.local()


def lend(plan: Plan) -> tuple[Tensor, list[int]]:
    """Return memory for the time of a call, and the addresses of its pieces."""
    scratch = getattr(_own, "scratch", None)
    if scratch is None or scratch.nbytes < plan.scratch.nbytes:
        scratch = memory(plan.scratch)
        if scratch.nbytes <= KEPT:
            _own.scratch = scratch
    start = scratch.data_ptr()
    return scratch, [start + offset for offset in plan.offsets]


def run(plan: Plan, x: Tensor, tensors: Sequence[Tensor]) -> None:
    """Fill in the addresses of x and, in the order of the plan, of the other tensors, and call the kernel."""
    if x.stride(-1) != 1 and x.shape[-1] != 1:
        x = x.contiguous()
    tensors = [x, *tensors]
    addresses = list(map(Tensor.data_ptr, tensors))
    if not all(addresses):  # the zeros that autograd makes have no memory
        tensors = [tensor if tensor.data_ptr() else tensor.clone() for tensor in tensors]
        addresses = list(map(Tensor.data_ptr, tensors))
    _scratch, pieces = lend(plan)
    call(plan, arguments(plan, tensors[0], addresses, pieces))


def arguments(plan: Plan, x: Tensor, addresses: Sequence[int], pieces: Sequence[int]) -> "array[int]":
    """Return a kernel's block of arguments.

    Args:
        plan: of the call.
        x: its input, for the strides.
        addresses: of the tensors, in the order of the plan.
        pieces: of the pieces of scratch memory.
    """
    words, first, strides = plan.words[:], plan.addresses[0], x.stride()
    words[first + 1], words[first + 3] = strides[0], strides[-2]
    words[first + 2] = strides[1] if len(strides) == 4 else 0
    for k, address in zip(plan.addresses, addresses, strict=False):
        words[k] = address
    for k, address in zip(plan.pieces, pieces, strict=True):
        words[k] = address
    return words


def call(plan: Plan, words: "array[int]") -> None:
    """Call the kernel of a plan."""
    address, _ = words.buffer_info()
    if plan.threads == 1:
        plan.kernel.call(address, 0, 1)
    else:
        team().run(plan.kernel.entry, plan.kernel.team_entry, address, plan.threads)


def _given(plan: Plan, problem: Problem) -> list[Tensor]:
    """What both directions are given: parameters, initial states, boundaries, inputs per step."""
    sizes = plan.state_sizes
    tensors = [parameter.contiguous() for parameter in problem.parameters]
    tensors += [_padded(plan, state, size) for state, size in zip(problem.states, sizes, strict=True)]
    if problem.lengths is not None:
        tensors.append(problem.lengths.clamp(0, plan.time).contiguous())  # nothing beyond x is ever read
    if problem.resets is not None:
        tensors.append(problem.resets.contiguous())
        tensors += [_padded(plan, state, size) for state, size in zip(problem.fresh, sizes, strict=True)]
    if problem.step_inputs:
        names = plan.definition.step_inputs
        tensors.append(_record(plan, plan.layout.steps, dict(zip(names, problem.step_inputs, strict=True))))
    return tensors


def _padded(plan: Plan, tensor: Tensor, size: str) -> Tensor:
    """A tensor with its last axis padded to whole registers."""
    missing = plan.missing[size]
    return (pad(tensor, (0, missing)) if missing else tensor).contiguous()


def cut(plan: Plan, tensor: Tensor, size: str) -> Tensor:
    """Return a padded tensor's units."""
    return tensor[..., : plan.units[size]].contiguous() if plan.missing[size] else tensor


def _record(plan: Plan, record: Record, tensors: Mapping[str, Tensor]) -> Tensor:
    """Tensors side by side, as a record lies."""
    sizes = {**dict.fromkeys(record.hidden, HIDDEN), **dict.fromkeys(record.output, OUTPUT)}
    return torch.cat([_padded(plan, tensors[name], size) for name, size in sizes.items()], dim=-1)


def _part(plan: Plan, values: Tensor, record: Record, name: str) -> Tensor:
    """One quantity of a record."""
    start, size = plan.extents.before(record.before(name)), plan.layout.size(name)
    return values[..., start : start + plan.units[size]].contiguous()


# ---------------------------------------------------------------------- forward


class Forward(NamedTuple):
    """What a forward returns.

    Attributes:
        output: (time, *rows, size).
        finals: the states after the last step, each (*rows, size).
        traces: the traced quantities, each (time, *rows, size).
        saved: what the backward needs: the states of every step, padded, and the record of kept quantities.
    """

    output: Tensor
    finals: list[Tensor]
    traces: list[Tensor]
    saved: list[Tensor]


def forward(problem: Problem, keep: bool) -> Forward:
    """Run a layer in one direction over a sequence.

    Args:
        problem: what is asked for.
        keep: whether the backward will follow.
    """
    plan = plan_for(signature_of(problem, "forward", keep))
    sizes = plan.state_sizes
    histories = list(map(memory, plan.histories))
    finals = list(map(memory, plan.finals))
    kept = memory(plan.kept) if plan.layout.kept else None
    if problem.lengths is not None:
        histories[0].zero_()
        if kept is not None and problem.traced:
            kept.zero_()
    if plan.is_empty:
        finals = [state.clone(memory_format=torch.contiguous_format) for state in problem.states]
    else:
        run(plan, problem.x, [*_given(plan, problem), *histories, *finals, *([] if kept is None else [kept])])
        if plan.pads:
            finals = [cut(plan, final, size) for final, size in zip(finals, sizes, strict=True)]
    output = cut(plan, histories[0], sizes[0])
    traces = [_part(plan, kept, plan.layout.kept, name) for name in problem.traced] if kept is not None else []
    if not keep:
        return Forward(output, finals, traces, [])
    if output is histories[0]:  # nothing is padded: the backward finds the history in the output
        histories[0] = memory(plan.nothing)
    return Forward(output, finals, traces, [*histories, memory(plan.nothing) if kept is None else kept])


def saved_shapes(problem: Problem) -> list[Shape]:
    """Return the shapes of what a forward keeps."""
    definition, x = problem.definition, problem.x
    shapes = [tensor.shape for tensor in (x, *problem.states, *problem.parameters)]
    extents = extents_of(definition, shapes, problem.nets, x.dtype, host())
    sizes = [definition.size[state] for state in definition.states]
    saved: list[Shape] = [(*x.shape[:-1], extents.width(size)) for size in sizes]
    if extents.nets or extents.width(sizes[0]) == extents.units[sizes[0]]:
        saved[0] = (0,)
    kept = layout_of(definition, "forward", True, tuple(problem.traced)).kept
    return [*saved, (*x.shape[:-1], extents.record(kept)) if kept else (0,)]


# ---------------------------------------------------------------------- backward


class Gradients(NamedTuple):
    """What a backward returns: the loss's derivatives, each in the shape of what it is the derivative by."""

    x: Tensor | None
    states: list[Tensor]
    parameters: list[Tensor]
    step_inputs: list[Tensor]
    fresh: list[Tensor]


def backward(
    problem: Problem,
    saved: Sequence[Tensor],
    output: Tensor | None,
    finals: Sequence[Tensor | None],
    traces: Sequence[Tensor | None],
    wants_x: bool,
) -> Gradients:
    """Run the derived adjoint over a sequence.

    Args:
        problem: as the forward had it.
        saved: what the forward kept.
        output: the loss's derivative by the output; None for zero, as in the following.
        finals: by the final states.
        traces: by the traced quantities.
        wants_x: whether the gradient of x is asked for.
    """
    plan = plan_for(signature_of(problem, "backward", True))
    layout, sizes = plan.layout, plan.state_sizes
    carries = [_carry(plan, *final) for final in zip(finals, plan.finals, sizes, strict=True)]
    fresh = list(map(torch.zeros_like, carries)) if problem.resets is not None else []
    parameters = [
        (memory if is_stored_once else torch.zeros_like)(like)
        for like, is_stored_once in zip(plan.parameters, plan.is_stored_once, strict=True)
    ]
    skips = problem.lengths is not None or plan.is_empty  # steps that no kernel writes
    adjoints = (torch.zeros_like if skips else memory)(plan.adjoints) if plan.keeps_adjoints else None
    dx = (torch.zeros_like if skips or not layout.projections else memory)(plan.dx) if wants_x else None
    if not plan.is_empty:
        tensors = [*_given(plan, problem), *saved[: len(sizes)], *([saved[-1]] if layout.kept else [])]
        tensors += [_seeds(plan, problem.traced, traces)] if layout.seeds else []
        tensors += [torch.zeros_like(plan.histories[0]) if output is None else _padded(plan, output, sizes[0])]
        tensors += [*carries, *fresh, *parameters]
        run(plan, problem.x, tensors + [t for t in (adjoints, dx) if t is not None])
    return Gradients(
        None if dx is None else cut(plan, dx, INPUT),
        [cut(plan, carry, size) for carry, size in zip(carries, sizes, strict=True)],
        parameters,
        [_of_step_input(plan, adjoints, name) for name in plan.definition.step_inputs],
        [
            cut(plan, gradient, size).sum_to_size(given.shape)
            for gradient, size, given in zip(fresh, sizes, problem.fresh, strict=False)
        ],
    )


def _carry(plan: Plan, final: Tensor | None, like: Tensor, size: str) -> Tensor:
    """The loss's derivative by a state, which the kernel carries from step to step: memory of its own."""
    if final is None:
        return torch.zeros_like(like)
    padded = _padded(plan, final, size)
    return padded.clone() if padded is final else padded


def _zeros(plan: Plan, size: str) -> Tensor:
    """Zeros for every step."""
    return torch.zeros((plan.time, *plan.rows, plan.units[size]), dtype=plan.dtype, device="cpu")


def _seeds(plan: Plan, traced: Sequence[str], traces: Sequence[Tensor | None]) -> Tensor:
    """The loss's derivatives by the traced quantities, as a record."""
    seeds = {}
    for name, trace in zip(traced, traces, strict=True):
        seeds[f"seed_{name}"] = _zeros(plan, plan.layout.size(name)) if trace is None else trace
    return _record(plan, plan.layout.seeds, seeds)


def _of_step_input(plan: Plan, adjoints: Tensor | None, name: str) -> Tensor:
    """The loss's derivative by an input per step."""
    if adjoints is None or f"d{name}" not in plan.layout.adjoints:
        return _zeros(plan, HIDDEN)
    return _part(plan, adjoints, plan.layout.adjoints, f"d{name}")
