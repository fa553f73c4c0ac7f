"""The kernels as an operator of torch: `carrousel::sequence`, with a fake and an autograd registration.

One layer in one direction is one call. The gradient is the derived adjoint's kernel; where a gradient of the gradient is
asked for (`create_graph=True`), the reference backend computes it, differentiably.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from carrousel.backends import eager
from carrousel.backends.llvm.call import Problem, backward, forward, saved_shapes
from carrousel.backends.rows import Rows
from carrousel.calculus.notation import HIDDEN, Definition

__all__ = ["call", "register", "sequence"]

_library = torch.library.Library("carrousel", "DEF")
_ARGUMENTS = (
    "str cell, Tensor x, Tensor[] states, Tensor[] parameters, Tensor[] step_inputs, Tensor[] fresh, Tensor? lengths, "
    "Tensor? resets, bool reverse, str[] traced"
)
_library.define(f"sequence({_ARGUMENTS}, bool keep) -> Tensor[]")
_library.define(
    f"sequence_backward({_ARGUMENTS}, Tensor[] saved, Tensor output, Tensor[] finals, Tensor[] traces, bool wants_x) "
    "-> Tensor[]"
)

#: identity -> definition: an operator's arguments are tensors, numbers and text.
_definitions: dict[str, Definition] = {}


def register(definition: Definition) -> str:
    """Return the text that names a definition in the operator's arguments."""
    key = definition.identity
    _definitions.setdefault(key, definition)
    return key


def _problem(
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
) -> Problem:
    definition = _definitions[cell]
    return Problem(
        definition, x, states, parameters, step_inputs, fresh, lengths, resets, reverse, tuple(traced)
    )


def _sequence(*arguments: Any) -> list[Tensor]:
    """The output, the final states, the traced quantities and, if kept, what the backward needs."""
    *problem, keep = arguments
    output, finals, traces, saved = forward(_problem(*problem), keep)
    if saved and output.untyped_storage().data_ptr() == saved[0].untyped_storage().data_ptr():
        saved[0] = saved[0].new_empty(0)  # without padding the history of the first state is the output itself
    return [output, *finals, *traces, *saved]


def _sequence_backward(*arguments: Any) -> list[Tensor]:
    """The gradients of x (if it is wanted), states, parameters, step inputs and fresh states."""
    *problem, saved, output, finals, traces, wants_x = arguments
    gradients = backward(_problem(*problem), saved, output, finals, traces, wants_x)
    dx = [gradients.x] if gradients.x is not None else []
    return [*dx, *gradients.states, *gradients.parameters, *gradients.step_inputs, *gradients.fresh]


def _sequence_shapes(*arguments: Any) -> list[Tensor]:
    """Tensors of the shapes that `_sequence` returns."""
    *problem, keep = arguments
    call = _problem(*problem)
    definition, x, units = call.definition, call.x, call.sizes()
    shapes = [(*x.shape[:-1], units[definition.size[definition.states[0]]])]
    shapes += [(*call.rows, units[definition.size[s]]) for s in definition.states]
    shapes += [(*x.shape[:-1], units[definition.size.get(t, HIDDEN)]) for t in call.traced]
    shapes += saved_shapes(call) if keep else []
    return [x.new_empty(shape) for shape in shapes]


def _sequence_backward_shapes(*arguments: Any) -> list[Tensor]:
    """Tensors of the shapes that `_sequence_backward` returns."""
    *problem, _, _, _, _, wants_x = arguments
    call = _problem(*problem)
    like = [*([call.x] if wants_x else []), *call.states, *call.parameters, *call.step_inputs]
    return [torch.empty_like(t) for t in (*like, *(call.fresh if call.resets is not None else []))]


# ---------------------------------------------------------------------- autograd


class _Differentiable(torch.autograd.Function):
    """The operator with its gradient; arguments that are lists come flat, behind their lengths."""

    @staticmethod
    def forward(ctx: Any, cell: str, reverse: bool, traced: tuple[str, ...], counts: tuple[int, ...], *flat: Any) -> Any:
        """Run the sequence and keep what the backward needs."""
        x, lengths, resets, *tensors = flat
        lists = _cut(tensors, counts)
        with torch._C._AutoDispatchBelowAutograd():
            results = _direct(_sequence, _SEQUENCE, cell, x, *lists, lengths, resets, reverse, list(traced), True)
        count = 1 + len(lists[0]) + len(traced)
        outputs, saved = results[:count], results[count:]
        ctx.save_for_backward(*flat, outputs[0], *saved)
        ctx.call = cell, reverse, traced, counts
        ctx.set_materialize_grads(False)
        return tuple(outputs)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> Any:
        """Run the adjoint; differentiably through the reference if the graph is wanted."""
        cell, reverse, traced, counts = ctx.call
        inputs = 3 + sum(counts)
        flat, output, saved = ctx.saved_tensors[:inputs], ctx.saved_tensors[inputs], ctx.saved_tensors[inputs + 1 :]
        x, lengths, resets, *tensors = flat
        lists = _cut(tensors, counts)
        problem = (cell, x, *lists, lengths, resets, reverse, list(traced))
        if torch.is_grad_enabled():
            return None, None, None, None, *_through_reference(problem, flat, gradients)
        loss, finals, traces = _materialised(problem, output, gradients)
        if not saved[0].numel():
            saved = (output, *saved[1:])
        wants_x = ctx.needs_input_grad[4]
        results = _direct(
            _sequence_backward, _BACKWARD, *problem, list(saved), loss, finals, traces, wants_x
        )
        dx = results.pop(0) if wants_x else None
        results += [None] * (sum(counts) - len(results))
        return None, None, None, None, dx, None, None, *results


def _cut(tensors: Sequence[Tensor], counts: Sequence[int]) -> list[list[Tensor]]:
    """A flat list as states, parameters, step inputs and fresh states."""
    lists, start = [], 0
    for count in counts:
        lists.append(list(tensors[start : start + count]))
        start += count
    return lists


def _materialised(
    problem: tuple[Any, ...], output: Tensor, gradients: Sequence[Tensor | None]
) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    """Zeros for what the loss does not read."""
    _, x, states, *_, traced = problem
    loss = torch.zeros_like(output) if gradients[0] is None else gradients[0]
    finals = [torch.zeros_like(s) if g is None else g for s, g in zip(states, gradients[1:], strict=False)]
    behind = gradients[1 + len(states) :]
    units = _problem(*problem).sizes()
    sizes = [units[_definitions[problem[0]].size.get(t, HIDDEN)] for t in traced]
    traces = [
        x.new_zeros(*x.shape[:-1], n) if g is None else g for n, g in zip(sizes, behind, strict=True)
    ]
    return loss, finals, traces


def _through_reference(
    problem: tuple[Any, ...], flat: Sequence[Tensor | None], gradients: Sequence[Tensor | None]
) -> list[Tensor | None]:
    """The gradients, themselves differentiable: the reference run once more on the same inputs."""
    call = _problem(*problem)
    definition = call.definition
    units = call.sizes()
    names = [group.name for group in definition.groups]
    traced = [(t, units[definition.size.get(t, HIDDEN)]) for t in call.traced]
    output, finals, traces = eager.run(
        definition,
        call.x,
        tuple(call.states),
        dict(zip(names, call.parameters, strict=True)),
        call.step_inputs,
        Rows(call.lengths, call.resets, tuple(call.fresh)),
        call.reverse,
        traced,
    )
    pairs = [
        (o, g) for o, g in zip((output, *finals, *traces), gradients, strict=True) if g is not None and o.requires_grad
    ]
    wanted = [k for k, t in enumerate(flat) if t is not None and t.requires_grad]
    found = torch.autograd.grad(
        [o for o, _ in pairs],
        [flat[k] for k in wanted],  # type: ignore[misc]
        [g for _, g in pairs],
        create_graph=True,
        allow_unused=True,
    )
    by_place = dict(zip(wanted, found, strict=True))
    return [by_place.get(k) for k in range(len(flat))]


def sequence(
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
    keep: bool = False,
) -> list[Tensor]:
    """Run one layer in one direction; `carrousel.backends.llvm.call` has the shapes.

    Returns:
        The output, the final states, the traced quantities; if `keep`, what the backward needs.
    """
    lists = (states, parameters, step_inputs, fresh)
    tensors = [t for part in lists for t in part]
    if torch.is_grad_enabled() and (x.requires_grad or any(t.requires_grad for t in tensors)) and not keep:
        counts = tuple(len(part) for part in lists)
        flat = (x, lengths, resets, *tensors)
        return list(_Differentiable.apply(cell, reverse, tuple(traced), counts, *flat))
    with torch._C._AutoDispatchBelowAutograd():
        return _direct(_sequence, _SEQUENCE, cell, x, *lists, lengths, resets, reverse, list(traced), keep)


def _direct(implementation: Any, operator: Any, *arguments: Any) -> list[Tensor]:
    """Call the implementation itself where nothing listens to torch's dispatcher: it costs more than a tiny net."""
    plain = type(arguments[1]) in (Tensor, torch.nn.Parameter)
    if plain and not torch.compiler.is_compiling() and torch._C._len_torch_dispatch_stack() == 0:
        return implementation(*arguments)  # type: ignore[no-any-return]
    return operator(*arguments)  # type: ignore[no-any-return]


def call(*arguments: Any) -> list[Tensor]:
    """Call the operator: directly, or through the dispatcher where a compiler or a mode listens."""
    if torch.compiler.is_compiling() or torch._C._len_torch_dispatch_stack():
        return _SEQUENCE(*arguments, False)  # type: ignore[no-any-return]
    return sequence(*arguments)


_library.impl("sequence", _sequence, "CPU")
_library.impl("sequence", sequence, "Autograd")
_library.impl("sequence_backward", _sequence_backward, "CPU")
torch.library.register_fake("carrousel::sequence", _sequence_shapes, lib=_library)
torch.library.register_fake("carrousel::sequence_backward", _sequence_backward_shapes, lib=_library)
_SEQUENCE = torch.ops.carrousel.sequence.default
_BACKWARD = torch.ops.carrousel.sequence_backward.default
