"""DistributedDataParallel over two processes: each sees half of the batch, together they have the whole gradient."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.distributed
from torch import Tensor, multiprocessing, nn
from torch.nn.parallel import DistributedDataParallel

import carrousel
from carrousel.functions import sigmoid, tanh
from nn.twins import assert_same, sequence


@carrousel.cell
def two_paced(x, h_prev, m_prev, W, R, b):
    """A cell of this test."""
    m = 0.9 * m_prev + 0.1 * tanh(W.m @ x + R.m @ h_prev + b.m)
    h = sigmoid(W.h @ x + b.h) * m
    return h, m


LAYERS: dict[str, Callable[[], nn.Module]] = {
    "lstm": lambda: carrousel.LSTM(3, 4, 2),
    "peephole_lstm": lambda: carrousel.LSTM(3, 4, cell="peephole_lstm"),
    "gru": lambda: carrousel.GRU(3, 4),
    "lstm_1997": lambda: carrousel.Recurrent("lstm_1997", 3, 4),
    "of this test": lambda: carrousel.Recurrent(two_paced, 3, 4),
}


def gradients(wrap: Callable[[nn.Module], nn.Module], rows: slice) -> dict[str, Tensor]:
    """The gradients of every layer, from the state that the same sequence has ended with."""
    found = {}
    for kind, make in LAYERS.items():
        torch.manual_seed(1)
        layer = make().double()
        model, x = wrap(layer), sequence(6, 4, 3)[:, rows]
        with torch.no_grad():
            _, state = layer(x)
        output, after = model(x, state)
        last = after[0] if isinstance(after, tuple) else after
        (output.square().mean() + last.sin().mean()).backward()
        found |= {f"{kind}.{name}": parameter.grad for name, parameter in layer.named_parameters()}
    return found


def one_of_two(rank: int, folder: str) -> None:
    """What each process does."""
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    found = gradients(DistributedDataParallel, slice(2 * rank, 2 * rank + 2))
    torch.save(found, f"{folder}/{rank}.pt")
    torch.distributed.destroy_process_group()


@pytest.mark.skipif(not torch.distributed.is_gloo_available(), reason="this build of torch has no gloo")
def test_two_processes_have_the_gradients_of_one(tmp_path: Path) -> None:
    multiprocessing.spawn(one_of_two, (str(tmp_path),), nprocs=2)
    first, second = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in (0, 1))
    expected = gradients(lambda layer: layer, slice(None))
    assert_same(first, expected)
    assert all(torch.equal(first[name], second[name]) for name in expected)
