"""A layer as one of the operators LSTM, GRU and RNN."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import onnx_ir as ir
import torch
from torch import Tensor

from carrousel.calculus.notation import Definition
from carrousel.exchange.gate_orders import PEEPHOLES, gate_order
from carrousel.exchange.onnx_forms import SIGMOID, TANH, Activation, Form, Gate, Places
from carrousel.exchange.onnx_graph import Graph

__all__ = ["Layer", "options_of", "weights_of", "write_operator"]

#: What the operators do if nothing is said.
_DEFAULTS = {"LSTM": (SIGMOID, TANH, TANH), "GRU": (SIGMOID, TANH), "RNN": (TANH,)}


class Layer(NamedTuple):
    """What one layer reads, in one or both directions.

    Attributes:
        definition: of its cell.
        x: (time, batch, input).
        states: state -> (direction, batch, size), the values before the first step.
        stacks: for each direction, group -> all gates of the group, one under the other.
        directions: whether each direction walks backwards.
        lengths: (batch,) whole numbers; None if every step counts.
        step_inputs: name -> (time, batch, hidden).
        name: begins the names of its weights.
    """

    definition: Definition
    x: ir.Value
    states: Mapping[str, ir.Value]
    stacks: Sequence[Mapping[str, Tensor]]
    directions: Sequence[bool]
    lengths: ir.Value | None = None
    step_inputs: Mapping[str, ir.Value] = {}
    name: str = ""


class _Parts:
    """The weights of one direction, gate by gate."""

    def __init__(self, definition: Definition, stacks: Mapping[str, Tensor]) -> None:
        self.parts = {
            (group.name, gate): part
            for group in definition.groups
            for gate, part in zip(group.gates, stacks[group.name].chunk(len(group.gates)), strict=True)
        }

    def total(self, places: Places, *shape: int) -> Tensor:
        """The sum of the named parts, zeros of the shape if there are none."""
        return torch.stack([self.parts[place] for place in places]).sum(0) if places else torch.zeros(shape)


def write_operator(graph: Graph, form: Form, layer: Layer) -> tuple[ir.Value, dict[str, ir.Value]]:
    """Write a layer as the operator of its form.

    Args:
        graph: where.
        form: of the layer's cell.
        layer: what it reads.

    Returns:
        The output (time, batch, direction * size), and state -> (direction, batch, size) after the last step.

    Source:
        The operators LSTM, GRU and RNN of ONNX: W, R, B and P with all gates in the order that `gate_orders` has.
    """
    weights = weights_of(form, layer.definition, layer.stacks)
    inputs: list[ir.Value | None] = [
        layer.x,
        *(graph.weight(f"{layer.name}{name}", weights[name]) for name in "WRB"),
        None if layer.lengths is None else graph.op("Cast", layer.lengths, to=ir.DataType.INT32),
        *(layer.states[state] for state in form.states),
        *(graph.weight(f"{layer.name}{name}", weights[name]) for name in "P" if name in weights),
    ]
    options = options_of(form, weights["R"].shape[-1], layer.directions)
    results = graph.ops(form.operator, [None] * (1 + len(form.states)), *inputs, **options)
    output = graph.op("Transpose", results[0], perm=[0, 2, 1, 3])
    output = graph.op("Reshape", output, graph.integers(0, 0, -1))
    return output, _held(graph, layer, dict(zip(form.states, results[1:], strict=True)))


def weights_of(form: Form, definition: Definition, stacks: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Return an operator's weights.

    Args:
        form: of the cell.
        definition: the cell's.
        stacks: for each direction, group -> all gates of the group, one under the other.

    Returns:
        W, R and B, and P if there are peepholes, each (direction, ...).
    """
    gates = [form.gates.get(letter, Gate(SIGMOID)) for letter in gate_order(form.operator, "onnx")]
    each = [_Parts(definition, parts) for parts in stacks]
    rows, columns = each[0].parts[gates[0].inputs[0]].shape

    def joined(gates: Callable[[_Parts], Sequence[Tensor]]) -> Tensor:
        return torch.stack([torch.cat(list(gates(parts))) for parts in each])

    weights = {
        "W": joined(lambda p: [p.total(g.inputs, rows, columns) for g in gates]),
        "R": joined(lambda p: [p.total(g.recurrent, rows, rows) for g in gates]),
        "B": joined(lambda p: [p.total(b, rows) for b in _biases(gates)]),
    }
    if any(gate.peepholes for gate in gates):
        seen = [form.gates.get(letter, Gate(SIGMOID)) for letter in PEEPHOLES]
        weights["P"] = joined(lambda p: [p.total(g.peepholes, rows) for g in seen])
    return weights


def _held(graph: Graph, layer: Layer, finals: dict[str, ir.Value]) -> dict[str, ir.Value]:
    """The states after the last step: a row without steps keeps its own, where ONNX Runtime gives zeros."""
    if layer.lengths is None:
        return finals
    used = graph.op("Greater", layer.lengths, graph.op("CastLike", graph.integers(0), layer.lengths))
    used = graph.op("Unsqueeze", used, graph.integers(1))
    return {state: graph.op("Where", used, value, layer.states[state]) for state, value in finals.items()}


def _biases(gates: Sequence[Gate]) -> list[Places]:
    """The operator has two biases for each gate; a GRU's reset gate multiplies the second."""
    first = [gate.biases[:1] for gate in gates]
    return [*first, *(gate.recurrent_biases or gate.biases[1:] for gate in gates)]


def options_of(form: Form, rows: int, directions: Sequence[bool]) -> dict[str, Any]:
    """Return an operator's attributes, for so many hidden units."""
    walks = "bidirectional" if len(directions) == 2 else "reverse" if directions[0] else "forward"
    options: dict[str, Any] = {"hidden_size": rows, "direction": walks}
    options |= {name: value for name, value in form.options.items() if value}
    if form.clip is not None:
        options["clip"] = float(form.clip)
    if form.activations != _DEFAULTS[form.operator]:
        options |= _activations([*form.activations] * len(directions))
    return options


def _activations(activations: Sequence[Activation]) -> dict[str, Any]:
    """The lists of functions and of the parameters of those that have some."""
    found: dict[str, Any] = {"activations": [activation.name for activation in activations]}
    if alphas := [activation.alpha for activation in activations if activation.alpha is not None]:
        found["activation_alpha"] = alphas
    if betas := [activation.beta for activation in activations if activation.beta is not None]:
        found["activation_beta"] = betas
    return found
