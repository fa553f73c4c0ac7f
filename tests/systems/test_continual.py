"""Streams that end with a mistake, learned step by step: against real-time learning that is told when to begin anew."""

import pytest
import torch
from torch import Tensor

from carrousel import cells
from carrousel.errors import OptionError
from carrousel.systems.continual import Continual
from carrousel.systems.judgement import Judgement
from carrousel.systems.network import Network
from carrousel.systems.real_time import RealTime
from carrousel.tasks.sequences import Sequences

NETS, TIME, STRING, SYMBOLS, DOUBLE = 3, 60, 5, 4, torch.float64
NETWORK = Network(cells.get("lstm_1997_truncated"), SYMBOLS, SYMBOLS, 4, 2, symbols=True, shortcut=True, scale=0.8)


never = Judgement("largest", float("inf"))


def stream(nets: int = NETS) -> Sequences:
    """Strings of five symbols."""
    x = torch.randint(SYMBOLS, (TIME, nets, 1), generator=torch.Generator().manual_seed(3))
    starts = (torch.arange(TIME) % STRING == 0).view(-1, 1, 1).expand(-1, nets, 1)
    return Sequences(x, torch.full((nets, 1), TIME), x.roll(-1, 0), resets=starts)


def by_hand(net: int, wrong: Judgement, decay: float, longest: int, has_resets: bool) -> tuple[Tensor, int]:
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
        y = learner.learn(Sequences(x, torch.ones(1, 1, dtype=torch.long), target, resets=resets))
        age += 1
        goes_on = not wrong(y.squeeze(2), target).item() and age < longest
    return learner.w[0], begun


@pytest.mark.parametrize("backend", ["llvm", "eager"])
@pytest.mark.parametrize("wrong", [Judgement("sum of squares", 0.9), Judgement("largest", 0.75)], ids=lambda w: w.of)
def test_streams_end_with_a_mistake_or_when_they_are_long_enough(wrong: Judgement, backend: str) -> None:
    for decay, longest, has_resets in ((1.0, 1000, False), (0.8, 1000, False), (1.0, 7, False), (0.9, 1000, True)):
        options = {"decay": decay, "longest": longest, "has_resets": has_resets}
        nets = Continual(NETWORK, range(NETS), 0.5, wrong, **options, dtype=DOUBLE, backend=backend)
        before = nets.w.clone()
        nets.learn(stream())
        assert (nets.w != before).any(1).all()
        for net in range(NETS):
            w, begun = by_hand(net, wrong, decay, longest, has_resets)
            torch.testing.assert_close(nets.w[net], w, atol=1e-12, rtol=0)
            assert 1 < begun == nets.begun[net] <= TIME // STRING


def test_more_nets_than_a_register_holds() -> None:
    drawn, wrong = stream(20), Judgement("sum of squares", 0.9)
    fast, slow = (Continual(NETWORK, range(20), 0.5, wrong, dtype=DOUBLE, backend=b) for b in ("llvm", "eager"))
    torch.testing.assert_close(fast.learn(drawn), slow.learn(drawn), atol=1e-12, rtol=0)
    assert torch.equal(fast.begun, slow.begun)
    assert len(set(fast.begun.tolist())) > 1


def test_what_is_no_number_is_a_mistake() -> None:
    for of in ("sum of squares", "largest"):
        nets = Continual(NETWORK, range(NETS), 0.5, Judgement(of, 100.0), dtype=DOUBLE)
        nets.w[1] = float("nan")
        nets.learn(stream())
        assert nets.begun.tolist() == [1, TIME // STRING, 1]


def test_an_unknown_judgement() -> None:
    with pytest.raises(OptionError) as caught:
        Judgement("mean", 0.1)
    assert str(caught.value) == ("Judgement - of is 'mean', expected 'sum of squares' or 'largest' - name one of them")


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
