"""What people do with a module: copy, pickle, convert, hook, share, replace and train its weights."""

import copy
import io
import pickle
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
import torch.multiprocessing  # teaches ForkingPickler tensors
from torch import nn

import carrousel
from nn.kinds import KINDS, input_of
from nn.twins import BACKENDS, LAYERS, assert_same, everything, ours, sequence, tensors, theirs


@pytest.fixture(params=KINDS)
def module(request: pytest.FixtureRequest) -> nn.Module:
    return KINDS[request.param]()


def same_bits(a: Any, b: Any) -> bool:
    return all(torch.equal(x, y) for x, y in zip(tensors(a), tensors(b), strict=True))


def through_torch(module: nn.Module) -> nn.Module:
    file = io.BytesIO()
    torch.save(module, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


COPIES = {
    "pickle": lambda module: pickle.loads(pickle.dumps(module)),
    "another process": lambda module: pickle.loads(bytes(ForkingPickler.dumps(module))),
    "deepcopy": copy.deepcopy,
    "copy": copy.copy,
    "torch.save": through_torch,
}


@pytest.mark.parametrize("way", COPIES)
def test_copies_are_the_same_module(module: nn.Module, way: str) -> None:
    x = input_of(module)
    twin = COPIES[way](module.eval())
    assert type(twin) is type(module)
    assert repr(twin) == repr(module)
    assert not twin.training
    assert same_bits(everything(twin, x), everything(module, x))


@pytest.mark.parametrize("way", ["pickle", "deepcopy", "torch.save"])
def test_copies_have_weights_of_their_own(module: nn.Module, way: str) -> None:
    x = input_of(module)
    twin, before = COPIES[way](module), module(x)
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.zero_()
    assert same_bits(module(x), before)
    assert not same_bits(twin(x), before)


def test_state_dict_goes_round(module: nn.Module, tmp_path: Path) -> None:
    x, path = input_of(module), tmp_path / "weights"
    twin = COPIES["deepcopy"](module)
    for parameter in twin.parameters():
        nn.init.zeros_(parameter)
    torch.save(module.state_dict(), path)
    twin.load_state_dict(torch.load(path, weights_only=True))
    assert same_bits(twin(x), module(x))


def test_safetensors_goes_round(module: nn.Module, tmp_path: Path) -> None:
    x, path = input_of(module), tmp_path / "weights.safetensors"
    for save in (
        lambda: safetensors.torch.save_model(module, str(path)),
        lambda: safetensors.torch.save_file(module.state_dict(), path),
    ):
        twin = COPIES["deepcopy"](module)
        for parameter in twin.parameters():
            nn.init.zeros_(parameter)
        save()
        assert safetensors.torch.load_model(twin, path) == (set(), [])
        assert same_bits(twin(x), module(x))


@pytest.mark.parametrize("name", [*LAYERS, "LSTMCell", "GRUCell", "RNNCell"])
def test_weights_go_to_torch_and_back(name: str) -> None:
    x = sequence(2, 3, dtype=torch.float32)
    for backend in BACKENDS:
        theirs_, mine = theirs(name, 3, 4), ours(name, 3, 4, backend=backend)
        for source, target in ((theirs_, mine), (mine, theirs_)):
            source.reset_parameters()
            target.load_state_dict(source.state_dict())
            assert_same(mine(x), theirs_(x), "layers in float32")
            assert backend != "torch" or same_bits(mine(x), theirs_(x))


# ---------------------------------------------------------------------- conversions


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_other_dtypes(module: nn.Module, dtype: torch.dtype) -> None:
    results = everything(module.to(dtype), input_of(module, dtype))
    assert all(r.dtype == dtype and r.isfinite().all() for r in results.values())


def test_short_conversions(module: nn.Module) -> None:
    for convert, dtype in (("double", torch.float64), ("half", torch.float16), ("bfloat16", torch.bfloat16)):
        converted = getattr(copy.deepcopy(module), convert)()
        assert {p.dtype for p in converted.parameters()} == {dtype}
        assert next(tensors(converted(input_of(module, dtype)))).dtype == dtype


def test_meta_and_back(module: nn.Module) -> None:
    x, expected = input_of(module), module(input_of(module))
    weights = copy.deepcopy(module.state_dict())
    on_meta = module.to("meta")
    assert [r.shape for r in tensors(on_meta(x.to("meta")))] == [r.shape for r in tensors(expected)]
    back = on_meta.to_empty(device="cpu")
    back.reset_parameters()
    assert all(p.isfinite().all() for p in back.parameters())
    back.load_state_dict(weights)
    assert same_bits(back(x), expected)


# ---------------------------------------------------------------------- hooks


def test_forward_hooks(module: nn.Module) -> None:
    x, seen = input_of(module), []
    expected = module(x)
    handles = [
        module.register_forward_pre_hook(lambda m, args, kwargs: seen.append(("before", kwargs)), with_kwargs=True),
        module.register_forward_hook(lambda m, args, kwargs, out: seen.append(("after", kwargs)), with_kwargs=True),
    ]
    module(input=x, hx=None)
    assert [s[0] for s in seen] == ["before", "after"]
    assert all(set(s[1]) == {"input", "hx"} for s in seen)
    for handle in handles:
        handle.remove()
    module.register_forward_pre_hook(lambda m, args: (args[0] * 0, *args[1:]))
    assert not same_bits(module(x), expected)
    module.register_forward_hook(lambda m, args, out: "replaced")
    assert module(x) == "replaced"


def test_full_backward_hooks(module: nn.Module) -> None:
    seen = []
    module.register_full_backward_pre_hook(lambda m, out: seen.append(len(out)))
    module.register_full_backward_hook(lambda m, into, out: seen.append([None if g is None else g.shape for g in into]))
    x = input_of(module).requires_grad_()
    result = module(x)
    sum(r.sum() for r in tensors(result)).backward()
    assert seen == [len(result) if isinstance(result, tuple) else 1, [x.shape]]
    assert x.grad is not None


def test_parameter_hooks(module: nn.Module) -> None:
    doubled = copy.deepcopy(module)
    for parameter in doubled.parameters():
        parameter.register_hook(lambda gradient: 2 * gradient)
    for layer in (module, doubled):
        next(tensors(layer(input_of(layer)))).sum().backward()
    for a, b in zip(doubled.parameters(), module.parameters(), strict=True):
        assert torch.equal(a.grad, 2 * b.grad)


# ---------------------------------------------------------------------- weights


def test_weights_may_be_replaced(module: nn.Module) -> None:
    x, expected = input_of(module), module(input_of(module))
    zeros = copy.deepcopy(module)
    for name, parameter in list(zeros.named_parameters()):
        setattr(zeros, name, nn.Parameter(torch.zeros_like(parameter)))
    assert not same_bits(zeros(x), expected)
    for name, parameter in module.named_parameters():
        setattr(zeros, name, nn.Parameter(parameter.detach().clone()))
    assert same_bits(zeros(x), expected)
    for parameter in zeros.parameters():
        parameter.data = torch.zeros_like(parameter)
    assert not same_bits(zeros(x), expected)


def test_frozen_weights_get_no_gradient(module: nn.Module) -> None:
    module.requires_grad_(False)
    assert not next(tensors(module(input_of(module)))).requires_grad
    x = input_of(module).requires_grad_()
    next(tensors(module(x))).sum().backward()
    assert x.grad is not None
    assert all(p.grad is None for p in module.parameters())


def test_training_lowers_the_loss(module: nn.Module) -> None:
    x, losses = input_of(module), []
    optimizer = torch.optim.Adam(module.parameters(), lr=0.1)
    for _ in range(15):
        optimizer.zero_grad()
        loss = (next(tensors(module(x))) - 0.3).square().mean()
        loss.backward()
        norm = nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        assert norm.isfinite()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.9 * losses[0]
    module.zero_grad()
    assert all(p.grad is None for p in module.parameters())


def test_shared_memory_and_vectors_of_parameters(module: nn.Module) -> None:
    x, expected = input_of(module), module(input_of(module))
    assert module.share_memory() is module
    assert all(p.is_shared() for p in module.parameters())
    vector = nn.utils.parameters_to_vector(module.parameters())
    nn.utils.vector_to_parameters(torch.zeros_like(vector), module.parameters())
    assert not same_bits(module(x), expected)
    nn.utils.vector_to_parameters(vector, module.parameters())
    assert same_bits(module(x), expected)


def test_replicas_of_data_parallel(module: nn.Module) -> None:
    """What torch.nn.parallel.replicate does on several GPUs: a replica gets its weights as plain tensors."""
    x, expected = input_of(module), everything(module, input_of(module))
    replica = module._replicate_for_data_parallel()
    for name, parameter in module.named_parameters():
        setattr(replica, name, parameter.clone())
    assert list(replica.parameters()) == []
    results = list(tensors(replica(x)))
    assert same_bits(results, [value for key, value in expected.items() if key.startswith("result")])
    sum(r.sum() for r in results).backward()
    assert all(p.grad is not None for p in module.parameters())


@pytest.mark.parametrize("way", [{}, {"backend": "eager"}, {"cell": "peephole_lstm"}])
def test_weights_shared_by_two_layers_sum_their_gradients(way: dict) -> None:
    first, second = (ours("LSTM", 3, 3, dtype=torch.float64, **way) for _ in range(2))
    apart = nn.Sequential(copy.deepcopy(first), copy.deepcopy(first))
    for name, parameter in list(first.named_parameters()):
        setattr(second, name, parameter)
    x = sequence(5, 2, 3)
    second(first(x)[0])[0].sum().backward()
    apart[1](apart[0](x)[0])[0].sum().backward()
    for name, parameter in first.named_parameters():
        assert_same(parameter.grad, sum(getattr(layer, name).grad for layer in apart))


# ---------------------------------------------------------------------- classes


def test_derived_class() -> None:
    class Last(carrousel.LSTM):
        """The last output alone."""

        def __init__(self, size: int, **options: Any) -> None:
            super().__init__(size, 4, batch_first=True, **options)
            self.scale = nn.Parameter(torch.ones(4))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x)[0][:, -1] * self.scale

    for way in ({}, {"backend": "eager"}, {"cell": "peephole_lstm"}):
        last = Last(3, **way)
        assert last(torch.ones(2, 5, 3)).shape == (2, 4)
        assert set(last.state_dict()) > {"scale", "weight_ih_l0"}
        assert repr(last).startswith("Last(3, 4, batch_first=True")


def test_in_a_sequential() -> None:
    class First(nn.Module):
        def forward(self, results: tuple) -> torch.Tensor:
            return results[0]

    model = nn.Sequential(carrousel.LSTM(3, 4), First(), carrousel.GRU(4, 5, cell="gru_2014"), First(), nn.Linear(5, 1))
    assert model(torch.ones(6, 2, 3)).shape == (6, 2, 1)
    keys = list(model.state_dict())
    assert keys[0] == "0.weight_ih_l0"
    assert "2.gates" in keys
    twin = copy.deepcopy(model)
    assert twin.load_state_dict(model.state_dict()) == nn.modules.module._IncompatibleKeys([], [])


@pytest.mark.parametrize("name", LAYERS)
def test_a_subclass_with_weights_of_its_own_draws_what_it_draws_in_torch(name: str) -> None:
    def made(parent: type[nn.Module]) -> dict[str, torch.Tensor]:
        class Mine(parent):
            """Someone's layer with an initialisation of their own."""

            def reset_parameters(self) -> None:
                super().reset_parameters()
                nn.init.normal_(self.weight_hh_l0)

        torch.manual_seed(7)
        return {**dict(Mine(3, 4).named_parameters()), "next": torch.rand(2)}

    ours, theirs = made(getattr(carrousel, name)), made(getattr(nn, name))
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)
