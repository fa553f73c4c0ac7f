"""Operators of ONNX read as layers: the same outputs, the same weights, or a message."""

import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

import carrousel
from carrousel import cells, transforms
from carrousel.errors import DataWarning, MissingExtraError, ModelError, OptionTypeError, UnknownNameError
from carrousel.exchange import from_onnx, to_onnx

GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}


def model_of(kind: str, directions: int = 1, skip: tuple[str, ...] = (), **options: Any) -> onnx.ModelProto:
    """One operator with weights of its own, as other programs write it; inputs X and its states are left out."""
    generator, gates = np.random.default_rng(0), GATES[kind]
    shapes = {"W": (gates * 4, 3), "R": (gates * 4, 4), "B": (2 * gates * 4,), "P": (12,)}
    weights = {
        name: generator.uniform(-0.7, 0.7, (directions, *shape)).astype(np.float32)
        for name, shape in shapes.items()
        if name not in skip and (kind == "LSTM" or name != "P")
    }
    inputs = ["X", "W", "R", "B" if "B" in weights else "", "", "", "", "P" if "P" in weights else ""]
    node = helper.make_node(kind, inputs if kind == "LSTM" else inputs[:4], ["Y"], "rnn", hidden_size=4, **options)
    return wrapped([node], weights)


def wrapped(nodes: list[onnx.NodeProto], weights: dict[str, np.ndarray]) -> onnx.ModelProto:
    x = helper.make_tensor_value_info("X", TensorProto.FLOAT, ["time", "batch", 3])
    y = helper.make_tensor_value_info(nodes[-1].output[0], TensorProto.FLOAT, None)
    constants = [numpy_helper.from_array(value, name) for name, value in weights.items()]
    graph = helper.make_graph(nodes, "graph", [x], [y], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


CASES: dict[str, tuple[str, dict[str, Any], str]] = {
    "LSTM": ("LSTM", {"skip": ("P",)}, "lstm"),
    "LSTM without biases": ("LSTM", {"skip": ("P", "B")}, "lstm"),
    "LSTM with peepholes": ("LSTM", {}, "peephole_lstm"),
    "LSTM in both directions": ("LSTM", {"directions": 2, "direction": "bidirectional"}, "peephole_lstm"),
    "LSTM with one gate for two": ("LSTM", {"skip": ("P",), "input_forget": 1}, "coupled_lstm"),
    "LSTM with one gate for two and peepholes": ("LSTM", {"input_forget": 1}, "cifg"),
    "LSTM with bounds": ("LSTM", {"clip": 0.5}, "peephole_lstm_clip_gates"),
    "LSTM with functions": (
        "LSTM",
        {
            "activations": ["HardSigmoid", "Softplus", "Affine"],
            "activation_alpha": [0.3, 0.5],
            "activation_beta": [0.4, 0.1],
        },
        "peephole_lstm_hardsigmoid_softplus_affine",
    ),
    "LSTM with functions and bounds": (
        "LSTM",
        {"activations": ["Sigmoid", "Relu", "Tanh"], "clip": 0.5},
        "peephole_lstm_sigmoid_relu_tanh_clip_gates",
    ),
    "GRU": ("GRU", {"linear_before_reset": 1}, "gru"),
    "GRU of 2014": ("GRU", {}, "gru_2014"),
    "GRU with functions": (
        "GRU",
        {
            "activations": ["HardSigmoid", "ScaledTanh"],
            "activation_alpha": [0.2, 0.6],
            "activation_beta": [0.5, 1.5],
        },
        "gru_2014_hardsigmoid_scaledtanh",
    ),
    "GRU with a default": (
        "GRU",
        {"activations": ["HardSigmoid", "Tanh"]},
        "gru_2014_hardsigmoid_tanh",
    ),
    "GRU in both directions": (
        "GRU",
        {"directions": 2, "direction": "bidirectional", "linear_before_reset": 1},
        "gru",
    ),
    "RNN": ("RNN", {}, "elman"),
    "RNN of rectifiers": ("RNN", {"activations": ["Relu"]}, "elman_relu"),
    "RNN of lines": (
        "RNN",
        {"activations": ["Affine"], "activation_alpha": [1.0], "activation_beta": [0.0]},
        "simple_recurrent_affine",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_operators(case: str) -> None:
    kind, options, cell = CASES[case]
    model = model_of(kind, **options)
    layer = from_onnx(model).eval()
    assert isinstance(layer, getattr(carrousel, kind))
    assert cells.name_of(layer.cell).partition("(")[0] == cell
    x = torch.randn(6, 2, 3)
    (expected,) = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"X": x.numpy()})
    output, _ = layer(x)
    np.testing.assert_allclose(output.detach().numpy(), np.concatenate(list(expected.swapaxes(0, 1)), -1), atol=2e-6)


@pytest.mark.parametrize(
    "which",
    ["elman", "elman_relu", "lstm", "peephole_lstm", "coupled_lstm", "cifg", "niaf", "noaf", "gru", "gru_2014", "clip"],
)
def test_round_trip(which: str, tmp_path: Path) -> None:
    cell = transforms.clip_gates(cells.get("peephole_lstm"), 0.3) if which == "clip" else cells.get(which)
    layer = carrousel.Recurrent(cell, 3, 4, 3, bidirectional=True, backend="eager")
    read = from_onnx(to_onnx(layer, tmp_path / "layer.onnx", verify=False))
    read.backend = "eager"
    assert read.num_layers == 3
    for expected, found in zip(layer.parameters(), read.parameters(), strict=False):
        if expected.shape == found.shape:  # a file has one bias where a cell has none, and two where a cell has one
            torch.testing.assert_close(found, expected, rtol=0, atol=0)
    x = torch.randn(5, 2, 3)
    torch.testing.assert_close(read(x, lengths=[5, 2])[0], layer(x, lengths=[5, 2])[0])


def test_weights_of_torch_come_back_bit_by_bit(tmp_path: Path) -> None:
    for theirs in (torch.nn.LSTM(3, 4, 2), torch.nn.GRU(3, 4, bidirectional=True), torch.nn.RNN(3, 4)):
        path = to_onnx(carrousel.convert(theirs), tmp_path / f"{type(theirs).__name__}.onnx", verify=False)
        for name, value in from_onnx(path).state_dict().items():
            torch.testing.assert_close(value, theirs.state_dict()[name], rtol=0, atol=0)


def stack_of(*sizes: int) -> onnx.ModelProto:
    """GRUs on each other, of these numbers of hidden units."""
    nodes, weights, x, before = [], {}, "X", 3
    for k, size in enumerate(sizes):
        weights[f"W{k}"] = np.ones((1, 3 * size, before), np.float32)
        weights[f"R{k}"] = np.ones((1, 3 * size, size), np.float32)
        nodes.append(helper.make_node("GRU", [x, f"W{k}", f"R{k}"], [f"Y{k}"], f"gru{k}", hidden_size=size))
        nodes.append(helper.make_node("Squeeze", [f"Y{k}", "one"], [f"x{k}"]))
        x, before = f"x{k}", size
    return wrapped(nodes, weights | {"one": np.array([1])})


def test_layers_of_other_sizes_are_read_one_by_one() -> None:
    assert from_onnx(stack_of(4, 4)).num_layers == 2
    model = stack_of(4, 4, 5)
    assert (from_onnx(model, "gru0").num_layers, from_onnx(model, "gru2").hidden_size) == (2, 5)
    with pytest.raises(UnknownNameError, match="has 2 recurrent layers, gru0, gru2 - name one: node='gru0'"):
        from_onnx(model)
    with pytest.raises(UnknownNameError, match="has no layer 'gru1', they are gru0, gru2"):
        from_onnx(model, "gru1")


def test_weights_in_nodes_and_the_layout() -> None:
    model = model_of("GRU", layout=1)
    graph = model.graph
    for each in list(graph.initializer):
        graph.node.insert(0, helper.make_node("Constant", [], [each.name], value=each))
    del graph.initializer[:]
    assert from_onnx(model).batch_first


def test_initial_states_are_not_read(tmp_path: Path) -> None:
    layer = carrousel.LSTM(3, 4, 2, learn_initial_state=True)
    path = to_onnx(layer, tmp_path / "zero.onnx", verify=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        from_onnx(path)
    with torch.no_grad():
        layer.initial_h.fill_(0.5)
    with pytest.warns(DataWarning, match=r"LSTM .*: its initial states \(h0\) are not read - give them as hx"):
        from_onnx(to_onnx(layer, tmp_path / "learned.onnx", verify=False))


# ---------------------------------------------------------------------- wrong use


def computed() -> onnx.ModelProto:
    model = model_of("GRU")
    model.graph.initializer[0].name = "V"
    model.graph.node.insert(0, helper.make_node("Neg", ["V"], ["W"]))
    return model


BOTH = {"directions": 2, "direction": "bidirectional"}
MISTAKES: dict[str, tuple[Any, type[Exception], str]] = {
    "a number": (3, OptionTypeError, "expected a file or a model, got int"),
    "no operator": (
        wrapped([helper.make_node("Neg", ["X"], ["Y"])], {}),
        ModelError,
        "has no operator LSTM, GRU, RNN, it has Neg",
    ),
    "backwards": (model_of("GRU", direction="reverse"), ModelError, "GRU rnn - walks in direction reverse only"),
    "a function": (
        model_of("RNN", activations=["Elu"]),
        ModelError,
        "has the function Elu, expected Sigmoid, Tanh, Relu",
    ),
    "a function without numbers": (
        model_of("RNN", activations=["Affine"]),
        ModelError,
        "gives Affine no alpha or beta, it has no default",
    ),
    "two functions": (
        model_of("RNN", activations=["Tanh", "Relu"], **BOTH),
        ModelError,
        "has other functions backwards than forwards",
    ),
    "computed weights": (computed(), ModelError, r"its weight W is computed \(W\), expected numbers"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_wrong_use(mistake: str) -> None:
    source, error, message = MISTAKES[mistake]
    with pytest.raises(error, match=message):
        from_onnx(source)


def test_wrong_files(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"missing\.onnx - can not be read: No such file or directory"):
        from_onnx(tmp_path / "missing.onnx")
    (tmp_path / "text.onnx").write_text("no protobuf at all")
    with pytest.raises(ModelError, match=r"text\.onnx - is no file of ONNX"):
        from_onnx(tmp_path / "text.onnx")


def test_a_layer_of_scans_says_so(tmp_path: Path) -> None:
    path = to_onnx(carrousel.Recurrent("slstm", 3, 4), tmp_path / "slstm.onnx", verify=False)
    with pytest.raises(ModelError, match=r"slstm\.onnx - has no operator LSTM, GRU, RNN, it has .*Scan"):
        from_onnx(path)


def test_missing_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MissingExtraError, match=r"onnx is not installed.*carrousel\[onnx\]"):
        from_onnx("model.onnx")
