"""The kernels under the transforms of torch.func: `vmap` over weights is a population, over inputs a larger batch.

What `vmap` maps over becomes an axis that the kernels have: the net axis if its samples differ in their weights, else
the batch. One call stays one call. `grad`, `vjp` and `jacrev` run the derived adjoint; under `vmap` each sample has
gradients of its own, so there it always is a population. Derivatives of the adjoint go through the reference.
Transforms that differentiate forwards (`jvp`, `jacfwd`, `hessian`) no kernel follows.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch._C._dynamo.eval_frame import get_eval_frame_callback
from torch._C._functorch import TransformType, get_interpreter_stack, get_unwrapped, is_functorch_wrapped_tensor
from torch.func import vjp

from carrousel.backends.llvm.operator import (
    _BACKWARD,
    _SEQUENCE,
    _dispatched,
    _sequence,
    _sequence_backward,
    by_reference,
)

__all__ = ["are_followed", "call"]


def _active() -> list[Any]:
    return [interpreter.key() for interpreter in get_interpreter_stack() or ()]


def are_followed() -> bool:
    """Whether the kernels follow the transforms that are at work: not where torch.compile watches."""
    if torch.compiler.is_compiling() or get_eval_frame_callback():
        return False
    return {TransformType.Vmap, TransformType.Grad}.issuperset(_active())


def call(
    cell: str,
    x: Tensor,
    states: Sequence[Tensor],
    parameters: Sequence[Tensor],
    step_inputs: Sequence[Tensor],
    fresh: Sequence[Tensor],
    lengths: Tensor | None,
    resets: Tensor | None,
    reverse: bool,
    traced: Sequence[str],
    nets: Sequence[int],
) -> list[Tensor]:
    """Run one layer in one direction, arguments as in `carrousel.backends.llvm.operator.sequence`; `nets` is empty."""
    if x.dim() == 4:
        fresh = [state.expand(x.shape[1], *state.shape[1:]) for state in fresh]
    tensors = [x, *states, *parameters, *step_inputs, *fresh]
    keep = torch.is_grad_enabled() and (TransformType.Grad in _active() or any(map(_wants_gradient, tensors)))
    counts = (1, len(states), len(parameters), len(step_inputs), len(fresh))
    what = _What(cell, counts, reverse, tuple(traced), keep)
    return list(_Forward.apply(what, lengths, resets, *tensors)[: what.results])


def _wants_gradient(tensor: Tensor) -> bool:
    """Whether a tensor asks for gradients below the transforms."""
    while is_functorch_wrapped_tensor(tensor):
        tensor = get_unwrapped(tensor)
    return tensor.requires_grad


class _What:
    """What a call asks for besides its tensors.

    Args:
        cell: the text that stands for the definition.
        counts: how many inputs (one), states, parameters, step inputs and fresh states there are.
        reverse: the direction.
        traced: names of quantities.
        keep: whether the backward will follow.
    """

    def __init__(self, cell: str, counts: tuple[int, ...], reverse: bool, traced: tuple[str, ...], keep: bool) -> None:
        self.cell, self.counts, self.reverse, self.traced, self.keep = cell, counts, reverse, traced, keep
        self.tensors, self.results = sum(counts), 1 + counts[1] + len(traced)
        #: The net axis of each tensor...
        self.nets = [place for place, count in zip((1, 0, 0, 1, 0), counts, strict=True) for _ in range(count)]
        #: ...and of each result: the output, the final states, the traced quantities.
        self.result_nets = [1, *[0] * counts[1], *[1] * len(traced)]

    def cut(self, flat: Sequence[Any]) -> Iterator[list[Any]]:
        """Cut a flat list into [x], states, parameters, step inputs and fresh states."""
        start = 0
        for count in self.counts:
            yield list(flat[start : start + count])
            start += count

    def problem(self, lengths: Tensor | None, resets: Tensor | None, tensors: Sequence[Tensor]) -> tuple[Any, ...]:
        """The operator's arguments."""
        (x,), *lists = self.cut(tensors)
        return (self.cell, x, *lists, lengths, resets, self.reverse, list(self.traced), [])


# ---------------------------------------------------------------------- what vmap maps over, as an axis of ours


def _onto(tensor: Any, dim: int | None, place: int, size: int, merges: bool) -> Any:
    """Bring the samples of `vmap` to a place, merged with the axis there or before it; one for all is repeated."""
    if tensor is None:
        return None
    if dim is None:
        tensor = tensor.unsqueeze(place)
        tensor = tensor.expand(*tensor.shape[:place], size, *tensor.shape[place + 1 :])
    else:
        tensor = tensor.movedim(dim, place)
    return tensor.flatten(place, place + 1) if merges else tensor


def _off(tensor: Tensor, place: int, size: int, is_merged: bool) -> Tensor:
    """Undo `_onto`."""
    return tensor.unflatten(place, (size, tensor.shape[place] // size)) if is_merged else tensor


def _axes(tensor: Any, dim: int | None) -> int:
    """How many axes one sample has."""
    return 0 if tensor is None else tensor.dim() - (dim is not None)


def _as_nets(
    what: _What, size: int, dims: Sequence[int | None], lengths: Any, resets: Any, *tensors: Any
) -> tuple[list[Any], list[Any], bool]:
    """Samples as nets: lengths and resets, the other tensors, whether there were nets already."""
    merges = _axes(tensors[0], dims[2]) == 4
    rows = [_onto(lengths, dims[0], 0, size, merges), _onto(resets, dims[1], 1, size, merges)]
    found = zip(tensors, dims[2:], what.nets, strict=False)
    return rows, [_onto(tensor, dim, place, size, merges) for tensor, dim, place in found], merges


def _as_rows(
    what: _What, size: int, dims: Sequence[int | None], lengths: Any, resets: Any, *tensors: Any
) -> tuple[list[Any], list[Any]]:
    """Samples as rows of the batch: lengths and resets, the other tensors; weights are the same for all."""
    rows = [_onto(t, dim, _axes(t, dim) - 1, size, True) for t, dim in zip((lengths, resets), dims, strict=False)]
    x, states, parameters, step_inputs, fresh = what.cut(list(zip(tensors, dims[2:], strict=True)))
    by_row = [[_onto(t, dim, _axes(t, dim) - 2, size, True) for t, dim in part] for part in (x, states, step_inputs)]
    weights = [[tensor for tensor, _ in part] for part in (parameters, fresh)]
    return rows, [*by_row[0], *by_row[1], *weights[0], *by_row[2], *weights[1]]


# ---------------------------------------------------------------------- the two functions


class _Forward(torch.autograd.Function):
    """The operator: (what, lengths, resets, *tensors) -> its results, and what the backward needs."""

    @staticmethod
    def forward(what: _What, lengths: Any, resets: Any, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Run the sequence."""
        return tuple(_dispatched(tensors, _sequence, _SEQUENCE, *what.problem(lengths, resets, tensors), what.keep))

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        """Keep what the backward needs."""
        what, *tensors = inputs
        saved = output[what.results :]
        ctx.what = what
        ctx.mark_non_differentiable(*saved)
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*tensors, output[0], *saved)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Any, ...]:
        """Run the adjoint."""
        what, wants_x = ctx.what, ctx.needs_input_grad[3]
        count = 2 + what.tensors
        *tensors, output = ctx.saved_tensors[: count + 1]
        first, *saved = ctx.saved_tensors[count + 1 :]
        first = output if first.dim() == 1 else first  # without padding the history of the first state is the output
        found = _Backward.apply(what, wants_x, *tensors, first, *saved, *gradients[: what.results])
        return None, None, None, *([] if wants_x else [None]), *found

    @staticmethod
    def vmap(info: Any, in_dims: Any, what: _What, *tensors: Any) -> tuple[Any, Any]:
        """Run all samples at once: as rows of the batch where they have the same weights, else as nets."""
        dims, size = in_dims[1:], info.batch_size
        _, _, parameters, _, fresh = what.cut(dims[2:])
        if any(dim is not None for dim in (*parameters, *fresh)):
            rows, laid, is_merged = _as_nets(what, size, dims, *tensors)
            places = [*what.result_nets, *[1] * (what.counts[1] + 1)]
        else:
            rows, laid = _as_rows(what, size, dims, *tensors)
            places, is_merged = [-2] * (what.results + what.counts[1] + 1), True
        results = _Forward.apply(what, *rows, *laid)
        found = [(r, None if r.dim() == 1 else place % r.dim()) for r, place in zip(results, places, strict=False)]
        parted = [r if place is None else _off(r, place, size, is_merged) for r, place in found]
        return tuple(parted), tuple(place for _, place in found)


class _Backward(torch.autograd.Function):
    """The adjoint: (what, whether dx is wanted, lengths, resets, *tensors, *saved, *losses) -> *gradients."""

    @staticmethod
    def _parts(what: _What, flat: Sequence[Any]) -> tuple[list[Any], list[Any], list[Any]]:
        """Tensors, what the forward saved, the loss's derivatives by the results."""
        end = len(flat) - what.results
        return list(flat[: what.tensors]), list(flat[what.tensors : end]), list(flat[end:])

    @staticmethod
    def forward(what: _What, wants_x: bool, lengths: Any, resets: Any, *flat: Any) -> tuple[Tensor, ...]:
        """Run the adjoint."""
        tensors, saved, losses = _Backward._parts(what, flat)
        saved, states = [tensor.contiguous() for tensor in saved], 1 + what.counts[1]
        loss = (losses[0], losses[1:states], losses[states:])
        plain = [tensor for tensor in (*tensors, *losses) if tensor is not None]
        problem = what.problem(lengths, resets, tensors)
        return tuple(_dispatched(plain, _sequence_backward, _BACKWARD, *problem, saved, *loss, wants_x))

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        """Keep the inputs: the reference computes the derivative from them."""
        ctx.what, ctx.wants_x, *tensors = inputs
        ctx.save_for_backward(*tensors)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Any, ...]:
        """Differentiate the reference's gradient."""
        what, (lengths, resets, *flat) = ctx.what, ctx.saved_tensors
        tensors, saved, losses = _Backward._parts(what, flat)
        present = [k for k, loss in enumerate(losses) if loss is not None]

        def reference(*tensors: Tensor) -> tuple[Tensor, ...]:
            return tuple(by_reference(*what.problem(lengths, resets, tensors)))

        def adjoint(*flat: Tensor) -> tuple[Tensor, ...]:
            results, pull, *_ = vjp(reference, *flat[: what.tensors])
            by_place = dict(zip(present, flat[what.tensors :], strict=True))
            found = pull(tuple(by_place.get(k, torch.zeros_like(result)) for k, result in enumerate(results)))
            return tuple(found[0 if ctx.wants_x else 1 :])

        _, pull, *_ = vjp(adjoint, *tensors, *(losses[k] for k in present))
        found = pull(tuple(gradients))
        by_place = dict(zip(present, found[what.tensors :], strict=True))
        of_losses = [by_place.get(k) for k in range(len(losses))]
        return None, None, None, None, *found[: what.tensors], *[None] * len(saved), *of_losses

    @staticmethod
    def vmap(info: Any, in_dims: Any, what: _What, wants_x: bool, *flat: Any) -> tuple[Any, Any]:
        """Run the adjoint of all samples at once, as nets: each has gradients of its own."""
        dims, size = in_dims[2:], info.batch_size
        count = 2 + what.tensors
        rows, laid, is_merged = _as_nets(what, size, dims[:count], *flat[:count])
        places = [*[1] * (len(flat) - count - what.results), *what.result_nets]
        for tensor, dim, place in zip(flat[count:], dims[count:], places, strict=True):
            is_nothing = _axes(tensor, dim) == 1
            laid.append(tensor if is_nothing else _onto(tensor, dim, place, size, is_merged))
        found = _Backward.apply(what, wants_x, *rows, *laid)
        axes = what.nets[0 if wants_x else 1 :]
        return tuple(_off(g, place, size, is_merged) for g, place in zip(found, axes, strict=True)), tuple(axes)
