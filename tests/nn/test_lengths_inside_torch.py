"""Rows of their own lengths, traces, steps and masks under torch's compilers and transforms."""

import shutil
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import gradgradcheck
from torch.export import Dim
from torch.func import grad, jacfwd, jacrev, jvp, vmap
from torch.nn.utils import parametrize
from torch.nn.utils.rnn import pack_padded_sequence

import carrousel
from nn.five import LAYERS
from nn.twins import assert_same, everything, sequence

LENGTHS = [3, 0, 2, 1]


@pytest.fixture(params=LAYERS)
def layer(request: pytest.FixtureRequest) -> nn.Module:
    torch.manual_seed(1)
    return LAYERS[request.param](dtype=torch.float64)


@pytest.fixture
def dynamo() -> Iterator[None]:
    """A compiler that has seen nothing, and that follows subclasses of torch's own recurrent layers."""
    torch.compiler.reset()
    with torch._dynamo.config.patch(allow_rnn=True):
        yield


def padded(layer: nn.Module, x: Tensor) -> Tensor:
    return layer(x, lengths=torch.tensor(LENGTHS))[0]


def packed(layer: nn.Module, x: Tensor) -> Tensor:
    """Without its empty row, which a PackedSequence can not have."""
    rows = pack_padded_sequence(x[:, [0, 2, 3]], torch.tensor([3, 2, 1]), enforce_sorted=False)
    return layer(rows)[0].data


# ---------------------------------------------------------------------- derivatives


@pytest.mark.parametrize("output", [padded, packed])  # torch has no second derivative of its jagged tensors
def test_second_derivatives(layer: nn.Module, output: Callable[[nn.Module, Tensor], Tensor]) -> None:
    x = sequence(3, 4, 3).requires_grad_()
    assert gradgradcheck(lambda x: output(layer, x), (x,))


def test_many_gradients_at_once(layer: nn.Module) -> None:
    x = sequence(3, 4, 3).requires_grad_()
    total, each = padded(layer, x).sum((0, 1)), torch.eye(4, dtype=torch.float64)
    (found,) = torch.autograd.grad(total, x, each, is_grads_batched=True, retain_graph=True)
    expected = [torch.autograd.grad(total, x, one, retain_graph=True)[0] for one in each]
    assert_same(found, torch.stack(expected))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch.func.jvp scripts a part of itself
@pytest.mark.parametrize(
    "transform",
    [
        lambda f: grad(lambda x, n: f(x, n).sin().sum()),
        lambda f: lambda x, n: jvp(lambda x: f(x, n), (x,), (x.cos(),))[1],
        lambda f: jacrev(lambda x, n: f(x, n).sum(0)),
        lambda f: jacfwd(lambda x, n: f(x, n).sum(0)),
    ],
    ids=["grad", "jvp", "jacrev", "jacfwd"],
)
def test_each_sample_has_lengths_of_its_own(layer: nn.Module, transform: Callable) -> None:
    x, lengths = sequence(3, 5, 2, 3), torch.tensor([[5, 1], [0, 2], [3, 3]])
    function = transform(lambda x, n: layer(x, lengths=n)[0])
    assert_same(vmap(function)(x, lengths), torch.stack([function(*one) for one in zip(x, lengths, strict=True)]))


# ---------------------------------------------------------------------- compilers


@pytest.mark.usefixtures("dynamo")
@pytest.mark.filterwarnings("ignore")
def test_lengths_compile_in_one_graph(layer: nn.Module) -> None:
    compiled = torch.compile(lambda x, n: layer(x, lengths=n)[0], fullgraph=True, dynamic=True, backend="aot_eager")
    for time, lengths in ((6, [6, 0, 3]), (9, [2, 9, 1, 1])):
        x, n = sequence(time, len(lengths), 3).requires_grad_(), torch.tensor(lengths)
        found, expected = compiled(x, n), layer(x, lengths=n)[0]
        assert_same(found, expected)
        gradients = [torch.autograd.grad(output.sin().sum(), x)[0] for output in (found, expected)]
        assert_same(*gradients)


@pytest.mark.usefixtures("dynamo")
@pytest.mark.filterwarnings("ignore")
def test_a_compiled_call_refuses_wrong_lengths_when_it_runs() -> None:
    layer = LAYERS["peephole_lstm"]()
    compiled = torch.compile(lambda x, n: layer(x, lengths=n)[0], fullgraph=True, backend="aot_eager")
    compiled(torch.ones(4, 2, 3), torch.tensor([4, 1]))
    for wrong in ([5, 1], [4, -1]):
        with pytest.raises(RuntimeError, match=r"LSTM: lengths run below 0 or beyond the steps of x - cut the lengths"):
            compiled(torch.ones(4, 2, 3), torch.tensor(wrong))


class WithLengths(nn.Module):
    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        return self.layer(x, lengths=lengths)[0]


@pytest.mark.usefixtures("recwarn")
def test_lengths_are_exported(layer: nn.Module) -> None:
    model = WithLengths(layer).eval()
    shapes = ({0: Dim.DYNAMIC, 1: Dim.DYNAMIC}, {0: Dim.DYNAMIC})
    program = torch.export.export(model, (sequence(5, 2, 3), torch.tensor([5, 2])), dynamic_shapes=shapes).module()
    for time, lengths in ((5, [0, 5]), (9, [9, 3, 1])):
        x, n = sequence(time, len(lengths), 3), torch.tensor(lengths)
        assert torch.equal(program(x, n), model(x, n))


@pytest.mark.usefixtures("dynamo")
@pytest.mark.filterwarnings("ignore")
def test_jagged_rows_and_traces_compile_in_one_graph(layer: nn.Module) -> None:
    rows = torch.nested.nested_tensor([sequence(4, 3), sequence(2, 3)], layout=torch.jagged)
    compiled = torch.compile(lambda rows: layer(rows)[0], fullgraph=True, backend="aot_eager")
    assert_same(compiled(rows).values(), layer(rows)[0].values())
    traced = torch.compile(
        lambda x: layer(x, return_trace=layer._layout.cell.states), fullgraph=True, backend="aot_eager"
    )
    x = sequence(4, 2, 3)
    assert_same(list(traced(x)[2].values()), list(layer(x, return_trace=layer._layout.cell.states)[2].values()))


@pytest.mark.usefixtures("dynamo")
@pytest.mark.filterwarnings("ignore")
def test_the_reference_compiles_in_one_graph() -> None:
    for make in LAYERS.values():
        layer, x = make(backend="eager", dtype=torch.float64), sequence(4, 2, 3)
        compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
        assert_same(everything(compiled, x), everything(layer, x))


@pytest.mark.usefixtures("dynamo")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("train", [True, False])
def test_steps_compile_in_one_graph(layer: nn.Module, train: bool) -> None:
    layer.train(train)
    compiled = torch.compile(lambda x, state: layer.step(x, state), fullgraph=True, backend="aot_eager")
    x = sequence(2, 2, 3)
    with torch.set_grad_enabled(train):
        (_, state), (_, expected) = compiled(x[0], None), layer.step(x[0])
        assert_same(compiled(x[1], state)[0], layer.step(x[1], expected)[0])


@pytest.mark.usefixtures("dynamo")
@pytest.mark.filterwarnings("ignore")
def test_a_compiled_call_drops_the_same_weights(layer: nn.Module) -> None:
    parametrize.register_parametrization(layer, layer._all_weights[0][1], carrousel.WeightDrop(0.5))
    compiled, x, found = torch.compile(layer, fullgraph=True, backend="eager"), sequence(5, 2, 3), []
    for call in (layer, compiled, compiled):
        torch.manual_seed(2)
        found.append(call(x)[0])
    assert_same(found[1], found[0])
    assert_same(found[2], found[0])


@pytest.mark.usefixtures("dynamo")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.skipif(shutil.which("g++") is None, reason="inductor writes C++, and there is no compiler")
def test_inductor(layer: nn.Module) -> None:
    model = nn.Sequential(nn.Linear(3, 3, dtype=torch.float64), First(layer))
    x = sequence(5, 2, 3)
    assert_same(everything(torch.compile(model, fullgraph=True), x), everything(model, x))


class First(nn.Module):
    """A layer without its states."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)[0]
