"""Streams that end with a mistake, learned at their ends: against learning through time what is left of them."""

import torch
from torch import Tensor

from carrousel import cells
from carrousel.systems.network import Network
from carrousel.systems.through_time import ThroughTime
from carrousel.systems.until_mistake import UntilMistake
from carrousel.tasks.sequences import Sequences

NETS, TIME, DOUBLE = 4, 40, torch.float64
NETWORK = Network(cells.get("peephole_lstm_2002").truncated(), 1, 1, 2, linear=True, scale=0.5)


def stream() -> Sequences:
    generator = torch.Generator().manual_seed(2)
    x, target = torch.randn(2, TIME, NETS, 1, 1, dtype=DOUBLE, generator=generator)
    return Sequences(x, torch.full((NETS, 1), TIME), target)


def far(y: Tensor, target: Tensor) -> Tensor:
    return (y - target).abs().amax(-1) >= 2.0


def nowhere(y: Tensor, target: Tensor) -> Tensor:
    return torch.zeros(y.shape[:2], dtype=torch.bool)


def change(w: Tensor, sequences: Sequences) -> Tensor:
    """What the gradient through time asks for, whose steps ask for the same here as in the paper."""
    nets = ThroughTime(NETWORK, range(NETS), 1.0, dtype=DOUBLE)
    nets.w = w.clone()
    nets.learn(sequences)
    return nets.w - w


def test_without_mistakes_and_momentum_it_is_learning_through_time() -> None:
    nets = UntilMistake(NETWORK, range(NETS), 0.5, nowhere, dtype=DOUBLE)
    before = nets.w.clone()
    y = nets.learn(stream())
    torch.testing.assert_close(nets.w - before, 0.5 * change(before, stream()), atol=1e-12, rtol=0)
    assert y.shape == (TIME, NETS, 1, 1)


def test_what_lies_behind_the_mistake_is_not_learned() -> None:
    nets, drawn = UntilMistake(NETWORK, range(NETS), 1.0, far, dtype=DOUBLE), stream()
    before = nets.w.clone()
    y = nets.learn(drawn)
    ends = []
    for net in range(NETS):
        wrong = far(y[:, net], drawn.target[:, net]).flatten().nonzero().flatten().tolist()
        ends.append(wrong[0] + 1 if wrong else TIME)
        left = Sequences(drawn.x[: ends[-1]], drawn.lengths.clamp(max=ends[-1]), drawn.target[: ends[-1]])
        torch.testing.assert_close(nets.w[net], (before + change(before, left))[net], atol=1e-12, rtol=0)
    assert 1 < min(ends) < TIME


def test_a_stream_that_ends_early_asks_for_no_more() -> None:
    nets, drawn = UntilMistake(NETWORK, range(NETS), 1.0, nowhere, dtype=DOUBLE), stream()
    before = nets.w.clone()
    nets.learn(drawn._replace(lengths=torch.tensor([[7], [40], [3], [12]])))
    left = Sequences(drawn.x[:7], drawn.lengths.clamp(max=7), drawn.target[:7])
    torch.testing.assert_close(nets.w[0], (before + change(before, left))[0], atol=1e-12, rtol=0)


def test_momentum_moves_as_equal_steps_would() -> None:
    """Two streams: velocity and weights step by step, each step asking for its share of its stream's change."""
    nets = UntilMistake(NETWORK, range(NETS), 0.1, nowhere, momentum=0.9, dtype=DOUBLE)
    w, velocity = nets.w.clone(), torch.zeros_like(nets.w)
    for length in (TIME, 9):
        drawn = stream()
        cut = Sequences(drawn.x[:length], drawn.lengths.clamp(max=length), drawn.target[:length])
        share = change(w, cut) / length
        for _ in range(length):
            velocity = 0.9 * velocity + share
            w = w + 0.1 * velocity
        nets.learn(cut)
        torch.testing.assert_close(nets.w, w, atol=1e-12, rtol=0)
    nets.replace(2, 5)
    assert (nets.velocity[2] == 0).all()
    torch.testing.assert_close(nets.velocity[0], velocity[0], atol=1e-12, rtol=0)
