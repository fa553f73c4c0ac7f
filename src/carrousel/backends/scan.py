"""The reference as torch's own `scan`, one step for any number of them: torch.onnx.export writes it as a Scan.

It is chosen for a layer that torch.onnx.export looks into, by nothing else: scan is a prototype of torch.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from carrousel.backends import eager
from carrousel.backends.rows import Rows
from carrousel.calculus.notation import Definition
from carrousel.errors import BackendError

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
    from torch._higher_order_ops.scan import scan

    asked = [name for name, is_asked in (("resets=", rows.resets is not None), ("return_trace=", traced)) if is_asked]
    if asked:
        raise BackendError(
            f"torch.onnx.export - {definition.name} is called with {' and '.join(asked)}, which ONNX has not - "
            "leave it out"
        )
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
    return output, tuple(finals), ()
