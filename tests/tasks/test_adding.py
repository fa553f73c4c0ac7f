"""The adding problem's targets and baselines: section 5.4 of the 1997 paper, and the form of 2015."""

import pytest
import torch
from torch import Tensor

from carrousel.tasks.adding import CORRECT_WITHIN, adding, adding_irnn
from carrousel.tasks.marked_pairs import FIRST_PAIR
from carrousel.tasks.sequences import Sequences
from tasks.sampling import assert_mean, assert_share, assert_uniform, seeded

T = 100
SEQUENCES = 20_000


@pytest.fixture(scope="module")
def drawn() -> Sequences:
    return adding(SEQUENCES, T, generator=seeded(1))


@pytest.fixture(scope="module")
def counted() -> Sequences:
    return adding(SEQUENCES, T, first_pair="counted", generator=seeded(1))


@pytest.fixture(scope="module")
def irnn() -> Sequences:
    return adding_irnn(SEQUENCES, 51, generator=seeded(1))


def visible_sum(batch: Sequences) -> Tensor:
    return (batch.x[..., 0] * (batch.x[..., 1] == 1)).sum(0)[:, None]


def test_default_reading_hides_a_marked_first_pair() -> None:
    plain, named = adding(500, generator=seeded(0)), adding(500, first_pair="hidden", generator=seeded(0))
    assert torch.equal(plain.x, named.x)
    assert (plain.x[0, :, 1] == -1).all()


@pytest.mark.parametrize("reading", FIRST_PAIR)
def test_target_is_that_of_the_marks_in_sight(reading: str) -> None:
    batch = adding(500, first_pair=reading, generator=seeded(1))
    agrees = torch.isclose(batch.target, 0.5 + visible_sum(batch) / 4, atol=1e-6)[:, 0]
    assert torch.equal(agrees, ~(batch.x[0, :, 1] == 1) | (reading != "discounted"))
    assert 0 <= batch.target.min() < batch.target.max() <= 1


def test_mean_target_has_the_published_errors(counted: Sequences) -> None:
    """1/24, and 15 % within the tolerance, where every mark counts: a sum of two uniform numbers is triangular."""
    error = counted.target - 0.5
    assert_mean(error, 0)
    assert_mean(error**2, 1 / 24)
    within = 4 * CORRECT_WITHIN
    assert_share(error.abs() < CORRECT_WITHIN, within - within**2 / 4)
    assert round(within - within**2 / 4, 2) == 0.15


def test_hidden_marks_lower_the_error_of_the_mean(drawn: Sequences) -> None:
    hidden = 1 / 10 + 9 / 10 / (T / 2 - 1)
    assert_mean((drawn.target - 0.5) ** 2, (2 - hidden) / 3 / 16)


@pytest.mark.parametrize("minimal_length", [100, 500, 1000])
def test_lengths_of_the_paper(minimal_length: int) -> None:
    batch = adding(200, minimal_length, generator=seeded(0))
    assert minimal_length <= batch.lengths.min() < batch.lengths.max() <= 1.1 * minimal_length
    assert len(batch.x) == batch.lengths.max()


# ---------------------------------------------------------------------- of 2015


def test_irnn_sequences_have_one_length(irnn: Sequences) -> None:
    assert irnn.x.shape == (51, SEQUENCES, 2)
    assert (irnn.lengths == 51).all()


def test_irnn_values_are_uniform(irnn: Sequences) -> None:
    value = irnn.x[7, :, 0]
    assert value.min() >= 0
    assert value.max() < 1
    for below in (0.25, 0.5, 0.75):
        assert_share(value < below, below)


def test_irnn_has_one_mark_in_each_half(irnn: Sequences) -> None:
    marker = irnn.x[..., 1]
    assert ((marker == 0) | (marker == 1)).all()
    assert (marker[:25].sum(0) == 1).all()
    assert (marker[25:].sum(0) == 1).all()
    assert_uniform(marker[:25].argmax(0), range(25))
    assert_uniform(marker[25:].argmax(0), range(26))


def test_irnn_target_is_the_sum(irnn: Sequences) -> None:
    torch.testing.assert_close(irnn.target, visible_sum(irnn))


def test_irnn_error_of_always_saying_one(irnn: Sequences) -> None:
    assert_mean((irnn.target - 1) ** 2, 1 / 6)
