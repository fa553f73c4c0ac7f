"""Streams that begin together and end with a mistake, with momentum: against real-time learning, step by step."""

import pytest
import torch
from torch import Tensor

from carrousel import cells
from carrousel.systems.judgement import Judgement
from carrousel.systems.network import Network
from carrousel.systems.real_time import RealTime
from carrousel.systems.until_mistake import FEW, UntilMistake
from carrousel.tasks.sequences import Sequences

NETS, TIME, RATE, DOUBLE = 4, 3 * FEW + 1, 0.05, torch.float64
NETWORK = Network(cells.get("peephole_lstm_2002").truncated(), 1, 1, 2, linear=True, scale=0.5)

never, far = Judgement("largest", float("inf")), Judgement("largest", 2.0)


def stream(seed: int = 2, nets: int = NETS) -> Sequences:
    """Streams of several lengths."""
    generator = torch.Generator().manual_seed(seed)
    x, target = torch.randn(2, TIME, nets, 1, 1, dtype=DOUBLE, generator=generator)
    lengths = torch.tensor([TIME, 7, TIME - 1, FEW]).repeat(-(-nets // 4))[:nets]
    return Sequences(x, lengths.unsqueeze(1), target)


def by_hand(net: int, wrong: Judgement, momentum: float, streams: list[Sequences]) -> tuple[Tensor, list[int]]:
    """One net, step by step: its weights in the end, and the steps of each stream."""
    learner, counts = RealTime(NETWORK, [net], RATE, DOUBLE, momentum=momentum), []
    for drawn in streams:
        for t in range(int(drawn.lengths[net])):
            x, target = drawn.x[t : t + 1, net : net + 1], drawn.target[t : t + 1, net : net + 1]
            anew = torch.tensor([[[t == 0]]])
            y = learner.learn(Sequences(x, torch.ones(1, 1, dtype=torch.long), target, resets=anew))
            if wrong(y.squeeze(2), target.squeeze(2)).item():
                break
        counts.append(t + 1)
    return learner.w[0], counts


@pytest.mark.parametrize("backend", ["llvm", "eager"])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("wrong", [never, far], ids=["to the end", "to a mistake"])
def test_streams_are_learned_up_to_the_first_mistake(wrong: Judgement, momentum: float, backend: str) -> None:
    nets = UntilMistake(NETWORK, range(NETS), RATE, wrong, momentum, DOUBLE, backend)
    streams = [stream(2), stream(3)]
    for drawn in streams:
        nets.learn(drawn)
    ends = []
    for net in range(NETS):
        w, counts = by_hand(net, wrong, momentum, streams)
        torch.testing.assert_close(nets.w[net], w, atol=1e-12, rtol=0)
        ends += counts
    assert (max(ends) == TIME) == (wrong is never)


def side_by_side(streams: list[Sequences]) -> Sequences:
    """Many streams for each net."""
    x, target = (torch.cat(parts, 2) for parts in ([s.x for s in streams], [s.target for s in streams]))
    return Sequences(x, torch.cat([s.lengths for s in streams], 1), target)


@pytest.mark.parametrize("backend", ["llvm", "eager"])
@pytest.mark.parametrize("wrong", [never, far], ids=["to the end", "to a mistake"])
def test_many_streams_are_learned_one_after_the_other(wrong: Judgement, backend: str) -> None:
    streams = [stream(seed) for seed in range(2, 7)]
    together, alone = (UntilMistake(NETWORK, range(NETS), RATE, wrong, 0.9, DOUBLE, backend) for _ in range(2))
    y = together.learn(side_by_side(streams))
    for k, one in enumerate(streams):
        outputs = alone.learn(one)
        is_there = torch.arange(len(outputs)).unsqueeze(1) < one.lengths.T
        for net in range(NETS):
            # up to the first mistake they are the same; what follows is idle
            right = is_there[:, net] & ~wrong(outputs, one.target[: len(outputs)])[:, net, 0].cumsum(0).bool()
            torch.testing.assert_close(y[: len(outputs), net, k][right], outputs[:, net, 0][right], atol=1e-12, rtol=0)
    torch.testing.assert_close(together.w, alone.w, atol=1e-12, rtol=0)


@pytest.mark.parametrize("backend", ["llvm", "eager"])
def test_a_net_that_gets_a_whole_stream_right_is_noted_with_its_weights(backend: str) -> None:
    x, lengths, target, _, _ = side_by_side([stream(seed) for seed in range(2, 7)])
    near = Judgement("largest", 1e-3)
    nets = UntilMistake(NETWORK, range(NETS), RATE, near, 0.9, DOUBLE, backend)
    first = nets.w.clone()
    target[:, :, 0] = nets.predict(Sequences(x[:, :, :1], lengths[:, :1], target[:, :, :1])).squeeze(2)
    nets.learn(Sequences(x, lengths, target))
    assert nets.survived.all()
    assert torch.equal(nets.survivors, first)
    target[lengths[:, 0] - 1, torch.arange(NETS), 0] += 1  # the last step only
    again = UntilMistake(NETWORK, range(NETS), RATE, near, 0.9, DOUBLE, backend)
    again.learn(Sequences(x, lengths, target))
    assert not again.survived.any()


def test_more_nets_than_a_register_holds() -> None:
    nets, alone = 21, [0, 11, 20]
    together = UntilMistake(NETWORK, range(nets), RATE, far, 0.9, DOUBLE)
    together.learn(stream(nets=nets))
    assert together.w.isfinite().all()
    drawn = stream(nets=nets)
    for net in alone:
        one = UntilMistake(NETWORK, [net], RATE, far, 0.9, DOUBLE)
        own = slice(net, net + 1)
        one.learn(Sequences(drawn.x[:, own], drawn.lengths[own], drawn.target[:, own]))
        torch.testing.assert_close(together.w[net], one.w[0], atol=1e-12, rtol=0)


def test_only_what_is_needed_is_computed() -> None:
    y = UntilMistake(NETWORK, range(NETS), RATE, Judgement("largest", 0.0), dtype=DOUBLE).learn(stream())
    assert y.shape == (FEW, NETS, 1, 1)
    y = UntilMistake(NETWORK, range(NETS), RATE, never, dtype=DOUBLE).learn(stream())
    assert y.shape == (TIME, NETS, 1, 1)


def test_a_new_net_is_at_rest() -> None:
    nets = UntilMistake(NETWORK, range(NETS), RATE, never, 0.9, DOUBLE)
    nets.learn(stream())
    assert (nets.steps.velocity != 0).any(1).all()
    nets.replace(2, 5)
    assert (nets.steps.velocity[2] == 0).all()
    assert (nets.steps.velocity[[0, 1, 3]] != 0).any(1).all()
