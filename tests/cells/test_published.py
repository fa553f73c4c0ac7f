"""Every cell against a source that is not ours, and a proof that these checks see a changed equation.

The sources: torch.nn, ONNX's reference evaluator, ONNX Runtime, and the papers' equations written out in plain Python.
Agreement between our own backends would pass for a formula that is wrong everywhere.
"""

import ast
import math

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator
from torch.nn.functional import layer_norm

import carrousel
from carrousel import cells
from carrousel.cell import Cell, from_text
from carrousel.transforms import clip_gates
from tolerances import TOLERANCES

TIME, BATCH, INPUT, HIDDEN = 5, 3, 2, 4


def layer(cell: Cell, dtype: torch.dtype = torch.float64) -> carrousel.Recurrent:
    """A layer of the cell with weights large enough that every term of the equations counts."""
    made = carrousel.Recurrent(cell, INPUT, HIDDEN, dtype=dtype, backend="eager", init="torch")
    generator = torch.Generator().manual_seed(3)
    for parameter in made.parameters():
        parameter.data = torch.empty(parameter.shape, dtype=dtype).uniform_(-0.9, 0.9, generator=generator)
    return made


def sequence(dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(TIME, BATCH, INPUT, dtype=torch.float64, generator=torch.Generator().manual_seed(4)).to(dtype)


def initial(cell: Cell) -> tuple[torch.Tensor, ...]:
    """Initial states that are not zero; a state that begins at infinity begins there."""
    generator = torch.Generator().manual_seed(5)
    states = [torch.rand(1, BATCH, HIDDEN, dtype=torch.float64, generator=generator) + 0.2 for _ in cell.states]
    return tuple(
        torch.full_like(s, v) if math.isinf(v) else s for s, v in zip(states, cell.initial.values(), strict=True)
    )


def ours(cell: Cell) -> list[np.ndarray]:
    """Output and final states of the cell."""
    start = initial(cell)
    output, states = layer(cell)(sequence(), start if len(start) > 1 else start[0])
    return [output.detach().numpy(), *(s[0].detach().numpy() for s in (states if len(start) > 1 else (states,)))]


def gates(made: carrousel.Recurrent) -> dict[str, dict[str, np.ndarray]]:
    """Group -> gate -> weights, cut by hand from the stacked parameters in the documented order."""
    found: dict[str, dict[str, np.ndarray]] = {}
    names = {"W": "weight_ih_l0", "R": "weight_hh_l0", "b": "bias_ih_l0", "bR": "bias_hh_l0", "p": "weight_ch_l0"}
    for group in made.cell.groups:
        stack = getattr(made, names.get(group.name, f"{group.name}_l0")).detach().numpy()
        found[group.name] = dict(zip(group.gates, np.split(stack, len(group.gates)), strict=True))
    return found


def assert_close(got: list[np.ndarray], expected: list[np.ndarray], tolerance: str = "published") -> None:
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=TOLERANCES[tolerance].atol)


# ---------------------------------------------------------------------- torch.nn


def check_torch(cell: Cell, namesake: type[torch.nn.RNNBase], **options: str) -> None:
    made = layer(cell)
    theirs = namesake(INPUT, HIDDEN, dtype=torch.float64, **options)
    weights = dict(made.named_parameters())
    weights.setdefault("bias_hh_l0", torch.zeros_like(made.bias_ih_l0))  # the IRNN has one bias
    theirs.load_state_dict(weights)
    start = initial(cell)
    output, states = theirs(sequence(), start if len(start) > 1 else start[0])
    states = states if isinstance(states, tuple) else (states,)
    assert_close(ours(cell), [output.detach().numpy(), *(s[0].detach().numpy() for s in states)])


# ---------------------------------------------------------------------- ONNX


def onnx_inputs(made: carrousel.Recurrent, order: str, peepholes: str = "") -> dict[str, np.ndarray]:
    """Weights in ONNX's gate order; it calls the block input c, the update gate z, the new state h."""
    g, ours_of = gates(made), {"c": "z"} if "o" in order else {"h": "n"}
    stack = [ours_of.get(gate, gate) for gate in order]
    zero = np.zeros((HIDDEN, INPUT)), np.zeros((HIDDEN, HIDDEN)), np.zeros(HIDDEN)
    take = lambda group, default: [g.get(group, {}).get(gate, default) for gate in stack]  # noqa: E731
    inputs = {
        "W": np.concatenate(take("W", zero[0]))[None],
        "R": np.concatenate(take("R", zero[1]))[None],
        "B": np.concatenate(take("b", zero[2]) + take("bR", zero[2]))[None],
    }
    if peepholes:
        inputs["P"] = np.concatenate([g["p"][gate] for gate in peepholes])[None]
    return inputs


def onnx_model(operator: str, given: dict[str, np.ndarray], kind: int, **attributes: float) -> onnx.ModelProto:
    slots = ["X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P"]
    slots = slots[: max(slots.index(name) for name in given) + 1]
    outputs = ["Y", "Y_h", "Y_c"] if operator == "LSTM" else ["Y", "Y_h"]
    node = helper.make_node(
        operator, [s if s in given else "" for s in slots], outputs, hidden_size=HIDDEN, **attributes
    )
    types = {name: TensorProto.INT32 if name == "sequence_lens" else kind for name in given}
    graph = helper.make_graph(
        [node],
        "recurrent",
        [helper.make_tensor_value_info(name, types[name], value.shape) for name, value in given.items()],
        [helper.make_tensor_value_info(name, kind, None) for name in outputs],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)


def check_onnx_reference(cell: Cell, operator: str, order: str, peepholes: str = "", **attributes: int) -> None:
    given = {"X": sequence().numpy(), **onnx_inputs(layer(cell), order, peepholes)}
    start = initial(cell)
    given |= {f"initial_{s}": v.numpy() for s, v in zip(cell.states, start, strict=True)}
    model = onnx_model(operator, given, TensorProto.DOUBLE, **attributes)
    y, *states = ReferenceEvaluator(model).run(None, given)
    assert_close(ours(cell), [y[:, 0], *(s[0] for s in states)])


def check_onnxruntime(cell: Cell, operator: str, order: str, **attributes: float) -> None:
    """Zero initial states, some rows shorter than the batch, one of length 0; float32."""
    made, x, lengths = layer(cell, torch.float32), sequence(torch.float32), np.array([TIME, 2, 0], dtype=np.int32)
    given = {"X": x.numpy(), **{k: v.astype(np.float32) for k, v in onnx_inputs(made, order).items()}}
    given["sequence_lens"] = lengths
    model = onnx_model(operator, given, TensorProto.FLOAT, **attributes)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    y, *states = session.run(None, given)
    output, after = made(x, lengths=lengths)
    after = after if isinstance(after, tuple) else (after,)
    expected = [y[:, 0], *(s[0] for s in states)]
    assert_close([output.detach().numpy(), *(s[0].detach().numpy() for s in after)], expected, "onnxruntime")


# ---------------------------------------------------------------------- the papers' equations, row by row


def sigma(net: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-net))


def unrolled(cell: Cell, step) -> list[np.ndarray]:
    """Run `step(weights, x, *states) -> states` on column vectors, one row of the batch at a time."""
    weights, x = gates(layer(cell)), sequence().numpy()
    outputs, finals = [], []
    for row in range(BATCH):
        states = [s[0, row].numpy() for s in initial(cell)]
        seen = []
        for t in range(TIME):
            states = step(weights, x[t, row], *states)
            seen.append(states[0])
        outputs.append(seen)
        finals.append(states)
    return [np.array(outputs).swapaxes(0, 1), *(np.array(s) for s in zip(*finals, strict=True))]


def net(w: dict, gate: str, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return w["W"][gate] @ x + w["R"][gate] @ y + w["b"][gate]


def lstm_1997(w, x, y, s):
    """Equations (3)-(6) and section 5: f logistic, h in [-1, 1], g in [-2, 2]."""
    y_in, y_out = sigma(net(w, "i", x, y)), sigma(net(w, "o", x, y))
    g = 4 / (1 + np.exp(-net(w, "z", x, y))) - 2
    s = s + y_in * g
    h = 2 / (1 + np.exp(-s)) - 1
    return y_out * h, s


def lstm_1997_full(w, x, y, s, y_in, y_out):
    """As above; every net input also sees the gates' activations of the step before."""
    fed_back = {k: net(w, k, x, y) + w["S"][k] @ y_in + w["U"][k] @ y_out for k in "ioz"}
    y_in, y_out = sigma(fed_back["i"]), sigma(fed_back["o"])
    s = s + y_in * (4 / (1 + np.exp(-fed_back["z"])) - 2)
    return y_out * (2 / (1 + np.exp(-s)) - 1), s, y_in, y_out


def input_gate_only(w, x, s):
    """Section 5.2: h is the identity, g the logistic function, no output gate."""
    return (s + sigma(w["W"]["i"] @ x) * sigma(w["W"]["z"] @ x),)


def odyssey(without: str):
    """The vanilla LSTM of the Odyssey, with one of its eight changes."""

    def step(w, x, y, c, *gates_before):
        before = dict(zip("ifo", gates_before, strict=False))

        def gate(k: str, cell_state: np.ndarray) -> np.ndarray:
            extra = sum(w[f"R{q}"][k] @ before[q] for q in before)
            return sigma(net(w, k, x, y) + w["p"][k] * cell_state + extra)

        block = net(w, "z", x, y)
        block = block if without == "NIAF" else np.tanh(block)
        i = np.ones(HIDDEN) if without == "NIG" else gate("i", c)
        f = np.ones(HIDDEN) if without == "NFG" else 1 - i if without == "CIFG" else gate("f", c)
        c = block * i + c * f
        o = np.ones(HIDDEN) if without == "NOG" else gate("o", c)
        y = (c if without == "NOAF" else np.tanh(c)) * o
        return (y, c, i, f, o) if before else (y, c)

    return step


def slstm(w, x, h, c, n, m):
    """The stabilised form; exp(log_f + m - m_new) with m = -inf at the start is 0."""
    log_i, log_f = net(w, "i", x, h), -np.log1p(np.exp(-net(w, "f", x, h)))
    z, o = np.tanh(net(w, "z", x, h)), sigma(net(w, "o", x, h))
    stabiliser = np.maximum(log_f + m, log_i)
    i, f = np.exp(log_i - stabiliser), np.exp(log_f + m - stabiliser)
    c, n = f * c + i * z, f * n + i
    return o * c / n, c, n, stabiliser


def stacked(w: dict, group: str) -> np.ndarray:
    """A group's rows of the gates i, f, z, o, one gate under the other."""
    return np.concatenate([w[group][gate] for gate in "ifzo"])


def normalised(net: np.ndarray, epsilon: float) -> np.ndarray:
    return layer_norm(torch.from_numpy(net), net.shape, eps=epsilon).numpy()


def layer_norm_lstm(w, x, h, c):
    """LN(W x) + LN(R h) + b, each over the units of all gates at once; LN(c) on its way to h only."""
    nets = normalised(stacked(w, "W") @ x, 1e-5) * stacked(w, "gW")
    nets = nets + normalised(stacked(w, "R") @ h, 1e-5) * stacked(w, "gR") + stacked(w, "b")
    i, f, z, o = np.split(nets, 4)
    c = sigma(f) * c + sigma(i) * np.tanh(z)
    return sigma(o) * np.tanh(normalised(c, 1e-5) * w["g"]["c"] + w["b"]["c"]), c


def layer_norm_lstm_per_gate(w, x, h, c):
    """LN(W x + R h) of each gate; LN(c) is what is carried."""
    net_i, net_f, net_z, net_o = (
        normalised(w["W"][k] @ x + w["R"][k] @ h, 1e-12) * w["g"][k] + w["b"][k] for k in "ifzo"
    )
    c = sigma(net_f) * c + sigma(net_i) * np.tanh(net_z)
    c = normalised(c, 1e-12) * w["g"]["c"] + w["b"]["c"]
    return sigma(net_o) * np.tanh(c), c


def check_equations(cell: Cell, step) -> None:
    assert_close(ours(cell), unrolled(cell, step))


# ---------------------------------------------------------------------- gradients that the papers cut


def gradient(cell: Cell) -> list[np.ndarray]:
    made = layer(cell)
    output, _ = made(sequence())
    (output * torch.linspace(-1, 1, output.numel(), dtype=torch.float64).view_as(output)).sum().backward()
    return [p.grad.numpy() for p in made.parameters()]


def check_truncated(cell: Cell) -> None:
    """Every recurrent input of a gate or cell is a constant; only the cell state carries error through time."""
    made = layer(cell)
    stacks = dict(made.named_parameters())
    blocks, x = 3, sequence()
    y = s = y_in = y_out = torch.zeros(BATCH, HIDDEN, dtype=torch.float64)
    outputs = []
    for t in range(TIME):
        nets = x[t] @ stacks["weight_ih_l0"].T + y.detach() @ stacks["weight_hh_l0"].T + stacks["bias_ih_l0"]
        if "S_l0" in stacks:
            nets = nets + y_in.detach() @ stacks["S_l0"].T + y_out.detach() @ stacks["U_l0"].T
        net_in, net_out, net_c = nets.chunk(blocks, dim=1)
        y_in, y_out = torch.sigmoid(net_in), torch.sigmoid(net_out)
        s = s + y_in * 2 * torch.tanh(net_c / 2)
        y = y_out * torch.tanh(s / 2)
        outputs.append(y)
    output = torch.stack(outputs)
    (output * torch.linspace(-1, 1, output.numel(), dtype=torch.float64).view_as(output)).sum().backward()
    assert_close(gradient(cell), [p.grad.numpy() for p in stacks.values()])
    check_equations(cell, lstm_1997_full if "S_l0" in stacks else lstm_1997)


def check_closed_peepholes(cell: Cell) -> None:
    """Gers et al. (2002): the peepholes' weights learn, no error flows back through them."""
    made = layer(cell)
    w, r, p, b = (v for v in made.parameters())
    x = sequence()
    y = c = torch.zeros(BATCH, HIDDEN, dtype=torch.float64)
    outputs = []
    for t in range(TIME):
        net_i, net_f, net_c, net_o = (x[t] @ w.T + y @ r.T + b).chunk(4, dim=1)
        p_i, p_f, p_o = p.chunk(3)
        i, f = torch.sigmoid(net_i + p_i * c.detach()), torch.sigmoid(net_f + p_f * c.detach())
        c = f * c + i * torch.tanh(net_c)
        y = torch.sigmoid(net_o + p_o * c.detach()) * torch.tanh(c)
        outputs.append(y)
    output = torch.stack(outputs)
    (output * torch.linspace(-1, 1, output.numel(), dtype=torch.float64).view_as(output)).sum().backward()
    assert_close(gradient(cell), [v.grad.numpy() for v in (w, r, p, b)])
    check_onnx_reference(cell, "LSTM", "iofc", "iof")


CHECKS = {
    "elman": lambda cell: check_torch(cell, torch.nn.RNN),
    "elman_relu": lambda cell: check_torch(cell, torch.nn.RNN, nonlinearity="relu"),
    "irnn": lambda cell: check_torch(cell, torch.nn.RNN, nonlinearity="relu"),
    "lstm_1997": lambda cell: check_equations(cell, lstm_1997),
    "lstm_1997_truncated": check_truncated,
    "lstm_1997_full": lambda cell: check_equations(cell, lstm_1997_full),
    "lstm_1997_full_truncated": check_truncated,
    "lstm_1997_input_gate": lambda cell: check_equations(cell, input_gate_only),
    "lstm": lambda cell: check_torch(cell, torch.nn.LSTM),
    "peephole_lstm": lambda cell: check_onnx_reference(cell, "LSTM", "iofc", "iof"),
    "peephole_lstm_2002": check_closed_peepholes,
    "coupled_lstm": lambda cell: check_onnxruntime(cell, "LSTM", "iofc", input_forget=1),
    "nig": lambda cell: check_equations(cell, odyssey("NIG")),
    "nfg": lambda cell: check_equations(cell, odyssey("NFG")),
    "nog": lambda cell: check_equations(cell, odyssey("NOG")),
    "niaf": lambda cell: check_equations(cell, odyssey("NIAF")),
    "noaf": lambda cell: check_equations(cell, odyssey("NOAF")),
    "np": lambda cell: check_torch(cell, torch.nn.LSTM),
    "cifg": lambda cell: check_equations(cell, odyssey("CIFG")),
    "fgr": lambda cell: check_equations(cell, odyssey("FGR")),
    "gru": lambda cell: check_torch(cell, torch.nn.GRU),
    "gru_2014": lambda cell: check_onnx_reference(cell, "GRU", "zrh", linear_before_reset=0),
    "layer_norm_lstm": lambda cell: check_equations(cell, layer_norm_lstm),
    "layer_norm_lstm_per_gate": lambda cell: check_equations(cell, layer_norm_lstm_per_gate),
    "slstm": lambda cell: check_equations(cell, slstm),
}


def test_every_cell_has_a_source() -> None:
    assert set(CHECKS) == set(cells.names())


@pytest.mark.parametrize("name", cells.names())
def test_cell_agrees_with_its_source(name: str) -> None:
    CHECKS[name](cells.get(name))


def test_more_sources() -> None:
    """The same cells against a second source."""
    check_onnx_reference(cells.get("gru"), "GRU", "zrh", linear_before_reset=1)
    check_onnx_reference(cells.get("lstm"), "LSTM", "iofc", "")
    check_onnxruntime(cells.get("lstm"), "LSTM", "iofc")
    check_onnxruntime(cells.get("gru"), "GRU", "zrh", linear_before_reset=1)
    check_equations(cells.get("peephole_lstm"), odyssey(""))


def test_lengths_are_those_of_onnx_reference() -> None:
    """Peephole LSTM, rows of different lengths in one batch; the evaluator runs each row alone, cut to its length."""
    cell, lengths = cells.get("peephole_lstm"), (TIME, 3, 1)
    made, x = layer(cell), sequence()
    output, (h, c) = made(x, lengths=lengths)
    for row, length in enumerate(lengths):
        given = {"X": x[:length, row : row + 1].numpy(), **onnx_inputs(made, "iofc", "iof")}
        y, y_h, y_c = ReferenceEvaluator(onnx_model("LSTM", given, TensorProto.DOUBLE)).run(None, given)
        assert_close([output[:length, row].detach().numpy()], [y[:, 0, 0]])
        assert_close([h[0, row].detach().numpy(), c[0, row].detach().numpy()], [y_h[0, 0], y_c[0, 0]])
        assert not output[length:, row].any()


def test_clipped_gates_are_those_of_onnxruntime() -> None:
    check_onnxruntime(clip_gates(cells.get("lstm"), 0.3), "LSTM", "iofc", clip=0.3)


@pytest.mark.parametrize("inputs", [2, 3])
def test_numbers_of_tensorflow(inputs: int) -> None:
    """What the tests of tf.contrib.rnn expect of a LayerNormBasicLSTMCell whose weights are all 0.5."""
    made = carrousel.LSTM(inputs, 2, cell="layer_norm_lstm_per_gate", forget_bias=1.0)
    torch.nn.init.constant_(made.weight_ih_l0, 0.5)
    torch.nn.init.constant_(made.weight_hh_l0, 0.5)
    _, (h, c) = made(torch.ones(1, inputs), (torch.tensor([[0.2, 0.3]]), torch.tensor([[0.0, 0.1]])))
    torch.testing.assert_close(h, torch.tensor([[-0.38079708, 0.38079708]]), rtol=1e-5, atol=0)
    torch.testing.assert_close(c, torch.tensor([[-1.0, 1.0]]), rtol=1e-5, atol=0)


# ---------------------------------------------------------------------- the checks see a changed equation


def mutants(cell: Cell) -> list[str]:
    """Every text that differs from the definition by one operator or one function."""
    other = {"sigmoid": "tanh", "tanh": "sigmoid", "relu": "tanh", "exp": "tanh", "log_sigmoid": "sigmoid"}
    texts = []
    count = sum(1 for _ in ast.walk(ast.parse(cell.definition.text)))
    for k in range(count):
        tree = ast.parse(cell.definition.text)
        node = list(ast.walk(tree))[k]
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub):
            node.op = ast.Sub() if isinstance(node.op, ast.Add) else ast.Add()
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            node.op = ast.Mult()
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {*other, "activation"}:
            node.func.id = other.get(node.func.id, "sigmoid")
        else:
            continue
        texts.append(ast.unparse(tree) + "\n")
    return texts


@pytest.mark.parametrize("name", cells.names())
def test_a_changed_equation_is_seen(name: str) -> None:
    cell = cells.get(name)
    texts = mutants(cell)
    assert len(texts) >= 3
    for text in texts:
        with pytest.raises(AssertionError):
            CHECKS[name](from_text(text, cell.definition.constants, cell))


def test_a_lost_gradient_stop_is_seen() -> None:
    for name, base in {"lstm_1997_truncated": "lstm_1997", "peephole_lstm_2002": "peephole_lstm"}.items():
        with pytest.raises(AssertionError):
            CHECKS[name](cells.get(base))
