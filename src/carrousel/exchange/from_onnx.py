"""Read the recurrent layers of a file of ONNX."""

import ast
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from carrousel import cells, transforms
from carrousel.cell import Cell
from carrousel.errors import DataWarning, MissingExtraError, ModelError, OptionTypeError, UnknownNameError
from carrousel.exchange.gate_orders import PEEPHOLES, gate_order, reordered
from carrousel.nn import GRU, LSTM, RNN

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto

__all__ = ["from_onnx"]

_LAYERS: dict[str, type[LSTM] | type[GRU] | type[RNN]] = {"LSTM": LSTM, "GRU": GRU, "RNN": RNN}

#: What the operators do if nothing is said: functions, and the gates that each is of.
_ACTIVATIONS = {"LSTM": ("Sigmoid", "Tanh", "Tanh"), "GRU": ("Sigmoid", "Tanh"), "RNN": ("Tanh",)}
_GATES = {"LSTM": ("ifo", "z", "h"), "GRU": ("rz", "n"), "RNN": ("h",)}

#: function of the operators -> its text in the notation, and the values of alpha and beta where it has a default.
_FUNCTIONS: dict[str, tuple[str, float | None, float | None]] = {
    "Sigmoid": ("sigmoid({a})", None, None),
    "Tanh": ("tanh({a})", None, None),
    "Relu": ("relu({a})", None, None),
    "Softplus": ("softplus({a})", None, None),
    "Affine": ("{alpha} * ({a}) + {beta}", None, None),
    "HardSigmoid": ("clip({alpha} * ({a}) + {beta}, 0, 1)", 0.2, 0.5),
    "ScaledTanh": ("{alpha} * tanh({beta} * ({a}))", None, None),
}

#: Operators that only change a layer's output into the next one's input.
_BETWEEN = {"Cast", "Dropout", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze"}


def from_onnx(source: "str | Path | ModelProto", node: str | None = None) -> LSTM | GRU | RNN:
    """Read an operator LSTM, GRU or RNN of ONNX as a layer of carrousel.

    Operators that stand on each other, each reading the output of the one below, become the layers of one module.

    Args:
        source: a file of ONNX, or a model that was read already.
        node: the name of the operator to read, or of its first output, where there are several that do not stand on
            each other; of layers on each other, the lowest.

    Returns:
        The layer: LSTM, GRU or RNN, with the cell that has the operator's peepholes, coupled gates, reset gate,
        functions and bounds, and with its weights and their dtype.

    Shapes:
        Of the operator's weights, whose gates `carrousel.exchange.gate_orders` has in order
        - W: (direction, gates * hidden, input)
        - R: (direction, gates * hidden, hidden)
        - B: (direction, 2 * gates * hidden)
        - P: (direction, 3 * hidden)

    Raises:
        ModelError: the file can not be read, or has no operator that a layer can say.
        UnknownNameError: `node` names none of them, or several are there and none is named.
        OptionTypeError: it is neither a file nor a model.
        MissingExtraError: onnx is not installed.

    Example:
        >>> import tempfile, carrousel
        >>> from carrousel.exchange import to_onnx
        >>> path = to_onnx(carrousel.GRU(3, 5, num_layers=2), Path(tempfile.mkdtemp()) / "gru.onnx")
        >>> from_onnx(path)
        GRU(3, 5, num_layers=2)

    Source:
        The operators LSTM, GRU and RNN of ONNX; `clip` as ONNX Runtime computes it.
    """
    if find_spec("onnx") is None:
        raise MissingExtraError('from_onnx - onnx is not installed - pip install "carrousel[onnx]"')
    where, graph = _graph(source)
    reader = _Reader(where, graph)
    stack = reader.named(node)
    made = _made(where, stack)
    with torch.no_grad():
        for k, operator in enumerate(stack):
            for direction, reverse in enumerate((False, True) if made.bidirectional else (False,)):
                for group, parameter in made._stacked(k, reverse).items():
                    gates = made._layout.gates(made._layout.cell.definition.group(group))
                    parameter.copy_(operator.weight(group, gates, direction, "bR" in made._stacked(k, reverse)))
    return made


@dataclass(frozen=True)
class _Operator:
    """One node, with its weights.

    Attributes:
        kind: "LSTM", "GRU" or "RNN".
        name: its name, or that of its first output.
        weights: W, R, B and P, where they are there.
        activations: (function, alpha, beta) for each.
        options: what else tells it from other operators of its kind.
    """

    kind: str
    name: str
    weights: Mapping[str, Tensor]
    activations: tuple[tuple[str, float | None, float | None], ...]
    options: tuple[tuple[str, Any], ...]

    @property
    def sort(self) -> tuple:
        """What operators have in common that can be layers of one module."""
        size = self.weights["R"].shape[-1]
        return self.kind, self.activations, self.options, "P" in self.weights, size, self.weights["W"].dtype

    def weight(self, group: str, gates: Sequence[str], direction: int, has_two_biases: bool) -> Tensor:
        """The parameter of one group, its gates in this order."""
        order = gate_order(self.kind, "onnx")
        if group == "p":
            return reordered(self.weights["P"][direction], PEEPHOLES, gates)
        if group in ("W", "R"):
            return reordered(self.weights[group][direction], order, gates)
        rows = len(order) * self.weights["R"].shape[-1]
        both = self.weights["B"][direction] if "B" in self.weights else torch.zeros(2 * rows)
        first, second = both.split(rows)
        if not has_two_biases:
            return reordered(first + second, order, gates)
        return reordered(first if group == "b" else second, order, gates)


class _Reader:
    """Finds the operators of a graph and what stands on what."""

    def __init__(self, where: str, graph: "GraphProto") -> None:
        from onnx import numpy_helper

        self.where = where
        self.nodes = list(graph.node)
        self.producers = {output: node for node in self.nodes for output in node.output if output}
        self.constants = {each.name: numpy_helper.to_array(each) for each in graph.initializer}
        for node in self.nodes:
            if node.op_type == "Constant":
                for each in node.attribute:
                    if each.name == "value":
                        self.constants[node.output[0]] = numpy_helper.to_array(each.t)

    def named(self, node: str | None) -> list[_Operator]:
        """The operators that become one module, the lowest first."""
        recurrent = [each for each in self.nodes if each.op_type in _LAYERS]
        if not recurrent:
            raise ModelError(
                f"{self.where} - has no operator {', '.join(_LAYERS)}, it has "
                f"{', '.join(sorted({each.op_type for each in self.nodes})) or 'none'} - name another file"
            )
        stacks: list[list[tuple[NodeProto, _Operator]]] = []
        for each in recurrent:
            operator, below = self._operator(each), self._below(each)
            stack = next((s for s in stacks if s[-1][0] is below and s[-1][1].sort == operator.sort), None)
            if stack is None:
                stacks.append([(each, operator)])
            else:
                stack.append((each, operator))
        names = [stack[0][1].name for stack in stacks]
        if node is None and len(stacks) > 1:
            raise UnknownNameError(
                f"{self.where} - has {len(stacks)} recurrent layers, {', '.join(names)} - name one: node={names[0]!r}"
            )
        if node is not None and node not in names:
            raise UnknownNameError(f"{self.where} - has no layer {node!r}, they are {', '.join(names)} - name one")
        return [operator for _, operator in stacks[0 if node is None else names.index(node)]]

    def _below(self, node: "NodeProto") -> "NodeProto | None":
        """The operator whose output a node reads."""
        producer = self.producers.get(node.input[0])
        while producer is not None and producer.op_type in _BETWEEN:
            producer = self.producers.get(producer.input[0])
        return producer

    def _operator(self, node: "NodeProto") -> _Operator:
        from onnx.helper import get_attribute_value

        options = {each.name: get_attribute_value(each) for each in node.attribute}
        kind, name = node.op_type, node.name or node.output[0]
        where, inputs = f"{self.where}, {kind} {name}", [*node.input, *[""] * 8]
        walks = options.get("direction", b"forward").decode()
        if walks not in ("forward", "bidirectional"):
            raise ModelError(f"{where} - walks in direction {walks} only, expected forward or bidirectional - turn x")
        places = {"W": inputs[1], "R": inputs[2], "B": inputs[3]} | ({"P": inputs[7]} if kind == "LSTM" else {})
        weights = {letter: self._weight(where, letter, place) for letter, place in places.items() if place}
        for place in inputs[5:7] if kind == "LSTM" else inputs[5:6]:
            self._note_states(where, place)
        kept = {
            "bidirectional": walks == "bidirectional",
            "batch_first": bool(options.get("layout", 0)),
            "clip": options.get("clip"),
            "input_forget": bool(options.get("input_forget", 0)),
            "linear_before_reset": bool(options.get("linear_before_reset", 0)),
        }
        return _Operator(kind, name, weights, _activations(where, kind, options), tuple(kept.items()))

    def _weight(self, where: str, letter: str, place: str) -> Tensor:
        if place not in self.constants:
            raise ModelError(
                f"{where} - its weight {letter} is computed ({place}), expected numbers - "
                "fold constants first, as onnxruntime does when it saves an optimised model"
            )
        return torch.from_numpy(np.array(self.constants[place]))

    def _note_states(self, where: str, place: str) -> None:
        """Say that states before the first step are left behind, where the file has some that are not zero."""
        while place not in self.constants and place in self.producers and self.producers[place].input:
            place = self.producers[place].input[0]
        if place in self.constants and np.any(self.constants[place]):
            warnings.warn(
                f"{where}: its initial states ({place}) are not read - give them as hx", DataWarning, stacklevel=5
            )


def _graph(source: "str | Path | ModelProto") -> "tuple[str, GraphProto]":
    import onnx

    if isinstance(source, onnx.ModelProto):
        return "from_onnx", source.graph
    if not isinstance(source, str | Path):
        raise OptionTypeError(f"from_onnx - expected a file or a model, got {type(source).__name__} - name a file")
    try:
        return str(source), onnx.load(source).graph
    except OSError as error:
        raise ModelError(f"{source} - can not be read: {error.strerror or error} - name a file of ONNX") from error
    except Exception as error:  # of protobuf, whose classes changed between versions
        raise ModelError(f"{source} - is no file of ONNX: {error} - name a file of ONNX") from error


def _activations(
    where: str, kind: str, options: Mapping[str, Any]
) -> tuple[tuple[str, float | None, float | None], ...]:
    """The functions with their parameters, which are listed for those that have some."""
    names = [each.decode() for each in options.get("activations", [])] or list(_ACTIVATIONS[kind])
    alphas, betas = list(options.get("activation_alpha", [])), list(options.get("activation_beta", []))
    known, found = {name.lower(): name for name in _FUNCTIONS}, []
    for name in names:
        if name.lower() not in known:
            raise ModelError(
                f"{where} - has the function {name}, expected {', '.join(_FUNCTIONS)} - it can not be read"
            )
        text, alpha, beta = _FUNCTIONS[known[name.lower()]]
        if "{alpha}" in text:
            alpha, beta = float(alphas.pop(0)) if alphas else alpha, float(betas.pop(0)) if betas else beta
            if alpha is None or beta is None:
                raise ModelError(f"{where} - gives {name} no alpha or beta, it has no default - it can not be read")
        found.append((known[name.lower()], alpha, beta))
    one = len(_ACTIVATIONS[kind])
    if len(found) > one and found[:one] != found[one:]:
        raise ModelError(f"{where} - has other functions backwards than forwards - it can not be read as one layer")
    return tuple(found[:one])


# ---------------------------------------------------------------------- the layer


def _made(where: str, stack: Sequence[_Operator]) -> LSTM | GRU | RNN:
    """The layer, its weights not set yet."""
    first = stack[0]
    options, weight = dict(first.options), first.weights["W"]
    arguments: dict[str, Any] = {
        "num_layers": len(stack),
        "bias": any("B" in operator.weights for operator in stack),
        "bidirectional": options["bidirectional"],
        "batch_first": options["batch_first"],
        "dtype": weight.dtype,
    }
    functions = [name for name, _, _ in first.activations]
    cell = _cell(first, options)
    if first.kind == "RNN" and options["clip"] is None and functions in (["Tanh"], ["Relu"]):
        arguments["nonlinearity"] = functions[0].lower()
    elif cell not in (cells.get("lstm"), cells.get("gru")):
        arguments["cell"] = cell
    return _LAYERS[first.kind](weight.shape[-1], first.weights["R"].shape[-1], **arguments)


def _cell(operator: _Operator, options: Mapping[str, Any]) -> Cell:
    """The cell that computes what the operator does."""
    if operator.kind == "LSTM":
        by_options = {(0, 0): "lstm", (1, 0): "peephole_lstm", (0, 1): "coupled_lstm", (1, 1): "cifg"}
        name = by_options["P" in operator.weights, options["input_forget"]]
    else:
        after = {True: "gru", False: "gru_2014"}[options["linear_before_reset"]]
        name = after if operator.kind == "GRU" else "elman"
    cell = cells.get(name)
    if tuple(function for function, _, _ in operator.activations) != _ACTIVATIONS[operator.kind]:
        cell = _with_functions(cell, operator)
    return cell if options["clip"] is None else transforms.clip_gates(cell, float(options["clip"]))


def _with_functions(cell: Cell, operator: _Operator) -> Cell:
    """The cell with the operator's functions in place of sigmoid and tanh."""
    equations = {}
    lines = {equation.name: equation.value for equation in cell.definition.equations}
    for quantities, function in zip(_GATES[operator.kind], operator.activations, strict=True):
        for quantity in quantities:
            match lines.get(quantity):
                case ast.Call(args=[inner]):
                    equations[quantity] = _text(inner, *function)
                case ast.BinOp(left=gate, op=ast.Mult(), right=ast.Call(args=[inner])):  # h = o * tanh(c)
                    equations[quantity] = f"{ast.unparse(gate)} * ({_text(inner, *function)})"
    name = "_".join([cell.definition.name, *(function.lower() for function, _, _ in operator.activations)])
    return transforms.variant(cell, name, f"{cell.doc.splitlines()[0]} Its functions are those of a file.", **equations)


def _text(inner: ast.expr, function: str, alpha: float | None, beta: float | None) -> str:
    """A function of an expression, in the notation."""
    if function == "Affine" and (alpha, beta) == (1, 0):
        return ast.unparse(inner)
    return _FUNCTIONS[function][0].format(a=ast.unparse(inner), alpha=alpha, beta=beta)
