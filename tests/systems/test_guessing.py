"""Random weight guessing: who guesses again, what is connected, and a latch that it solves."""

import math

import pytest
import torch

from carrousel.systems.guessing import GuessedLatches, Guessing
from carrousel.tasks.latch import latch as draw_latches
from carrousel.tasks.sequences import Sequences

NETS = 6


def latch(length: int = 30) -> Sequences:
    """The first input is 1 or -1, the others are noise; say at the end which it was, by 1 or 0."""
    g = torch.Generator().manual_seed(0)
    first = torch.tensor([1.0, -1.0]).repeat(8)
    x = 0.2 * torch.randn(length, 1, 16, 1, generator=g)
    x[0, 0, :, 0] = first
    target = (first > 0).float().view(1, 16, 1)
    return Sequences(x.expand(-1, NETS, -1, -1), torch.full((NETS, 16), length), target.expand(NETS, -1, -1))


@pytest.mark.parametrize("sparse", [False, True])
def test_it_solves_a_latch(sparse: bool) -> None:
    nets, task = Guessing(1, 1, 1, sparse=sparse).start(range(NETS)), latch()
    for _ in range(1500):
        y = nets.learn(task)
        if ((y - task.target).abs() < 0.2).all():
            break
    assert ((y - task.target).abs() < 0.2).all()
    assert (nets.guesses > 1).any()
    solved, guesses = nets.recurrent.weight.clone(), nets.guesses.clone()
    nets.learn(task)
    assert torch.equal(nets.recurrent.weight, solved)
    assert torch.equal(nets.guesses, guesses)


def test_only_networks_that_failed_guess_again() -> None:
    """Half the networks are asked for what they say anyway, half for something else."""
    nets, task = Guessing(1, 2, 1).start(range(NETS)), latch()
    target = nets.predict(task).clone()
    target[::2, 0] = (target[::2, 0] + 0.5) % 1
    before = nets.recurrent.weight.clone()
    nets.learn(task._replace(target=target))
    assert (nets.recurrent.weight != before).flatten(1).any(1).tolist() == [True, False] * 3
    assert nets.guesses.tolist() == [2, 1] * 3


def test_weights_are_uniform_in_their_range() -> None:
    weight = Guessing(4, 40, 2, sparse=False).start([1]).recurrent.weight
    there = weight[weight != 0]
    assert 99 < there.abs().max() <= 100
    assert abs(there.mean()) < 5 * (100 / 3**0.5) / len(there) ** 0.5
    torch.testing.assert_close(there.var().item(), 100**2 / 3, rtol=0.1, atol=0)


def test_connections() -> None:
    a1, a2 = (Guessing(1, 2, 1, sparse=sparse).start([1]).recurrent.weight[0] != 0 for sparse in (False, True))
    #     sources: input, output, two hidden, bias; units: output, two hidden
    assert a1.tolist() == [[True] * 3] * 4 + [[False, True, True]]
    assert a2.tolist() == [[True] * 3, [True] * 3, [True, True, False], [True, False, True], [False, True, True]]


def test_a_fresh_network_starts_counting_anew() -> None:
    nets, task = Guessing(1, 2, 1).start([1, 2, 3, 4, 5, 6]), latch()
    nets.learn(task)
    nets.replace(0, 9)
    assert nets.guesses[0] == 1
    assert torch.equal(nets.recurrent.weight[0], Guessing(1, 2, 1).start([9]).recurrent.weight[0])


# ---------------------------------------------------------------------- latches


def latches(target: float = 1.0) -> Sequences:
    drawn = draw_latches(50, target, 20, 40, generator=torch.Generator().manual_seed(4))
    return Sequences(*(value.unsqueeze(k).expand(*value.shape[:k], NETS, *value.shape[k:])
                       for value, k in ((drawn.x, 1), (drawn.lengths, 0), (drawn.target, 0))))  # fmt: skip


@pytest.mark.parametrize("has_free_inputs", [False, True])
def test_a_latch_is_one_tanh_unit(has_free_inputs: bool) -> None:
    units, task = GuessedLatches(range(NETS), has_free_inputs, initial=1.0), latches()
    said = units.predict(task)
    for net, row in ((0, 0), (3, 7), (5, 49)):
        w, u, b = units.w[net].tolist()
        y = 0.0
        for t in range(int(task.lengths[net, row])):
            x = float(task.x[t, net, row, 0])
            if has_free_inputs:
                y = math.tanh(w * y + ((u if x > 0 else b) if t == 0 else x))
            else:
                y = math.tanh(w * y + u * x + b)
        assert float(said[net, row, 0]) == pytest.approx(y, abs=1e-5)


@pytest.mark.parametrize(("has_free_inputs", "target"), [(False, 1.0), (True, 0.8)])
def test_latches_are_guessed_until_all_is_right(has_free_inputs: bool, target: float) -> None:
    units, task = GuessedLatches(range(NETS), has_free_inputs), latches(target)
    guesses, right = 0, torch.zeros(NETS, dtype=torch.bool)
    while not right.all() and guesses < 2000:
        before = units.w.clone()
        right = ((units.learn(task) - task.target).abs() < 0.5).flatten(1).all(1)
        assert torch.equal((units.w == before).all(1), right)
        guesses += int(units.begun[0])
    assert right.all()
    assert units.w.abs().max() > 10
    units.replace(2, 11)
    assert torch.equal(units.w[2], GuessedLatches([11]).w[0])
