"""The adding problem has the statistics of section 5.4 of the paper."""

import pytest
import torch
from torch import Tensor

from carrousel.errors import OptionError, OptionTypeError
from carrousel.tasks.adding import Adding, adding

T = 100
SEQUENCES = 20_000
DEVIATIONS = 5  # a share of SEQUENCES draws is this many standard deviations off once in two million tests


@pytest.fixture(scope="module")
def drawn() -> Adding:
    return adding(SEQUENCES, T, generator=torch.Generator().manual_seed(1))


def marked(batch: Adding) -> Tensor:
    return batch.x[..., 1] == 1


def assert_share(found: Tensor, expected: float) -> None:
    """The share of true entries is that of SEQUENCES draws with this probability."""
    deviation = (expected * (1 - expected) / SEQUENCES) ** 0.5
    assert abs(found.float().mean().item() - expected) < DEVIATIONS * deviation


def test_shapes(drawn: Adding) -> None:
    assert drawn.x.shape == (T + T // 10, SEQUENCES, 2)
    assert drawn.lengths.shape == drawn.target.shape == (SEQUENCES,)
    assert drawn.lengths.dtype == torch.int64


def test_target_is_that_of_the_marks_in_sight(drawn: Adding) -> None:
    visible = (drawn.x[..., 0] * marked(drawn)).sum(0)
    torch.testing.assert_close(drawn.target, 0.5 + visible / 4)
    assert drawn.target.min() >= 0
    assert drawn.target.max() <= 1


def test_target_has_mean_one_half_and_the_variance_of_its_marks(drawn: Adding) -> None:
    hidden = 1 / 10 + 9 / 10 / (T / 2 - 1)  # marks that fall on the first pair
    assert abs(drawn.target.mean() - 0.5) < DEVIATIONS * (1 / 24 / SEQUENCES) ** 0.5
    torch.testing.assert_close(drawn.target.var().item(), (2 - hidden) / 3 / 16, rtol=0.05, atol=0)


@pytest.mark.parametrize("length", range(T, T + T // 10 + 1))
def test_lengths_are_uniform(drawn: Adding, length: int) -> None:
    assert_share(drawn.lengths == length, 1 / (T // 10 + 1))


def test_values_are_uniform(drawn: Adding) -> None:
    value = drawn.x[1:T, :, 0]
    assert value.min() >= -1
    assert value.max() < 1
    for below in (-0.5, 0.0, 0.5):
        assert_share(value[7] < below, (below + 1) / 2)
    torch.testing.assert_close(value.var().item(), 1 / 3, rtol=0.01, atol=0)


def test_markers(drawn: Adding) -> None:
    marker, rows = drawn.x[..., 1], torch.arange(SEQUENCES)
    assert (marker[0] == -1).all()
    assert (marker[drawn.lengths - 1, rows] == -1).all()
    marks = marked(drawn).sum(0)
    assert ((marks == 2) | (marks == 1)).all()
    assert ((marker == -1).sum(0) == 2).all()
    assert ((marker == 0).sum(0) + marks + 2 == len(marker)).all()


def test_first_mark_is_among_the_first_ten_and_the_second_among_the_unmarked_half(drawn: Adding) -> None:
    marks = marked(drawn)
    assert not marks[T // 2 :].any()
    among_unmarked = 1 / (T // 2 - 1)
    for step in range(10, T // 2):
        assert_share(marks[step], among_unmarked)
    for step in range(1, 10):
        assert_share(marks[step], 1 / 10 + 9 / 10 * among_unmarked)


def test_marked_first_pair_has_the_value_zero_and_hides_its_mark(drawn: Adding) -> None:
    hidden = marked(drawn).sum(0) == 1
    assert_share(hidden, 1 / 10 + 9 / 10 / (T // 2 - 1))
    assert torch.equal(drawn.x[0, :, 0] == 0, hidden)


def test_lag_is_at_least_half_the_minimal_length(drawn: Adding) -> None:
    last_mark = torch.where(marked(drawn), torch.arange(len(drawn.x))[:, None], 0).amax(0)
    assert (drawn.lengths - 1 - last_mark).min() == T // 2


def test_steps_after_the_length_are_zero(drawn: Adding) -> None:
    after = torch.arange(len(drawn.x))[:, None] >= drawn.lengths
    assert (drawn.x[after] == 0).all()


def test_time_is_the_longest_length_of_the_batch() -> None:
    batch = adding(1, 200, generator=torch.Generator().manual_seed(3))
    assert len(batch.x) == batch.lengths.item()


def test_seed_decides() -> None:
    first, again, other = (adding(8, 20, generator=torch.Generator().manual_seed(seed)) for seed in (5, 5, 6))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first.target, other.target)


def test_without_a_generator_the_global_seed_decides() -> None:
    torch.manual_seed(2)
    first = adding(4, 20)
    torch.manual_seed(2)
    assert torch.equal(first.target, adding(4, 20).target)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ((0, 100), "adding - batch_size is 0, expected at least 1"),
        ((3, 19), "adding - minimal_length is 19, expected at least 20"),
    ],
)
def test_sizes_that_can_not_be(sizes: tuple[int, int], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        adding(*sizes)


@pytest.mark.parametrize("sizes", [(2.0, 100), (True, 100), (2, "100")])
def test_sizes_of_the_wrong_type(sizes: tuple) -> None:
    with pytest.raises(OptionTypeError, match=r"adding - .* expected a whole number"):
        adding(*sizes)
