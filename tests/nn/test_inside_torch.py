"""What torch does with models, done to models around our layers: compilers, exports, transforms, jagged tensors."""

import copy
import io
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import gradcheck, gradgradcheck
from torch.export import Dim
from torch.func import functional_call, grad, hessian, jacfwd, jacrev, stack_module_state, vmap
from torch.nn.utils import parametrizations
from torch.utils.data import DataLoader, Dataset

import carrousel
from nn.five import LAYERS
from nn.twins import assert_same, everything, sequence, tensors


class Model(nn.Module):
    """A linear layer, a recurrent one, a linear one."""

    def __init__(self, kind: str, **options: object) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.before, self.layer, self.after = nn.Linear(2, 3), LAYERS[kind](**options), nn.Linear(4, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.after(self.layer(self.before(x))[0])


@pytest.fixture(params=LAYERS)
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


# ---------------------------------------------------------------------- compilers and exports


@pytest.fixture
def dynamo() -> Iterator[None]:
    """A compiler that has seen nothing, and that follows subclasses of torch's own recurrent layers."""
    torch.compiler.reset()
    with torch._dynamo.config.patch(allow_rnn=True, error_on_recompile=True):
        yield


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
@pytest.mark.usefixtures("dynamo")
@pytest.mark.filterwarnings("ignore")  # of the compiler, about its own future
def test_compiled_in_one_graph_for_all_lengths(kind: str, backend: str) -> None:
    model = Model(kind)
    compiled = torch.compile(model, fullgraph=True, dynamic=True, backend=backend)
    for time, batch in ((6, 5), (7, 3), (9, 4)):
        x = sequence(time, batch, 2, dtype=torch.float32)
        assert_same(everything(compiled, x), everything(model, x), "layers in float32")


@pytest.mark.filterwarnings("ignore")
def test_compiled_layer_of_torchs_class_asks_for_the_option() -> None:
    """Without it the compiler refuses every subclass of torch.nn.LSTM, and says what to set."""
    torch.compiler.reset()
    with pytest.raises(torch._dynamo.exc.Unsupported, match=r"torch\._dynamo\.config\.allow_rnn=True"):
        torch.compile(Model("lstm"), fullgraph=True, backend="eager")(torch.ones(3, 2, 2))


def exported(model: nn.Module) -> io.BytesIO:
    shapes = ({0: Dim.DYNAMIC, 1: Dim.DYNAMIC},)
    program = torch.export.export(model.eval(), (torch.ones(5, 2, 2),), dynamic_shapes=shapes)
    stored = io.BytesIO()
    torch.export.save(program, stored)
    stored.seek(0)
    return stored


@pytest.mark.usefixtures("recwarn")
def test_exported_saved_and_loaded(kind: str) -> None:
    model = Model(kind)
    loaded = torch.export.load(exported(model)).module()
    for time, batch in ((5, 2), (1, 1), (40, 7)):
        x = sequence(time, batch, 2, dtype=torch.float32)
        assert torch.equal(loaded(x), model(x))


@pytest.mark.usefixtures("recwarn")
def test_an_exported_program_carries_its_cell(tmp_path: Path) -> None:
    """It runs in a process that has never seen the definition."""
    model, path = Model("of these tests"), tmp_path / "model.pt2"
    path.write_bytes(exported(model).getvalue())
    script = (
        "import sys, torch, carrousel.nn; from carrousel import backends; backends.get('llvm')\n"
        "model = torch.export.load(sys.argv[1]).module()\n"
        "print(float(model(torch.ones(9, 3, 2)).double().sum()))"
    )
    done = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) == float(model(torch.ones(9, 3, 2)).double().sum())


# ---------------------------------------------------------------------- torch.func, derivatives of derivatives


def double(kind: str) -> tuple[nn.Module, dict[str, Tensor], Callable[[dict[str, Tensor], Tensor], Tensor]]:
    torch.manual_seed(1)
    layer = LAYERS[kind](dtype=torch.float64)
    return layer, dict(layer.named_parameters()), lambda weights, x: functional_call(layer, weights, (x,))[0]


def test_gradients_of_every_sample_at_once(kind: str) -> None:
    _, weights, output = double(kind)
    x = sequence(3, 4, 2, 3)

    def loss(weights: dict[str, Tensor], x: Tensor) -> Tensor:
        return output(weights, x).sin().sum()

    with warnings.catch_warnings():
        warnings.simplefilter("error")  # of the slow path, one sample after the other
        each = vmap(grad(loss), in_dims=(None, 0))(weights, x)
    for k, sample in enumerate(x):
        expected = torch.autograd.grad(loss(weights, sample), list(weights.values()))
        assert_same([gradient[k] for gradient in each.values()], list(expected))


def test_a_population_of_stacked_weights(kind: str) -> None:
    layers = [LAYERS[kind](dtype=torch.float64) for _ in range(3)]
    weights, _ = stack_module_state(layers)
    x = sequence(3, 4, 2, 3)
    result = vmap(lambda w, v: functional_call(layers[0], w, (v,))[0])(weights, x)
    assert_same(result, torch.stack([layer(v)[0] for layer, v in zip(layers, x, strict=True)]))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch.func.jvp scripts a part of itself
def test_jacobians_and_hessians(kind: str) -> None:
    _, weights, output = double(kind)
    x = sequence(3, 1, 3)
    assert_same(jacfwd(lambda v: output(weights, v))(x), jacrev(lambda v: output(weights, v))(x))
    expected = torch.autograd.functional.hessian(lambda v: output(weights, v).sum(), x)
    assert_same(hessian(lambda v: output(weights, v).sum())(x), expected)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_second_derivatives(kind: str) -> None:
    _, weights, output = double(kind)
    x = sequence(2, 1, 3).requires_grad_()
    function = lambda x, *values: output(dict(zip(weights, values, strict=True)), x)  # noqa: E731
    assert gradgradcheck(function, (x, *weights.values()))
    assert gradcheck(function, (x, *weights.values()), check_forward_ad=True)


def test_backward_in_evaluation(kind: str) -> None:
    model, x = Model(kind), sequence(4, 2, 2, dtype=torch.float32)
    assert_same(everything(model.eval(), x), everything(copy.deepcopy(model).train(), x), "layers in float32")


# ---------------------------------------------------------------------- memory and precision


class Held:
    """Bytes that autograd keeps for the backward."""

    def __init__(self) -> None:
        self.bytes = 0

    def pack(self, tensor: Tensor) -> Tensor:
        self.bytes += tensor.nbytes
        return tensor


def test_recompute_keeps_less_and_gives_the_same(kind: str) -> None:
    x = sequence(20, 8, 3, dtype=torch.float32)
    results, held = [], []
    for recompute in (False, True):
        torch.manual_seed(1)
        layer = LAYERS[kind](recompute=recompute, backend="llvm")
        results.append(everything(layer, x))
        count = Held()
        with torch.autograd.graph.saved_tensors_hooks(count.pack, lambda t: t):
            layer(x)
        held.append(count.bytes)
    assert held[1] < held[0]
    assert all(map(torch.equal, results[0].values(), results[1].values()))


def test_recompute_draws_the_same_dropout() -> None:
    results = []
    for recompute in (False, True):
        torch.manual_seed(1)
        layer = carrousel.Recurrent("peephole_lstm", 3, 4, 2, dropout=0.5, recompute=recompute)
        torch.manual_seed(2)
        results.append(everything(layer, sequence(5, 2, 3, dtype=torch.float32)))
    assert all(map(torch.equal, results[0].values(), results[1].values()))


def test_autocast_trains(kind: str) -> None:
    model, x = Model(kind), sequence(4, 2, 2, dtype=torch.float32)
    expected = everything(model, x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = everything(model, x)
    assert_same([v.float() for v in found.values()], list(expected.values()), "layers in bfloat16")


# ---------------------------------------------------------------------- jagged tensors


@pytest.mark.parametrize("options", [{}, {"batch_first": True}, {"bidirectional": True}])
def test_jagged_rows(kind: str, options: dict) -> None:
    torch.manual_seed(1)
    layer = LAYERS[kind](dtype=torch.float64, **options)
    rows = [sequence(length, 3).requires_grad_() for length in (4, 0, 6, 1)]
    output, state = layer(torch.nested.nested_tensor_from_jagged(torch.cat(rows), torch.tensor([0, 4, 4, 10, 11])))
    assert output.layout == torch.jagged
    padded = nn.utils.rnn.pad_sequence(rows, batch_first=layer.batch_first)
    expected, after = layer(padded, lengths=[4, 0, 6, 1])
    expected = expected if layer.batch_first else expected.transpose(0, 1)
    for row, other, length in zip(output.unbind(), expected, (4, 0, 6, 1), strict=True):
        assert_same(row, other[:length])
    assert_same(list(tensors(state)), list(tensors(after)))
    loss = torch.autograd.grad(output.values().sin().sum(), rows, materialize_grads=True)
    assert_same(list(loss), list(torch.autograd.grad(expected.sin().sum(), rows, materialize_grads=True)))


# ---------------------------------------------------------------------- what surrounds a model


@pytest.mark.parametrize("how", [parametrizations.weight_norm, parametrizations.spectral_norm])
def test_training_under_parametrizations(kind: str, how: Callable[..., nn.Module]) -> None:
    model, x = Model(kind), sequence(4, 2, 2, dtype=torch.float32)
    how(model.layer, "weight_ih_l0")
    before = model(x)
    before.sum().backward()
    torch.optim.SGD(model.parameters(), lr=0.5).step()
    assert not torch.equal(model(x), before)
    assert_same(copy.deepcopy(model).eval()(x), model.eval()(x), "layers in float32")


class Answers(Dataset):
    """What models answer, in the loader's workers."""

    def __init__(self, models: list[nn.Module]) -> None:
        self.models = models

    def __len__(self) -> int:
        return len(self.models)

    def __getitem__(self, k: int) -> Tensor:
        with torch.no_grad():
            return self.models[k](torch.full((4, 2, 2), float(k)))


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_workers_of_a_loader(start: str) -> None:
    models = [Model(kind).eval() for kind in LAYERS]
    for model in models:
        model(torch.ones(4, 2, 2))
    loader = DataLoader(Answers(models), num_workers=1, multiprocessing_context=start, batch_size=None)
    assert all(torch.equal(answer, Answers(models)[k]) for k, answer in enumerate(loader))
