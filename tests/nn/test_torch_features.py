"""The modules under what torch does to modules: parametrizations, torch.func, autocast, checkpoints, compilers."""

import copy
import warnings
from pathlib import Path
from typing import Any

import onnxruntime
import pytest
import torch
from torch import nn
from torch.func import functional_call, grad, jacrev, jvp, stack_module_state, vjp, vmap
from torch.nn.utils import parametrizations, parametrize
from torch.utils.checkpoint import checkpoint

import carrousel
from carrousel.errors import BackendError
from nn.kinds import KINDS, input_of
from nn.twins import BACKENDS, LAYERS, assert_same, everything, ours, sequence, tensors, theirs, ways

# ---------------------------------------------------------------------- parametrizations

PARAMETRIZATIONS = {
    "weight_norm": parametrizations.weight_norm,
    "spectral_norm": parametrizations.spectral_norm,
    "orthogonal": parametrizations.orthogonal,
    "old weight_norm": nn.utils.weight_norm,
    "old spectral_norm": nn.utils.spectral_norm,
}


def parametrized(layer: nn.Module, how: str, name: str) -> nn.Module:
    torch.manual_seed(5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # the old weight_norm is deprecated, and still in use
        PARAMETRIZATIONS[how](layer, name)
    return layer.eval()


@pytest.mark.parametrize("weight", ["weight_hh_l0", "weight_ih_l1"])
@pytest.mark.parametrize("how", PARAMETRIZATIONS)
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", LAYERS)
def test_parametrized_weights_give_what_torch_gives(name: str, backend: str, how: str, weight: str) -> None:
    expected = parametrized(theirs(name, 3, 4, 2, dtype=torch.float64), how, weight)
    made = parametrized(ours(name, 3, 4, 2, dtype=torch.float64, backend=backend), how, weight)
    assert_same(everything(made, sequence(5, 2, 3)), everything(expected, sequence(5, 2, 3)))
    assert list(made.state_dict()) == list(expected.state_dict())
    made.load_state_dict(expected.state_dict())


@pytest.mark.parametrize("how", PARAMETRIZATIONS)
@pytest.mark.parametrize("name", LAYERS)
def test_parametrized_weights_of_another_cell(name: str, how: str) -> None:
    made = parametrized(ours(name, 3, 4, dtype=torch.float64, **ways(name)[-1]), how, "weight_hh_l0")
    plain = ours(name, 3, 4, dtype=torch.float64, **ways(name)[-1])
    x = sequence(5, 2, 3)
    made(x)  # the old ones set the weight in a call
    with torch.no_grad():
        for key in plain._all_weights[0]:
            getattr(plain, key).copy_(getattr(made, key))
    assert_same(made(x), plain(x))
    made(x)[0].sum().backward()
    assert all(p.grad is not None for p in made.parameters())


@pytest.mark.parametrize("way", [{}, {"backend": "eager"}, {"cell": "peephole_lstm"}])
def test_training_under_weight_norm_moves_the_weight_itself(way: dict) -> None:
    layer = parametrizations.weight_norm(ours("LSTM", 3, 4, **way), "weight_hh_l0")
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.5)
    first = layer(torch.ones(5, 2, 3))[0]
    first.sum().backward()
    optimizer.step()
    assert not torch.equal(layer(torch.ones(5, 2, 3))[0], first)
    parametrize.remove_parametrizations(layer, "weight_hh_l0")
    assert type(layer) is carrousel.LSTM
    assert "weight_hh_l0" in dict(layer.named_parameters())


# ---------------------------------------------------------------------- torch.func


@pytest.fixture(params=KINDS)
def module(request: pytest.FixtureRequest) -> nn.Module:
    return KINDS[request.param]().double()


def x_of(module: nn.Module) -> torch.Tensor:
    return input_of(module, torch.float64)


def first(result: Any) -> torch.Tensor:
    return next(tensors(result))


def test_functional_call(module: nn.Module) -> None:
    other = copy.deepcopy(module)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.mul_(0.5)
    x, before = x_of(module), module(x_of(module))
    assert_same(functional_call(module, dict(other.named_parameters()), (x,)), other(x))
    assert_same(module(x), before)


def test_vmap_over_inputs(module: nn.Module) -> None:
    many = torch.stack([x_of(module), 2 * x_of(module)])
    expected = [torch.stack(pair) for pair in zip(*(list(tensors(module(x))) for x in many), strict=True)]
    assert_same(list(tensors(vmap(module)(many))), expected)


def test_vmap_over_weights(module: nn.Module) -> None:
    """An ensemble as torch.func makes it: one call for the stacked weights of several modules."""
    ensemble = [copy.deepcopy(module) for _ in range(3)]
    for k, member in enumerate(ensemble):
        for parameter in member.parameters():
            parameter.data.mul_(1 + k / 4)
    weights, buffers = stack_module_state(ensemble)
    x = x_of(module)
    result = vmap(lambda w: functional_call(module, (w, buffers), (x,)))(weights)
    expected = [torch.stack(group) for group in zip(*(list(tensors(m(x))) for m in ensemble), strict=True)]
    assert_same(list(tensors(result)), expected)


def test_gradients_of_torch_func(module: nn.Module) -> None:
    x, weights = x_of(module), dict(module.named_parameters())

    def loss(weights: dict, x: torch.Tensor) -> torch.Tensor:
        return sum(r.sin().sum() for r in tensors(functional_call(module, weights, (x,))))

    expected = torch.autograd.grad(loss(weights, x), list(weights.values()), materialize_grads=True)
    assert_same(list(grad(loss)(weights, x).values()), list(expected))
    one_by_one = vmap(grad(loss), in_dims=(None, 0))(weights, torch.stack([x, -x]))
    assert_same([g[0] for g in one_by_one.values()], list(expected))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch.func.jvp scripts a part of itself
def test_forward_and_reverse_derivatives_agree(module: nn.Module) -> None:
    x, tangent = x_of(module), torch.cos(x_of(module))

    def output(x: torch.Tensor) -> torch.Tensor:
        return first(module(x))

    value, forward = jvp(output, (x,), (tangent,))
    assert_same(value, first(module(x)))
    jacobian = jacrev(output)(x)
    assert_same(forward, torch.tensordot(jacobian, tangent, dims=x.dim()))
    cotangent = torch.ones_like(value)
    assert_same(vjp(output, x)[1](cotangent)[0], torch.tensordot(cotangent, jacobian, dims=value.dim()))


# ---------------------------------------------------------------------- memory, precision


def test_checkpoint(module: nn.Module) -> None:
    x = x_of(module).requires_grad_()
    weights = list(module.parameters())
    expected = torch.autograd.grad(first(module(x)).sum(), [x, *weights], materialize_grads=True)
    again = torch.autograd.grad(
        first(checkpoint(module, x, use_reentrant=False)).sum(), [x, *weights], materialize_grads=True
    )
    assert_same(list(again), list(expected))


def test_backward_twice_with_a_retained_graph(module: nn.Module) -> None:
    output = first(module(x_of(module)))
    output.sum().backward(retain_graph=True)
    once = [None if p.grad is None else p.grad.clone() for p in module.parameters()]
    output.sum().backward()
    for parameter, gradient in zip(module.parameters(), once, strict=True):
        assert (gradient is None and parameter.grad is None) or torch.equal(parameter.grad, 2 * gradient)


@pytest.mark.parametrize("kind", KINDS)
def test_autocast(kind: str) -> None:
    module = KINDS[kind]()
    expected = first(module(input_of(module)))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        results = [first(module(input_of(module, dtype))) for dtype in (torch.float32, torch.bfloat16)]
    for result in results:
        assert_same(result.float(), expected, "layers in bfloat16")
    first(module(input_of(module))).sum().backward()


def test_inference_mode_and_no_grad(module: nn.Module) -> None:
    expected = first(module(x_of(module)))
    for mode in (torch.inference_mode(), torch.no_grad()):
        with mode:
            result = first(module(x_of(module)))
        assert not result.requires_grad
        assert torch.equal(result, expected)


# ---------------------------------------------------------------------- compilers


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.filterwarnings("ignore")  # of the tracer, about shapes that become constants
def test_jit_trace(kind: str) -> None:
    module = KINDS[kind]()
    x = input_of(module)
    traced = torch.jit.trace(module, (x,))
    assert_same(list(tensors(traced(2 * x))), list(tensors(module(2 * x))), "layers in float32")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_jit_script_is_refused(kind: str) -> None:
    model = nn.Sequential(KINDS[kind]())
    with pytest.raises(BackendError, match=r"torch\.jit\.script can not read it - use torch\.jit\.trace"):
        torch.jit.script(model)
    assert type(model[0]).__module__.startswith("carrousel")


@pytest.mark.parametrize("kind", ["LSTM", "LSTM with peepholes", "LSTMCell"])
@pytest.mark.filterwarnings("ignore")  # of the compiler, about its own future
def test_compile(kind: str) -> None:
    torch.compiler.reset()
    module = KINDS[kind]()
    x = input_of(module)
    compiled = torch.compile(module, backend="eager")
    assert_same(everything(compiled, x), everything(module, x), "layers in float32")


@pytest.mark.parametrize(
    "kind", ["LSTM", "LSTM with peepholes", "GRU", "IRNN", "blocks", "Population", "GRUCell in eager"]
)
@pytest.mark.usefixtures("recwarn")  # the exporter notes that torch.nn renews its list of weights in a call
def test_export(kind: str) -> None:
    module = KINDS[kind]().eval()
    x = input_of(module)
    exported = torch.export.export(module, (x,)).module()
    assert_same(list(tensors(exported(2 * x))), list(tensors(module(2 * x))), "layers in float32")


@pytest.mark.parametrize("kind", ["LSTM", "LSTM in eager", "GRU of 2014", "sLSTM"])
@pytest.mark.filterwarnings("ignore")  # of the exporter, about its own future
def test_onnx_export(kind: str, tmp_path: Path) -> None:
    class Output(nn.Module):
        """A model around the layer: the exporter passes keyword-only arguments of the outermost module by position."""

        def __init__(self) -> None:
            super().__init__()
            self.layer = KINDS[kind]()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.layer(x)[0]

    model, path = Output().eval(), tmp_path / "model.onnx"
    x = input_of(model.layer)
    torch.onnx.export(model, (x,), path, dynamo=False, input_names=["x"])
    (result,) = onnxruntime.InferenceSession(path).run(None, {"x": (2 * x).numpy()})
    assert_same(torch.from_numpy(result), model(2 * x), "layers in float32")
