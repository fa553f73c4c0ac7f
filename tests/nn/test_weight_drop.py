"""Weight drop: one mask a call, off in evaluation, on every layer and backend."""

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize

import carrousel
from nn.five import leaky_pair
from nn.twins import BACKENDS, LAYERS, assert_same, everything, ours, sequence

KINDS = {
    "lstm": lambda: carrousel.LSTM(3, 4, 2, dtype=torch.float64),
    "peephole_lstm": lambda: carrousel.LSTM(3, 4, 2, cell="peephole_lstm", dtype=torch.float64),
    "gru": lambda: carrousel.GRU(3, 4, 2, bidirectional=True, dtype=torch.float64),
    "blocks": lambda: carrousel.Recurrent("lstm_1997", 3, 4, 2, block_size=2, dtype=torch.float64),
    "of these tests": lambda: carrousel.Recurrent(leaky_pair, 3, 4, 2, dtype=torch.float64),
    "recomputed": lambda: carrousel.Recurrent("lstm", 3, 4, 2, recompute=True, dtype=torch.float64),
}


def dropped(layer: nn.Module, p: float = 0.5) -> nn.Module:
    for name in [name for name, _ in layer.named_parameters() if "hh" in name and "weight" in name]:
        parametrize.register_parametrization(layer, name, carrousel.WeightDrop(p))
    return layer


def with_weights(layer: nn.Module, weights: dict[str, torch.Tensor]) -> dict[str, Any]:
    """The results of a layer with other weights, and its gradients by them."""
    with torch.no_grad():
        for name, value in weights.items():
            getattr(layer, name).copy_(value)
    return everything(layer, sequence(5, 2, 3))


@pytest.mark.parametrize("kind", KINDS)
def test_the_whole_sequence_has_one_mask(kind: str) -> None:
    torch.manual_seed(1)
    layer = dropped(KINDS[kind]())
    torch.manual_seed(1)
    plain = KINDS[kind]()
    names = [name for name, _ in plain.named_parameters()]
    with parametrize.cached():  # the masks stay for all that is called inside
        weights = {name: getattr(layer, name).detach().clone() for name in names}
        found = everything(layer, sequence(5, 2, 3))
    masked = [name for name in names if "hh" in name and "weight" in name]
    for name in masked:
        whole = getattr(plain, name)
        assert 0 < int((weights[name] == 0).sum()) < whole.numel()
        assert_same(weights[name], torch.where(weights[name] == 0, 0, 2 * whole))
    expected = with_weights(plain, weights)
    for key, value in expected.items():
        name = key.removeprefix("gradient of ")
        if name in masked:
            value = torch.where(weights[name] == 0, 0, 2 * value)
            key = f"gradient of parametrizations.{name}.original"
        assert_same(found[key], value)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", LAYERS)
def test_masks_are_drawn_anew_in_training_and_not_in_evaluation(name: str, backend: str) -> None:
    layer, x = dropped(ours(name, 3, 4, dtype=torch.float64, backend=backend)), sequence(5, 2, 3)
    plain = ours(name, 3, 4, dtype=torch.float64, backend=backend)
    assert not torch.equal(layer(x)[0], layer(x)[0])
    layer.eval()
    assert_same(layer(x), plain(x))
    with torch.no_grad():
        assert_same(layer.step(x[0])[0], plain(x[:1])[0][0])
    assert_same(layer.stream(2).step(x[0]), plain(x[:1])[0][0])


def test_the_same_seed_draws_the_same_masks() -> None:
    layer, results = dropped(KINDS["lstm"]()), []
    for _ in range(2):
        torch.manual_seed(7)
        results.append(layer(sequence(5, 2, 3))[0])
    assert torch.equal(*results)


def test_training_moves_the_weight_itself_and_shows_it() -> None:
    layer = dropped(KINDS["lstm"](), 0.25)
    assert "WeightDrop(p=0.25)" in repr(layer.parametrizations)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.5)
    before = layer.parametrizations.weight_hh_l0.original.detach().clone()
    layer(sequence(5, 2, 3))[0].sum().backward()
    optimizer.step()
    assert not torch.equal(layer.parametrizations.weight_hh_l0.original, before)
    parametrize.remove_parametrizations(layer.eval(), "weight_hh_l0")
    parametrize.remove_parametrizations(layer, "weight_hh_l1")
    assert "weight_hh_l0" in dict(layer.named_parameters())
