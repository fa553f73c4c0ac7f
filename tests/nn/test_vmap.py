"""Under vmap one call stays one call of the kernel: stacked weights are a population, stacked inputs a larger batch."""

import copy
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, jacrev, stack_module_state, vmap
from torch.utils._python_dispatch import TorchDispatchMode

import carrousel
from carrousel import cells
from carrousel.functions import sigmoid, tanh
from carrousel.transforms import zoneout
from nn.twins import assert_same, sequence, tensors


@carrousel.cell
def two_paced(x, h_prev, m_prev, W, R, b):
    """A cell of this test."""
    m = 0.9 * m_prev + 0.1 * tanh(W.m @ x + R.m @ h_prev + b.m)
    h = sigmoid(W.h @ x + b.h) * m
    return h, m


FLOAT64 = {"dtype": torch.float64}

LAYERS: dict[str, Callable[[], nn.Module]] = {
    "lstm": lambda: carrousel.LSTM(3, 4, **FLOAT64),
    "peephole_lstm": lambda: carrousel.LSTM(3, 4, cell="peephole_lstm", **FLOAT64),
    "gru": lambda: carrousel.GRU(3, 4, **FLOAT64),
    "lstm_1997": lambda: carrousel.Recurrent("lstm_1997", 3, 4, block_size=2, **FLOAT64),
    "of this test": lambda: carrousel.Recurrent(two_paced, 3, 4, **FLOAT64),
    "deep": lambda: carrousel.Recurrent("peephole_lstm", 3, 5, 2, bidirectional=True, **FLOAT64),
    "projected": lambda: carrousel.Recurrent("lstm", 3, 8, proj_size=2, **FLOAT64),
    "learned": lambda: carrousel.Recurrent("slstm", 3, 4, learn_initial_state=True, **FLOAT64),
    "population": lambda: carrousel.Population("gru", 2, 3, 4, learn_initial_state=True, **FLOAT64),
}
RESETS = torch.tensor([[0, 0], [1, 0], [0, 0], [0, 1], [1, 1]], dtype=torch.bool)
KEPT = torch.tensor([0.0, 1.0, 1.0, 0.0], dtype=torch.float64).expand(5, 2, 4)

#: A layer, and what it is called with besides the input.
CALLS: dict[str, tuple[Callable[[], nn.Module], dict[str, Any]]] = {
    **{name: (make, {}) for name, make in LAYERS.items()},
    "lengths": (LAYERS["deep"], {"lengths": torch.tensor([3, 0])}),
    "resets": (LAYERS["deep"], {"resets": RESETS, "lengths": torch.tensor([5, 4])}),
    "learned and reset": (LAYERS["learned"], {"resets": RESETS}),
    "population, reset": (LAYERS["population"], {"resets": RESETS.expand(2, 5, 2)}),
    "traced": (LAYERS["lstm_1997"], {"return_trace": ("i", "c")}),
    "inputs per step": (
        lambda: carrousel.Recurrent(zoneout(cells.get("irnn")), 3, 4, **FLOAT64),
        {"step_inputs": {"keep_h_t": KEPT}},
    ),
}

#: What is mapped over: weights, inputs.
MAPPED = {"weights": (0, None), "inputs": (None, 0), "both": (0, 0)}


class Kernels(TorchDispatchMode):
    """Counts the calls of kernels."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []

    def __torch_dispatch__(self, operator: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if operator.namespace == "carrousel":
            self.calls.append(operator._opname)
        return operator(*args, **(kwargs or {}))


class Mapped:
    """Three calls of a layer at once, and one after the other."""

    def __init__(self, make: Callable[[], nn.Module], options: dict[str, Any], dims: tuple[int | None, int | None]):
        torch.manual_seed(1)
        self.layers, self.options, self.dims = [make() for _ in range(3)], options, dims
        stacked, _ = stack_module_state(self.layers)
        shape = (2, 5, 2, 3) if isinstance(self.layers[0], carrousel.Population) else (5, 2, 3)
        x = sequence(*shape)
        inputs = torch.stack([x, -x, x.flip(0)])
        #: The arguments of the three calls at once.
        self.given = (stacked if dims[0] == 0 else self.weights(0), inputs if dims[1] == 0 else x)
        self.calls = [(self.weights(k if dims[0] == 0 else 0), inputs[k] if dims[1] == 0 else x) for k in range(3)]

    def weights(self, k: int) -> dict[str, Tensor]:
        return dict(self.layers[k].named_parameters())

    def results(self, weights: dict[str, Tensor], x: Tensor) -> list[Tensor]:
        return list(tensors(functional_call(self.layers[0], weights, (x,), self.options)))

    def loss(self, weights: dict[str, Tensor], x: Tensor) -> Tensor:
        return sum(result.sin().sum() for result in self.results(weights, x))

    def gradients(self, weights: dict[str, Tensor], x: Tensor) -> list[Tensor]:
        """As autograd has them: of the input, then of the weights."""
        leaves = [x.clone().requires_grad_(), *(w.detach().clone().requires_grad_() for w in weights.values())]
        loss = self.loss(dict(zip(weights, leaves[1:], strict=True)), leaves[0])
        return list(torch.autograd.grad(loss, leaves, materialize_grads=True))


def depth(mapped: Mapped) -> int:
    return mapped.layers[0]._depth


@pytest.fixture(params=CALLS)
def mapped(request: pytest.FixtureRequest, over: str) -> Mapped:
    return Mapped(*CALLS[request.param], MAPPED[over])


@pytest.mark.parametrize("over", MAPPED)
def test_results_come_from_one_call(mapped: Mapped) -> None:
    with Kernels() as kernels:
        results = vmap(mapped.results, mapped.dims)(*mapped.given)
    assert kernels.calls == ["sequence"] * depth(mapped)
    expected = [torch.stack(each) for each in zip(*(mapped.results(*call) for call in mapped.calls), strict=True)]
    assert_same(results, expected)


@pytest.mark.parametrize("over", MAPPED)
def test_gradients_of_every_sample_come_from_one_call(mapped: Mapped) -> None:
    with Kernels() as kernels, warnings.catch_warnings():
        warnings.simplefilter("error")  # of the slow path, one sample after the other
        of_weights, of_x = vmap(grad(mapped.loss, (0, 1)), mapped.dims)(*mapped.given)
    assert kernels.calls == ["sequence"] * depth(mapped) + ["sequence_backward"] * depth(mapped)
    expected = [torch.stack(each) for each in zip(*(mapped.gradients(*call) for call in mapped.calls), strict=True)]
    assert_same([of_x, *of_weights.values()], expected)


@pytest.mark.parametrize("over", MAPPED)
def test_training_goes_through_one_backward(mapped: Mapped) -> None:
    """An ensemble's usual way: the loss is summed outside of vmap, and torch's own autograd differentiates it."""
    weights, x = mapped.given
    leaves = [x.clone().requires_grad_(), *(w.detach().clone().requires_grad_() for w in weights.values())]
    given = dict(zip(weights, leaves[1:], strict=True))
    with Kernels() as kernels:
        results = vmap(mapped.results, mapped.dims)(given, leaves[0])
        found = torch.autograd.grad(sum(r.sin().sum() for r in results), leaves, materialize_grads=True)
    assert kernels.calls == ["sequence"] * depth(mapped) + ["sequence_backward"] * depth(mapped)
    each = [torch.stack(group) for group in zip(*(mapped.gradients(*call) for call in mapped.calls), strict=True)]
    shared = [mapped.dims[1] is None, *[mapped.dims[0] is None] * len(weights)]
    assert_same(
        list(found), [group.sum(0) if is_shared else group for group, is_shared in zip(each, shared, strict=True)]
    )


# ---------------------------------------------------------------------- one transform in the other

SOME = ("lstm", "peephole_lstm", "gru", "lstm_1997", "of this test", "population")


@pytest.mark.parametrize("name", SOME)
def test_vmap_in_vmap(name: str) -> None:
    by_weights, by_both = Mapped(LAYERS[name], {}, (0, None)), Mapped(LAYERS[name], {}, (0, 0))
    weights, inputs = by_both.given
    with Kernels() as kernels:
        results = vmap(vmap(by_weights.results, (None, 0)), (0, None))(weights, inputs)
    assert kernels.calls == ["sequence"]
    expected = [[by_weights.results(by_weights.weights(k), x) for x in inputs] for k in range(3)]
    for place, result in enumerate(results):
        assert_same(result, torch.stack([torch.stack([each[place] for each in row]) for row in expected]))


@pytest.mark.parametrize("name", SOME)
def test_jacobians_backwards_come_from_one_call(name: str) -> None:
    layer = LAYERS[name]()
    x = sequence(2, 2, 1, 3) if name == "population" else sequence(2, 1, 3)
    with Kernels() as kernels:
        jacobian = jacrev(lambda x: layer(x)[0])(x)
    assert kernels.calls == ["sequence", "sequence_backward"]
    assert_same(jacobian, torch.autograd.functional.jacobian(lambda x: layer(x)[0], x))


@pytest.mark.parametrize("over", [None, *MAPPED])
@pytest.mark.parametrize("name", SOME)
def test_second_derivatives(name: str, over: str | None) -> None:
    mapped = Mapped(LAYERS[name], {}, MAPPED[over or "both"])

    def norm(weights: dict[str, Tensor], x: Tensor) -> Tensor:
        return sum(g.square().sum() for g in grad(mapped.loss)(weights, x).values())

    def expected(weights: dict[str, Tensor], x: Tensor) -> list[Tensor]:
        leaves = [w.detach().clone().requires_grad_() for w in weights.values()]
        loss = mapped.loss(dict(zip(weights, leaves, strict=True)), x)
        first = torch.autograd.grad(loss, leaves, create_graph=True)
        return list(torch.autograd.grad(sum(g.square().sum() for g in first), leaves))

    if over is None:  # the second derivative by torch's own autograd, around torch.func's first
        weights, x = mapped.calls[0]
        found = torch.autograd.grad(norm(weights, x), list(weights.values()))
        assert_same(list(found), expected(weights, x))
        return
    found = vmap(grad(norm), mapped.dims)(*mapped.given)
    each = zip(*(expected(*call) for call in mapped.calls), strict=True)
    assert_same(list(found.values()), [torch.stack(group) for group in each])


@pytest.mark.parametrize("name", SOME)
def test_lengths_that_differ_between_samples(name: str) -> None:
    layer = LAYERS[name]()
    x, lengths = sequence(3, 5, 2, 3), torch.tensor([[5, 1], [0, 3], [2, 2]])
    if name == "population":
        x, lengths = sequence(3, 2, 5, 2, 3), lengths.unsqueeze(1).expand(3, 2, 2)
    found = vmap(lambda x, n: layer(x, lengths=n)[0])(x, lengths)
    assert_same(found, torch.stack([layer(v, lengths=n)[0] for v, n in zip(x, lengths, strict=True)]))


@pytest.mark.parametrize("name", SOME)
def test_many_gradients_of_torchs_own_autograd(name: str) -> None:
    """What `torch.autograd.grad(is_grads_batched=True)` asks runs through the reference: its vmap is an older one."""
    layer = LAYERS[name]()
    x = sequence(2, 2, 1, 3) if name == "population" else sequence(2, 1, 3)
    found = torch.autograd.functional.jacobian(lambda x: layer(x)[0], x, vectorize=True)
    assert_same(found, torch.autograd.functional.jacobian(lambda x: layer(x)[0], x))


@pytest.mark.filterwarnings("ignore")  # of the compiler, about its own future
def test_inside_a_compiler_no_kernel_is_called() -> None:
    """It would follow the transforms into what makes the kernel's arguments."""
    torch.compiler.reset()
    mapped = Mapped(LAYERS["of this test"], {}, (0, None))
    with Kernels() as kernels:
        found = torch.compile(vmap(mapped.results, mapped.dims), backend="aot_eager")(*mapped.given)
    assert kernels.calls == []
    assert_same(found, vmap(mapped.results, mapped.dims)(*mapped.given))


def test_a_call_that_asks_for_no_gradient_keeps_nothing() -> None:
    layers = [copy.deepcopy(LAYERS["lstm"]()).requires_grad_(False) for _ in range(3)]
    weights, _ = stack_module_state(layers)
    weights = {name: value.detach() for name, value in weights.items()}
    kept = []

    class Keeps(TorchDispatchMode):
        def __torch_dispatch__(self, operator: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            if operator.namespace == "carrousel":
                kept.append(args[-1])
            return operator(*args, **(kwargs or {}))

    x = sequence(5, 2, 3)
    with Keeps():
        vmap(lambda w: functional_call(layers[0], w, (x,))[0])(weights)
        layers[0].requires_grad_()
        vmap(layers[0])(sequence(3, 5, 2, 3))
    assert kept == [False, True]
