"""Networks around layers of carrousel, by torch's own exporter, which learns here how to write the layers."""

import contextlib
import copy
import functools
import inspect
import itertools
import logging
import warnings
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import onnx_ir as ir
import torch
from torch import Tensor
from torch.nn import Module
from torch.utils import _pytree as pytree

from carrousel.errors import BackendError, OptionError
from carrousel.exchange.onnx_check import Call
from carrousel.exchange.onnx_graph import Graph
from carrousel.exchange.onnx_layers import IR_VERSION, initial_states, result_shapes, write_layers
from carrousel.nn.layers import Layers
from carrousel.nn.state import class_of

__all__ = ["network_model", "onnx_ready", "onnx_translations"]


#: Layers that stand in networks made ready, by the name that the operator has for them.
_ready: weakref.WeakValueDictionary[str, Layers] = weakref.WeakValueDictionary()

_library = torch.library.Library("carrousel", "FRAGMENT")
_library.define("layers(str name, Tensor x, Tensor[] states, Tensor[] step_inputs, Tensor? lengths) -> Tensor[]")


def onnx_ready(network: Module) -> Module:
    """Return a copy of a network that torch.onnx.export can write, with `onnx_translations`.

    Args:
        network: with layers of carrousel in it.

    Returns:
        The copy, in evaluation, float32, on the CPU. In its layers all steps are one operator.

    Example:
        >>> import torch, carrousel
        >>> class Net(torch.nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.recurrent = carrousel.GRU(3, 5)
        ...     def forward(self, x):
        ...         return self.recurrent(x)[0].tanh()
        >>> program = torch.onnx.export(
        ...     onnx_ready(Net()), (torch.randn(7, 2, 3),), dynamo=True, verbose=False,
        ...     dynamic_shapes=({0: "time", 1: "batch"},), custom_translation_table=onnx_translations(),
        ... )
        >>> "GRU" in [node.op_type for node in program.model.graph]
        True

    Source:
        torch.onnx.export.
    """
    ready = copy.deepcopy(network).cpu().float().eval().requires_grad_(False)
    for layers in ready.modules():
        if isinstance(layers, Layers):
            name = f"{type(layers).__name__} {next(_counter)}"
            _ready[name] = layers
            layers.forward = functools.partial(_all_steps, name, layers.state_batch_first)  # type: ignore[method-assign]
            layers.state_batch_first = False
    return ready


_counter = itertools.count()


def onnx_translations() -> dict[Callable[..., Any], Callable[..., Any]]:
    """Return how the layers of a network made ready are written: `custom_translation_table` of torch.onnx.export."""
    return {torch.ops.carrousel.layers.default: _translated}


def _all_steps(
    name: str, batch_first: bool, input: Tensor, hx: Any = None, *, lengths: Tensor | None = None, **options: Any
) -> Any:
    """The forward of a layer made ready; the states of ONNX have the batch behind the layers."""
    layers = _ready[name]
    steps = options.pop("step_inputs", None) or {}
    asked = [option for option, value in options.items() if value is not None and len(value)]
    if asked or not isinstance(input, Tensor) or input.dim() != 3:
        what = ", ".join(f"{option}=" for option in asked) or "an input that is not (time, batch, input)"
        raise BackendError(
            f"to_onnx - {type(layers).__name__} is called with {what}, which ONNX has not - leave it out"
        )
    states = [] if hx is None else [hx] if isinstance(hx, Tensor) else list(hx)
    states = [state.transpose(0, 1) for state in states] if batch_first else states
    results = torch.ops.carrousel.layers(name, input, states, list(steps.values()), lengths)
    output, *after = results
    after = [state.transpose(0, 1) for state in after] if batch_first else after
    kind = tuple if layers._as_strict_as_torch else class_of(layers._layout.cell.states, batch_first)
    return output, tuple.__new__(kind, after) if len(after) > 1 else after[0]


def _computed(
    name: str, x: Tensor, states: Sequence[Tensor], step_inputs: Sequence[Tensor], lengths: Tensor | None
) -> list[Tensor]:
    layers = _ready[name]
    steps = dict(zip(layers._layout.cell.definition.step_inputs, step_inputs, strict=True))
    hx = tuple(states) if len(states) > 1 else states[0] if states else None
    output, after = type(layers).forward(layers, x, hx, lengths=lengths, step_inputs=steps or None)
    return [result.clone() for result in (output, *(after if isinstance(after, tuple) else (after,)))]


def _shaped(
    name: str, x: Tensor, states: Sequence[Tensor], step_inputs: Sequence[Tensor], lengths: Tensor | None
) -> list[Tensor]:
    return [x.new_empty(shape) for shape in result_shapes(_ready[name], x.shape[:2])]


_library.impl("layers", _computed, "CPU")
torch.library.register_fake("carrousel::layers", _shaped, lib=_library)


def _translated(
    name: str,
    x: ir.Value,
    states: Sequence[ir.Value],
    step_inputs: Sequence[ir.Value],
    lengths: ir.Value | None = None,
) -> list[Any]:
    """Write the layers among the nodes of torch's exporter."""
    from onnxscript import evaluator, opset18

    recorder: Any = evaluator.default()
    graph, layers = Graph(recorder.nodes), _ready[name]
    cell = layers._layout.cell
    if states:
        begin = dict(zip(cell.states, states, strict=True))
    else:
        begin = {state: graph.constant(value) for state, value in initial_states(layers).items()}
    steps = dict(zip(cell.definition.step_inputs, step_inputs, strict=True))
    results = write_layers(graph, layers, x, begin, lengths, steps)
    # values of the exporter's own kind, that its other translations can calculate with
    identity: Any = opset18.Identity
    return [identity(value) for value in results]


def network_model(
    where: str,
    network: Module,
    opset: int,
    example: Tensor | Sequence[Tensor] | Mapping[str, Tensor],
    axes: Sequence[Sequence[str | None]] | None,
) -> tuple[bytes, list[Call]]:
    """Return the model of a network around layers of carrousel.

    Args:
        where: begins messages.
        network: in evaluation, float32, on the CPU.
        opset: version of the operators.
        example: what its forward takes.
        axes: for each of them, the names of the axes whose size may vary.

    Returns:
        The file's content, and calls of two shapes to compare it on.

    Raises:
        OptionError: the example does not fit the network.
        BackendError: torch can not export it.
    """
    names, given = _named(where, network, example)
    named = _axes(where, network, given, axes)
    smaller = _sizes(given, named)
    shapes = [smaller, {name: size + 3 for name, size in smaller.items()}]
    calls = [
        _call(where, network, names, [_resized(x, a, s) for x, a in zip(given, named, strict=True)]) for s in shapes
    ]
    count = len(calls[0].outputs)
    dynamic: tuple[Any, ...] = tuple({k: name for k, name in enumerate(each) if name is not None} for each in named)
    kinds = [parameter.kind for parameter in inspect.signature(network.forward).parameters.values()]
    if inspect.Parameter.VAR_POSITIONAL in kinds:  # `*states` are one argument
        at = kinds.index(inspect.Parameter.VAR_POSITIONAL)
        dynamic = (*dynamic[:at], dynamic[at:])
    try:
        with _quiet(), torch.no_grad():
            program = torch.onnx.export(
                onnx_ready(network),
                tuple(calls[0].inputs.values()),
                dynamo=True,
                verbose=False,
                opset_version=opset,
                input_names=names,
                output_names=["output", *(f"output{k}" for k in range(1, count))],
                dynamic_shapes=dynamic,
                custom_translation_table=onnx_translations(),
            )
    except Exception as error:  # whatever the exporter raises
        reason = _reason(error)
        fixed = " (a size that varies is read as a number: write x.shape[0] for len(x))" if "static" in reason else ""
        raise BackendError(
            f"{where} - torch can not export {type(network).__name__}: {reason}{fixed} - nothing was written; change "
            "its forward, or write its layers one by one"
        ) from error
    assert program is not None
    model = program.model
    for node in model.graph.all_nodes():
        node.metadata_props.clear()  # the exporter notes where on this machine the code lies
    model.ir_version, model.producer_name, model.producer_version = IR_VERSION, "carrousel", None
    return ir.to_proto(model).SerializeToString(), calls


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without what the exporter says about itself, and about libraries that are not installed."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _named(
    where: str, network: Module, example: Tensor | Sequence[Tensor] | Mapping[str, Tensor]
) -> tuple[list[str], list[Tensor]]:
    """The names and examples of forward's arguments."""
    if isinstance(example, Mapping):
        names, given = list(example), list(example.values())
    else:
        given = [example] if isinstance(example, Tensor) else list(example)
        names = list(inspect.signature(network.forward).parameters)[: len(given)]
    if not given or len(names) < len(given) or not all(isinstance(x, Tensor) for x in given):
        held = ", ".join(type(x).__name__ for x in given) or "nothing"
        expected = ", ".join(inspect.signature(network.forward).parameters)
        raise OptionError(
            f"{where} - example= holds {held}, expected a tensor for each argument of forward: {expected} - "
            "give them in this order"
        )
    return names, given


def _axes(
    where: str, network: Module, given: Sequence[Tensor], axes: Sequence[Sequence[str | None]] | None
) -> list[list[str | None]]:
    if axes is None:
        batch_first = any(each.batch_first for each in network.modules() if isinstance(each, Layers))
        first: list[str | None] = ["batch", "time"] if batch_first else ["time", "batch"]
        return [first if x.dim() > 1 else ["batch"] * x.dim() for x in given]
    named = [list(each) for each in axes]
    if len(named) != len(given) or any(len(a) > x.dim() for a, x in zip(named, given, strict=False)):
        raise OptionError(
            f"{where} - axes= names {[len(each) for each in named]} axes, the examples have {[x.dim() for x in given]} "
            '- give the names for each example: [("time", "batch")]'
        )
    return named


def _sizes(given: Sequence[Tensor], axes: Sequence[Sequence[str | None]]) -> dict[str, int]:
    """Name -> a size of its own, not below the example's: a size of 1, or one that two names share, hides mistakes."""
    sizes: dict[str, int] = {}
    for x, names in zip(given, axes, strict=True):
        for size, name in zip(x.shape, names, strict=False):
            if name is not None:
                sizes[name] = max(size, 2, sizes.get(name, 0))
    for k, name in enumerate(sorted(sizes, key=lambda name: sizes[name])):
        sizes[name] += k
    return sizes


def _resized(x: Tensor, axes: Sequence[str | None], sizes: dict[str, int]) -> Tensor:
    """An example of other sizes; its values are repeated."""
    for axis, name in enumerate(axes):
        if name is not None:
            x = x.index_select(axis, torch.arange(sizes[name]) % x.shape[axis])
    return x.float() if x.is_floating_point() else x


@torch.no_grad()
def _call(where: str, network: Module, names: Sequence[str], inputs: Sequence[Tensor]) -> Call:
    try:
        outputs, _ = pytree.tree_flatten(network(*inputs))
    except Exception as error:
        raise OptionError(
            f"{where} - {type(network).__name__} does not take inputs of the shapes "
            f"{[tuple(x.shape) for x in inputs]}: {_reason(error)} - give another example=, or name axes= that vary"
        ) from error
    return Call(dict(zip(names, inputs, strict=True)), outputs)


def _reason(error: BaseException) -> str:
    """The line that says what went wrong, at its root: the last one of a heading with a list."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    listed = [line.removeprefix("- ") for line in lines if line.startswith("- ")]
    return listed[0] if lines[0].endswith(":") and listed else lines[0]
