"""Layers of carrousel as a model of ONNX: their inputs and outputs, and layer on layer."""

from collections.abc import Mapping, Sequence
from typing import Any

import onnx_ir as ir
import torch
from torch import Tensor

from carrousel.exchange.onnx_forms import form_of
from carrousel.exchange.onnx_graph import Graph
from carrousel.exchange.onnx_operator import Layer, write_operator
from carrousel.exchange.onnx_scan import write_scan
from carrousel.nn.layers import Layers

__all__ = ["IR_VERSION", "initial_states", "layers_model", "result_shapes", "write_layer", "write_layers"]

#: Version of the files; ONNX Runtime 1.22 reads it.
IR_VERSION = 10


def write_layer(graph: Graph, layer: Layer) -> tuple[ir.Value, dict[str, ir.Value]]:
    """Write a layer as an operator if one can say it, else as a Scan.

    Args:
        graph: where.
        layer: what it reads.

    Returns:
        The output (time, batch, direction * size), and state -> (direction, batch, size) after the last step.
    """
    form = form_of(layer.definition)
    return write_scan(graph, layer) if form is None else write_operator(graph, form, layer)


def layers_model(layers: Layers, opset: int, lengths: bool) -> ir.Model:
    """Return layers as a model.

    Args:
        layers: in evaluation, float32, on the CPU.
        opset: version of the operators.
        lengths: whether the model has an input with the lengths.

    Returns:
        The model: inputs `input`, `lengths` if asked for, the inputs per step of the cell, and `<state>0`, which may
        be left out; outputs `output` and `<state>n`.
    """
    graph, cell = Graph(initializers=[]), layers._layout.cell
    rows = ["batch", "time"] if layers.batch_first else ["time", "batch"]
    x = _declared("input", [*rows, layers.input_size])
    counted = _declared("lengths", ["batch"], ir.DataType.INT64) if lengths else None
    steps = {name: _declared(name, [*rows, layers.hidden_size]) for name in cell.definition.step_inputs}
    begin = {state: _left_out(f"{state}0", value) for state, value in initial_states(layers).items()}
    results = write_layers(graph, layers, x, begin, counted, steps)
    names = ["output", *(f"{state}n" for state in cell.states)]
    outputs = [graph.op("Identity", value, name=name) for name, value in zip(names, results, strict=True)]
    for output, shape in zip(outputs, result_shapes(layers, rows), strict=True):
        output.shape, output.type = ir.Shape(shape), ir.TensorType(ir.DataType.FLOAT)
    made = ir.Graph(
        [x, *([] if counted is None else [counted]), *steps.values(), *begin.values()],
        outputs,
        nodes=graph.nodes,
        initializers=[*(graph.initializers or []), *begin.values()],
        opset_imports={"": opset},
        name=cell.definition.name,
    )
    return ir.Model(made, ir_version=IR_VERSION, producer_name="carrousel")


def initial_states(layers: Layers) -> dict[str, Tensor]:
    """Return what the states are before the first step if nothing is given, each (layer * direction, 1, size)."""
    depth = layers.num_layers * (2 if layers.bidirectional else 1)
    values = {}
    for state, value in layers._layout.cell.initial.items():
        learned = getattr(layers, f"initial_{state}", None) if layers.learn_initial_state else None
        default = torch.full((depth, layers._layout.state_size(state)), value) if learned is None else learned.detach()
        values[state] = default.unsqueeze(1)
    return values


def result_shapes(layers: Layers, rows: Sequence[Any]) -> list[list[Any]]:
    """Return the shapes of the output and of the states after the last step.

    Args:
        layers: the layers.
        rows: the first two axes of the input.
    """
    directions = 2 if layers.bidirectional else 1
    batch = rows[0] if layers.batch_first else rows[1]
    states = [[layers.num_layers * directions, batch, layers._layout.state_size(s)] for s in layers._layout.cell.states]
    return [[*rows, layers._layout.output_size * directions], *states]


def write_layers(
    graph: Graph,
    layers: Layers,
    x: ir.Value,
    begin: Mapping[str, ir.Value],
    lengths: ir.Value | None,
    step_inputs: Mapping[str, ir.Value],
) -> list[ir.Value]:
    """Write all layers of a module.

    Args:
        graph: where.
        layers: in evaluation, float32, on the CPU.
        x: the input, in the module's layout, as are the inputs per step.
        begin: state -> (layer * direction, batch, size) before the first step; one row may stand for all.
        lengths: (batch,), None if every step counts.
        step_inputs: inputs per step of the cell.

    Returns:
        The output, in the module's layout, and each state after the last step.
    """
    return _Writer(graph, layers, lengths).write(x, begin, step_inputs)


class _Writer:
    """Writes one module's layers."""

    def __init__(self, graph: Graph, layers: Layers, lengths: ir.Value | None) -> None:
        self.graph, self.layers, self.layout, self.lengths = graph, layers, layers._layout, lengths
        self.definition = self.layout.cell.definition
        self.depth = layers.num_layers * (2 if layers.bidirectional else 1)

    def write(self, x: ir.Value, begin: Mapping[str, ir.Value], step_inputs: Mapping[str, ir.Value]) -> list[ir.Value]:
        """Write all layers; return the output and the states."""
        op = self.graph.op
        x, steps = self._turned(x), {name: self._turned(value) for name, value in step_inputs.items()}
        batch = op("Shape", x, start=1, end=2)
        states = {state: self._expanded(state, value, batch) for state, value in begin.items()}
        finals: list[dict[str, ir.Value]] = []
        for k in range(self.layers.num_layers):
            x, after = write_layer(self.graph, self._layer(k, x, states, steps))
            finals.append(after)
        last = []
        for state in self.layout.cell.states:
            parts = [self._shown(state, after[state]) for after in finals]
            last.append(op("Concat", *parts, axis=0) if len(parts) > 1 else parts[0])
        return [self._turned(x), *last]

    def _layer(self, k: int, x: ir.Value, states: Mapping[str, ir.Value], steps: Mapping[str, ir.Value]) -> Layer:
        directions = (False, True) if self.layers.bidirectional else (False,)
        count = len(directions)
        here = {state: self._rows(value, k * count, (k + 1) * count) for state, value in states.items()}
        stacks = [self.layout.kernel_parameters(self._stacked(k, reverse)) for reverse in directions]
        return Layer(self.definition, x, here, stacks, directions, self.lengths, steps, f"layer{k}.")

    def _stacked(self, k: int, reverse: bool) -> dict[str, Tensor]:
        return {group: parameter.detach() for group, parameter in self.layers._stacked(k, reverse).items()}

    def _turned(self, value: ir.Value) -> ir.Value:
        """From the module's layout to (time, batch, ...), or back."""
        return self.graph.op("Transpose", value, perm=[1, 0, 2]) if self.layers.batch_first else value

    def _rows(self, value: ir.Value, start: int, end: int) -> ir.Value:
        """The states of one layer."""
        if end - start == self.depth:
            return value
        bounds = [self.graph.integers(at) for at in (start, end, 0)]
        return self.graph.op("Slice", value, *bounds)

    def _expanded(self, state: str, given: ir.Value, batch: ir.Value) -> ir.Value:
        """A state with a row for each of the batch, as the kernel takes it: a shared gate's once for each cell."""
        size = self.layout.state_size(state)
        shape = self.graph.op("Concat", self.graph.integers(self.depth), batch, self.graph.integers(size), axis=0)
        value = self.graph.op("Expand", given, shape)
        if self._is_shared(state):
            return self._taken(value, [k // self.layout.block_size for k in range(self.layers.hidden_size)])
        return value

    def _shown(self, state: str, value: ir.Value) -> ir.Value:
        """A state as the user sees it."""
        if self._is_shared(state):
            return self._taken(value, range(0, self.layers.hidden_size, self.layout.block_size))
        return value

    def _taken(self, value: ir.Value, places: Sequence[int]) -> ir.Value:
        return self.graph.op("Gather", value, self.graph.integers(*places), axis=2)

    def _is_shared(self, state: str) -> bool:
        return self.layout.block_size > 1 and state in self.layout.cell.shared


def _declared(name: str, shape: Sequence[str | int], dtype: ir.DataType = ir.DataType.FLOAT) -> ir.Value:
    return ir.Value(name=name, shape=ir.Shape(shape), type=ir.TensorType(dtype))


def _left_out(name: str, default: Tensor) -> ir.Value:
    """An input that may be left out; one row of its default stands for all of the batch."""
    value = _declared(name, [len(default), "rows", default.shape[-1]])
    value.const_value = ir.tensor(default.numpy(), name=name)
    return value
