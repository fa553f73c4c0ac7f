"""The CPU backend: operations -> LLVM IR with explicit vectors -> machine code, for any cell.

Read it as a chapter: `layout` (where everything lies), `packing` and `tile` (the product on registers), `epilogue`
(the equations, evaluated on the tile's registers), `stages` (one step), `scan` (the walk over time), `gradients` with
`blocks` and `vectors` (what follows it), `sequence` (all of it in one call), `threads`. `frame` and `words` are what
it is written in, `elementary` its exp and tanh; `target` and `kernel` turn the text into machine code, `call` and
`operator` bring tensors to it. `real_time` is a chapter of its own: nets whose weights change at every step.
"""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from carrousel.backends.llvm import operator, transformed
from carrousel.backends.llvm.elementary import NAMES
from carrousel.backends.llvm.kernel import Variant, assembly_of, compile_text, text_of
from carrousel.backends.llvm.nets import gather, spread, suits
from carrousel.backends.llvm.plan import lanes_for
from carrousel.backends.llvm.ready import Ready
from carrousel.backends.llvm.step import Step
from carrousel.backends.llvm.target import host
from carrousel.backends.llvm.transformed import are_followed
from carrousel.backends.rows import Rows
from carrousel.calculus.notation import Definition
from carrousel.errors import UnknownNameError
from carrousel.functions import Function

__all__ = ["Ready", "Step", "compile_kernel", "refusals", "run", "source"]

#: What kernels compute in; half precision is computed in float32.
_DTYPES = {
    torch.float32: torch.float32,
    torch.float64: torch.float64,
    torch.bfloat16: torch.float32,
    torch.float16: torch.float32,
}
_STAGES = ("ir", "assembly")


def source(
    definition: Definition, direction: str = "forward", traced: Sequence[str] = (), stage: str | None = None
) -> str:
    """Return the text of a kernel: float32, as it runs on this machine for layers of many hidden units.

    Args:
        definition: the cell's definition.
        direction: "forward", as in training, or "backward".
        traced: quantities that come back besides the states.
        stage: "ir" (LLVM IR before optimisation; the default) or "assembly".

    Returns:
        The text.

    Raises:
        UnknownNameError: there is no such direction or stage.
    """
    if direction not in ("forward", "backward"):
        raise UnknownNameError(f"cell.source - unknown direction {direction!r} - expected 'forward' or 'backward'")
    if stage not in (None, *_STAGES):
        raise UnknownNameError(
            f"cell.source - backend 'llvm' has no stage {stage!r}, there are {' and '.join(_STAGES)} - name one of them"
        )
    isa = host()
    variant = Variant(
        direction, True, tuple(traced), "float32", lanes_for(isa, 32, isa.bits), False, False, (), isa.name
    )
    text = text_of(definition, variant)
    return assembly_of(text, isa) if stage == "assembly" else text


def compile_kernel(text: str) -> bytes:
    """Turn what `source` returned, and no other text, into an object file for this machine."""
    return compile_text(text, host())


def refusals(definition: Definition, x: Tensor, traced: Sequence[str]) -> list[str]:
    """Return why a call can not be done."""
    reasons = list(_unknown_functions(definition))
    if x.device.type != "cpu":
        reasons.append(f"a tensor on {x.device.type}")
    if x.dtype not in _DTYPES:
        reasons.append(f"the dtype {x.dtype}")
    if x.layout != torch.strided or x.is_nested:
        reasons.append(f"the layout {x.layout}")
    if torch._C._are_functorch_transforms_active() and not are_followed():
        reasons.append("transforms of torch.func")
    if torch.autograd.forward_ad._current_level >= 0:
        reasons.append("forward differentiation")
    if torch.jit.is_tracing() or (torch.compiler.is_exporting() and not _is_dynamic(x)):
        reasons.append("exports")  # they have torch's own operators only, one after the other
    return reasons


def _is_dynamic(x: Tensor) -> bool:
    """Whether an axis of an exported input has no fixed length: what is written step by step can not have it."""
    return any(isinstance(length, torch.SymInt) for length in x.shape)


_unknown: dict[Definition, tuple[str, ...]] = {}


def _unknown_functions(definition: Definition) -> tuple[str, ...]:
    """Functions of a cell that `elementary` has no vector form of."""
    if definition not in _unknown:
        used = [v for v in definition.constants.values() if isinstance(v, Function) and not v.is_reduction]
        _unknown[definition] = tuple(f"the function {f.name}" for f in used if f.name not in NAMES)
    return _unknown[definition]


_unknown_functions._dynamo_marked_constant = True  # type: ignore[attr-defined]  # as `operator.register`


def _is_converted(compute: torch.dtype, tensors: Sequence[Tensor]) -> bool:
    """Whether tensors are computed in another dtype: all of half precision, or mixed ones under autocast."""
    dtypes = [tensor.dtype for tensor in tensors]
    if dtypes.count(compute) == len(dtypes):
        return False
    return dtypes.count(dtypes[0]) == len(dtypes) or torch.is_autocast_enabled("cpu")


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
    """Run one layer in one direction over a sequence; `carrousel.backends.Backend.run` has arguments and shapes."""
    dtype, compute = x.dtype, _DTYPES[x.dtype]
    fresh = () if rows.resets is None else rows.fresh
    weights = [parameters[group.name] for group in definition.groups]
    lists: list[Sequence[Tensor]] = [states, weights, step_inputs, fresh]
    if _is_converted(compute, [x, *states, *weights, *step_inputs]):
        x, lists = x.to(compute), [[tensor.to(compute) for tensor in part] for part in lists]
    nets = []
    is_transformed = torch._C._are_functorch_transforms_active()
    if rows.lengths is None and rows.resets is None and not is_transformed and suits(x, states):
        nets = [x.shape[1], lanes_for(host(), 8 * compute.itemsize, x.shape[1])]
        x, lists[0], lists[2] = gather(x, nets[1]), *([gather(t, nets[1]) for t in lists[k]] for k in (0, 2))
    names = [name for name, _ in traced]
    call: Callable[..., list[Tensor]] = transformed.call if is_transformed else operator.call
    results = call(operator.register(definition), x, *lists, rows.lengths, rows.resets, reverse, names, nets)
    if nets:
        results = [spread(result, *nets) for result in results]
    if dtype != compute:
        results = [result.to(dtype) for result in results]
    count = 1 + len(states)
    return results[0], tuple(results[1:count]), tuple(results[count:])
