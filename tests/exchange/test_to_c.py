"""A network as C: compiled with every warning an error, and compared with our layers, step by step."""

import ctypes
import functools
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

import carrousel
from bptt import cell_of
from carrousel import cells
from carrousel.cell import Cell
from carrousel.errors import (
    CarrouselError,
    InputShapeError,
    InputTypeError,
    OptionError,
    OptionTypeError,
    OutputError,
)
from carrousel.exchange import to_c
from carrousel.exchange.to_c_parts import parts_of, quantised, rounded, run
from carrousel.functions import sigmoid, tanh
from carrousel.models.generation.net import TextNet
from definitions import RULES, TRANSFORMED, cell_of_rule, legal_cells

STRICT = ("-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic")
INPUT, HIDDEN, OUTPUT = 3, 5, 2

#: float32 adds in another order and has another library's exp, over 1,000 steps; times the largest value.
TOLERANCE = 1e-5

needs_cc = pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler, `cc`, on this machine")


def compiled(source: Path, *options: str) -> ctypes.CDLL:
    """The file as a library; a warning is an error."""
    library = source.with_suffix(".so")
    done = subprocess.run(
        ["cc", *STRICT, "-O1", "-fPIC", "-shared", *options, str(source), "-o", str(library), "-lm"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return ctypes.CDLL(str(library))


def in_c(source: Path, x: Tensor, outputs: int, *options: str, name: str = "model") -> Tensor:
    """Run a sequence in C: twice, and only the second counts, so that reset is seen to begin anew."""
    library = compiled(source, *options)
    fields = re.search(r"typedef struct \{\n(.*?)\}", source.with_suffix(".h").read_text(), re.DOTALL)
    assert fields is not None
    size = sum(map(int, re.findall(r"\[(\d+)\]", fields[1])))
    state = np.full(size, np.nan, np.float32)
    steps, y = np.ascontiguousarray(x.float().numpy()), np.full((len(x), outputs), np.nan, np.float32)

    def at(array: np.ndarray) -> ctypes.c_void_p:
        return ctypes.c_void_p(array.ctypes.data)

    for _ in range(2):
        library[f"{name}_reset"](at(state))
        for t in range(len(x)):
            library[f"{name}_step"](at(state), at(steps[t]), at(y[t]))
    return torch.from_numpy(y)


def in_python(module: nn.Module, x: Tensor) -> Tensor:
    """The same network by its own modules."""
    parts = module if isinstance(module, nn.Sequential) else [module]
    with torch.no_grad():
        for part in parts:
            x = part(x)
            x = x[0] if isinstance(x, tuple) else x
    return x


def assert_near(one: Tensor, other: Tensor, tolerance: float = TOLERANCE) -> None:
    assert one.shape == other.shape
    assert other.isfinite().all()
    assert float((one - other).abs().max()) <= tolerance * float(other.abs().max())


def layer(cell: Cell | str, **options: object) -> carrousel.Recurrent:
    """A layer whose weights are large enough that every term counts."""
    made = carrousel.Recurrent(cell, INPUT, HIDDEN, **{"backend": "eager", "init": "torch", **options})
    for parameter in made.parameters():
        parameter.data = torch.empty_like(parameter).uniform_(-0.6, 0.6)
    return made


# ---------------------------------------------------------------------- every cell


@needs_cc
@pytest.mark.parametrize("name", cells.names())
def test_every_cell_of_the_registry(name: str, tmp_path: Path) -> None:
    module, x = layer(name), torch.randn(1000, INPUT)
    files = to_c(module, tmp_path / "model")
    assert_near(in_c(files.source, x, HIDDEN), in_python(module, x))


#: What the transforms make, and a cell for each rule of the notation; the step of C takes x alone.
OWN = {
    **TRANSFORMED,
    **{rule: functools.partial(cell_of_rule, rule) for rule in RULES if "_t," not in RULES[rule][0]},
}
OWN = {name: make for name, make in OWN.items() if name != "terms that cancel"}  # 0 / 0 at once
OWN = {name: make for name, make in OWN.items() if not make().definition.step_inputs}


def assert_right(cell: Cell, folder: Path, steps: int) -> None:
    size = OUTPUT if cell.definition.projected else 0
    module, x = layer(cell, proj_size=size), torch.randn(steps, INPUT)
    files = to_c(module, folder / "model")
    assert files.output_size == (size or HIDDEN)
    assert_near(in_c(files.source, x, files.output_size), in_python(module, x))


@needs_cc
@pytest.mark.parametrize("name", OWN)
def test_own_cells(name: str, tmp_path: Path) -> None:
    assert_right(OWN[name](), tmp_path, 20)


@needs_cc
@settings(max_examples=12, deadline=None, derandomize=True)
@given(legal_cells().filter(lambda cell: not cell.definition.step_inputs))
def test_random_definitions(cell: Cell) -> None:
    with tempfile.TemporaryDirectory() as folder:
        assert_right(cell, Path(folder), 10)


@needs_cc
def test_begins_with_the_initial_states(tmp_path: Path) -> None:
    """In an sLSTM a wrong one would cancel."""
    text = (
        "def cell(x, h_prev, m_prev, W):\n    m = maximum(m_prev, W.m @ x)\n    h = h_prev / 2 + m\n    return h, m\n"
    )
    assert_right(cell_of(text, initial={"h": -0.7, "m": float("-inf")}), tmp_path, 5)
    reset = (tmp_path / "model.c").read_text().partition("void model_reset")[2]
    assert re.findall(r"(\w+)\[k\] = (.*);", reset.partition("void")[0]) == [("h_l0", "-0.7f"), ("m_l0", "-INFINITY")]


@carrousel.cell
def awkward(x, int_prev, k_prev, x1_prev, W, R, b):
    """Names that C has for itself /* and */ a comment that wants to end /*/, ünd more???/"""
    double = sigmoid(W.double @ x + R.double @ k_prev + b.dot)
    expf = tanh(W.W_i @ x + R.i_l0 @ int_prev + b.i)
    W_i_l0 = 0.5 * k_prev + expf * double
    σ = tanh(R.k @ W_i_l0)
    unread = double * 3  # noqa: F841
    k = W_i_l0 - σ / 2
    int = double * tanh(k)
    x1 = 0.9 * x1_prev + int
    return int, k, x1


@needs_cc
def test_names_of_c_in_a_definition(tmp_path: Path) -> None:
    assert_right(awkward, tmp_path, 100)
    text = (tmp_path / "model.c").read_text()
    assert "unread" not in text
    assert text.isascii()


# ---------------------------------------------------------------------- layers and networks

NETWORKS = {
    "layers": lambda: layer("lstm", num_layers=3, dropout=0.5).eval(),
    "projection": lambda: layer("peephole_lstm", num_layers=2, proj_size=7),
    "blocks": lambda: carrousel.Recurrent("lstm_1997_full", INPUT, 6, block_size=2, bias=("i", "o"), backend="eager"),
    "learned states": lambda: learned(layer("slstm", num_layers=2, learn_initial_state=True)),
    "no bias": lambda: layer("gru", bias=False),
    "float64": lambda: layer("gru_2014", dtype=torch.float64),
    "the stand-in": lambda: carrousel.LSTM(INPUT, HIDDEN, 2, proj_size=2, backend="eager"),
    "torch's own": lambda: nn.Sequential(nn.GRU(INPUT, HIDDEN, 2), nn.Linear(HIDDEN, 4)),
    "weight norm": lambda: weight_norm(layer("lstm"), "weight_hh_l0"),
    "batch first": lambda: layer("lstm", batch_first=True),
    "readout": lambda: nn.Sequential(
        nn.Sequential(nn.Linear(INPUT, 4), nn.ReLU(), nn.Dropout(0.5)),
        carrousel.RNN(4, HIDDEN),
        nn.Identity(),
        carrousel.Recurrent("cifg", HIDDEN, 2),
        nn.Tanh(),
        nn.Linear(2, 9, bias=False),
        nn.Sigmoid(),
    ).eval(),
    "wide": lambda: nn.Sequential(carrousel.LSTM(20, 33), nn.Linear(33, 17)),
}


def learned(module: carrousel.Recurrent) -> carrousel.Recurrent:
    for name, parameter in module.named_parameters():
        if name.startswith("initial"):
            torch.nn.init.uniform_(parameter, 0.2, 0.9)
    return module


@needs_cc
@pytest.mark.parametrize("name", NETWORKS)
def test_networks(name: str, tmp_path: Path) -> None:
    module = NETWORKS[name]()
    size = parts_of(module)[0].input_size
    x = torch.randn(200, size, dtype=next(module.parameters()).dtype)
    before = {n: value.clone() for n, value in module.state_dict().items()}
    files = to_c(module, tmp_path / "net", name="my_net")
    expected = in_python(module, x).float()
    assert (files.input_size, files.output_size) == (size, expected.shape[1])
    assert_near(in_c(files.source, x, files.output_size, name="my_net"), expected)
    assert all(torch.equal(value, before[n]) for n, value in module.state_dict().items())


@needs_cc
@pytest.mark.parametrize("int8", [False, True])
def test_symbols(int8: bool, tmp_path: Path) -> None:
    """The net of the generator; what is no symbol is taken for the nearest."""
    net = TextNet("lstm", symbols=7, embed=4, hidden_size=HIDDEN, dropout=0.3).eval()
    module = nn.Sequential(net.embedding, net.recurrent, net.dropout, net.scores)
    files = to_c(module, tmp_path / "model", int8=int8)
    symbols = torch.randint(7, (100,))
    given = symbols.float()
    given[symbols == 0] = torch.tensor([-3.0, float("-inf"), float("nan"), 0.0]).repeat(25)[: int((symbols == 0).sum())]
    given[symbols == 6] = torch.tensor([6.0, 7.0, 1e30, float("inf")]).repeat(25)[: int((symbols == 6).sum())]
    expected = run(rounded(parts_of(module)), symbols[:, None]) if int8 else in_python(module, symbols)
    assert_near(in_c(files.source, given[:, None], 7), expected)


@needs_cc
@pytest.mark.parametrize("value", ["relu(a)", "maximum(a, 1)", "maximum(1, a)", "minimum(a, 1)", "clip(a, -1, 1)"])
def test_nan_stays_nan(value: str, tmp_path: Path) -> None:
    """In comparisons it is easily lost."""
    cell = cell_of(f"def cell(x, h_prev, W, R):\n    a = W.h @ x + R.h @ h_prev\n    h = {value}\n    return h\n")
    x = torch.randn(4, INPUT)
    x[2, 0] = torch.nan
    y = in_c(to_c(layer(cell), tmp_path / "model").source, x, HIDDEN)
    assert y[:2].isfinite().all()
    assert y[2:].isnan().all()


def test_runs_in_python_as_the_modules_do() -> None:
    """What measures int8 weights is the network itself."""
    module = NETWORKS["readout"]()
    x = torch.randn(30, INPUT)
    assert_near(run(parts_of(module), x), in_python(module, x))


# ---------------------------------------------------------------------- eight bits


@needs_cc
def test_int8_weights(tmp_path: Path) -> None:
    module = nn.Sequential(layer("slstm", num_layers=2), nn.Linear(HIDDEN, 2))
    torch.nn.init.zeros_(module[1].weight[0])
    x = torch.randn(1000, INPUT)
    files = to_c(module, tmp_path / "model", int8=True, sample=x)
    found, exact = in_c(files.source, x, 2), in_python(module, x)
    assert_near(found, run(rounded(parts_of(module)), x))
    measured = float((found - exact).abs().max() / exact.abs().max())
    assert files.int8_error == pytest.approx(measured, rel=1e-3)
    assert 1e-4 < measured < 0.1
    text = files.source.read_text()
    assert f"{files.int8_error:.2%} of the largest, measured on 1,000 steps of given inputs" in text
    assert "static const signed char R_f_l1[5][5] = {\n    {" in text
    assert "static const float b_f_l1[5] = {" in text


def test_int8_weights_are_within_half_a_step() -> None:
    matrix = torch.randn(6, 9)
    matrix[2] = 0
    numbers, scales = quantised(matrix)
    assert numbers.dtype == torch.int8
    assert bool(((numbers * scales[:, None] - matrix).abs() <= 0.5001 * scales[:, None]).all())
    assert numbers[torch.arange(6) != 2].abs().amax(1).eq(127).all()


def test_int8_error_is_measured_on_drawn_inputs(tmp_path: Path) -> None:
    module = layer("lstm")
    files, again = (to_c(module, tmp_path / "model", int8=True) for _ in range(2))
    assert files == again
    assert files.int8_error is not None
    assert 1e-4 < files.int8_error < 0.1
    assert "measured on 8 times 1,000 steps of drawn inputs" in files.source.read_text()
    assert to_c(module, tmp_path / "model").int8_error is None


# ---------------------------------------------------------------------- without a library

MINE = """
#define INFINITY (__builtin_inff())
static float expf(float a)
{
    double r = (double)a / 1024.0, y = 1.0 + r * (1.0 + r / 2.0 * (1.0 + r / 3.0 * (1.0 + r / 4.0)));
    for (int k = 0; k < 10; ++k) {
        y *= y;
    }
    return a < -80.0f ? 0.0f : (float)y;
}
static float tanhf(float a)
{
    return 1.0f - 2.0f / (1.0f + expf(2.0f * a));
}
"""


@needs_cc
def test_without_the_standard_library(tmp_path: Path) -> None:
    """With -ffreestanding -fno-builtin -nostdinc, and a header of ours in place of math.h."""
    module, x = nn.Sequential(layer("lstm", num_layers=2), nn.Linear(HIDDEN, 2)), torch.randn(1000, INPUT)
    files = to_c(module, tmp_path / "model")
    assert "Needs of math.h: expf, tanhf." in files.source.read_text()
    (tmp_path / "mine.h").write_text(MINE)
    alone = ("-ffreestanding", "-fno-builtin", "-nostdinc", f"-I{tmp_path}", '-DMODEL_MATH="mine.h"')
    assert_near(in_c(files.source, x, 2, *alone), in_python(module, x), 1e-5)
    thing = tmp_path / "model.o"
    subprocess.run(["cc", *STRICT, "-O2", *alone, "-c", str(files.source), "-o", str(thing)], check=True)
    symbols = subprocess.run(["nm", "-u", str(thing)], capture_output=True, text=True, check=True).stdout.split()
    # a compiler may call these of itself, so every platform has them
    assert {s for s in symbols if len(s) > 1} <= {"memcpy", "memset", "memmove"}


@needs_cc
def test_header_serves_cplusplus_and_itself(tmp_path: Path) -> None:
    files = to_c(layer("lstm"), tmp_path / "model")
    for language in ("c", "c++"):
        subprocess.run(
            ["cc", "-x", language, "-Wall", "-Wextra", "-Werror", "-fsyntax-only", str(files.header)], check=True
        )


# ---------------------------------------------------------------------- the text

GOLDEN = """\
/* lstm: LSTM with forget gate; its two biases are PyTorch's. */
/* Gers, Schmidhuber & Cummins (2000), Learning to forget, Neural Computation 12(10), 2451-2471; torch.nn.LSTM. */
static void layer_0(const float x[3], float h_prev[5], float c_prev[5])
{
    float c[5];
    float h[5];
    for (int k = 0; k < 5; ++k) {
        /* a_i = W.i @ x + b.i + R.i @ h_prev + bR.i */
        const float a_i = dot(W_i_l0[k], x, 3) + b_i_l0[k] + dot(R_i_l0[k], h_prev, 5) + bR_i_l0[k];
        /* i = sigmoid(a_i) */
        const float i = sigmoid(a_i);
        /* a_f = W.f @ x + b.f + R.f @ h_prev + bR.f */
        const float a_f = dot(W_f_l0[k], x, 3) + b_f_l0[k] + dot(R_f_l0[k], h_prev, 5) + bR_f_l0[k];
        /* f = sigmoid(a_f) */
        const float f = sigmoid(a_f);
        /* a_z = W.z @ x + b.z + R.z @ h_prev + bR.z */
        const float a_z = dot(W_z_l0[k], x, 3) + b_z_l0[k] + dot(R_z_l0[k], h_prev, 5) + bR_z_l0[k];
        /* z = tanh(a_z) */
        const float z = tanhf(a_z);
        /* a_o = W.o @ x + b.o + R.o @ h_prev + bR.o */
        const float a_o = dot(W_o_l0[k], x, 3) + b_o_l0[k] + dot(R_o_l0[k], h_prev, 5) + bR_o_l0[k];
        /* o = sigmoid(a_o) */
        const float o = sigmoid(a_o);
        /* c = f * c_prev + i * z */
        c[k] = f * c_prev[k] + i * z;
        /* h = o * tanh(c) */
        h[k] = o * tanhf(c[k]);
    }
    for (int k = 0; k < 5; ++k) {
        h_prev[k] = h[k];
        c_prev[k] = c[k];
    }
}
"""


def test_lstm_reads_like_its_equations(tmp_path: Path) -> None:
    assert GOLDEN in to_c(layer("lstm"), tmp_path / "model").source.read_text()


def test_says_how_much_stack_it_takes(tmp_path: Path) -> None:
    """gru_2014 keeps z, r * h_prev and h between its two loops; the readout has none."""
    text = to_c(nn.Sequential(layer("gru_2014"), nn.Linear(HIDDEN, 2)), tmp_path / "model").source.read_text()
    assert re.findall(r"^    float (\w+)\[5\];", text, re.MULTILINE) == ["z", "u_n", "h"]
    assert "arrays on the stack: 60 bytes at most" in text


def test_the_same_network_is_the_same_text(tmp_path: Path) -> None:
    module = NETWORKS["readout"]()
    one, two = to_c(module, tmp_path / "model"), to_c(module, str(tmp_path / "again"))
    assert two.source.read_text() == one.source.read_text().replace('"model.h"', '"again.h"')
    assert one.header.read_text() == two.header.read_text()


def test_weights_lose_nothing(tmp_path: Path) -> None:
    module = layer("irnn")
    text = to_c(module, tmp_path / "model").source.read_text()
    found = re.search(r"R_h_l0\[5\]\[5\] = (.*?);", text, re.DOTALL)
    assert found is not None
    values = np.array([float(v.rstrip("f")) for v in re.findall(r"[-.e\d]+f", found[1])], np.float32)
    assert (values == module.weight_hh_l0.detach().numpy().ravel()).all()


# ---------------------------------------------------------------------- wrong use


def broken() -> carrousel.Recurrent:
    module = layer("lstm")
    module.weight_hh_l0.data[1, 1] = torch.nan
    return module


NO_FORM = "which has no C form here; these have: recurrent layers, Linear, Embedding, and behind another part Tanh, "
NO_FORM += "Sigmoid, ReLU - pass an nn.Sequential of such parts"
SYMBOLS = nn.Sequential(nn.Embedding(7, 4), carrousel.Recurrent("lstm", 4, 2))

MISTAKES = [
    (
        OptionTypeError,
        "to_c - got str, expected a module - pass a layer or nn.Sequential",
        lambda at: to_c("lstm", at),
    ),
    (
        OptionTypeError,
        "to_c - path_prefix is of type NoneType, expected a path - give it without .c and .h",
        lambda at: to_c(layer("lstm"), None),
    ),
    (
        OptionError,
        "to_c - path_prefix is 'net.c', expected a path that both files can have, .c and .h behind it - "
        "leave the suffix out, and use plain letters for the file",
        lambda at: to_c(layer("lstm"), "net.c"),
    ),
    (
        OptionError,
        "to_c - name='2nd net' can not begin names in C - use letters, digits and _",
        lambda at: to_c(layer("lstm"), at, name="2nd net"),
    ),
    (
        OptionError,
        "to_c - name='double' can not begin names in C - use letters, digits and _",
        lambda at: to_c(layer("lstm"), at, name="double"),
    ),
    (
        OptionTypeError,
        "to_c - int8 should be of type bool, got: int - True or False",
        lambda at: to_c(layer("lstm"), at, int8=8),
    ),
    (
        OptionError,
        "to_c - module is bidirectional - a step can not read what comes later: train it with bidirectional=False",
        lambda at: to_c(layer("lstm", bidirectional=True), at),
    ),
    (
        OptionError,
        "to_c - module[1][0] is bidirectional - a step can not read what comes later: train it with "
        "bidirectional=False",
        lambda at: to_c(
            nn.Sequential(nn.Linear(2, 3), nn.Sequential(nn.LSTM(3, 4, bidirectional=True))),
            at,
        ),
    ),
    (
        OptionError,
        "to_c - module is a population - export one network: population.net(0)",
        lambda at: to_c(carrousel.Population("lstm", 2, 3, 4), at),
    ),
    (
        OptionError,
        "to_c - module takes inputs per step (keep_h_t) - the step of C has x alone: export the cell without them",
        lambda at: to_c(layer(carrousel.transforms.zoneout(cells.get("irnn"))), at),
    ),
    (
        OptionError,
        f"to_c - module[1] is of type Conv1d, {NO_FORM}",
        lambda at: to_c(nn.Sequential(layer("lstm"), nn.Conv1d(5, 5, 1)), at),
    ),
    (
        OptionError,
        f"to_c - module[0] is of type Tanh, {NO_FORM}",
        lambda at: to_c(nn.Sequential(nn.Tanh(), layer("lstm")), at),
    ),
    (
        OptionError,
        f"to_c - module is of type LSTMCell, {NO_FORM}",
        lambda at: to_c(carrousel.LSTMCell(3, 4), at),
    ),
    (
        OptionError,
        "to_c - the network has no recurrent layer - it steps from state to state, so give it one",
        lambda at: to_c(nn.Linear(3, 4), at),
    ),
    (
        OptionError,
        "to_c - part 1, Linear, takes 4 values, expected the 5 of part 0, lstm - put parts together that fit",
        lambda at: to_c(nn.Sequential(layer("lstm"), nn.Linear(4, 1)), at),
    ),
    (
        InputTypeError,
        "to_c - weight_hh_l0 has a NaN or an infinite value in float32 - train again, or look where it comes from",
        lambda at: to_c(broken(), at),
    ),
    (
        InputTypeError,
        "to_c - weight_ih_l0 is on the meta device, it has no values - load the weights first",
        lambda at: to_c(carrousel.LSTM(3, 4, device="meta"), at),
    ),
    (
        OptionTypeError,
        "to_c - sample is of type list, expected a tensor - (time, input)",
        lambda at: to_c(layer("lstm"), at, int8=True, sample=[1.0]),
    ),
    (
        InputShapeError,
        "to_c - sample has shape (9, 4), expected (time, 3) - give the steps of one sequence",
        lambda at: to_c(layer("lstm"), at, int8=True, sample=torch.ones(9, 4)),
    ),
    (
        InputTypeError,
        "to_c - sample has symbols beyond 0 to 6 - give their numbers",
        lambda at: to_c(SYMBOLS, at, int8=True, sample=torch.tensor([1, 7])),
    ),
    (
        InputTypeError,
        "to_c - sample has a NaN or an infinite value - give numbers",
        lambda at: to_c(layer("lstm"), at, int8=True, sample=torch.full((9, 3), torch.nan)),
    ),
]


@pytest.mark.parametrize(("error", "text", "call"), MISTAKES)
def test_message(error: type[CarrouselError], text: str, call: Callable[[Path], object], tmp_path: Path) -> None:
    with pytest.raises(error) as caught:
        call(tmp_path / "model")
    assert str(caught.value) == text
    assert type(caught.value) is error
    assert not list(tmp_path.iterdir())


def test_nothing_is_written_where_nothing_can_be(tmp_path: Path) -> None:
    at = tmp_path / "missing" / "net"
    with pytest.raises(OutputError) as caught:
        to_c(layer("lstm"), at)
    assert str(caught.value) == f"{at}.c - can not be written: No such file or directory - name another place"
    assert not list(tmp_path.iterdir())


def test_one_file_is_not_written_without_the_other(tmp_path: Path) -> None:
    (tmp_path / "net.h").mkdir()
    (tmp_path / "net.c").write_text("old")
    with pytest.raises(OutputError) as caught:
        to_c(layer("lstm"), tmp_path / "net")
    assert str(caught.value) == f"{tmp_path / 'net.h'} - can not be written: it is a folder - name another place"
    assert (tmp_path / "net.c").read_text() == "old"
    assert {path.name for path in tmp_path.iterdir()} == {"net.c", "net.h"}
