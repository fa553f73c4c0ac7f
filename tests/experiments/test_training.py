"""Trials side by side: counts, milestones, lanes, and that a trial depends on its seed alone."""

from collections.abc import Sequence
from functools import partial

import pytest
import torch

from carrousel.experiments import training
from carrousel.experiments.criteria import Recent
from carrousel.experiments.hochreiter_1997.reber import Strings
from carrousel.experiments.hochreiter_1997.setting import errors, lstm
from carrousel.experiments.training import run, side_by_side
from carrousel.experiments.trials import Drawn, Published, Row
from carrousel.systems.system import Nets
from carrousel.tasks.sequences import Sequences


def remember(count: int, *, generator: torch.Generator) -> Sequences:
    """Say at the end of 3 to 6 steps whether the first number was positive."""
    lengths = torch.randint(3, 7, (count,), generator=generator)
    x = torch.randn(6, count, 1, generator=generator)
    return Sequences(x, lengths, (x[0] > 0).float())


def row(**options) -> Row:
    given = {
        "table": "0",
        "name": "sign",
        "reading": "literal",
        "published": Published({"solved": 1}),
        "start": lstm(1, 1, 2, 1, 2.0, scale=0.5),
        "data": partial(Drawn, remember),
        "criterion": partial(Recent, within=0.45, allowed={"half": 15, "most": 8}, window=50),
        "limit": {},
        "trials": {},
        "measure": errors(0.45),
        "tested_on": 100,
        "block": 20,
    }
    return Row(**{**given, **options})


def by_seed(trials) -> dict:
    return {t.seed: (t.solved, t.presentations, dict(t.milestones), dict(t.test)) for t in trials}


def test_a_trial_depends_on_its_seed_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    together = by_seed(run(row(), range(6), 3000))
    assert len(together) == 6
    assert sum(solved for solved, *_ in together.values()) >= 3
    monkeypatch.setattr(training, "LANES", 2)  # places are taken again
    assert by_seed(run(row(), range(6), 3000)) == together
    assert by_seed(run(row(), [3], 3000)) == {3: together[3]}


def test_milestones_and_counts() -> None:
    for trial in run(row(), range(4), 3000):
        met = dict(trial.milestones)
        assert trial.limit == 3000
        assert trial.seconds > 0
        if trial.solved:
            assert 50 <= met["half"] <= met["most"] == trial.presentations <= 3000
            assert set(trial.test) == {"wrong", "mean absolute error", "root mean squared error"}
            assert trial.test["wrong"] < 0.5
        else:
            assert trial.presentations == 3000
            assert not trial.test


def test_measured_at_an_earlier_milestone_too() -> None:
    trials = [trial for trial in run(row(measured_at="half"), range(4), 3000) if "half" in trial.milestones]
    assert any(trial.solved for trial in trials)
    for trial in trials:
        assert 0 < trial.test["mean absolute error at half"] < 1
        assert ("wrong" in trial.test) == trial.solved


class OneByOne(Drawn):
    """The same sequences, however many are asked for at once."""

    def training(self, count: int) -> Sequences:
        drawn = [super(OneByOne, self).training(1) for _ in range(count)]
        x, target = (torch.cat([getattr(d, name) for d in drawn], dim=k) for name, k in (("x", 1), ("target", 0)))
        return Sequences(x, torch.cat([d.lengths for d in drawn]), target)


def test_the_net_is_tested_as_it_was_when_its_trial_ended() -> None:
    """It goes on learning until the end of the block, with the others."""
    made = [by_seed(run(row(block=block, data=partial(OneByOne, remember)), [1], 3000))[1] for block in (1, 20, 500)]
    assert made[0][0]
    assert made[0] == made[1] == made[2]


def test_a_limit_ends_trials() -> None:
    trials = list(run(row(criterion=partial(Recent, within=0.0)), range(3), 100))
    assert [(t.solved, t.presentations, dict(t.milestones)) for t in trials] == [(False, 100, {})] * 3


def test_strings_count_in_streams() -> None:
    """A block of five strings is a stream; presentations are strings."""
    from carrousel.experiments.criteria import Grammar
    from carrousel.tasks.reber import INPUTS, OUTPUTS

    start = lstm(INPUTS, OUTPUTS, 2, 1, 0.1, biased=("i", "o"), output_bias=False, symbols=True, every_step=True)
    made = row(start=start, data=Strings, criterion=Grammar, measure=None, block=5)
    assert [t.presentations for t in run(made, range(2), 10)] == [10, 10]


def test_side_by_side_pads() -> None:
    generator = torch.Generator().manual_seed(0)
    drawn = [remember(4, generator=generator), remember(4, generator=generator)]
    drawn[1] = drawn[1]._replace(x=drawn[1].x[:5])
    both = side_by_side(drawn)
    assert both.x.shape == (6, 2, 4, 1)
    assert torch.equal(both.x[:5, 1], drawn[1].x)
    assert (both.x[5, 1] == 0).all()
    assert torch.equal(both.target, torch.stack([d.target for d in drawn]))


def test_what_a_net_does_after_its_trial_is_over_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last trials that fail stay in their places while others go on."""
    monkeypatch.setattr(training, "LANES", 2)
    ended, then = [], []
    for trial in run(row(), [0, 1, 2], 300):
        ended.append(trial)
        then.append(dict(trial.milestones))
    assert not all(trial.solved for trial in ended)
    assert [dict(trial.milestones) for trial in ended] == then


def test_where_nobody_waits_a_fresh_net_is_put() -> None:
    """A net that is done may cost more than one that begins: its streams do not end."""
    put: list[tuple[int, int]] = []

    def start(seeds: Sequence[int]) -> Nets:
        nets = row().start(seeds)
        replace = nets.replace

        def noted(net: int, seed: int) -> None:
            put.append((net, seed))
            replace(net, seed)

        nets.replace = noted  # type: ignore[method-assign]
        return nets

    ended = [trial.seed for trial in run(row(start=start), [5, 6, 7], 3000)]
    assert sorted(ended) == [5, 6, 7]
    assert sorted(put) == [(0, 5), (1, 6), (2, 7)]
