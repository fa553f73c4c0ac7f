"""Saved weights: torch's own keys for torch's own cells; the gates' names beside those of all others."""

import json
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import nn

import carrousel
from carrousel.functions import sigmoid, tanh
from carrousel.nn.saving import decode, encode
from nn.kinds import KINDS, input_of
from nn.twins import BACKENDS, LAYERS, STEPS, ours, theirs


@carrousel.cell
def a_before_b(x, h_prev, W, R):
    a = sigmoid(W.a @ x + R.a @ h_prev)
    b = tanh(W.b @ x + R.b @ h_prev)
    h = a * b
    return h


@carrousel.cell
def b_before_a(x, h_prev, W, R):
    b = tanh(W.b @ x + R.b @ h_prev)
    a = sigmoid(W.a @ x + R.a @ h_prev)
    h = a * b
    return h


def recurrent(cell: carrousel.Cell | str, seed: int = 0, **options: object) -> carrousel.Recurrent:
    torch.manual_seed(seed)
    return carrousel.Recurrent(cell, 3, 4, **options)


@pytest.mark.parametrize("name", [*LAYERS, *STEPS])
def test_torch_s_own_cells_have_torch_s_keys(name: str) -> None:
    expected = list(theirs(name, 3, 4).state_dict())
    for backend in BACKENDS:
        assert list(ours(name, 3, 4, backend=backend).state_dict()) == expected
    assert list(nn.Sequential(ours(name, 3, 4)).state_dict()) == [f"0.{key}" for key in expected]


def test_layers_of_torch_s_cells_have_torch_s_keys() -> None:
    expected = list(nn.LSTM(3, 4, 2, bidirectional=True).state_dict())
    assert list(recurrent("lstm", num_layers=2, bidirectional=True).state_dict()) == expected
    assert list(recurrent("np", num_layers=2, bidirectional=True).state_dict()) == expected
    assert list(carrousel.Population("lstm", 2, 3, 4, 2, bidirectional=True).state_dict()) == expected


def test_other_cells_have_their_gates_beside_the_weights() -> None:
    state = carrousel.LSTM(3, 4, cell="peephole_lstm").state_dict()
    assert list(state) == ["weight_ih_l0", "weight_hh_l0", "weight_ch_l0", "bias_ih_l0", "gates"]
    assert state["gates"].dtype == torch.uint8
    assert json.loads(decode(state["gates"])) == {
        "W": ["i", "f", "z", "o"],
        "R": ["i", "f", "z", "o"],
        "p": ["i", "f", "o"],
        "b": ["i", "f", "z", "o"],
    }
    assert (
        "steps.0.gates"
        in nn.ModuleDict({"steps": nn.ModuleList([carrousel.GRUCell(3, 4, cell="gru_2014")])}).state_dict()
    )


def test_gates_are_neither_parameter_nor_buffer() -> None:
    layer = recurrent("slstm")
    names = [name for name, _ in (*layer.named_parameters(), *layer.named_buffers())]
    assert "gates" in layer.state_dict()
    assert "gates" not in names


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("wrapped", [True, False])
def test_another_order_of_gates_is_refused(strict: bool, wrapped: bool) -> None:
    saved, here = recurrent(a_before_b), recurrent(b_before_a, seed=1)
    before = here(torch.ones(5, 2, 3))[0]
    source, target = (nn.Sequential(saved), nn.Sequential(here)) if wrapped else (saved, here)
    saved_order, order = r"\{'W': \['a', 'b'\], 'R': \['a', 'b'\]\}", r"\{'W': \['b', 'a'\], 'R': \['b', 'a'\]\}"
    message = f"Recurrent - the saved weights stack their gates as {saved_order}, this cell as {order} - load them into"
    with pytest.raises(RuntimeError, match=message):
        target.load_state_dict(source.state_dict(), strict=strict)
    assert torch.equal(here(torch.ones(5, 2, 3))[0], before)


def test_another_order_of_gates_is_refused_by_single_steps() -> None:
    saved = carrousel.RNNCell(3, 4, cell=a_before_b).state_dict()
    with pytest.raises(RuntimeError, match="RNNCell - the saved weights stack their gates as"):
        carrousel.RNNCell(3, 4, cell=b_before_a).load_state_dict(saved)


def test_biases_of_some_gates_are_not_taken_for_those_of_others() -> None:
    saved = recurrent("lstm", bias=("f",)).state_dict()
    with pytest.raises(RuntimeError, match=r"'b': \['f'\].* this cell as .*'b': \['i'\]"):
        recurrent("lstm", bias=("i",)).load_state_dict(saved)
    recurrent("lstm", bias=("f",)).load_state_dict(saved)


def test_missing_gates_are_named() -> None:
    state = recurrent("gru_2014").state_dict()
    del state["gates"]
    layer = recurrent("gru_2014", seed=1)
    with pytest.raises(RuntimeError, match=r'Missing key\(s\) in state_dict: "gates"'):
        layer.load_state_dict(state)
    result = layer.load_state_dict(state, strict=False)
    assert result.missing_keys == ["gates"]
    assert torch.equal(layer.weight_ih_l0, state["weight_ih_l0"])


@pytest.mark.parametrize("gates", [torch.arange(9), torch.full((3,), -1.0), torch.full((2,), torch.nan), encode("{}")])
def test_unreadable_gates_are_refused(gates: torch.Tensor) -> None:
    state = recurrent("gru_2014").state_dict() | {"gates": gates}
    with pytest.raises(RuntimeError, match=r"stack their gates as (nothing readable|\{\}), this cell as"):
        recurrent("gru_2014").load_state_dict(state)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.int64])
def test_gates_survive_conversion_with_the_weights(dtype: torch.dtype) -> None:
    layer = recurrent("peephole_lstm")
    converted = {key: value.to(dtype) for key, value in layer.state_dict().items()}
    layer.to(torch.float64).load_state_dict(converted)
    assert torch.equal(layer.weight_ih_l0, converted["weight_ih_l0"].double())


def test_gates_survive_averaging_of_weights() -> None:
    states = [recurrent("peephole_lstm", seed=k).state_dict() for k in range(3)]
    mean = {key: sum(s[key] * 0.5**k for k, s in enumerate(states)) / 1.75 for key in states[0]}
    recurrent("peephole_lstm").load_state_dict(mean)


def test_weights_of_another_cell_are_refused() -> None:
    with pytest.raises(RuntimeError, match=r'Missing key\(s\) in state_dict: "gates", "weight_ch_l0"'):
        carrousel.LSTM(3, 4, cell="peephole_lstm").load_state_dict(nn.LSTM(3, 4).state_dict())
    with pytest.raises(RuntimeError, match=r'Unexpected key\(s\) in state_dict: "weight_ch_l0", "gates"'):
        nn.LSTM(3, 4).load_state_dict(carrousel.LSTM(3, 4, cell="peephole_lstm").state_dict())


@pytest.mark.parametrize("kind", KINDS)
def test_loading_leaves_the_saved_weights_alone(kind: str, tmp_path: Path) -> None:
    module = KINDS[kind]()
    state = module.state_dict()
    keys = list(state)
    KINDS[kind]().load_state_dict(state)
    assert list(state) == keys
    safetensors.torch.save_file(state, tmp_path / "weights.safetensors")
    assigned = KINDS[kind]()
    assigned.load_state_dict(safetensors.torch.load_file(tmp_path / "weights.safetensors"), assign=True)
    x = input_of(module)
    for a, b in zip(assigned.parameters(), module.parameters(), strict=True):
        assert torch.equal(a, b)
    assert repr(assigned(x)) == repr(module(x))
