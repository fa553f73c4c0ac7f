"""Recurrent Cascade-Correlation: the gradient of S, the phases, what is frozen, and tasks that need memory."""

from itertools import pairwise

import pytest
import torch
from torch import Tensor

from carrousel.systems.cascade_correlation import CascadeCorrelation, CascadeNets
from carrousel.systems.self_recurrent import correlation, run
from carrousel.tasks.sequences import Sequences

NETS, TIME, BATCH, SOURCES, OUTPUTS, UNITS = 2, 6, 3, 4, 2, 3


def pool(seed: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Sources, weights, errors, where there are targets, where states go on."""
    g = torch.Generator().manual_seed(seed)
    steps = (NETS, TIME, BATCH)
    sources = torch.randn(*steps, SOURCES, generator=g, dtype=torch.float64)
    weights = torch.randn(NETS, SOURCES + 1, UNITS, generator=g, dtype=torch.float64)
    told, kept = (torch.rand(2, *steps, 1, generator=g) < 0.7).double()
    error = torch.randn(*steps, OUTPUTS, generator=g, dtype=torch.float64) * told
    return sources, weights, error, told, kept


def test_units_see_their_own_last_activation() -> None:
    sources, weights, _, _, kept = pool()
    found = run(sources, weights[:, :-1], weights[:, -1], kept)
    for net in range(NETS):
        for row in range(BATCH):
            v = torch.zeros(UNITS, dtype=torch.float64)
            for t in range(TIME):
                v = v * kept[net, t, row]
                v = torch.sigmoid(sources[net, t, row] @ weights[net, :-1] + weights[net, -1] * v)
                torch.testing.assert_close(found[net, t, row], v)


def test_correlation_is_its_formula() -> None:
    sources, weights, error, told, kept = pool()
    found, _ = correlation(sources, weights, error, told, kept)
    values = run(sources, weights[:, :-1], weights[:, -1], kept)
    for net in range(NETS):
        there = told[net, ..., 0].bool()
        v, e = values[net][there], error[net][there]
        covariance = (v - v.mean(0)).T @ (e - e.mean(0))
        torch.testing.assert_close(found[net], covariance.abs().sum(1) / e.square().sum())


@pytest.mark.parametrize("has_resets", [False, True])
def test_gradient_of_the_correlation(has_resets: bool) -> None:
    sources, weights, error, told, kept = pool()
    kept = kept if has_resets else None
    _, found = correlation(sources, weights, error, told, kept)
    step = 1e-6
    for source in range(SOURCES + 1):
        for unit in range(UNITS):
            nudge = torch.zeros_like(weights)
            nudge[:, source, unit] = step
            up, down = (correlation(sources, weights + sign * nudge, error, told, kept)[0] for sign in (1, -1))
            numeric = (up - down)[:, unit] / (2 * step)
            torch.testing.assert_close(found[:, source, unit], numeric, atol=1e-8, rtol=1e-6)


# ---------------------------------------------------------------------- phases


def bits(seed: int, nets: int = 4, batch: int = 64, time: int = 8) -> Tensor:
    return torch.randint(0, 2, (time, nets, batch), generator=torch.Generator().manual_seed(seed))


def exclusive_or(seed: int) -> Sequences:
    """Say at each step whether the symbol differs from the last one; before the first one there was a 0."""
    x = bits(seed)
    target = x.clone()
    target[1:] ^= x[:-1]
    return Sequences(x, torch.full(x.shape[1:], len(x)), target)


def test_phases_follow_each_other_and_installed_units_are_frozen() -> None:
    system = CascadeCorrelation(2, 2, hidden=2, patience=3, longest=5)
    nets, task = system.start([1, 2, 3, 4]), exclusive_or(0)
    phases, frozen = [], None
    for _ in range(40):
        nets.learn(task)
        phases.append((nets.growing.clone(), nets.installed.clone()))
        assert (nets.units[..., 1] == 0).all(1)[nets.installed < 2].all()
        if frozen is None and (nets.installed >= 1).all():
            frozen = nets.units[..., 0].clone()
    assert frozen is not None
    assert (frozen != 0)[:, [0, 1, 2, -1]].all()  # inputs, bias, itself
    assert (frozen[:, 3:-1] == 0).all()  # nothing from units that were not there
    assert torch.equal(nets.units[..., 0], frozen)
    assert (nets.installed == 2).all()
    assert not nets.growing.any()  # no more candidates where all units are in use
    for (was_growing, before), (is_growing, after) in pairwise(phases):
        installs = after > before
        assert torch.equal(installs, was_growing & ~is_growing)
    assert nets.epochs.tolist() == [40] * 4


def test_the_candidate_that_correlates_best_is_installed() -> None:
    system = CascadeCorrelation(2, 2, hidden=1, patience=1, longest=1, dtype=torch.float64)
    x, lengths, target, *_ = exclusive_or(0)
    nets, task = system.start([5]), Sequences(x[:, :1], lengths[:1], target[:, :1])
    nets.learn(task)  # the outputs' only epoch
    assert nets.growing.all()
    candidates = nets.pool.clone()
    y = nets.predict(task)
    miss = torch.nn.functional.one_hot(task.target, 2) - y
    seen = torch.zeros(1, len(task.x), 64, system.sources, dtype=torch.float64)
    seen[..., :2] = torch.nn.functional.one_hot(task.x, 2).transpose(0, 1)
    seen[..., 2] = 1
    told = torch.ones(*seen.shape[:3], 1, dtype=torch.float64)
    best = correlation(seen, candidates, miss.transpose(0, 1), told)[0].argmax()
    nets.learn(task)  # the candidates' only epoch
    torch.testing.assert_close(nets.units[0, :, 0], candidates[0, :, best])


def test_a_network_that_is_good_enough_gets_no_units() -> None:
    x = bits(0)
    nets = CascadeCorrelation(2, 2).start([1, 2, 3, 4])
    task = Sequences(x, torch.full(x.shape[1:], len(x)), x)  # say the symbol: no unit is needed
    for _ in range(60):
        nets.learn(task)
    assert (nets.installed == 0).all()
    assert share_right(nets, task) == 1


def share_right(nets: CascadeNets, task: Sequences) -> float:
    return (nets.predict(task).argmax(-1) == task.target).float().mean().item()


def test_it_learns_exclusive_or_in_time() -> None:
    nets, task = CascadeCorrelation(2, 2, hidden=5).start([1, 2, 3, 4]), exclusive_or(0)
    for _ in range(700):
        nets.learn(task)
    assert share_right(nets, exclusive_or(1)) == 1
    assert (nets.installed >= 2).all()


def test_output_weights_alone_do_not_learn_it() -> None:
    nets, task = (
        CascadeCorrelation(2, 2, hidden=1, longest=10_000, patience=10_000).start([1, 2, 3, 4]),
        exclusive_or(0),
    )
    for _ in range(100):
        nets.learn(task)
    assert share_right(nets, exclusive_or(1)) < 0.8


def test_decay_keeps_output_weights_small() -> None:
    x = bits(0)
    task = Sequences(x, torch.full(x.shape[1:], len(x)), x)
    free, decayed = (CascadeCorrelation(2, 2, decay=decay).start([1, 2, 3, 4]) for decay in (0.0, 0.1))
    for _ in range(60):
        free.learn(task)
        decayed.learn(task)
    assert decayed.output.abs().max() < free.output.abs().max() / 2
