"""Truncated backpropagation through time: the values of the whole sequence, the gradients of its pieces."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import carrousel
from carrousel import cells, tbptt
from carrousel.transforms import zoneout
from nn.five import leaky_pair
from nn.twins import assert_same, sequence

LAYERS = {
    "lstm": lambda **options: carrousel.LSTM(3, 4, dtype=torch.float64, **options),
    "peephole_lstm": lambda **options: carrousel.Recurrent("peephole_lstm", 3, 4, 2, dtype=torch.float64, **options),
    "gru": lambda **options: carrousel.GRU(3, 4, dtype=torch.float64, **options),
    "lstm_1997": lambda **options: carrousel.Recurrent("lstm_1997", 3, 4, dtype=torch.float64, **options),
    "of these tests": lambda **options: carrousel.Recurrent(leaky_pair, 3, 4, dtype=torch.float64, **options),
}


def made(name: str, **options: Any) -> Any:
    torch.manual_seed(1)
    return LAYERS[name](**options)


@pytest.mark.parametrize("length", [1, 4, 5, 13, 20])
@pytest.mark.parametrize("name", LAYERS)
def test_pieces_are_the_whole_sequence(name: str, length: int) -> None:
    layer, x = made(name), sequence(13, 2, 3)
    pieces = list(tbptt(layer, x, length))
    assert [piece.steps for piece in pieces] == [slice(t, min(t + length, 13)) for t in range(0, 13, length)]
    expected, after = layer(x)
    assert_same(torch.cat([piece.output for piece in pieces]), expected)
    assert_same(pieces[-1].state, after)
    assert type(pieces[-1].state) is type(after)


@pytest.mark.parametrize("name", LAYERS)
def test_gradients_are_those_of_a_loop_by_hand(name: str) -> None:
    """With a step of the optimiser after each piece, so that the weights of the next are seen to be the new ones."""

    def step(layer: nn.Module, output: Tensor, target: Tensor) -> list[Tensor]:
        loss = (output - target).square().sum()
        found = torch.autograd.grad(loss, list(layer.parameters()))
        with torch.no_grad():
            for parameter, gradient in zip(layer.parameters(), found, strict=True):
                parameter -= 0.1 * gradient
        return list(found)

    x, target = sequence(10, 2, 3), sequence(10, 2, 4)
    layer, found = made(name), []
    for output, _, steps in tbptt(layer, x, 4):
        found += step(layer, output, target[steps])
    twin, expected, hx = made(name), [], None
    for start in (0, 4, 8):
        output, hx = twin(x[start : start + 4], hx)
        hx = tuple(s.detach() for s in hx) if isinstance(hx, tuple) else hx.detach()
        expected += step(twin, output, target[start : start + 4])
    assert_same(found, expected)
    assert_same(list(layer.parameters()), list(twin.parameters()))


@pytest.mark.parametrize("options", [{}, {"batch_first": True}, {"state_batch_first": True}])
def test_lengths_resets_and_a_state_to_begin_with(options: dict) -> None:
    layer, x = made("peephole_lstm", **options), sequence(9, 3, 3)
    time = 0
    resets = torch.rand(9, 3, generator=torch.Generator().manual_seed(0)) < 0.3
    if layer.batch_first:
        x, resets, time = x.transpose(0, 1), resets.T, 1
    _, hx = layer(x)
    given = {"lengths": [9, 0, 5], "resets": resets}
    expected, after = layer(x, hx, **given)
    pieces = list(tbptt(layer, x, 4, hx, **given))
    assert_same(torch.cat([piece.output for piece in pieces], dim=time), expected)
    assert_same(pieces[-1].state, after)


def test_inputs_per_step_and_single_sequences() -> None:
    layer = carrousel.Recurrent(zoneout(cells.get("irnn")), 3, 4, dtype=torch.float64)
    x, keep = sequence(9, 3), torch.rand(9, 4, dtype=torch.float64)
    expected, after = layer(x, lengths=7, step_inputs={"keep_h_t": keep})
    *_, last = pieces = list(tbptt(layer, x, 4, lengths=7, step_inputs={"keep_h_t": keep}))
    assert_same(torch.cat([piece.output for piece in pieces]), expected)
    assert_same(last.state, after)


def test_a_population() -> None:
    nets, x = carrousel.Population("gru", 2, 3, 4, dtype=torch.float64), sequence(2, 7, 3, 3)
    pieces = list(tbptt(nets, x, 3))
    assert_same(torch.cat([piece.output for piece in pieces], dim=1), nets(x)[0])


def test_no_steps_are_no_pieces() -> None:
    assert list(tbptt(made("lstm"), sequence(0, 2, 3), 4)) == []


def test_only_one_piece_is_held() -> None:
    """What a piece needs for its backward goes with its output."""
    held: list[int] = []

    def pack(tensor: Tensor) -> int:
        held.append(1)
        return len(held) - 1

    layer, x = made("lstm"), sequence(100, 2, 3)
    walk = tbptt(layer, x, 10)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda key: key):
        next(walk)
        first = len(held)
        next(walk)
    assert len(held) == 2 * first
