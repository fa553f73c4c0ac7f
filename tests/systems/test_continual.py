"""Streams that end with a mistake, learned step by step: against real-time learning that is told when to begin anew."""

import torch
from torch import Tensor

from carrousel import cells
from carrousel.systems.network import Network
from carrousel.systems.real_time import Continual, RealTime
from carrousel.tasks.sequences import Sequences

NETS, TIME, STRING, SYMBOLS, DOUBLE = 3, 60, 5, 4, torch.float64
NETWORK = Network(cells.get("lstm_1997_truncated"), SYMBOLS, SYMBOLS, 4, 2, symbols=True, shortcut=True, scale=0.8)


def stream() -> Sequences:
    """Strings of five symbols."""
    x = torch.randint(SYMBOLS, (TIME, NETS, 1), generator=torch.Generator().manual_seed(3))
    starts = (torch.arange(TIME) % STRING == 0).view(-1, 1, 1).expand(-1, NETS, 1)
    return Sequences(x, torch.full((NETS, 1), TIME), x.roll(-1, 0), resets=starts)


def two(y: Tensor, target: Tensor) -> Tensor:
    """The third symbol is never right."""
    return target == 2


def never(y: Tensor, target: Tensor) -> Tensor:
    return torch.zeros_like(target, dtype=torch.bool)


def by_hand(net: int, decay: float, longest: int, has_resets: bool) -> tuple[Tensor, int]:
    """One net, step by step: its weights in the end, and how many streams it began."""
    learner, drawn = RealTime(NETWORK, [net], 0.5, dtype=DOUBLE), stream()
    goes_on, age, begun = False, 0, 0
    for t in range(TIME):
        start, target = t % STRING == 0, drawn.target[t : t + 1, net : net + 1]
        anew = start and (has_resets or not goes_on)
        if start and not goes_on:
            goes_on, age, begun = True, 0, begun + 1
        if not goes_on:
            continue
        learner.rate = 0.5 * decay**age
        x, resets = drawn.x[t : t + 1, net : net + 1], torch.tensor([[[anew]]])
        learner.learn(Sequences(x, torch.ones(1, 1, dtype=torch.long), target, resets=resets))
        age += 1
        goes_on = int(target) != 2 and age < longest
    return learner.w[0], begun


def test_streams_end_with_a_mistake_or_when_they_are_long_enough() -> None:
    for decay, longest, has_resets in ((1.0, 1000, False), (0.8, 1000, False), (1.0, 7, False), (0.9, 1000, True)):
        nets = Continual(
            NETWORK, range(NETS), 0.5, two, decay=decay, longest=longest, has_resets=has_resets, dtype=DOUBLE
        )
        before = nets.w.clone()
        nets.learn(stream())
        assert (nets.w != before).any(1).all()
        for net in range(NETS):
            w, begun = by_hand(net, decay, longest, has_resets)
            torch.testing.assert_close(nets.w[net], w, atol=1e-12, rtol=0)
            assert 1 < begun == nets.begun[net] <= TIME // STRING


def test_without_mistakes_a_stream_goes_on_from_block_to_block() -> None:
    whole, cut = (Continual(NETWORK, range(NETS), 0.5, never, dtype=DOUBLE) for _ in range(2))
    drawn = stream()
    y = whole.learn(drawn)
    assert whole.begun.tolist() == [1] * NETS
    halves = [
        Sequences(drawn.x[p], drawn.lengths, drawn.target[p], resets=drawn.resets[p])
        for p in (slice(0, 23), slice(23, None))
    ]
    torch.testing.assert_close(torch.cat([cut.learn(half) for half in halves]), y, atol=1e-12, rtol=0)
    assert cut.begun.tolist() == [0] * NETS
    torch.testing.assert_close(cut.w, whole.w, atol=1e-12, rtol=0)


def test_a_new_net_waits_for_its_first_sequence() -> None:
    nets = Continual(NETWORK, range(NETS), 0.5, never, dtype=DOUBLE)
    nets.learn(stream())
    nets.replace(1, 77)
    fresh, drawn = nets.w.clone(), stream()
    rest = slice(1, STRING)  # no string begins here
    nets.learn(Sequences(drawn.x[rest], drawn.lengths, drawn.target[rest], resets=drawn.resets[rest]))
    assert torch.equal(nets.w[1], fresh[1])
    assert (nets.w[[0, 2]] != fresh[[0, 2]]).any(1).all()


def test_steps_that_ask_nobody_change_nothing() -> None:
    nets, drawn = Continual(NETWORK, range(NETS), 0.5, never, dtype=DOUBLE), stream()
    before = nets.w.clone()
    nets.learn(drawn._replace(target=torch.full_like(drawn.target, -1)))
    assert torch.equal(nets.w, before)
