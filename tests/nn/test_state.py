"""States as one object: a tuple to torch, tensors with names to people; and states with the batch first."""

import copy
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

import carrousel
from carrousel import State
from carrousel.errors import OutputError
from carrousel.functions import tanh
from nn.five import leaky_pair
from nn.twins import assert_same, everything, sequence, tensors

LAYERS: dict[str, Callable[..., nn.Module]] = {
    "lstm": lambda **options: carrousel.Recurrent("lstm", 3, 4, **options),
    "peephole_lstm": lambda **options: carrousel.Recurrent("peephole_lstm", 3, 4, 2, **options),
    "slstm": lambda **options: carrousel.Recurrent("slstm", 3, 4, 2, bidirectional=True, **options),
    "lstm_1997_full": lambda **options: carrousel.Recurrent("lstm_1997_full", 3, 4, block_size=2, **options),
    "lstm_1997": lambda **options: carrousel.Recurrent("lstm_1997", 3, 4, **options),
    "of these tests": lambda **options: carrousel.Recurrent(leaky_pair, 3, 4, **options),
}


@pytest.fixture(params=LAYERS)
def layer(request: pytest.FixtureRequest) -> Any:
    torch.manual_seed(1)
    return LAYERS[request.param](dtype=torch.float64)


def state_of(layer: nn.Module, batch: int = 2) -> State:
    return layer(sequence(5, batch, 3))[1]


# ---------------------------------------------------------------------- a tuple with names


def test_it_is_a_tuple_with_names(layer: Any) -> None:
    state = state_of(layer)
    assert isinstance(state, State)
    assert isinstance(state, tuple)
    assert len(state) == len(layer.cell.states)
    for k, (name, tensor) in enumerate(zip(layer.cell.states, state, strict=True)):
        assert state[name] is getattr(state, name) is state[k] is tensor
    first, *_ = state
    assert first is state[0]
    assert repr(state).startswith("State(h=tensor(")


def test_it_goes_on_where_the_sequence_ended(layer: Any) -> None:
    x = sequence(8, 2, 3)
    output, after = layer(x)
    if layer.bidirectional:
        return
    first, state = layer(x[:5])
    for hx in (state, tuple(state), list(state), state.detach()):
        second, end = layer(x[5:], hx)
        assert_same(torch.cat([first, second]), output)
        assert_same(end, after)
        assert type(end) is type(after)


def test_the_stand_ins_return_torchs_tuple_and_take_states() -> None:
    x, lstm = sequence(5, 2, 3), carrousel.LSTM(3, 4, dtype=torch.float64)
    _, hx = lstm(x)
    assert type(hx) is tuple
    state = State.of(lstm, hx)
    assert state.h is hx[0]
    for module in (
        lstm,
        carrousel.LSTM(3, 4, dtype=torch.float64, backend="torch"),
        nn.LSTM(3, 4, dtype=torch.float64),
    ):
        assert_same(module(x, state), module(x, hx))
    gru = carrousel.GRU(3, 4, dtype=torch.float64)
    _, h = gru(x)
    assert_same(gru(x, State.of(gru, h)), gru(x, h))


@carrousel.cell
def named_like_methods(x, h_prev, rows_prev, W, R):
    """A cell whose state is called like a method."""
    rows = tanh(W.z @ x + R.z @ h_prev + rows_prev)
    h = 0.5 * rows
    return h, rows


def test_a_name_that_is_taken_is_found_in_brackets() -> None:
    _, state = carrousel.Recurrent(named_like_methods, 3, 4, dtype=torch.float64)(sequence(5, 2, 3))
    assert state["rows"] is state[1]
    assert state.rows([1])["rows"].shape == (1, 1, 4)


# ---------------------------------------------------------------------- what people do with it


def test_rows_of_the_batch(layer: Any) -> None:
    x = sequence(5, 4, 3)
    state = layer(x)[1]
    everyone = [0, 1, 2, 3]
    for index in (
        [2, 0],
        torch.tensor([2, 0]),
        np.array([2, 0]),
        [-2, -4],
        slice(1, 3),
        torch.tensor([True, False] * 2),
    ):
        picked = torch.tensor(everyone)[index if not isinstance(index, np.ndarray) else torch.tensor(index)]
        assert_same(state.rows(index), layer(x[:, picked])[1])
    assert state.rows([]).h.shape == (len(state.h), 0, 4)
    assert_same(state.rows(3), layer(x[:, 3])[1])  # a row alone, as the layer returns it for an unbatched sequence


def test_detached_and_converted(layer: Any) -> None:
    state = state_of(layer)
    assert state.h.requires_grad
    assert not any(tensor.requires_grad for tensor in state.detach())
    assert type(state.to(torch.float32)) is type(state)
    assert {tensor.dtype for tensor in state.to(torch.float32)} == {torch.float32}
    assert {tensor.device.type for tensor in state.to("meta")} == {"meta"}


def test_saved_and_loaded(layer: Any, tmp_path: Path) -> None:
    state, path = state_of(layer), tmp_path / "state.safetensors"
    state.save(path)
    loaded = State.load(path)
    assert type(loaded) is type(state)
    assert all(map(torch.equal, loaded, state))
    state.rows([1, 0]).to(torch.bfloat16).save(path)  # not contiguous, another type, over what is there
    assert all(map(torch.equal, State.load(path), state.rows([1, 0]).to(torch.bfloat16)))
    assert [file.name for file in tmp_path.iterdir()] == ["state.safetensors"]


def test_copied_and_pickled(layer: Any, tmp_path: Path) -> None:
    state, path = state_of(layer).detach(), tmp_path / "state.pt"
    torch.save(state, path)
    copies = (copy.deepcopy(state), copy.copy(state), pickle.loads(pickle.dumps(state)))
    for twin in (*copies, torch.load(path, weights_only=False)):
        assert type(twin) is type(state)
        assert all(map(torch.equal, twin, state))


# ---------------------------------------------------------------------- inside torch


def test_trees(layer: Any) -> None:
    state = state_of(layer)
    leaves, form = pytree.tree_flatten({"state": state})
    assert len(leaves) == len(state)
    assert type(pytree.tree_unflatten(leaves, form)["state"]) is type(state)


class Named(nn.Module):
    """A model that reads the state by name."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor, hx: Any = None) -> Any:
        output, state = self.layer(x, hx)
        return output * state.h.sum() + state["h"].mean() + state[0].max(), state


@pytest.mark.parametrize("name", ["peephole_lstm", "lstm_1997_full"])
@pytest.mark.filterwarnings("ignore")  # of the compiler, about its own future
def test_compiled(name: str) -> None:
    torch.compiler.reset()
    model, x = Named(LAYERS[name](dtype=torch.float64)), sequence(5, 2, 3)
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    _, state = compiled(x)
    assert isinstance(state, State)
    assert_same(state.h, model(x)[1].h)
    for hx in (state.detach(), tuple(state.detach())):
        assert_same(everything(compiled, x, hx), everything(model, x, hx))


@pytest.mark.parametrize("name", ["peephole_lstm", "lstm_1997_full"])
@pytest.mark.usefixtures("recwarn")
def test_exported_saved_and_loaded(name: str, tmp_path: Path) -> None:
    model, x = Named(LAYERS[name](dtype=torch.float64)).eval(), sequence(5, 2, 3)
    torch.export.save(torch.export.export(model, (x,)), tmp_path / "model.pt2")
    found = torch.export.load(tmp_path / "model.pt2").module()(x)
    assert isinstance(found[1], State)
    assert_same(found, model(x))


@pytest.mark.usefixtures("recwarn")
def test_a_saved_program_that_returns_h_and_c_runs_in_another_process(tmp_path: Path) -> None:
    model, path = carrousel.Recurrent("peephole_lstm", 3, 4).eval(), tmp_path / "model.pt2"
    torch.export.save(torch.export.export(model, (torch.ones(5, 2, 3),)), path)
    script = (
        "import sys, torch, carrousel.nn; from carrousel import backends; backends.get('llvm')\n"
        "print(torch.export.load(sys.argv[1]).module()(torch.ones(5, 2, 3))[1].c.shape)"
    )
    done = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True)
    assert done.stdout == "torch.Size([1, 2, 4])\n", done.stderr


@pytest.mark.filterwarnings("ignore")  # of the tracer, about shapes that become constants
def test_traced(layer: Any) -> None:
    x = sequence(5, 2, 3)
    assert_same(torch.jit.trace(layer, (x,))(2 * x), tuple(layer(2 * x)))


def test_transforms_keep_the_names(layer: Any) -> None:
    _, states = torch.func.vmap(layer)(sequence(3, 5, 2, 3))
    assert isinstance(states, State)
    assert states.h.shape[0] == 3


# ---------------------------------------------------------------------- the batch first


OPTIONS = [{}, {"num_layers": 2, "bidirectional": True}, {"batch_first": True}, {"learn_initial_state": True}]


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("backend", ["auto", "eager", "torch"])
@pytest.mark.parametrize("name", ["Recurrent", "LSTM", "GRU", "RNN"])
def test_states_with_the_batch_first(name: str, backend: str, options: dict) -> None:
    args = ("lstm", 3, 4) if name == "Recurrent" else (3, 4)

    def made(**more: Any) -> Any:
        torch.manual_seed(1)
        return getattr(carrousel, name)(*args, backend=backend, dtype=torch.float64, **options, **more)

    plain, turned, x = made(), made(state_batch_first=True), sequence(5, 2, 3)
    output, state = plain(x)
    hx = tuple(s.movedim(1, 0).contiguous() for s in tensors(state))
    hx = hx[0] if isinstance(state, Tensor) else hx
    again = plain(x, state)
    assert_same(turned(x), (output, hx))
    assert_same(turned(x, hx), (again[0], [s.movedim(1, 0) for s in tensors(again[1])]))
    for layer in (plain, turned):  # a State knows its axes
        for given in (State.of(plain, state), State.of(turned, hx)):
            assert_same(layer(x, given)[0], again[0])
    row = 0 if plain.batch_first else 1
    alone = x.select(row, 0)
    assert_same(turned(alone), plain(alone))
    assert "state_batch_first=True" in repr(turned)
    if not isinstance(state, Tensor):
        assert State.of(turned, hx).rows([1]).h.shape == (1, *hx[0].shape[1:])


def test_a_population_with_the_batch_first() -> None:
    options = {"dtype": torch.float64, "num_layers": 2}
    turned = carrousel.Population("lstm", 3, 3, 4, state_batch_first=True, **options)
    plain = carrousel.Population("lstm", 3, 3, 4, **options)
    plain.load_state_dict(turned.state_dict())
    x = sequence(3, 5, 6, 3)
    _, state = turned(x)
    assert state.h.shape == (3, 6, 2, 4)
    assert_same(plain(x)[1], [tensor.movedim(1, 2) for tensor in state])
    assert_same(turned(x, state)[0], plain(x, plain(x)[1])[0])
    assert state.rows([5]).h.shape == (3, 1, 2, 4)
    assert plain(x)[1].rows([5]).h.shape == (3, 2, 1, 4)


@pytest.mark.parametrize("name", ["Recurrent", "LSTM"])
def test_steps_and_streams_with_the_batch_first(name: str) -> None:
    args = ("lstm", 3, 4, 2) if name == "Recurrent" else (3, 4, 2)
    layer = getattr(carrousel, name)(*args, state_batch_first=True, dtype=torch.float64).eval()
    x = sequence(5, 3, 3)
    output, after = layer(x)
    with torch.no_grad():
        state, stream = None, layer.stream(3)
        for t in range(5):
            for given in (state, None if state is None else State.of(layer, state)):
                step, new = layer.step(x[t], given)
            state = new
            assert_same(step, output[t])
            assert_same(stream.step(x[t]), output[t])
        assert_same(state, after)
        assert_same(stream.state, after)
        assert type(stream.state) is type(state) is type(after)
        stream.state = after
        assert_same(stream.step(x[0]), layer(x[:1], after)[0][0])
        alone = layer.stream()
        alone.step(x[0, 0])
        assert_same(alone.state, layer(x[:1, 0])[1])
        assert_same(layer.step(x[0, 0], alone.state)[0], layer(x[:1, 0], alone.state)[0][0])


def test_steps_of_layers_return_named_states(layer: Any) -> None:
    if layer.bidirectional:
        return
    with torch.no_grad():
        layer.eval()
        _, state = layer.step(sequence(2, 3))
        assert isinstance(state, State)
        assert_same(layer.step(sequence(2, 3), state), layer.step(sequence(2, 3), tuple(state)))


def test_a_file_that_can_not_be_written_is_left_as_it_was(tmp_path: Path) -> None:
    state, path = state_of(LAYERS["lstm"](dtype=torch.float64)), tmp_path / "state.safetensors"
    path.mkdir()
    with pytest.raises(OutputError, match="can not be written: it is a folder - name another place"):
        state.save(path)
    assert list(tmp_path.iterdir()) == [path]
