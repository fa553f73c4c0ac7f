"""A layer as a Scan whose body is the cell's equations: any cell, also a projected one."""

import ast
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import onnx_ir as ir
import torch

from carrousel.calculus.expressions import ARITHMETIC
from carrousel.calculus.notation import Definition, normal_form
from carrousel.errors import BackendError
from carrousel.exchange.gate_orders import reordered
from carrousel.exchange.onnx_graph import Graph
from carrousel.exchange.onnx_operator import Layer
from carrousel.functions import TABLE

__all__ = ["write_scan"]

#: What a line's value is: a number, or a value of the graph.
Value = float | ir.Value

_OPERATORS = {ast.Add: "Add", ast.Sub: "Sub", ast.Mult: "Mul", ast.Div: "Div", ast.Pow: "Pow"}

#: Functions of the notation that are one operator of the same arguments.
_FUNCTIONS = {
    "sigmoid": "Sigmoid",
    "tanh": "Tanh",
    "relu": "Relu",
    "exp": "Exp",
    "log": "Log",
    "sqrt": "Sqrt",
    "softplus": "Softplus",
    "maximum": "Max",
    "minimum": "Min",
    "clip": "Clip",
    "stop_gradient": "Identity",
}


def write_scan(graph: Graph, layer: Layer) -> tuple[ir.Value, dict[str, ir.Value]]:
    """Write a layer as one Scan for each direction.

    The products with x do not wait for the steps before, so they stand outside, for all steps at once.

    Args:
        graph: where.
        layer: what it reads.

    Returns:
        The output (time, batch, direction * size), and state -> (direction, batch, size) after the last step.

    Raises:
        BackendError: a function of the cell has no form in ONNX.

    Source:
        The operator Scan of ONNX.
    """
    outputs, finals = [], []
    for k, reverse in enumerate(layer.directions):
        index = graph.constant(k, torch.int64)
        before = [graph.op("Gather", layer.states[state], index, axis=0) for state in layer.definition.states]
        output, *after = _Direction(graph, layer, k, reverse).write(before)
        outputs.append(output)
        finals.append(after)
    output = graph.op("Concat", *outputs, axis=2) if len(outputs) == 2 else outputs[0]
    first = graph.integers(0)
    each = {}
    for state, parts in zip(layer.definition.states, zip(*finals, strict=True), strict=True):
        lifted = [graph.op("Unsqueeze", part, first) for part in parts]
        each[state] = graph.op("Concat", *lifted, axis=0) if len(lifted) == 2 else lifted[0]
    return output, each


class _Factor(NamedTuple):
    """Gates of a group that multiply the same operand, and their matrices in one."""

    gates: tuple[str, ...]
    matrix: ir.Value


class _Direction:
    """One direction of a layer."""

    def __init__(self, graph: Graph, layer: Layer, k: int, reverse: bool) -> None:
        self.graph, self.layer, self.reverse = graph, layer, reverse
        self.definition, self.stacks = layer.definition, layer.stacks[k]
        self.name = layer.name + ("reverse." if reverse else "")
        self.body = Graph(prefix="step.")
        self.steps: list[ir.Value] = []  # what the scan reads step by step, outside
        self.inputs: list[ir.Value] = []  # the same inside
        self.products: dict[tuple[str, str, str], ir.Value] = {}  # (group, gate, operand) -> the product, inside
        self.values: dict[str, Value] = {}

    def write(self, before: Sequence[ir.Value]) -> Sequence[ir.Value]:
        """Write the Scan; return the output and the states after the last step."""
        states = self.definition.states
        previous = [self._input(f"{state}_prev", ("batch", None)) for state in states]
        self._products_with_x()
        for name in self.definition.step_inputs:
            self.values[name] = self._step(name, self.layer.step_inputs[name], ("batch", None))
        active = self._active()
        for name, number in self.definition.constants.items():
            if isinstance(number, int | float):
                self.values[name] = float(number)
        _Lines(self.definition, self.body, self.values, self.products, *self._parameters()).write()
        new = [value for state in states if isinstance(value := self.values[state], ir.Value)]  # no state is a number
        shown = self.body.op("Identity", new[0], name="output")
        if active is not None:
            shown = self.body.op("Where", active, shown, self.body.constant(0.0), name="counted_output")
            new = [self.body.op("Where", active, *pair) for pair in zip(new, previous, strict=True)]
        kept = [self.body.op("Identity", value) for value in new]
        for value in (*kept, shown):
            value.type, value.shape = ir.TensorType(ir.DataType.FLOAT), ir.Shape(["batch", None])
        body = ir.Graph([*previous, *self.inputs], [*kept, shown], nodes=self.body.nodes, name="step")
        *after, output = self.graph.ops(
            "Scan",
            [None] * (len(states) + 1),
            *before,
            *self.steps,
            body=body,
            num_scan_inputs=len(self.steps),
            scan_input_directions=[int(self.reverse)] * len(self.steps),
            scan_output_directions=[int(self.reverse)],
        )
        return [output, *after]

    def _input(self, name: str, shape: Sequence[str | int | None], dtype: ir.DataType = ir.DataType.FLOAT) -> ir.Value:
        value = ir.Value(name=f"step.{name}", type=ir.TensorType(dtype), shape=ir.Shape(shape))
        self.values[name] = value
        return value

    def _step(
        self, name: str, outside: ir.Value, shape: Sequence[str | int | None], dtype: ir.DataType = ir.DataType.FLOAT
    ) -> ir.Value:
        """Let the scan read a value step by step."""
        inside = self._input(name, shape, dtype)
        self.steps.append(outside)
        self.inputs.append(inside)
        return inside

    def _products_with_x(self) -> None:
        for group in self.definition.groups:
            if "x" in group.operands:
                weight = self.graph.weight(f"{self.name}{group.name}", self.stacks[group.name].T)
                outside = self.graph.op("MatMul", self.layer.x, weight)
                inside = self._step(f"{group.name}_x", outside, ("batch", None))
                parts = _split(self.body, inside, len(group.gates))
                for gate, part in zip(group.gates, parts, strict=True):
                    self.products[group.name, gate, "x"] = part

    def _active(self) -> ir.Value | None:
        """Whether a step counts, (batch, 1)."""
        if self.layer.lengths is None:
            return None
        op, one = self.graph.op, self.graph.constant(1, torch.int64)
        time = op("Squeeze", op("Shape", self.layer.x, start=0, end=1))
        steps = op("Range", self.graph.constant(0, torch.int64), time, one)
        lengths = op("Cast", self.layer.lengths, to=ir.DataType.INT64)
        inside = op("Less", op("Unsqueeze", steps, self.graph.integers(1)), lengths)
        return self._step("counts", op("Unsqueeze", inside, self.graph.integers(2)), ("batch", 1), ir.DataType.BOOL)

    def _parameters(self) -> tuple[dict[tuple[str, str], ir.Value], dict[tuple[str, str], _Factor]]:
        """(group, gate) -> a vector; (group, operand) -> the gates that multiply it, in one transposed matrix."""
        vectors: dict[tuple[str, str], ir.Value] = {}
        matrices: dict[tuple[str, str], _Factor] = {}
        for group in self.definition.groups:
            stack, name = self.stacks[group.name], f"{self.name}{group.name}"
            if not group.is_matrix:
                for gate, part in zip(group.gates, stack.chunk(len(group.gates)), strict=True):
                    vectors[group.name, gate] = self.graph.weight(f"{name}.{gate}", part)
            elif "x" not in group.operands:
                for operand, gates in _factors(self.definition, group.name).items():
                    matrix = reordered(stack, group.gates, gates).T
                    matrices[group.name, operand] = _Factor(gates, self.graph.weight(f"{name}.{operand}", matrix))
        return vectors, matrices


def _split(graph: Graph, value: ir.Value, count: int) -> Sequence[ir.Value]:
    """Cut the last axis into equal parts."""
    if count == 1:
        return [value]
    return graph.ops("Split", [None] * count, value, axis=-1, num_outputs=count)


def _factors(definition: Definition, group: str) -> dict[str, tuple[str, ...]]:
    """Operand -> the gates of a group of matrices that multiply it."""
    found: dict[str, dict[str, None]] = {}
    for equation in normal_form(definition):
        for node in ast.walk(equation.value):
            match node:
                case ast.BinOp(left=ast.Attribute(ast.Name(id=owner), gate), op=ast.MatMult()) if owner == group:
                    found.setdefault(_plain(node.right), {})[gate] = None
    return {operand: tuple(gates) for operand, gates in found.items()}


def _plain(operand: ast.expr) -> str:
    """The name of what a matrix multiplies, also inside `stop_gradient(h_prev)`."""
    return ast.unparse(operand).removeprefix("stop_gradient(").removesuffix(")")


class _Lines:
    """The lines of one step."""

    def __init__(
        self,
        definition: Definition,
        graph: Graph,
        values: dict[str, Value],
        products: dict[tuple[str, str, str], ir.Value],
        vectors: Mapping[tuple[str, str], ir.Value],
        matrices: Mapping[tuple[str, str], _Factor],
    ) -> None:
        self.definition, self.graph = definition, graph
        self.values, self.products, self.vectors, self.matrices = values, products, vectors, matrices

    def write(self) -> None:
        """Write all lines; `values` then has each quantity."""
        for equation in normal_form(self.definition):
            self.values[equation.name] = self._value(equation.value)

    def _value(self, node: ast.expr) -> Value:
        match node:
            case ast.Constant(value=int() | float() as number):
                return float(number)
            case ast.Name(id=name):
                return self.values[name]
            case ast.Attribute(value=ast.Name(id=group), attr=gate):
                return self.vectors[group, gate]
            case ast.UnaryOp(op=ast.USub()):
                value = self._value(node.operand)
                return self.graph.op("Neg", value) if isinstance(value, ir.Value) else -value
            case ast.UnaryOp():
                return self._value(node.operand)
            case ast.BinOp(op=ast.MatMult(), left=ast.Attribute(value=ast.Name(id=group), attr=gate)):
                return self._product(group, gate, node.right)
            case ast.BinOp():
                left, right = self._value(node.left), self._value(node.right)
                if isinstance(left, float) and isinstance(right, float):
                    return float(ARITHMETIC[type(node.op)](left, right))
                return self.graph.op(_OPERATORS[type(node.op)], self._tensor(left), self._tensor(right))
            case ast.Call(func=ast.Name(id=function)):
                return self._call(function, [self._value(argument) for argument in node.args])
        raise AssertionError(f"the grammar let {ast.dump(node)} through")

    def _tensor(self, value: Value) -> ir.Value:
        return value if isinstance(value, ir.Value) else self.graph.constant(value)

    def _product(self, group: str, gate: str, operand: ast.expr) -> ir.Value:
        name = _plain(operand)
        if (group, gate, name) not in self.products:
            gates, matrix = self.matrices[group, name]
            product = self.graph.op("MatMul", self._tensor(self.values[name]), matrix)
            for each, part in zip(gates, _split(self.graph, product, len(gates)), strict=True):
                self.products[group, each, name] = part
        return self.products[group, gate, name]

    def _call(self, function: str, arguments: Sequence[Value]) -> Value:
        numbers = [argument for argument in arguments if isinstance(argument, float)]
        if len(numbers) == len(arguments):
            return float(TABLE[function](*numbers))
        op, values = self.graph.op, [self._tensor(argument) for argument in arguments]
        if function in _FUNCTIONS:
            return op(_FUNCTIONS[function], *values)
        match function:
            case "log_sigmoid":  # exact for every a: the softplus is
                return op("Neg", op("Softplus", op("Neg", *values)))
            case "step":
                return op("Cast", op("Greater", *values, self.graph.constant(0.0)), to=ir.DataType.FLOAT)
            case "mean":
                mean = op("ReduceMean", *values, self.graph.integers(-1), keepdims=1)
                return op("Expand", mean, op("Shape", *values))
        raise BackendError(
            f"to_onnx - the function {function} of {self.definition.name} has no form in ONNX - "
            f"write the cell with {', '.join([*_FUNCTIONS, 'log_sigmoid', 'step', 'mean'])}"
        )
