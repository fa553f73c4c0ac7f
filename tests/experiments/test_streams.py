"""Streams without end: one that goes on from block to block, and tests that end with the first mistake."""

from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from carrousel import cells
from carrousel.experiments.gers_2000.reber import WRONG, streams, whole
from carrousel.experiments.layer import layer_of
from carrousel.experiments.streams import Endless, Unbroken, steps_before_a_mistake
from carrousel.systems import readout
from carrousel.systems.network import Network
from carrousel.systems.real_time import RealTime
from carrousel.tasks.sequences import Sequences

SYMBOLS, STREAMS = 3, 5
NETWORK = Network(cells.get("lstm_1997"), SYMBOLS, 2, 4, 2, symbols=True, shortcut=True, scale=0.8)


def count_up(count: int, length: int, *, generator: torch.Generator) -> Sequences:
    """Streams of numbers; the target of each step is random, and strings begin at every seventh."""
    x = torch.randint(SYMBOLS, (length, count), generator=generator)
    resets = (torch.arange(length) % 7 == 0).unsqueeze(1).expand(-1, count)
    return Sequences(x, torch.full((count,), length), torch.rand(length, count, 2, generator=generator), resets=resets)


def test_blocks_are_one_stream() -> None:
    sevens = partial(count_up, 1, 700)
    cut, once = (Endless(sevens, count_up, 3) for _ in range(2))
    blocks = [cut.training(count) for count in (100, 1, 899, 1000)]
    joined = once.training(2000)
    for field in ("x", "target", "resets"):
        assert torch.equal(torch.cat([getattr(block, field) for block in blocks]), getattr(joined, field))
    assert joined.x.shape == (2000, 1)
    assert not torch.equal(joined.x[:700], joined.x[700:1400])


def test_tests_are_fresh() -> None:
    data = Endless(partial(count_up, 1, 700), count_up, 3, tests=4)
    one, other = data.test(50), data.test(50)
    assert one.x.shape == (50, 4)
    assert not torch.equal(one.x, other.x)


def test_reber_streams_break_off_nowhere() -> None:
    data = Endless(whole, streams, 0)
    x = torch.cat([data.training(500).x for _ in range(20)])
    ends = (x[:-1] == 6) & (x[1:] == 0)  # E, then B
    assert 600 < int(ends.sum()) < 1100
    target = data.training(10).target
    assert set(target.sum(-1).flatten().tolist()) <= {1.0, 2.0}


def test_to_say_one_half_twice_is_wrong() -> None:
    target = torch.tensor([[1.0, 0.0], [1.0, 1.0]])
    assert WRONG(torch.tensor([[0.5, 0.5], [0.6, 0.6]]), target).tolist() == [True, False]


def far(y: Tensor, target: Tensor) -> Tensor:
    return (y - target).abs().amax(-1) >= 0.75


@pytest.mark.parametrize("has_resets", [False, True])
def test_steps_before_a_mistake(has_resets: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("carrousel.experiments.streams.PIECE", 8)
    drawn = count_up(STREAMS, 30, generator=torch.Generator().manual_seed(1))
    w = NETWORK.draw(torch.Generator().manual_seed(0))
    resets = drawn.resets if has_resets else None
    h, _ = layer_of(NETWORK, w)(one_hot(drawn.x, SYMBOLS).float(), resets=resets)
    y = readout.outputs(NETWORK, w[None], h.flatten(0, 1)[None], drawn.x.flatten()[None]).view(30, STREAMS, 2)
    firsts = [(far(y, drawn.target)[:, k].nonzero().flatten().tolist() or [30])[0] for k in range(STREAMS)]
    assert steps_before_a_mistake(NETWORK, w, drawn, far, has_resets).tolist() == firsts
    assert len(set(firsts)) > 2


def test_unbroken() -> None:
    """What is right is what the first output says: all nets are asked, each by a tolerance of its own data."""

    class Tolerant(Endless):
        def __init__(self, tolerance: float) -> None:
            super().__init__(partial(count_up, 1, 700), count_up, 3, tests=4)
            self.tolerance, self.asked = tolerance, []

        def test(self, count: int) -> Sequences:
            self.asked.append(count)
            drawn = super().test(count)
            return drawn._replace(target=torch.full_like(drawn.target, self.tolerance))

    def strict(y: Tensor, target: Tensor) -> Tensor:
        return torch.rand(target.shape[:-1]) >= target[..., 0]

    nets = RealTime(NETWORK, range(3), 1.0)
    data = [Tolerant(0.5), Tolerant(0.999), Tolerant(1.1)]
    criterion = Unbroken(3, strict, (20, 6_000), ("over 300", "perfect"), fair=300)
    for net, given in enumerate(data):
        criterion.begin(net, given)
    torch.manual_seed(0)
    criterion.test(nets)
    assert criterion.met().tolist() == [0, 1, 2]
    assert [each.asked for each in data] == [[20], [20, 6_000], [20, 6_000]]
    criterion.test(nets)
    assert data[2].asked == [20, 6_000]  # it has been met
    criterion.begin(2, data[2])
    assert np.array_equal(criterion.met()[2:], [0])
    nets.begun = torch.tensor([1, 0, 0])  # the others are in the middle of a training stream
    criterion.test(nets)
    assert criterion.met().tolist() == [0, 1, 0]
    assert [len(each.asked) for each in data] == [3, 4, 2]
