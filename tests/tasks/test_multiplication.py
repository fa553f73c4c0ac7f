"""The multiplication problem's values, targets and baseline: section 5.5 of the paper."""

import torch

from carrousel.tasks.multiplication import multiplication
from tasks.sampling import assert_mean, assert_share, seeded

T = 100
SEQUENCES = 20_000


def test_values_are_uniform_from_zero_to_one() -> None:
    value = multiplication(SEQUENCES, T, generator=seeded(1)).x[7, :, 0]
    assert value.min() >= 0
    assert value.max() < 1
    for below in (0.25, 0.5, 0.75):
        assert_share(value < below, below)


def test_target_is_the_product_of_the_marks_in_sight() -> None:
    batch = multiplication(SEQUENCES, T, generator=seeded(1))
    marked = batch.x[..., 1] == 1
    torch.testing.assert_close(batch.target[:, 0], batch.x[..., 0].where(marked, 1.0).prod(0))


def test_marked_first_pair_has_the_value_one() -> None:
    batch = multiplication(SEQUENCES, T, generator=seeded(1))
    hidden = (batch.x[..., 1] == 1).sum(0) == 1
    assert_share(hidden, 1 / 10 + 9 / 10 / (T / 2 - 1))
    assert torch.equal(batch.x[0, :, 0] == 1, hidden)


def test_mean_target_has_the_published_error() -> None:
    """7/144, where every mark counts."""
    target = multiplication(SEQUENCES, T, first_pair="counted", generator=seeded(1)).target
    assert_mean(target, 1 / 4)
    assert_mean((target - 1 / 4) ** 2, 7 / 144)
