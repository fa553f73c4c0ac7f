"""The kernels as an operator of torch: what its dispatcher, its autograd and its compilers see."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._dynamo.testing import CompileCounterWithBackend
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd import forward_ad
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils._python_dispatch import TorchDispatchMode

import carrousel
from calls import Shape
from carrousel import cells
from nn.kinds import KINDS, input_of
from nn.twins import assert_same, tensors
from operators import BACKWARD, SEQUENCE, arguments, backward_arguments

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")  # torch scripts parts of itself

#: What differs in the operator's arguments: padding or none, several stages, projections, boundaries, traces, nets.
CALLS = {
    "padded": ("lstm", Shape(hidden=5)),
    "whole": ("lstm", Shape(hidden=8)),
    "boundaries": ("gru_2014", Shape(resets=True, reverse=True)),
    "traces": ("slstm", Shape(traced=("i", "f"))),
    "nets": ("lstm_1997", Shape(nets=3)),
}
LENGTHS = {"lengths": ("elman", Shape(lengths="some"))}


def shapes(results: list[Tensor]) -> list[tuple[Any, ...]]:
    return [(result.shape, result.dtype, result.numel() == 0 or result.is_contiguous()) for result in results]


# ---------------------------------------------------------------------- torch.library


@pytest.mark.parametrize("name", CALLS | LENGTHS)
def test_the_operator_is_as_torch_wants_it(name: str) -> None:
    torch.library.opcheck(SEQUENCE, arguments(*(CALLS | LENGTHS)[name]))


@pytest.mark.parametrize("name", CALLS)
def test_with_what_the_backward_needs(name: str) -> None:
    torch.library.opcheck(SEQUENCE, arguments(*CALLS[name], keep=True, grad=False))
    torch.library.opcheck(BACKWARD, backward_arguments(*CALLS[name]))


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("shape", [Shape(), Shape(hidden=8, time=0), Shape(batch=0)])
@pytest.mark.parametrize("name", cells.names())
def test_shapes_are_known_without_computing(name: str, shape: Shape, keep: bool) -> None:
    given = arguments(name, shape, keep, grad=False)
    with FakeTensorMode() as mode:
        fake = SEQUENCE(*torch.utils._pytree.tree_map_only(Tensor, mode.from_tensor, given))
    assert shapes(fake) == shapes(SEQUENCE(*given))


@pytest.mark.parametrize("name", cells.names())
def test_shapes_of_the_gradients(name: str) -> None:
    given = backward_arguments(name, Shape(resets=True))
    with FakeTensorMode() as mode:
        fake = BACKWARD(*torch.utils._pytree.tree_map_only(Tensor, mode.from_tensor, given))
    assert shapes(fake) == shapes(BACKWARD(*given))


def test_what_listens_to_the_dispatcher_hears_one_call_each_way() -> None:
    heard = []

    class Listening(TorchDispatchMode):
        def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            heard.append(function)
            return function(*args, **(kwargs or {}))

    with Listening():
        carrousel.LSTM(3, 4)(torch.randn(5, 2, 3))[0].sum().backward()
    assert [function for function in heard if function.namespace == "carrousel"] == [SEQUENCE, BACKWARD]


def test_fake_tensors_train() -> None:
    with FakeTensorMode():
        layer = carrousel.LSTM(3, 5)
        output, (h, c) = layer(torch.randn(4, 2, 3))
        output.sum().backward()
        assert (output.shape, h.shape, c.shape) == ((4, 2, 5), (1, 2, 5), (1, 2, 5))
        assert layer.weight_hh_l0.grad.shape == (20, 5)


# ---------------------------------------------------------------------- autograd


def double(name: str, hidden: int = 4) -> tuple[nn.Module, Tensor]:
    torch.manual_seed(1)
    layer = carrousel.Recurrent(name, 3, hidden, dtype=torch.float64, backend="llvm")
    return layer, torch.randn(4, 2, 3, dtype=torch.float64)


def in_eager(layer: nn.Module) -> nn.Module:
    other = copy.deepcopy(layer)
    other.backend = "eager"
    return other


def second_gradients(layer: nn.Module, x: Tensor) -> list[Tensor]:
    x = x.clone().requires_grad_()
    weights = [x, *layer.parameters()]
    loss = sum(result.sin().sum() for result in tensors(layer(x)))
    first = torch.autograd.grad(loss, weights, create_graph=True)
    return [*first, *torch.autograd.grad(sum(g.square().sum() for g in first), weights, materialize_grads=True)]


@pytest.mark.parametrize("name", ["lstm", "gru_2014", "peephole_lstm", "slstm", "lstm_1997_truncated"])
def test_gradients_of_gradients(name: str) -> None:
    layer, x = double(name)
    assert_same(second_gradients(layer, x), second_gradients(in_eager(layer), x))


def test_gradgradcheck() -> None:
    layer, x = double("gru", hidden=2)
    weights = dict(layer.named_parameters())

    def output(x: Tensor, *values: Tensor) -> Tensor:
        named = dict(zip(weights, values, strict=True))
        return torch.func.functional_call(layer, named, (x[:2],))[0]

    leaves = (x.requires_grad_(), *weights.values())
    assert torch.autograd.gradcheck(output, leaves)
    assert torch.autograd.gradgradcheck(output, leaves)


@pytest.mark.parametrize("wanted", ["x", "h_0", "weight_ih_l0"])
def test_only_one_leaf_wants_a_gradient(wanted: str) -> None:
    layer, x = double("lstm")

    def gradient(layer: nn.Module) -> Tensor:
        leaves = {"x": x.clone(), "h_0": torch.ones(1, 2, 4, dtype=torch.float64), **dict(layer.named_parameters())}
        for name, leaf in leaves.items():
            leaf.requires_grad_(name == wanted)
        output, _ = layer(leaves["x"], (leaves["h_0"], torch.zeros(1, 2, 4, dtype=torch.float64)))
        return torch.autograd.grad(output.square().sum(), leaves[wanted])[0]

    assert_same(gradient(layer), gradient(in_eager(layer)))


@pytest.mark.parametrize("hidden", [8, 5])
@pytest.mark.parametrize("what", ["x", "h_0", "weight_hh_l0", "output"])
def test_what_the_backward_reads_may_not_change(what: str, hidden: int) -> None:
    """With 5 units the history is padded: it is not the output, and changing that changes no gradient."""
    layer, x = double("lstm", hidden)
    states = [torch.zeros(1, 2, hidden, dtype=torch.float64) for _ in range(2)]
    output, _ = layer(x, tuple(states))
    expected = torch.autograd.grad(output.sum(), layer.weight_ih_l0, retain_graph=True)[0]
    with torch.no_grad():
        {"x": x, "h_0": states[0], "output": output, **dict(layer.named_parameters())}[what].add_(1)
    if (what, hidden) == ("output", 5):
        assert torch.equal(torch.autograd.grad(output.sum(), layer.weight_ih_l0)[0], expected)
        return
    with pytest.raises(RuntimeError, match="has been modified by an inplace operation"):
        output.sum().backward()


def test_graph_is_freed() -> None:
    layer, x = double("lstm")
    loss = layer(x)[0].sum()
    loss.backward(retain_graph=True)
    loss.backward()
    with pytest.raises(RuntimeError, match="backward through the graph a second time"):
        loss.backward()


def test_gradients_that_no_memory_holds() -> None:
    """Autograd passes zeros without memory, and negative numbers as views of positive ones."""
    layer, x = double("lstm")
    output, _ = layer(x)
    minus = torch._neg_view(torch.ones_like(output))
    weights = list(layer.parameters())
    expected = torch.autograd.grad(output, weights, -torch.ones_like(output), retain_graph=True)
    assert_same(torch.autograd.grad(output, weights, minus, retain_graph=True), expected)
    nothing = torch._efficientzerotensor(output.shape, dtype=torch.float64)
    assert not any(gradient.any() for gradient in torch.autograd.grad(output, weights, nothing))


@pytest.mark.parametrize(
    "x",
    [
        torch.linspace(0, 1, 24, dtype=torch.float64).view(2, 4, 3).transpose(0, 1),
        torch.linspace(0, 1, 48, dtype=torch.float64).view(4, 2, 6)[..., ::2],
        torch.linspace(0, 1, 6, dtype=torch.float64).view(1, 2, 3).expand(4, 2, 3),
        torch.linspace(0, 1, 8, dtype=torch.float64).view(4, 2, 1).expand(4, 2, 3),
        torch.linspace(0, 1, 24, dtype=torch.float64).view(3, 2, 4).permute(2, 1, 0),
        torch.complex(*torch.linspace(0, 1, 48, dtype=torch.float64).view(2, 4, 2, 3)).conj().imag,
        torch._efficientzerotensor((4, 2, 3), dtype=torch.float64),
    ],
    ids=["batch first", "every second feature", "one step", "one feature", "time last", "conjugate", "zeros"],
)
def test_views_as_input(x: Tensor) -> None:
    layer, _ = double("lstm")

    def run(layer: nn.Module) -> list[Tensor]:
        output, _ = layer(x)
        return [output, *torch.autograd.grad(output.square().sum(), list(layer.parameters()))]

    assert_same(run(layer), run(in_eager(layer)))


def test_weights_in_other_memory_layouts() -> None:
    layer, x = double("lstm")
    weights = {name: weight.detach() for name, weight in layer.named_parameters()}
    weights["weight_hh_l0"] = weights["weight_hh_l0"].t().contiguous().t()
    weights["bias_ih_l0"] = weights["bias_ih_l0"].repeat_interleave(2)[::2]
    weights["weight_ih_l0"] = torch._neg_view(-weights["weight_ih_l0"])
    assert_same(torch.func.functional_call(layer, weights, (x,)), layer(x))


def test_forward_differentiation_takes_the_reference() -> None:
    layer, x = double("lstm")
    layer.backend = "auto"
    with forward_ad.dual_level():
        dual = layer(forward_ad.make_dual(x, torch.ones_like(x)))[0]
        expected = in_eager(layer)(forward_ad.make_dual(x, torch.ones_like(x)))[0]
        assert_same(forward_ad.unpack_dual(dual).tangent, forward_ad.unpack_dual(expected).tangent)


# ---------------------------------------------------------------------- compilers

COMPILED = [kind for kind in KINDS if "eager" not in kind]


def outcome(function: Any, module: nn.Module, x: Tensor) -> list[Tensor]:
    """Results, and the gradients of input and weights."""
    x = x.clone().requires_grad_()
    results = [result for result in tensors(function(x)) if result.requires_grad]
    loss = sum(result.sin().sum() for result in results)
    return [*results, *torch.autograd.grad(loss, [x, *module.parameters()], materialize_grads=True)]


@pytest.fixture
def _compiler() -> Iterator[None]:
    torch.compiler.reset()
    with torch._dynamo.config.patch(allow_rnn=True):  # it stops at subclasses of torch.nn's else
        yield


@pytest.mark.parametrize("kind", COMPILED)
@pytest.mark.usefixtures("_compiler")
@pytest.mark.filterwarnings("ignore")  # of the compiler, about its own future
def test_compiled_without_a_break(kind: str) -> None:
    module = KINDS[kind]()
    compiled = torch.compile(module, fullgraph=True, backend="aot_eager")
    x = input_of(module)
    for found, expected in zip(outcome(compiled, module, x), outcome(module, module, x), strict=True):
        assert torch.equal(found, expected)


@pytest.mark.usefixtures("_compiler")
@pytest.mark.filterwarnings("ignore")
def test_compiled_once_for_all_times_and_batches() -> None:
    frames = CompileCounterWithBackend("aot_eager")
    module = carrousel.Recurrent("peephole_lstm", 3, 5)
    compiled = torch.compile(module, fullgraph=True, backend=frames, dynamic=True)
    outcome(compiled, module, torch.randn(5, 2, 3))
    count = frames.frame_count
    for time, batch in ((7, 3), (9, 4), (3, 6)):
        x = torch.randn(time, batch, 3)
        for found, expected in zip(outcome(compiled, module, x), outcome(module, module, x), strict=True):
            assert torch.equal(found, expected)
    assert frames.frame_count == count > 0


def test_traced_by_make_fx() -> None:
    module, x = KINDS["Recurrent"](), torch.randn(5, 2, 3)
    graph = make_fx(lambda x: module(x)[0])(x)
    assert SEQUENCE in {node.target for node in graph.graph.nodes}
    assert torch.equal(graph(2 * x), module(2 * x)[0])


def test_what_leaves_python_has_torch_s_operators_only() -> None:
    module = KINDS["GRU of 2014"]().eval()
    x = input_of(module)
    exported = torch.export.export(module, (x,))
    used = {str(node.target) for node in exported.graph.nodes if node.op == "call_function"}
    assert used
    assert all(name.startswith("aten.") or "getitem" in name for name in used)
    assert_same(exported.module()(2 * x), module(2 * x), "layers in float32")
