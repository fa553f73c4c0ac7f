"""LSTMCell, GRUCell and RNNCell are their torch.nn namesakes, and take other cells."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

import carrousel
from carrousel import cells
from carrousel.errors import BackendError, CarrouselError, OptionError, OptionTypeError, UnknownNameError
from carrousel.transforms import zoneout
from nn.twins import (
    BACKENDS,
    FOR_ANY_CELL,
    OTHER_CELL,
    STEPS,
    assert_same,
    everything,
    ours,
    sequence,
    states_for,
    theirs,
    ways,
)

VARIANTS = [(name, {}) for name in STEPS] + [("RNNCell", {"nonlinearity": "relu"})]
VARIANTS += [(name, {**options, "bias": False}) for name, options in VARIANTS]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("name", "options"), VARIANTS)
def test_same_results_and_gradients(name: str, options: dict, backend: str) -> None:
    expected = theirs(name, 3, 4, dtype=torch.float64, **options)
    made = ours(name, 3, 4, dtype=torch.float64, backend=backend, **options)
    for batch in ((2,), (0,), ()):
        for states in ((), (states_for(name, *batch, 4),)):
            args = (sequence(*batch, 3), *states)
            assert_same(everything(made, *args), everything(expected, *args))


@pytest.mark.parametrize(("name", "options"), VARIANTS)
def test_same_making(name: str, options: dict) -> None:
    expected, after = theirs(name, 3, 4, **options), torch.get_rng_state()
    made = ours(name, 3, 4, **options)
    assert torch.equal(torch.get_rng_state(), after)
    assert isinstance(made, getattr(nn, name))
    assert repr(made) == repr(expected)
    assert list(made.state_dict()) == list(expected.state_dict())
    assert all(torch.equal(a, b) for a, b in zip(made.parameters(), expected.parameters(), strict=True))
    for cell in (made, expected):
        torch.manual_seed(4)
        cell.reset_parameters()
    assert all(torch.equal(a, b) for a, b in zip(made.parameters(), expected.parameters(), strict=True))


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("LSTMCell", (3, 4, False, "cpu", torch.float64)),
        ("GRUCell", (3, 4, True, "cpu", torch.float64)),
        ("RNNCell", (3, 4, False, "relu", "cpu", torch.float64)),
    ],
)
def test_all_arguments_by_position(name: str, args: tuple) -> None:
    expected, made = theirs(name, *args), ours(name, *args)
    assert repr(made) == repr(expected)
    assert all(torch.equal(a, b) for a, b in zip(made.parameters(), expected.parameters(), strict=True))


# ---------------------------------------------------------------------- other cells


@pytest.mark.parametrize(
    ("name", "cell"),
    [
        *OTHER_CELL.items(),
        ("LSTMCell", "lstm_1997"),
        ("LSTMCell", "nig"),
        ("GRUCell", "elman_relu"),
        ("RNNCell", "gru"),
        ("RNNCell", "elman_relu"),
    ][3:],
)
@pytest.mark.parametrize("backend", FOR_ANY_CELL)
def test_steps_make_a_sequence(name: str, cell: str, backend: str) -> None:
    step = ours(name, 3, 4, cell=cell, backend=backend, dtype=torch.float64)
    layer = carrousel.Recurrent(cell, 3, 4, backend="eager", dtype=torch.float64)
    weights = {f"{key}_l0" if key != "gates" else key: value for key, value in step.state_dict().items()}
    layer.load_state_dict(weights)
    x, state, outputs = sequence(5, 2, 3), None, []
    for x_t in x:
        state = step(x_t, state)
        outputs.append(state[0] if isinstance(state, tuple) else state)
    output, after = layer(x)
    assert_same(torch.stack(outputs), output)
    assert_same(state, tuple(s[0] for s in after) if isinstance(after, tuple) else after[0])


def test_initial_value_of_a_state_counts() -> None:
    @carrousel.cell(initial={"h": 0.5})
    def halves(x, h_prev, W, R):
        h = W.h @ x + R.h @ h_prev
        return h

    step = ours("RNNCell", 3, 4, cell=halves)
    x = sequence(2, 3, dtype=torch.float32)
    assert torch.equal(step(x), step(x, torch.full((2, 4), 0.5)))


def test_options_of_another_cell() -> None:
    step = carrousel.LSTMCell(3, 4, cell="peephole_lstm", init="keras", forget_bias=2.0)
    assert repr(step) == "LSTMCell(3, 4, cell='peephole_lstm', init='keras', forget_bias=2.0)"
    assert [name for name, _ in step.named_parameters()] == ["weight_ih", "weight_hh", "weight_ch", "bias_ih"]
    assert torch.equal(step.bias_ih, torch.tensor([0.0] * 4 + [2.0] * 4 + [0.0] * 8))
    assert torch.equal(step.weight_ch, torch.zeros(12))
    plain = carrousel.LSTMCell(3, 4, forget_bias=3.0)
    assert torch.equal(plain.bias_ih[4:8], torch.full((4,), 3.0))
    assert torch.equal(plain.bias_hh[4:8], torch.zeros(4))


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: carrousel.LSTMCell(3, 4, cell="gru"), OptionError),
        (lambda: carrousel.GRUCell(3, 4, cell="slstm"), OptionError),
        (lambda: carrousel.RNNCell(3, 4, cell=zoneout(cells.get("irnn"))), OptionError),
        (lambda: carrousel.RNNCell(3, 4, nonlinearity="sigmoid"), OptionError),
        (lambda: carrousel.GRUCell(3, 4, backend="cuda"), UnknownNameError),
        (lambda: carrousel.GRUCell(3, 4, init="kaiming"), UnknownNameError),
        (lambda: carrousel.GRUCell(3, 4, forget_bias=1.0), OptionError),
        (lambda: carrousel.LSTMCell(3, 4, forget_bias="1"), OptionTypeError),
        (lambda: carrousel.LSTMCell(3, 4, cell="nig", backend="torch"), BackendError),
    ],
)
def test_added_options_are_checked(make: Callable[[], Any], error: type) -> None:
    with pytest.raises(error):
        make()


# ---------------------------------------------------------------------- errors


X = torch.ones(2, 3)
WRONG: dict[str, Callable[[Any, Any], Any]] = {
    "no axis": lambda step, h: step(torch.tensor(1.0)),
    "three axes": lambda step, h: step(torch.ones(1, 2, 3)),
    "four features": lambda step, h: step(torch.ones(2, 4)),
    "four features unbatched": lambda step, h: step(torch.ones(4)),
    "float64": lambda step, h: step(X.double()),
    "half": lambda step, h: step(X.half()),
    "whole numbers": lambda step, h: step(X.long()),
    "state of another size": lambda step, h: step(X, h(2, 5)),
    "state of another batch": lambda step, h: step(X, h(3, 4)),
    "state 3-D": lambda step, h: step(X, h(1, 2, 4)),
    "state batched, input not": lambda step, h: step(X[0], h(2, 4)),
    "input batched, state not": lambda step, h: step(X, h(4)),
    "state float64": lambda step, h: step(
        X, h(2, 4).double() if not isinstance(h(2, 4), tuple) else (h(2, 4)[0].double(),) * 2
    ),
    "list": lambda step, h: step([1.0, 2.0, 3.0]),
    "nothing": lambda step, h: step(),
    "text for a state": lambda step, h: step(X, "zeros"),
    "three states": lambda step, h: step(X, (torch.zeros(2, 4),) * 3),
    "no state in a tuple": lambda step, h: step(X, ()),
    "unknown keyword": lambda step, h: step(X, state=None),
}


@pytest.mark.parametrize("call", WRONG)
@pytest.mark.parametrize("name", STEPS)
def test_call_refuses_as_torch_does(name: str, call: str) -> None:
    def h(*shape: int, **options: Any) -> Any:
        zeros = torch.zeros(shape, **options)
        return (zeros, zeros.clone()) if name == "LSTMCell" else zeros

    with pytest.raises(Exception) as expected:  # noqa: PT011 - its type is what is compared
        WRONG[call](theirs(name, 3, 4), h)
    for way in ways(name):
        with pytest.raises(Exception) as raised:  # noqa: PT011
            WRONG[call](ours(name, 3, 4, **way), h)
        stumbles = issubclass(expected.type, AttributeError | IndexError | TypeError)
        assert issubclass(raised.type, expected.type) or (stumbles and issubclass(raised.type, CarrouselError)), way


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize(
    ("args", "options"),
    [((), {}), ((3,), {}), ((3, 4, True, "tanh", None, None, 1), {}), ((3, -4), {}), ((3.5, 4), {})],
)
def test_constructor_refuses_as_torch_does(name: str, args: tuple, options: dict) -> None:
    with pytest.raises(Exception) as expected:  # noqa: PT011 - its type is what is compared
        theirs(name, *args, **options)
    for way in ways(name):
        with pytest.raises(expected.type):
            ours(name, *args, **options, **way)
