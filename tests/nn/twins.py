"""A torch.nn module and its stand-in with the same weights, and all that a call gives: results and gradients."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

import carrousel
from tolerances import TOLERANCES

LAYERS = ("LSTM", "GRU", "RNN")
STEPS = ("LSTMCell", "GRUCell", "RNNCell")
#: What runs torch's own cells, and what runs any cell.
BACKENDS = ("auto", "torch", "eager")
FOR_ANY_CELL = ("auto", "eager")

#: A stand-in with a cell that torch does not have.
OTHER_CELL = {
    "LSTM": "peephole_lstm",
    "GRU": "gru_2014",
    "RNN": "irnn",
    "LSTMCell": "nfg",
    "GRUCell": "gru_2014",
    "RNNCell": "irnn",
}


def theirs(name: str, *args: Any, **options: Any) -> Any:
    """The torch.nn module of this name."""
    torch.manual_seed(1)
    return getattr(nn, name)(*args, **options)


def ours(name: str, *args: Any, **options: Any) -> Any:
    """The stand-in of this name, made from the same seed."""
    torch.manual_seed(1)
    return getattr(carrousel, name)(*args, **options)


def ways(name: str) -> list[dict[str, str]]:
    """The options that lead a stand-in through each of its ways: every backend, and, as the last, another cell."""
    return [*({"backend": backend} for backend in BACKENDS), {"cell": OTHER_CELL[name]}]


def states_for(name: str, *shape: int, proj_size: int = 0, **options: Any) -> Any:
    """Random initial states of a layer as it takes them: a tuple for the LSTM, else a tensor."""
    draw = torch.Generator().manual_seed(7)
    h_shape = (*shape[:-1], proj_size or shape[-1])
    h, c = (torch.randn(s, dtype=torch.float64, generator=draw).to(**options) for s in (h_shape, shape))
    return (h, c) if name.startswith("LSTM") else h


def sequence(*shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    """A random input, the same in every test."""
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(3)).to(dtype)


def packed(x: Tensor, lengths: list[int], batch_first: bool = False) -> PackedSequence:
    """Pack rows of these lengths in any order."""
    in_order = lengths == sorted(lengths, reverse=True)
    return pack_padded_sequence(x, torch.tensor(lengths), batch_first=batch_first, enforce_sorted=in_order)


def tensors(value: Any) -> Iterator[Tensor]:
    """All tensors of a result or an argument, in order; of a PackedSequence its data."""
    if isinstance(value, PackedSequence):
        yield value.data
    elif isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict):
        yield from tensors(list(value.values()))
    elif isinstance(value, tuple | list):
        for item in value:
            yield from tensors(item)


def everything(module: nn.Module, *args: Any, **options: Any) -> dict[str, Tensor]:
    """Call a module; return its results and the gradients of arguments and parameters, by name."""
    leaves = {f"argument {k}": t for k, t in enumerate(tensors(args)) if t.is_floating_point()}
    for leaf in leaves.values():
        leaf.requires_grad_()
        leaf.grad = None
    leaves.update(module.named_parameters())
    results = dict(enumerate(tensors(module(*args, **options))))
    draw = torch.Generator().manual_seed(5)
    loss = sum((r * torch.randn(r.shape, generator=draw).to(r.dtype)).sum() for r in results.values())
    used = [(name, leaf) for name, leaf in leaves.items() if leaf.requires_grad]
    gradients = torch.autograd.grad(loss, [leaf for _, leaf in used], materialize_grads=True)
    found = {f"result {k}": r.detach() for k, r in results.items()}
    return found | {f"gradient of {name}": g for (name, _), g in zip(used, gradients, strict=True)}


def assert_same(a: Any, b: Any, tolerance: str = "layers") -> None:
    """Assert that two results hold the same values, up to a tolerance times the largest value."""
    names = list(a) if isinstance(a, dict) else None
    pairs = list(zip(tensors(a), tensors(b), strict=True))
    assert pairs
    for k, (mine, other) in enumerate(pairs):
        assert mine.shape == other.shape
        assert mine.dtype == other.dtype
        scale = max(1.0, float(other.detach().abs().max())) if other.numel() else 1.0
        torch.testing.assert_close(
            mine,
            other,
            rtol=0,
            atol=TOLERANCES[tolerance].atol * scale,
            msg=lambda text, k=k: f"{names[k] if names else k}: {text}",
        )
