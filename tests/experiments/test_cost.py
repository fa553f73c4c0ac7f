"""Cost: memory is counted, so it can be tested; times are only measured."""

import pytest
import torch

from carrousel.errors import OptionError
from carrousel.experiments.cost import HIDDEN, LEARNERS, LENGTH, NETS, Cost, cost, figures, peak
from carrousel.tasks.sequences import Sequences

STEPWISE, THROUGH = "LSTM, truncated, step by step", "LSTM, truncated, through time"


@pytest.fixture(scope="module")
def measured() -> Cost:
    return cost(sizes=(4, 16), lengths=(20, 200), repeats=1)


def growth(points: tuple, what: str = "bytes") -> float:
    return getattr(points[1], what) / getattr(points[0], what)


def test_what_is_freed_is_not_alive() -> None:
    def one_after_the_other() -> None:
        for _ in range(5):
            torch.zeros(1000)

    def at_once() -> None:
        kept = [torch.zeros(1000) for _ in range(5)]
        del kept

    assert peak(one_after_the_other) == 4_000
    assert peak(at_once) == 20_000


def test_views_and_what_was_given_are_not_counted() -> None:
    def seen_from_all_sides() -> None:
        values = torch.zeros(10)
        values.view(2, 5).T.add_(1)

    def written_into() -> None:
        x.view(3)[1:].add_(1)

    x = torch.zeros(3, 1)
    given = Sequences(x, torch.ones(1, dtype=torch.long), torch.zeros(1, 1))
    assert peak(seen_from_all_sides) == 40
    assert peak(written_into, [given]) == 0


def test_memory_against_the_lag(measured: Cost) -> None:
    ratio = {name: growth(points) for name, points in measured.by_length.items()}
    assert ratio[STEPWISE] == pytest.approx(1, abs=0.02)
    assert ratio["RTRL"] == pytest.approx(1, abs=0.02)
    assert ratio["BPTT"] == pytest.approx(10, rel=0.2)
    assert ratio[THROUGH] > 2


def test_memory_per_weight_against_the_size(measured: Cost) -> None:
    ratio = {name: growth(points) for name, points in measured.by_size.items()}
    assert ratio[STEPWISE] == pytest.approx(1, abs=0.1)
    assert ratio["RTRL"] > 2
    assert ratio["BPTT"] < 1


def test_points(measured: Cost) -> None:
    for name in LEARNERS:
        assert [(p.hidden, p.length) for p in measured.by_size[name]] == [(4, LENGTH), (16, LENGTH)]
        assert [(p.hidden, p.length) for p in measured.by_length[name]] == [(HIDDEN, 20), (HIDDEN, 200)]
        assert all(p.microseconds > 0 for p in (*measured.by_size[name], *measured.by_length[name]))
    for point in measured.by_size[STEPWISE]:  # i, o, z from 2 inputs, the cells and a bias; the output unit
        assert point.weights == 3 * point.hidden * (2 + point.hidden + 1) + point.hidden + 1
    for point in measured.by_size["RTRL"]:
        assert point.weights == point.hidden * (2 + point.hidden + 1) + point.hidden + 1


def test_truncated_learners_learn_the_same() -> None:
    """Both ways compute one gradient: with a target at one step only they change the weights alike."""
    x = torch.randn(6, NETS, 1, 2, generator=torch.Generator().manual_seed(0))
    target = torch.full((6, NETS, 1), -1)
    target[-1] = 0
    sequences = Sequences(x, torch.full((NETS, 1), 6), target)
    changed = []
    for name in (STEPWISE, THROUGH):
        nets = LEARNERS[name].start(3)
        before = nets.w.clone()  # type: ignore[attr-defined]
        nets.learn(sequences)
        changed.append(nets.w - before)  # type: ignore[attr-defined]
    torch.testing.assert_close(changed[0], changed[1], rtol=1e-4, atol=1e-8)


@pytest.mark.parametrize("asked", [{"sizes": (0, 2)}, {"lengths": (-1,)}, {"repeats": 0}])
def test_numbers_below_one(asked: dict) -> None:
    with pytest.raises(
        OptionError, match=r"cost - got sizes \[.*\], lengths \[.*\] and \d repeats, expected at least 1"
    ):
        cost(**asked)


def test_figures(measured: Cost) -> None:
    by_length, by_size = figures(measured)
    for name in LEARNERS:
        assert f">{name}<" in by_length.svg
        assert f">{name}<" in by_size.svg
    assert ">200<" in by_length.svg
    assert ">16<" in by_size.svg
    assert f"{HIDDEN} hidden units" in by_length.caption
    assert f"{LENGTH} steps" in by_size.caption
