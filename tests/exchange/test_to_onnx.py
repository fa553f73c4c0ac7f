"""Layers written as ONNX compute in ONNX Runtime what they compute here, whatever the shape."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

import carrousel
from carrousel import cell, cells, transforms
from carrousel.errors import BackendError, InputTypeError, MissingExtraError, OptionError, OptionTypeError, OutputError
from carrousel.exchange import onnx_check, to_onnx
from carrousel.functions import (
    TABLE,
    clip,
    exp,
    log,
    log_sigmoid,
    maximum,
    mean,
    minimum,
    relu,
    sigmoid,
    softplus,
    sqrt,
    step,
    tanh,
)

NAMES = [name for name in cells.names() if name != "np"]  # np is the cell of lstm

#: The cells of the registry that an operator says; all others are Scans.
OPERATORS = {
    "RNN": ["elman", "elman_relu", "irnn"],
    "LSTM": ["lstm", "peephole_lstm", "peephole_lstm_2002", "coupled_lstm", "niaf", "noaf", "cifg"],
    "GRU": ["gru", "gru_2014"],
}


@cell
def every_function(x, h_prev, q_prev, W, V, R, S, b):
    u = step(h_prev) * minimum(q_prev, 0.5)
    q = maximum(-1, clip(W.q @ x + V.q @ x + S.q @ (h_prev * u) + R.q @ h_prev + b.q, -2, 2)) + R.w @ q_prev
    g = log_sigmoid(q) ** 2 - exp(-(q**2)) / 2 + log(1 + u**2) - sqrt(u**2 + 3) + softplus(q) * sigmoid(-q)
    h = relu(g) - tanh(g) + mean(q)
    return h, q


@cell
def averaged(x, h_prev, c_prev, W, R, b):
    i = sigmoid(W.i @ x + R.i @ h_prev + b.i)
    c = i * c_prev + (1 - i) * tanh(W.z @ x)
    h = mean(c)
    return h, c


@cell
def hard(x, h_prev, c_prev, W, R, b):
    i = clip(0.2 * (W.i @ x + R.i @ h_prev + b.i) + 0.5, 0, 1)
    f = clip(0.2 * (W.f @ x + R.f @ h_prev + b.f) + 0.5, 0, 1)
    o = clip(0.2 * (W.o @ x + R.o @ h_prev + b.o) + 0.5, 0, 1)
    z = softplus(W.z @ x + R.z @ h_prev + b.z)
    c = f * c_prev + i * z
    h = o * relu(c)
    return h, c


def layer_of(which: Any, *args: Any, **options: Any) -> carrousel.Recurrent:
    """A layer with weights large enough to matter."""
    layer = carrousel.Recurrent(which, 3, 4, *args, backend="eager", **options).eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.uniform_(-0.7, 0.7, generator=generator)
    return layer


def operators(path: Path) -> set[str]:
    return {node.op_type for node in onnx.load(path).graph.node} & {"LSTM", "GRU", "RNN", "Scan"}


def assert_equal(path: Path, layer: Any, time: int, batch: int, lengths: bool = False, states: bool = False) -> None:
    """The file returns what the layer returns, on inputs that the exporter has not seen."""
    x = torch.randn(*((batch, time) if layer.batch_first else (time, batch)), 3)
    names = layer._layout.cell.states
    options: dict[str, Any] = {}
    if states:  # where a sequence has ended is where another can begin
        with torch.no_grad():
            _, options["hx"] = layer(x)
    if lengths:
        options["lengths"] = torch.arange(batch) % (time + 1)
    with torch.no_grad():
        output, after = layer(x, **options)
    given = options.pop("hx", ())
    feeds = {f"{n}0": s for n, s in zip(names, given if isinstance(given, tuple) else (given,), strict=states)}
    results = onnxruntime.InferenceSession(path).run(
        None, {name: value.numpy() for name, value in {"input": x, **feeds, **options}.items()}
    )
    for result, expected in zip(results, (output, *(after if isinstance(after, tuple) else (after,))), strict=True):
        np.testing.assert_allclose(result, expected.numpy(), rtol=1e-5, atol=1e-5)


# ---------------------------------------------------------------------- cells


@pytest.mark.parametrize("name", NAMES)
def test_every_cell(name: str, tmp_path: Path) -> None:
    layer = layer_of(name, 2, bidirectional=True)
    path = to_onnx(layer, tmp_path / "cell.onnx", lengths=True)
    assert operators(path) == {next((kind for kind, known in OPERATORS.items() if name in known), "Scan")}
    onnx.checker.check_model(onnx.load(path), full_check=True)
    assert_equal(path, layer, 3, 5, lengths=True, states=True)


@pytest.mark.parametrize("name", ["elman", "lstm", "cifg", "gru_2014", "slstm", "lstm_1997_full"])
def test_every_kind_of_cell_without_lengths(name: str, tmp_path: Path) -> None:
    layer = layer_of(name)
    path = to_onnx(layer, tmp_path / "cell.onnx")
    assert [each.name for each in onnx.load(path).graph.input][:2] == ["input", f"{layer.cell.states[0]}0"]
    assert_equal(path, layer, 9, 1)
    assert_equal(path, layer, 1, 2, states=True)


@pytest.mark.parametrize(
    ("which", "operator"),
    [
        (every_function, "Scan"),
        (averaged, "Scan"),
        (hard, "LSTM"),
        *((transforms.clip_gates(cells.get(name), 0.3), kind) for kind, (name, *_) in OPERATORS.items()),
        (transforms.clip_gates(cells.get("gru_2014"), 0.3), "GRU"),
        (transforms.clip_gates(cells.get("cifg"), 0.3), "LSTM"),
        (transforms.clip_gates(cells.get("niaf"), 0.3), "Scan"),  # bounds some gates only
        (transforms.clip_cell(cells.get("lstm"), 0.3), "Scan"),
    ],
    ids=lambda value: getattr(value, "name", value),
)
def test_cells_beside_the_registry(which: Any, operator: str, tmp_path: Path) -> None:
    layer = layer_of(which, bidirectional=True)
    path = to_onnx(layer, tmp_path / "cell.onnx", lengths=True)
    assert operators(path) == {operator}
    assert_equal(path, layer, 6, 4, lengths=True, states=True)


@pytest.mark.parametrize("function", sorted(set(TABLE) - {"stop_gradient"}))
def test_every_function_is_in_the_cell_above(function: str) -> None:
    assert f"{function}(" in every_function.definition.text


def test_inputs_per_step(tmp_path: Path) -> None:
    layer = layer_of(transforms.zoneout(cells.get("lstm"), "c"), 2, batch_first=True)
    path = to_onnx(layer, tmp_path / "zoneout.onnx")
    x, keep = torch.randn(2, 5, 3), torch.rand(2, 5, 4)
    with torch.no_grad():
        expected, _ = layer(x, step_inputs={"keep_c_t": keep})
    result, *_ = onnxruntime.InferenceSession(path).run(None, {"input": x.numpy(), "keep_c_t": keep.numpy()})
    np.testing.assert_allclose(result, expected.numpy(), atol=1e-5)


# ---------------------------------------------------------------------- options


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("lstm", {"proj_size": 6, "num_layers": 2, "bidirectional": True}),
        ("peephole_lstm", {"proj_size": 2}),
        ("lstm", {"batch_first": True}),
        ("slstm", {"batch_first": True, "num_layers": 2}),
        ("lstm", {"learn_initial_state": True, "num_layers": 2}),
        ("slstm", {"learn_initial_state": True}),
        ("lstm", {"bias": False}),
        ("lstm", {"bias": ("i", "o")}),
        ("slstm", {"bias": False}),
        ("lstm_1997", {"block_size": 2, "num_layers": 2}),
        ("lstm_1997_full", {"block_size": 2, "num_layers": 2, "bidirectional": True}),
    ],
)
def test_options(name: str, options: dict[str, Any], tmp_path: Path) -> None:
    layer = layer_of(name, **options)
    path = to_onnx(layer, tmp_path / "layer.onnx", lengths=True)
    assert_equal(path, layer, 6, 4, lengths=True)
    assert_equal(path, layer, 3, 2, lengths=True, states=True)


@pytest.mark.parametrize("opset", [18, 19, 20, 21, 22])
def test_opsets(opset: int, tmp_path: Path) -> None:
    for which in ("lstm", averaged):
        layer = layer_of(which)
        path = to_onnx(layer, tmp_path / f"{layer.cell.name}.onnx", opset=opset)
        assert [each.version for each in onnx.load(path).opset_import] == [opset]
        assert_equal(path, layer, 6, 4)


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_torch_layers_and_drop_ins(kind: str, tmp_path: Path) -> None:
    theirs = getattr(nn, kind)(3, 4, 2, bidirectional=True)
    ours = carrousel.convert(theirs)
    x = torch.randn(6, 4, 3)
    result, *_ = onnxruntime.InferenceSession(to_onnx(ours, tmp_path / "layer.onnx")).run(None, {"input": x.numpy()})
    np.testing.assert_allclose(result, theirs(x)[0].detach().numpy(), atol=1e-5)


def test_weights_become_float32_and_dropout_is_off(tmp_path: Path) -> None:
    layer = carrousel.LSTM(3, 4, 2, dropout=0.9, dtype=torch.float64)
    path = to_onnx(layer, tmp_path / "layer.onnx")
    assert layer.training
    assert layer.weight_ih_l0.dtype == torch.float64
    assert_equal(path, layer.float().eval(), 6, 4)


def test_two_exports_are_the_same_bytes(tmp_path: Path) -> None:
    layer = layer_of("slstm")
    files = [to_onnx(layer, tmp_path / f"{k}.onnx", verify=False).read_bytes() for k in range(2)]
    assert files[0] == files[1]


def test_overwrite(tmp_path: Path) -> None:
    path = to_onnx(layer_of("elman"), tmp_path / "layer.onnx")
    assert operators(to_onnx(layer_of("lstm"), path, overwrite=True)) == {"LSTM"}


# ---------------------------------------------------------------------- networks


class Net(nn.Module):
    """Layers between others, called with lengths, and once more with their states."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.inner, self.outer = nn.Linear(3, 5), nn.Linear(12, 2)
        self.recurrent = carrousel.Recurrent(name, 5, 6, 2, bidirectional=True)

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Any]:
        x = self.inner(x).tanh()
        _, states = self.recurrent(x)
        output, states = self.recurrent(x, states, lengths=lengths)
        return self.outer(output), states


@pytest.mark.parametrize("name", ["slstm"])
def test_networks(name: str, tmp_path: Path) -> None:
    net = Net(name)
    path = to_onnx(net, tmp_path / "net.onnx", example=(torch.randn(4, 1, 3), torch.tensor([4])))
    x, lengths = torch.randn(9, 5, 3), torch.tensor([9, 1, 0, 3, 8])
    expected, states = net(x, lengths)
    results = onnxruntime.InferenceSession(path).run(None, {"x": x.numpy(), "lengths": lengths.numpy()})
    for result, value in zip(results, (expected, *states), strict=True):
        np.testing.assert_allclose(result, value.detach().numpy(), rtol=1e-5, atol=1e-5)
    assert not any(node.metadata_props for node in onnx.load(path).graph.node)


class Turned(nn.Module):
    """A network that reads a state whose first axis is the batch, by name."""

    def __init__(self) -> None:
        super().__init__()
        self.recurrent = carrousel.Recurrent("peephole_lstm", 3, 4, 2, state_batch_first=True)

    def forward(self, x: Tensor) -> tuple[Tensor, Any]:
        _, states = self.recurrent(x)
        output, states = self.recurrent(x, (states.h, states.c.flip(0)))
        return output + states.h[:, -1], states


def test_states_with_the_batch_first(tmp_path: Path) -> None:
    net, x = Turned(), torch.randn(9, 5, 3)
    path = to_onnx(net, tmp_path / "net.onnx", example=torch.randn(4, 2, 3))
    expected, states = net(x)
    results = onnxruntime.InferenceSession(path).run(None, {"x": x.numpy()})
    for result, value in zip(results, (expected, *states), strict=True):
        np.testing.assert_allclose(result, value.detach().numpy(), rtol=1e-5, atol=1e-5)
    path = to_onnx(net.recurrent, tmp_path / "layer.onnx")
    _, h, _ = onnxruntime.InferenceSession(path).run(None, {"input": x.numpy()})
    np.testing.assert_allclose(h, net.recurrent(x)[1].h.transpose(0, 1).detach().numpy(), rtol=1e-5, atol=1e-5)


class Fixed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.recurrent = carrousel.GRU(3, 4)

    def forward(self, x: Tensor, y: Any = None) -> Tensor:
        return self.recurrent(x)[0] * len(x)


class Traced(Fixed):
    def forward(self, x: Tensor) -> Tensor:
        return self.recurrent(x, return_trace=("r",))[0]


class Unbatched(Fixed):
    def forward(self, x: Tensor) -> Tensor:
        return self.recurrent(x[:, 0])[0]


# ---------------------------------------------------------------------- wrong use


def nan_layer() -> nn.Module:
    layer = carrousel.GRU(3, 4)
    layer.weight_hh_l0.data[0, :2] = torch.tensor([float("nan"), float("inf")])
    return layer


X = torch.randn(4, 2, 3)
MISTAKES: dict[str, tuple[Any, dict[str, Any], type[Exception], str]] = {
    "no module": ("lstm", {}, OptionTypeError, "expected a module, got str"),
    "no layer of ours": (nn.Linear(3, 4), {}, OptionError, "Linear has no layer of carrousel that can be written"),
    "torch's own": (nn.LSTM(3, 4), {}, OptionError, r"convert it first: carrousel\.convert\(module\)"),
    "a step": (carrousel.LSTMCell(3, 4), {}, OptionError, "LSTMCell is a single step"),
    "a population": (carrousel.Population("lstm", 2, 3, 4), {}, OptionError, "a Population is many nets"),
    "a population inside": (
        nn.ModuleList([carrousel.Population("lstm", 2, 3, 4)]),
        {},
        OptionError,
        "ModuleList has no layer of carrousel that can be written",
    ),
    "not finite": (nan_layer(), {}, InputTypeError, "weight_hh_l0 holds 2 values that are nan or infinite"),
    "on meta": (carrousel.GRU(3, 4, device="meta"), {}, BackendError, "weight_ih_l0 is on the device meta"),
    "old opset": (carrousel.GRU(3, 4), {"opset": 9}, OptionError, "unsupported opset 9, expected 18 to 22"),
    "opset as text": (carrousel.GRU(3, 4), {"opset": "18"}, OptionTypeError, "opset is '18', expected a whole number"),
    "lengths as numbers": (carrousel.GRU(3, 4), {"lengths": [3]}, OptionTypeError, r"lengths is \[3\], expected True"),
    "an example for a layer": (carrousel.GRU(3, 4), {"example": X}, OptionError, "GRU is a layer, whose inputs are"),
    "lengths for a network": (Fixed(), {"lengths": True}, OptionError, "lengths=True is for a layer, Fixed takes what"),
    "no example": (Fixed(), {}, OptionError, "give example=, a tensor for each argument of its forward"),
    "an example of numbers": (Fixed(), {"example": [1.0]}, OptionError, "example= holds float, expected a tensor for"),
    "too many examples": (Fixed(), {"example": [X, X, X]}, OptionError, "for each argument of forward: x, y"),
    "an example of another shape": (
        Fixed(),
        {"example": torch.randn(4, 2, 5)},
        OptionError,
        r"Fixed does not take inputs of the shapes \[\(5, 2, 5\)\]: GRU: input has 5 features",
    ),
    "axes of another number": (
        Fixed(),
        {"example": X, "axes": [("time", "batch"), ("batch",)]},
        OptionError,
        r"axes= names \[2, 1\] axes, the examples have \[3\]",
    ),
    "a size read as a number": (Fixed(), {"example": X}, BackendError, r"write x\.shape\[0\] for len\(x\)"),
    "a trace": (Traced(), {"example": X}, BackendError, "GRU is called with return_trace=, which ONNX has not"),
    "no batch": (Unbatched(), {"example": X}, BackendError, r"GRU is called with an input that is not \(time, batch"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_wrong_use(mistake: str, tmp_path: Path) -> None:
    module, options, error, message = MISTAKES[mistake]
    with pytest.raises(error, match=message):
        to_onnx(module, tmp_path / "wrong.onnx", **options)
    assert not list(tmp_path.iterdir())


def test_wrong_paths(tmp_path: Path) -> None:
    layer, taken = carrousel.GRU(3, 4), tmp_path / "taken.onnx"
    taken.write_text("mine")
    (tmp_path / "folder.onnx").mkdir()
    for path, error, message in (
        (tmp_path / "model.pt", OptionError, r"ends in '\.pt', expected \.onnx - rename it to model\.onnx"),
        (taken, OutputError, "is there already"),
        (tmp_path / "folder.onnx", OutputError, "is a folder, expected the name of a file"),
        (tmp_path / "missing" / "model.onnx", OutputError, "missing - is no folder - make it"),
        (taken / "model.onnx", OutputError, r"taken\.onnx - is no folder"),
    ):
        with pytest.raises(error, match=message):
            to_onnx(layer, path)
    with pytest.raises(
        OptionTypeError, match=r"to_onnx - path is of type NoneType, expected a path - end it in \.onnx"
    ):
        to_onnx(layer, None)
    assert taken.read_text() == "mine"


def test_disk_that_can_not_be_written(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="can not be written"):
        to_onnx(carrousel.GRU(3, 4), Path("/proc") / "model.onnx", verify=False)


def test_missing_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingExtraError, match=r"onnxruntime is not installed.*carrousel\[onnx\]"):
        to_onnx(carrousel.GRU(3, 4), tmp_path / "model.onnx")


def test_function_without_a_form(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(__import__("carrousel.exchange.onnx_scan", fromlist=["_FUNCTIONS"])._FUNCTIONS, "exp")
    with pytest.raises(BackendError, match="the function exp of slstm has no form in ONNX"):
        to_onnx(layer_of("slstm"), tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


def test_model_that_differs(tmp_path: Path) -> None:
    layer = layer_of("gru")
    path = to_onnx(layer, tmp_path / "model.onnx")
    with torch.no_grad():
        layer.bias_hh_l0.add_(0.001)
    with pytest.raises(BackendError, match=r"in ONNX Runtime output differs by \d\.\de-0\d from the module's"):
        onnx_check.check("to_onnx", path.read_bytes(), onnx_check.layer_calls(layer, False))


def test_model_that_does_not_run(tmp_path: Path) -> None:
    with pytest.raises(BackendError, match="ONNX Runtime refuses the model"):
        onnx_check.check("to_onnx", b"nothing", onnx_check.layer_calls(layer_of("gru"), False))
