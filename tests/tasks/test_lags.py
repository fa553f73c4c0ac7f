"""The sequences of 2a, 2b and 2c have the symbols, lags and lengths of section 5.2 of the paper."""

import pytest
import torch

from carrousel.tasks.lags import no_local_regularity, noise_free, very_long
from carrousel.tasks.sequences import Sequences
from tasks.sampling import assert_mean, assert_share, assert_uniform, last, seeded, within

SEQUENCES = 20_000
Q, P = 6, 9
TRIGGER, BEGIN, FIRST_CLASS = P, P + 1, P + 2


@pytest.fixture(scope="module")
def long() -> Sequences:
    return very_long(SEQUENCES, Q, P, generator=seeded(1))


@pytest.mark.parametrize("p", [2, 4, 100])
def test_noise_free_has_two_sequences_equally_likely(p: int) -> None:
    batch = noise_free(SEQUENCES, p, generator=seeded(0))
    whole = torch.cat([batch.x, batch.target[-1:]])
    middle = list(range(p - 1))
    assert sorted(whole.unique(dim=1).T.tolist()) == [[p - 1, *middle, p - 1], [p, *middle, p]]
    assert_share(batch.x[0] == p, 1 / 2)


@pytest.mark.parametrize("task", [noise_free, no_local_regularity])
def test_next_symbol_is_the_target(task) -> None:
    batch = task(50, 10, generator=seeded(0))
    assert batch.x.shape == batch.target.shape == (10, 50)
    assert (batch.lengths == 10).all()
    assert torch.equal(batch.target[:-1], batch.x[1:])
    assert torch.equal(batch.target[-1], batch.x[0])


def test_no_local_regularity_has_a_random_middle() -> None:
    batch = no_local_regularity(SEQUENCES, 8, generator=seeded(0))
    assert_share(batch.x[0] == 8, 1 / 2)
    for step in range(1, 8):
        assert_uniform(batch.x[step], range(7))
    for step in range(1, 7):
        assert_share(batch.x[step] == batch.x[step + 1], 1 / 7)
    for symbol in range(7):
        assert_share(batch.x[4][batch.x[0] == 8] == symbol, 1 / 7)


def test_no_local_regularity_allows_the_middle_and_then_the_first_symbol() -> None:
    batch = no_local_regularity(50, 8, generator=seeded(0))
    middle = torch.tensor([True] * 7 + [False] * 2)
    assert (batch.allowed[:-1] == middle).all()
    assert torch.equal(batch.allowed[-1], torch.nn.functional.one_hot(batch.x[0], 9).bool())


def test_noise_free_leaves_no_choice() -> None:
    assert noise_free(3).allowed is None


# ---------------------------------------------------------------------- 2c


def test_class_comes_after_the_begin_and_is_the_target(long: Sequences) -> None:
    assert (long.x[0] == BEGIN).all()
    assert torch.equal(long.target, torch.nn.functional.one_hot(long.x[1] - FIRST_CLASS, 2).float())
    assert_share(long.x[1] == FIRST_CLASS, 1 / 2)


def test_trigger_is_the_last_symbol_and_comes_once(long: Sequences) -> None:
    assert (last(long.x, long.lengths) == TRIGGER).all()
    assert ((long.x == TRIGGER).sum(0) == 1).all()


def test_distractors_fill_the_rest_uniformly(long: Sequences) -> None:
    step = torch.arange(len(long.x))[:, None]
    assert_uniform(long.x[(step >= 2) & (step < long.lengths - 1)], range(P))


def test_lengths_are_geometric(long: Sequences) -> None:
    """With the target the shortest sequence has q + 4 symbols; the mean by the rule is q + 4 + 9."""
    whole = long.lengths + 1
    assert whole.min() == Q + 4
    assert_mean(whole, Q + 13)
    for further in range(20):
        assert_share(whole == Q + 4 + further, 0.1 * 0.9**further)


def test_lag_is_above_q(long: Sequences) -> None:
    assert (long.lengths - 1 - 1).min() == Q + 1  # from the class at step 1 to the trigger


def test_very_long_lags_of_the_paper() -> None:
    batch = very_long(50, 1000, 50, generator=seeded(0))
    assert batch.lengths.min() >= 1003
    assert batch.x[within(batch)].max() <= 50 + 3
