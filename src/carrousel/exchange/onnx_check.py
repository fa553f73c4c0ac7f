"""A model of ONNX beside the module it was written from: the same numbers, or no file."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import onnxruntime
import torch
from torch import Tensor

from carrousel.errors import BackendError
from carrousel.nn.layers import Layers

__all__ = ["TOLERANCE", "Call", "check", "layer_calls"]

#: Largest difference between the model's float32 and the module's, relative to the largest number from 1.
TOLERANCE = 1e-5


class Call(NamedTuple):
    """What a model is given, and what it is to return."""

    inputs: Mapping[str, Tensor]
    outputs: Sequence[Tensor]


def check(where: str, content: bytes, calls: Sequence[Call]) -> float:
    """Run a model in ONNX Runtime on the CPU.

    Args:
        where: begins messages.
        content: the model's file.
        calls: what it is compared on.

    Returns:
        The largest difference.

    Raises:
        BackendError: it does not run, or returns something else.
    """
    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 3, 1
    largest = 0.0
    try:
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        results = [session.run(None, {name: x.numpy() for name, x in call.inputs.items()}) for call in calls]
    except Exception as error:  # its errors have no class in common but this
        reason = str(error).strip().splitlines()[0]
        raise BackendError(f"{where} - ONNX Runtime refuses the model: {reason} - nothing was written") from error
    names = [output.name for output in session.get_outputs()]
    for call, found in zip(calls, results, strict=True):
        for name, got, expected in zip(names, found, call.outputs, strict=True):
            difference = _difference(np.asarray(got), expected.numpy())
            if not difference <= TOLERANCE:
                raise BackendError(
                    f"{where} - in ONNX Runtime {name} differs by {difference:.1e} from the module's, expected at "
                    f"most {TOLERANCE:.0e} - nothing was written; compare with backend='eager', and report it"
                )
            largest = max(largest, difference)
    return largest


def _difference(got: np.ndarray, expected: np.ndarray) -> float:
    """The largest difference relative to the largest number from 1; infinite if shapes or infinities differ."""
    finite = np.isfinite(expected)
    if got.shape != expected.shape or not np.array_equal(got[~finite], expected[~finite]):
        return float("inf")
    if not finite.any():
        return 0.0
    scale = max(1.0, float(np.abs(expected[finite]).max()))
    return float(np.abs(got[finite].astype(np.float64) - expected[finite]).max()) / scale


@torch.no_grad()
def layer_calls(layers: Layers, lengths: bool) -> list[Call]:
    """Return calls of two shapes: from the cell's own beginning, and from where a sequence before has ended.

    Args:
        layers: in evaluation, float32, on the CPU.
        lengths: whether the model takes lengths; none and all of the steps are among them.
    """
    generator = torch.Generator().manual_seed(0)
    calls: list[Call] = []
    states: tuple[Tensor, ...] = ()
    for time, batch in ((5, 3), (8, 3)) if lengths else ((5, 3), (8, 2)):
        rows = (batch, time) if layers.batch_first else (time, batch)
        x = torch.randn(*rows, layers.input_size, generator=generator)
        steps = {
            name: torch.rand(*rows, layers.hidden_size, generator=generator)
            for name in layers._layout.cell.definition.step_inputs
        }
        counted = torch.tensor([time, 0, time // 2]) if lengths else None
        names = layers._layout.cell.states if states else ()
        given = {name: state[:, :batch].contiguous() for name, state in zip(names, states, strict=True)}
        hx = tuple(given.values()) or None
        output, after = layers(
            x, hx if hx is None or len(hx) > 1 else hx[0], lengths=counted, step_inputs=steps or None
        )
        states = after if isinstance(after, tuple) else (after,)
        inputs = {"input": x, **steps, **{f"{name}0": state for name, state in given.items()}}
        calls.append(Call(inputs if counted is None else inputs | {"lengths": counted}, [output, *states]))
        # a row without steps has the states of the beginning, which need not be finite
        _, whole = layers(x, step_inputs=steps or None)
        states = whole if isinstance(whole, tuple) else (whole,)
    return calls
