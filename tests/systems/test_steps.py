"""Real-time learning on the compiled kernel, against the same in plain tensors."""

import pytest
import torch

from carrousel import cells
from carrousel.backends.llvm.target import host
from carrousel.errors import DtypeError, InputShapeError, InputTypeError, UnknownNameError
from carrousel.systems.continual import Continual
from carrousel.systems.judgement import Judgement
from carrousel.systems.network import Network
from carrousel.systems.real_time import RealTime
from carrousel.tasks.sequences import Sequences

TIME, INPUTS, OUTPUTS = 23, 3, 4
CELLS = ["lstm_1997_full", "lstm_1997", "lstm", "irnn", "peephole_lstm_2002"]


def network(cell: str = "lstm_1997_full", hidden: int = 6, truncated: bool = False, **options) -> Network:
    definition = cells.get(cell).truncated() if truncated else cells.get(cell)
    return Network(definition, INPUTS, OUTPUTS, hidden, **options)


def drawn(net: Network, nets: int, dtype: torch.dtype, resets: bool = True) -> Sequences:
    """Streams of which some steps ask nothing."""
    generator = torch.Generator().manual_seed(nets)
    shape = (TIME, nets, 1)
    values = torch.randn(*shape, INPUTS, dtype=dtype, generator=generator)
    x = torch.randint(INPUTS, shape, generator=generator) if net.symbols else values
    target = torch.randint(-1, OUTPUTS, shape, generator=generator)
    begins = torch.rand(shape, generator=generator) < 0.2 if resets else None
    return Sequences(x, torch.full((nets, 1), TIME), target, resets=begins)


def agree(net: Network, nets: int = 3, dtype: torch.dtype = torch.float64, tolerance: float = 1e-12) -> None:
    one, other = (RealTime(net, range(nets), 0.5, dtype, backend) for backend in ("llvm", "eager"))
    for resets in (False, True):
        sequences = drawn(net, nets, dtype, resets)
        torch.testing.assert_close(one.learn(sequences), other.learn(sequences), atol=tolerance, rtol=0)
        torch.testing.assert_close(one.w, other.w, atol=tolerance, rtol=0)
        assert not torch.equal(one.w, RealTime(net, range(nets), 0.5, dtype).w)


@pytest.mark.parametrize("truncated", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_every_cell(cell: str, truncated: bool) -> None:
    agree(network(cell, truncated=truncated))


@pytest.mark.parametrize("truncated", [False, True])
@pytest.mark.parametrize(
    "options",
    [
        {"block_size": 2, "biased": ("i", "o"), "output_bias": False, "symbols": True},
        {"block_size": 3, "shortcut": True},
        {"shortcut": True, "symbols": True, "linear": True, "biased": False},
        {"fixed": ("o",), "start": {"o": (-1, -2, -3, -4, -5, -6)}},
        {"hidden": 1},
    ],
)
def test_every_wiring(options: dict, truncated: bool) -> None:
    agree(network(truncated=truncated, **options))


@pytest.mark.parametrize("nets", [1, 16, 17, 33])
def test_any_number_of_nets(nets: int) -> None:
    agree(network("lstm", hidden=3), nets)
    agree(network("lstm", hidden=3), nets, torch.float32, 1e-5)


@pytest.mark.parametrize("isa", ["avx512", "avx2", "neon", "sse2"])
def test_every_instruction_set_of_this_machine(isa: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CARROUSEL_ISA", isa)
    try:
        host()
    except Exception:
        pytest.skip(f"this machine does not have {isa}")
    agree(network(block_size=2))


def test_targets_with_values() -> None:
    net = network()
    one, other = (RealTime(net, range(3), 0.5, torch.float64, backend) for backend in ("llvm", "eager"))
    sequences = drawn(net, 3, torch.float64)
    target = torch.rand(TIME, 3, 1, OUTPUTS, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    for nets in (one, other):
        nets.learn(sequences._replace(target=target))
    torch.testing.assert_close(one.w, other.w, atol=1e-12, rtol=0)


def test_momentum_adds_a_share_of_the_last_change() -> None:
    """States begin anew at every step, so a step's change follows from the weights alone; some steps ask nothing."""
    net, count = network(), 3
    sequences = drawn(net, count, torch.float64)._replace(resets=torch.ones(TIME, count, 1, dtype=torch.bool))
    both = [RealTime(net, range(count), 0.5, torch.float64, backend, momentum=0.9) for backend in ("llvm", "eager")]
    w, velocity = both[0].w.clone(), torch.zeros_like(both[0].w)
    for nets in both:
        nets.learn(sequences)
    for t in range(TIME):
        one = RealTime(net, range(count), 0.5, torch.float64)
        one.w.copy_(w)
        x, target, anew = (values[t : t + 1] for values in (sequences.x, sequences.target, sequences.resets))
        one.learn(Sequences(x, torch.ones(count, 1, dtype=torch.long), target, resets=anew))
        asked = (target[0] >= 0).double()
        velocity = torch.where(asked > 0, 0.9 * velocity + one.w - w, velocity)
        w = w + asked * velocity
    for nets in both:
        torch.testing.assert_close(nets.w, w, atol=1e-12, rtol=0)
        torch.testing.assert_close(nets.steps.velocity, velocity, atol=1e-12, rtol=0)


def test_a_net_that_has_gone_astray_stays_alone() -> None:
    net = network()
    nets, alone = RealTime(net, range(3), 0.5), RealTime(net, range(3), 0.5)
    nets.w[1] = float("nan")
    sequences = drawn(net, 3, torch.float32)
    y, expected = nets.learn(sequences), alone.learn(sequences)
    assert nets.w[1].isnan().all()
    assert torch.equal(nets.w[[0, 2]], alone.w[[0, 2]])
    assert torch.equal(y[:, [0, 2]], expected[:, [0, 2]])


X, LONG = torch.zeros(TIME, 3, 1, INPUTS), torch.full((3, 1), TIME)
TARGET = torch.zeros(TIME, 3, 1, dtype=torch.long)


@pytest.mark.parametrize(
    ("sequences", "error", "message"),
    [
        (
            Sequences(X.long()[..., 0], LONG, TARGET),
            InputTypeError,
            "RealTime - x is of torch.int64, expected values - its network says so, symbols=",
        ),
        (
            Sequences(X[..., :2], LONG, TARGET),
            InputShapeError,
            "sequences - x has shape (23, 3, 1, 2), expected (time, net, batch, input) with 3 nets and 3 inputs - "
            "give every network sequences of its own",
        ),
        (
            Sequences(X.repeat(1, 1, 2, 1), LONG.repeat(1, 2), TARGET.repeat(1, 1, 2)),
            InputShapeError,
            "RealTime - x has shape (23, 3, 2, 3) and target (23, 3, 2), expected one sequence for each net, "
            "(time, net, 1), and a target at every step - the weights change at every step",
        ),
        (
            Sequences(X, LONG, torch.zeros(3, 1, OUTPUTS)),
            InputShapeError,
            "RealTime - x has shape (23, 3, 1, 3) and target (3, 1, 4), expected one sequence for each net, "
            "(time, net, 1), and a target at every step - the weights change at every step",
        ),
        (
            Sequences(X, LONG, TARGET + OUTPUTS),
            InputTypeError,
            "sequences - target has symbols 4 to 4, expected -1 to 3 - number the symbols from 0, or give the system "
            "more outputs",
        ),
    ],
)
def test_sequences_that_do_not_fit(sequences: Sequences, error: type[Exception], message: str) -> None:
    nets = RealTime(network(), range(3), 0.5)
    before = nets.w.clone()
    with pytest.raises(error) as caught:
        nets.learn(sequences)
    assert str(caught.value) == message
    assert torch.equal(nets.w, before)


def test_streams_without_beginnings() -> None:
    nets = Continual(network(), range(3), 0.5, Judgement("largest", 0.5))
    with pytest.raises(InputTypeError) as caught:
        nets.learn(Sequences(X, LONG, TARGET))
    assert str(caught.value) == "Continual - resets is None, expected (time, net, 1) - say where sequences begin"


def test_numbers_of_half_precision() -> None:
    with pytest.raises(DtypeError) as caught:
        RealTime(network(), [0], 0.5, torch.bfloat16)
    assert str(caught.value) == (
        "RealTime - dtype is torch.bfloat16, expected float32 or float64 - learn in one of them"
    )


def test_an_unknown_backend() -> None:
    with pytest.raises(UnknownNameError) as caught:
        RealTime(network(), [0], 0.5, backend="triton")
    assert str(caught.value) == "RealTime - unknown backend 'triton' - expected 'llvm' or 'eager'"
