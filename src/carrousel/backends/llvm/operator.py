"""The kernels as an operator of torch: `carrousel::sequence`, with a fake and an autograd registration.

One layer in one direction is one call. The gradient is the derived adjoint's kernel; where a gradient of the gradient
is asked for (`create_graph=True`), the reference backend computes it, differentiably.
"""

import json
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter

from carrousel.backends import eager
from carrousel.backends.llvm.call import backward, forward, saved_shapes
from carrousel.backends.llvm.nets import gather, spread
from carrousel.backends.llvm.signature import Problem, units_of
from carrousel.backends.rows import Rows
from carrousel.calculus.notation import HIDDEN, Definition, parse
from carrousel.errors import BackendError
from carrousel.functions import TABLE, Function

__all__ = ["are_plain", "by_reference", "call", "pulled_back", "register", "sequence", "wants_reference"]

_library = torch.library.Library("carrousel", "DEF")
_ARGUMENTS = (
    "str cell, Tensor x, Tensor[] states, Tensor[] parameters, Tensor[] step_inputs, Tensor[] fresh, Tensor? lengths, "
    "Tensor? resets, bool reverse, str[] traced, int[] nets"
)
_library.define(f"sequence({_ARGUMENTS}, bool keep) -> Tensor[]")
_library.define(
    f"sequence_backward({_ARGUMENTS}, Tensor[] saved, Tensor? output, Tensor?[] finals, Tensor?[] traces, "
    "bool wants_x) -> Tensor[]"
)

#: identity, or the whole as text -> definition: an operator's arguments are tensors, numbers and text.
_definitions: dict[str, Definition] = {}


def register(definition: Definition) -> str:
    """Return the text that stands for a definition in the operator's arguments: all of it in what is exported."""
    name = _as_text(definition) if torch.compiler.is_exporting() else definition.identity
    _definitions.setdefault(name, definition)
    return name


def _as_text(definition: Definition) -> str:
    constants = {n: v.name if isinstance(v, Function) else v for n, v in definition.constants.items()}
    return json.dumps({"name": definition.name, "text": definition.text, "constants": constants})


def _from_text(cell: str) -> Definition | None:
    """The definition that an exported program carries; None for what is no such text."""
    try:
        data = json.loads(cell)
        constants = {n: TABLE[v] if isinstance(v, str) else v for n, v in data["constants"].items()}
        return parse(data["text"], {**TABLE, **constants}, data["name"])
    except (ValueError, KeyError, TypeError):
        return None


register._dynamo_marked_constant = True  # type: ignore[attr-defined]  # assume_constant_result, without its imports


def _problem(cell: str, *arguments: Any) -> Problem:
    if cell not in _definitions and (definition := _from_text(cell)) is not None:
        _definitions[cell] = definition
    if cell not in _definitions:
        raise BackendError(
            f"carrousel::sequence - no cell of this process has the definition {cell[:12]} - "
            "run a layer of the cell once, then what was exported from it"
        )
    return Problem(_definitions[cell], *arguments)


# ---------------------------------------------------------------------- the operator's four functions


def _sequence(*arguments: Any) -> list[Tensor]:
    """The output, the final states, the traced quantities and, if kept, what the backward needs."""
    *problem, keep = arguments
    output, finals, traces, saved = forward(_problem(*problem), keep)
    return [output, *finals, *traces, *saved]


def _sequence_backward(*arguments: Any) -> list[Tensor]:
    """The gradients of x (if it is wanted), states, parameters, step inputs and fresh states."""
    *problem, saved, output, finals, traces, wants_x = arguments
    dx, states, parameters, step_inputs, fresh = backward(_problem(*problem), saved, output, finals, traces, wants_x)
    return [*([] if dx is None else [dx]), *states, *parameters, *step_inputs, *fresh]


def _sequence_shapes(*arguments: Any) -> list[Tensor]:
    """Tensors of the shapes that `_sequence` returns."""
    *flat, keep = arguments
    problem = _problem(*flat)
    definition, x = problem.definition, problem.x
    units = _elements(problem)
    sizes = [definition.size[state] for state in definition.states]
    shapes = [(*x.shape[:-1], units[sizes[0]]), *((*x.shape[1:-1], units[size]) for size in sizes)]
    shapes += [(*x.shape[:-1], units[definition.size.get(name, HIDDEN)]) for name in problem.traced]
    return [x.new_empty(shape) for shape in (*shapes, *(saved_shapes(problem) if keep else []))]


def _sized(problem: Problem) -> list[Tensor]:
    """The tensors that the sizes are read off."""
    return [problem.x, *problem.states, *problem.parameters]


def _elements(problem: Problem) -> dict[str, int]:
    """Size -> elements of the last axis."""
    lanes = problem.nets[1] if problem.nets else 1
    units = units_of(problem.definition, [tensor.shape for tensor in _sized(problem)], problem.nets)
    return {size: lanes * count for size, count in units.items()}


def _sequence_backward_shapes(*arguments: Any) -> list[Tensor]:
    """Tensors of the shapes that `_sequence_backward` returns."""
    *flat, _, _, _, _, wants_x = arguments
    problem = _problem(*flat)
    like = [*([problem.x] if wants_x else []), *problem.states, *problem.parameters, *problem.step_inputs]
    like += problem.fresh if problem.resets is not None else []
    return [tensor.new_empty(tensor.shape) for tensor in like]


# ---------------------------------------------------------------------- autograd


class _Differentiable(torch.autograd.Function):
    """The operator with its gradient; arguments that are lists come flat, behind their lengths."""

    @staticmethod
    def forward(ctx: Any, cell: str, counts: tuple[int, ...], rest: tuple[Any, ...], *flat: Any) -> Any:
        """Run the sequence and keep what the backward needs."""
        x, lengths, resets, *tensors = flat
        problem = (cell, x, *_cut(tensors, counts), lengths, resets, *rest)
        results = _dispatched(tensors, _sequence, _SEQUENCE, *problem, True)
        _, traced, _ = rest
        count = 1 + counts[0] + len(traced)
        outputs, saved = results[:count], results[count:]
        is_history = not saved[0].numel()  # without padding the history of the first state is the output
        ctx.save_for_backward(*flat, *(outputs[:1] if is_history else []), *saved[is_history:])
        ctx.call = cell, counts, rest
        ctx.set_materialize_grads(False)
        return tuple(outputs)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> Any:
        """Run the adjoint."""
        cell, counts, rest = ctx.call
        found = pulled_back(cell, counts, rest, ctx.saved_tensors, gradients, ctx.needs_input_grad[3])
        return None, None, None, *found


def pulled_back(
    cell: str,
    counts: tuple[int, ...],
    rest: tuple[Any, ...],
    everything: Sequence[Any],
    gradients: Sequence[Tensor | None],
    wants_x: bool,
) -> list[Tensor | None]:
    """Run the adjoint; differentiably through the reference if the graph is wanted.

    Args:
        cell: the text that stands for the definition.
        counts: how many states, parameters, step inputs and fresh states there are.
        rest: the direction, the traced quantities, `nets`.
        everything: x, lengths, resets, those tensors, what the forward kept.
        gradients: the loss's derivatives by the results.
        wants_x: whether that by x is asked for.

    Returns:
        The derivatives by x, lengths, resets and those tensors.
    """
    inputs = 3 + sum(counts)
    flat, saved = everything[:inputs], everything[inputs:]
    x, lengths, resets, *tensors = flat
    problem = (cell, x, *_cut(tensors, counts), lengths, resets, *rest)
    if wants_reference():
        wants_graph = torch.is_grad_enabled()
        with torch.enable_grad():
            return _through_reference(problem, flat, gradients, wants_graph)
    states = 1 + counts[0]
    loss = (gradients[0], list(gradients[1:states]), list(gradients[states:]))
    given = [gradient for gradient in gradients if gradient is not None]
    found = _dispatched(given, _sequence_backward, _BACKWARD, *problem, list(saved), *loss, wants_x)
    dx = found.pop(0) if wants_x else None
    return [dx, None, None, *found, *[None] * (sum(counts) - len(found))]


def wants_reference() -> bool:
    """Whether a backward is to be differentiable, or is given many gradients at once."""
    return torch.is_grad_enabled() or torch._C._dispatch_tls_is_dispatch_key_included(_VMAP)


#: Under it torch.autograd.grad takes many gradients at once (`is_grads_batched=True`).
_VMAP: Any = torch._C._parse_dispatch_key("VmapMode")
#: `apply` without its look for wrappers of torch.func, which never come here.
_apply = super(torch.autograd.Function, _Differentiable).apply


def _cut(tensors: Sequence[Tensor], counts: Sequence[int]) -> list[list[Tensor]]:
    """A flat list as states, parameters, step inputs and fresh states."""
    lists, start = [], 0
    for count in counts:
        lists.append(list(tensors[start : start + count]))
        start += count
    return lists


def by_reference(*arguments: Any) -> list[Tensor]:
    """Return the output, the final states and the traced quantities, computed by the reference; arguments as a problem.

    It is differentiable, to any order.
    """
    problem = _problem(*arguments)
    definition, nets = problem.definition, problem.nets
    units = units_of(definition, [tensor.shape for tensor in _sized(problem)], nets)
    names = [group.name for group in definition.groups]
    x, states, step_inputs = problem.x, list(problem.states), list(problem.step_inputs)
    if nets:
        x, *spreads = (spread(tensor, *nets) for tensor in (x, *states, *step_inputs))
        states, step_inputs = spreads[: len(states)], spreads[len(states) :]
    # without resets nobody gave them; rows without steps take theirs, and nobody sees what comes of it
    fresh = problem.fresh or [state.new_ones(state.shape[-1]) for state in states]
    output, finals, traces = eager.run(
        definition,
        x,
        tuple(states),
        dict(zip(names, problem.parameters, strict=True)),
        step_inputs,
        Rows(problem.lengths, problem.resets, tuple(fresh)),
        problem.reverse,
        [(name, units[definition.size.get(name, HIDDEN)]) for name in problem.traced],
    )
    results = [output, *finals, *traces]
    return [gather(result, nets[1]) for result in results] if nets else results


def _through_reference(
    problem: tuple[Any, ...], flat: Sequence[Tensor | None], gradients: Sequence[Tensor | None], wants_graph: bool
) -> list[Tensor | None]:
    """The gradients, themselves differentiable if wanted: the reference run once more on the same inputs."""
    results = by_reference(*problem)
    pairs = [(o, g) for o, g in zip(results, gradients, strict=True) if g is not None and o.requires_grad]
    wanted = [k for k, t in enumerate(flat) if t is not None and t.requires_grad]
    found = torch.autograd.grad(
        [o for o, _ in pairs],
        [t for t in flat if t is not None and t.requires_grad],
        [g for _, g in pairs],
        create_graph=wants_graph,
        allow_unused=True,
    )
    by_place = dict(zip(wanted, found, strict=True))
    return [by_place.get(k) for k in range(len(flat))]


# ---------------------------------------------------------------------- the call


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
    nets: Sequence[int],
    keep: bool = False,
) -> list[Tensor]:
    """Run one layer in one direction, `carrousel.backends.llvm.signature.Problem` has the shapes.

    Returns:
        The output, the final states, the traced quantities; if `keep`, what the backward needs.
    """
    tensors = [*states, *parameters, *step_inputs, *fresh]
    if not keep and torch.is_grad_enabled() and torch._C._any_requires_grad(x, *tensors):
        counts = (len(states), len(parameters), len(step_inputs), len(fresh))
        rest = (reverse, traced, nets)
        return list(_apply(cell, counts, rest, x, lengths, resets, *tensors))
    problem = (cell, x, states, parameters, step_inputs, fresh, lengths, resets, reverse, traced, nets)
    return _dispatched([x, *tensors], _sequence, _SEQUENCE, *problem, keep)


_PLAIN = {Tensor, Parameter}


def are_plain(tensors: Sequence[Tensor]) -> bool:
    """Whether nothing listens to what is done with tensors, and their memory holds what they say."""
    is_plain = _PLAIN.issuperset(map(type, tensors)) and not any(map(Tensor.is_neg, tensors))
    return is_plain and not torch._C._len_torch_dispatch_stack()


def _dispatched(tensors: Sequence[Tensor], implementation: Any, operator: Any, *arguments: Any) -> list[Tensor]:
    """Call the operator below autograd: itself where nothing listens, the dispatcher takes longer than a tiny net."""
    if are_plain(tensors):
        return implementation(*arguments)  # type: ignore[no-any-return]
    with torch._C._AutoDispatchBelowAutograd():
        return operator(*arguments)  # type: ignore[no-any-return]


def call(*arguments: Any) -> list[Tensor]:
    """Call the operator, arguments as in `sequence`; a compiler sees a call of the operator and looks no further."""
    return _SEQUENCE(*arguments, False) if torch.compiler.is_compiling() else sequence(*arguments)


_library.impl("sequence", _sequence, "CPU")
_library.impl("sequence", sequence, "Autograd")
_library.impl("sequence_backward", _sequence_backward, "CPU")
torch.library.register_fake("carrousel::sequence", _sequence_shapes, lib=_library)
torch.library.register_fake("carrousel::sequence_backward", _sequence_backward_shapes, lib=_library)
_SEQUENCE = torch.ops.carrousel.sequence.default
_BACKWARD = torch.ops.carrousel.sequence_backward.default
