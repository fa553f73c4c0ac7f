"""Steps one by one: `layer.step` and `layer.stream()` against the call with the whole sequence."""

import copy
import pickle
import threading
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

import carrousel
from carrousel import cells
from carrousel.functions import sigmoid, tanh
from carrousel.nn.stream import Stream
from carrousel.transforms import zoneout
from nn.twins import assert_same, sequence, tensors

STEPS = 6


@carrousel.cell
def leaky_pair(x, h_prev, m_prev, W, R, b):
    """A cell of this test: two states, neither of them named as torch's."""
    m = 0.9 * m_prev + 0.1 * tanh(W.m @ x + R.m @ h_prev + b.m)
    h = sigmoid(W.h @ x + b.h) * m
    return h, m


def recurrent(cell: Any, hidden: int = 5, **options: Any) -> carrousel.Recurrent:
    torch.manual_seed(1)
    return carrousel.Recurrent(cell, 3, hidden, **{"dtype": torch.float64, **options})


LAYERS: dict[str, Callable[[], Any]] = {
    **{name: lambda name=name: recurrent(name) for name in cells.names()},
    "a cell of this test": lambda: recurrent(leaky_pair),
    "two layers": lambda: recurrent("lstm", num_layers=2),
    "whole registers, two layers": lambda: recurrent("lstm", 16, num_layers=2, dtype=torch.float32),
    "many units": lambda: recurrent("gru", 72, num_layers=2, dtype=torch.float32),
    "projected": lambda: recurrent("peephole_lstm", proj_size=2, num_layers=2),
    "blocks": lambda: recurrent("lstm_1997_full", 6, block_size=2, num_layers=2),
    "learned states": lambda: recurrent("slstm", learn_initial_state=True, batch_first=True),
    "biases of some gates": lambda: recurrent("lstm", bias=("f",)),
    "eager": lambda: recurrent("lstm", num_layers=2, backend="eager"),
    "torch": lambda: carrousel.GRU(3, 5, 2, backend="torch", dtype=torch.float64),
    "half precision": lambda: recurrent("lstm", dtype=torch.bfloat16),
    "LSTM": lambda: carrousel.LSTM(3, 5, 2, batch_first=True, dtype=torch.float64),
    "GRU": lambda: carrousel.GRU(3, 5, dtype=torch.float64),
    "RNN": lambda: carrousel.RNN(3, 5, 2, nonlinearity="relu", dtype=torch.float64),
}
every_layer = pytest.mark.parametrize("kind", LAYERS)


def made(kind: str) -> Any:
    return LAYERS[kind]().eval()


def whole(layer: Any, steps: list[Tensor], state: Any = None) -> tuple[Tensor, Any]:
    """The call with the whole sequence; the output as (step, ...)."""
    axis = 1 if layer.batch_first and steps[0].dim() == 2 else 0
    output, state = layer(torch.stack(steps, dim=axis), state)
    return output.movedim(axis, 0), state


def given(layer: Any, *rows: int) -> list[Tensor]:
    return list(sequence(STEPS, *rows, 3, dtype=layer._weight.dtype))


def same(a: Any, b: Any) -> None:
    kinds = {torch.float64: "layers", torch.float32: "layers in float32", torch.bfloat16: "layers in bfloat16"}
    assert_same(list(tensors(a)), list(tensors(b)), kinds[next(tensors(b)).dtype])


@pytest.mark.parametrize("rows", [(), (3,)])
@every_layer
def test_steps_give_what_the_sequence_gives(kind: str, rows: tuple[int, ...]) -> None:
    layer = made(kind)
    x = given(layer, *rows)
    with torch.no_grad():
        expected = whole(layer, x)
        stream = layer.stream(*rows)
        streamed = torch.stack([stream.step(step).clone() for step in x]), stream.state
        same(streamed, expected)
        outputs, state = [], None
        for step in x:
            output, state = layer.step(step, state)
            outputs.append(output)
        same((torch.stack(outputs), state), expected)


@every_layer
def test_steps_go_on_from_a_state(kind: str) -> None:
    layer = made(kind)
    x = given(layer, 2)
    with torch.no_grad():
        _, state = whole(layer, x)
        before = [s.clone() for s in tensors(state)]
        expected = whole(layer, x[:1], state)
        output, after = layer.step(x[0], state)
        same((output[None], after), expected)
        stream = layer.stream(2)
        stream.state = state
        same((stream.step(x[0])[None], stream.state), expected)
    assert all(map(torch.equal, tensors(state), before))


@pytest.mark.parametrize("kind", [kind for kind in LAYERS if kind != "torch"])  # its operator has no resets
def test_resets_begin_anew(kind: str) -> None:
    layer = made(kind)
    x, mask = given(layer, 2), torch.tensor([False, True])
    with torch.no_grad():
        _, state = whole(layer, x)
        fresh = whole(layer, x[:1])
        kept = whole(layer, x[:1], state)
        output, _ = layer.step(x[0], state, resets=mask)
        same(output, torch.stack([kept[0][0, 0], fresh[0][0, 1]]))
        stream = layer.stream(2)
        stream.state = state
        stream.reset(mask)
        same(stream.step(x[0]), output)
        stream.reset()
        same(stream.step(x[0]), fresh[0][0])


def test_the_memory_is_the_streams_own() -> None:
    stream, x = made("LSTM").stream(2), torch.ones(2, 3, dtype=torch.float64)
    stream.x[...] = x
    first = stream.step()
    assert first is stream.output
    assert stream.step(2 * x) is first
    assert torch.equal(stream.x, 2 * x)


def test_a_step_keeps_what_it_returned() -> None:
    layer = made("whole registers, two layers")
    x = given(layer, 2)
    with torch.no_grad():
        output, state = layer.step(x[0])
        kept = [t.clone() for t in (output, *state)]
        layer.step(x[1], state)
        output.add_(1)
    assert torch.equal(state[0], kept[1])
    assert torch.equal(state[1], kept[2])


def test_inputs_per_step() -> None:
    layer = recurrent(zoneout(cells.get("irnn")), num_layers=2).eval()
    x, keep = given(layer, 2), sequence(STEPS, 2, 5)
    with torch.no_grad():
        expected, _ = layer(torch.stack(x), step_inputs={"keep_h_t": keep})
        stream, outputs = layer.stream(2), []
        for step, value in zip(x, keep, strict=True):
            stream.step_inputs["keep_h_t"].copy_(value)
            outputs.append(stream.step(step).clone())
        same(torch.stack(outputs), expected)
        same(layer.step(x[0], step_inputs={"keep_h_t": keep[0]})[0], expected[0])


# ---------------------------------------------------------------------- the weights


def write_in_place(layer: Any) -> None:
    with torch.no_grad():
        layer.weight_ih_l0.mul_(0.5)


def load(layer: Any) -> None:
    layer.load_state_dict({name: 0.5 * value for name, value in layer.state_dict().items()})


def take_a_training_step(layer: Any) -> None:
    with torch.enable_grad():
        layer(sequence(4, 2, 3))[0].sum().backward()
    torch.optim.SGD(layer.parameters(), lr=0.5).step()


def give_other_memory(layer: Any) -> None:
    layer.weight_ih_l0.data = 0.5 * layer.weight_ih_l0.data


def replace(layer: Any) -> None:
    layer.weight_ih_l0 = nn.Parameter(0.5 * layer.weight_ih_l0.detach())


@pytest.mark.parametrize("change", [write_in_place, load, take_a_training_step, give_other_memory, replace])
def test_changed_weights_are_seen(change: Callable[[Any], None]) -> None:
    layer = carrousel.LSTM(3, 5, dtype=torch.float64).eval()
    x = sequence(1, 2, 3)[0]
    stream = layer.stream(2)
    with torch.no_grad():
        before = layer.step(x)[0]
        stream.step(x)
        stream.reset()
        change(layer)
        expected = layer(x[None])[0][0]
        assert not torch.equal(before, expected)
        same(layer.step(x)[0], expected)
        same(stream.step(x), expected)


def test_a_write_through_data_is_seen_when_the_stream_is_renewed() -> None:
    layer = made("LSTM")
    stream, x = layer.stream(2), sequence(1, 2, 3)[0]
    layer.weight_ih_l0.data.mul_(0.5)
    stream.renew()
    with torch.no_grad():
        same(stream.step(x), whole(layer, [x])[0][0])


def test_weights_made_in_inference_mode() -> None:
    with torch.inference_mode():
        layer = made("LSTM")
        stream, x = layer.stream(2), sequence(1, 2, 3)[0]
        layer.step(x)
        layer.weight_ih_l0.mul_(0.5)
        stream.renew()
        expected = whole(layer, [x])[0][0]
        same(stream.step(x), expected)
        same(layer.step(x)[0], expected)


def test_parametrized_weights_are_followed() -> None:
    layer = weight_norm(made("GRU"), "weight_hh_l0")
    stream, x = layer.stream(2), list(sequence(2, 2, 3))
    with torch.no_grad():
        stream.step(x[0])
        layer.parametrizations.weight_hh_l0.original0.mul_(0.5)
        stream.reset()
        expected = whole(layer, x)[0][1]
        stream.step(x[0])
        same(stream.step(x[1]), expected)
        same(layer.step(x[1], layer.step(x[0])[1])[0], expected)


# ---------------------------------------------------------------------- gradients, copies, threads


def test_a_step_is_differentiable() -> None:
    layer = made("peephole_lstm")
    x = sequence(2, 2, 3).requires_grad_()
    output, state = layer.step(x[0])
    output, state = layer.step(x[1], state)
    expected = torch.autograd.grad(layer(x)[0][1].sum(), [x, *layer.parameters()])
    same(torch.autograd.grad(output.sum(), [x, *layer.parameters()]), expected)


def test_dropout_is_on_in_training_and_off_in_a_stream() -> None:
    layer = recurrent("lstm", num_layers=2, dropout=0.9)
    x = given(layer, 2)
    with torch.no_grad():
        torch.manual_seed(4)
        expected = layer(x[0][None])[0][0]
        torch.manual_seed(4)
        same(layer.step(x[0])[0], expected)
        assert not torch.equal(layer.stream(2).step(x[0]), expected)
        same(layer.stream(2).step(x[0]), layer.eval()(x[0][None])[0][0])


def test_autograd_notices_an_overwritten_output() -> None:
    stream, head = made("LSTM").stream(2), nn.Linear(5, 1, dtype=torch.float64)
    loss = head(stream.step(torch.ones(2, 3, dtype=torch.float64))).square().sum()
    stream.step()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


@pytest.mark.parametrize("copied", [copy.deepcopy, copy.copy, lambda s: pickle.loads(pickle.dumps(s))])
@pytest.mark.parametrize("kind", ["LSTM", "eager"])
def test_a_copy_of_a_stream_goes_its_own_way(kind: str, copied: Callable[[Stream], Stream]) -> None:
    stream = made(kind).stream(2)
    x = given(stream.layer, 2)
    stream.step(x[0])
    other = copied(stream)
    before = stream.state
    same(other.step(x[1]), whole(stream.layer, x[:2])[0][1].detach())
    same(stream.state, before)


def test_a_copy_of_a_layer_takes_its_own_weights() -> None:
    layer, x = made("LSTM"), torch.ones(2, 3, dtype=torch.float64)
    with torch.no_grad():
        expected = layer.step(x)[0]
        for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
            layer.weight_ih_l0.zero_()
            same(other.step(x)[0], expected)


def test_threads_share_a_layer() -> None:
    layer = recurrent("lstm", 16, dtype=torch.float32).eval()
    x = sequence(2, 64, 3, dtype=torch.float32)
    with torch.no_grad():
        expected = [layer.step(part)[0] for part in x]
    wrong = []

    def walk(k: int) -> None:
        with torch.no_grad():
            for _ in range(200):
                if not torch.equal(layer.step(x[k])[0], expected[k]):
                    wrong.append(k)

    threads = [threading.Thread(target=walk, args=(k,)) for k in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_team_of_threads_gives_the_same() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        layer = recurrent("lstm", 512, dtype=torch.float32).eval()
        for rows in ((), (3,)):
            x = given(layer, *rows)
            stream = layer.stream(*rows)
            streamed = torch.stack([stream.step(step).clone() for step in x])
            with torch.no_grad():
                same(streamed, whole(layer, x)[0])
    finally:
        torch.set_num_threads(before)


def test_a_population_steps_by_calls() -> None:
    nets = carrousel.Population("lstm", 2, 3, 4, dtype=torch.float64).eval()
    x = sequence(2, 5, 3)
    with torch.no_grad():
        output, state = nets.step(x)
        same((output, state), (nets(x[:, None])[0][:, 0], nets(x[:, None])[1]))


def test_a_step_under_torch_func() -> None:
    layer, x = made("LSTM"), sequence(4, 2, 3)
    with torch.no_grad():
        layer.step(x[0])
        same(torch.func.vmap(lambda row: layer.step(row)[0])(x), torch.stack([layer.step(row)[0] for row in x]))
        halved = {name: 0.5 * p for name, p in layer.named_parameters()}
        same(
            torch.func.functional_call(Stepped(layer), {f"layer.{n}": p for n, p in halved.items()}, (x[0],)),
            torch.func.functional_call(layer, halved, (x[0][:, None],))[0][:, 0],
        )


class Stepped(nn.Module):
    """A model that takes one step."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        return self.layer.step(x)[0]
