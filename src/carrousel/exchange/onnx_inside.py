"""A layer inside a model that torch.onnx.export looks into: an operator of ONNX that can say the cell, else a Scan.

The Scan is written from torch's own `scan`, one step for any number of them. It is chosen for such a layer, by nothing
else: scan is a prototype of torch.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from carrousel.backends import eager
from carrousel.backends.rows import Rows
from carrousel.calculus.notation import Definition
from carrousel.errors import BackendError
from carrousel.exchange.onnx_forms import Form, form_of
from carrousel.exchange.onnx_operator import options_of, weights_of

__all__ = ["run"]


def run(
    definition: Definition,
    x: Tensor,
    states: tuple[Tensor, ...],
    parameters: Mapping[str, Tensor],
    step_inputs: Sequence[Tensor],
    rows: Rows,
    reverse: bool,
    traced: Sequence[tuple[str, int]],
) -> tuple[Tensor, tuple[Tensor, ...], tuple[Tensor, ...]]:
    """Run one layer in one direction over a sequence; `carrousel.backends.Backend.run` has arguments and shapes.

    Raises:
        BackendError: resets or quantities are asked for.
    """
    asked = [name for name, is_asked in (("resets=", rows.resets is not None), ("return_trace=", traced)) if is_asked]
    if asked:
        raise BackendError(
            f"torch.onnx.export - {definition.name} is called with {' and '.join(asked)}, which ONNX has not - "
            "leave it out"
        )
    form = form_of(definition)
    if form is not None and x.dim() == 3:
        return (*_operator(form, definition, x, states, parameters, rows, reverse), ())
    return (*_scan(definition, x, states, parameters, step_inputs, rows, reverse), ())


_Result = tuple[Tensor, tuple[Tensor, ...]]


def _operator(
    form: Form,
    definition: Definition,
    x: Tensor,
    states: tuple[Tensor, ...],
    parameters: Mapping[str, Tensor],
    rows: Rows,
    reverse: bool,
) -> _Result:
    time, batch, _ = x.shape
    weights = weights_of(form, definition, [parameters])
    size = weights["R"].shape[-1]
    given = dict(zip(definition.states, states, strict=True))
    lengths = None if rows.lengths is None else rows.lengths.to(torch.int32)
    begin = [given[state].unsqueeze(0) for state in form.states]
    inputs = [x, weights["W"], weights["R"], weights["B"], lengths, *begin, *filter(None.__ne__, [weights.get("P")])]
    shapes = [(time, 1, batch, size), *[(1, batch, size)] * len(begin)]
    output, *finals = torch.onnx.ops.symbolic_multi_out(
        form.operator,
        inputs,
        options_of(form, size, [reverse]),
        dtypes=[x.dtype] * len(shapes),
        shapes=shapes,
    )
    after = dict(zip(form.states, (final.squeeze(0) for final in finals), strict=True))
    if rows.lengths is not None:  # a row without steps keeps its state, where ONNX Runtime gives zeros
        after = {state: torch.where(rows.used, value, given[state]) for state, value in after.items()}
    return output.squeeze(1), tuple(after[state] for state in definition.states)


def _scan(
    definition: Definition,
    x: Tensor,
    states: tuple[Tensor, ...],
    parameters: Mapping[str, Tensor],
    step_inputs: Sequence[Tensor],
    rows: Rows,
    reverse: bool,
) -> _Result:
    from torch._higher_order_ops.scan import scan

    step = eager.step_of(definition)
    inside = rows.within(x.shape[0])
    scanned = [x, *step_inputs, *([] if inside is None else [inside])]

    def one(before: list[Tensor], values: list[Tensor]) -> tuple[list[Tensor], Tensor]:
        x, *inputs = values
        active = inputs.pop() if inside is not None else None
        result = step(x, *before, *inputs, **eager.weights_of(definition, parameters))
        new = list(result) if isinstance(result, tuple) else [result]
        output = new[0].clone()  # what is carried and what is returned may not be the same memory
        if active is None:
            return new, output
        kept = [torch.where(active, after, state) for after, state in zip(new, before, strict=True)]
        return kept, torch.where(active, output, 0)

    finals, output = scan(one, [state.clone() for state in states], scanned, reverse=reverse)
    return output, tuple(finals)
