"""The latch problem: what the first element says, and noise."""

import re

import pytest
import torch

from carrousel.errors import OptionError
from carrousel.tasks.latch import latch
from tasks.sampling import assert_uniform, seeded


@pytest.mark.parametrize("target", [1.0, 0.8])
def test_the_first_element_is_the_class(target: float) -> None:
    drawn = latch(400, target, 20, 30, generator=seeded(0))
    assert drawn.x.shape == (30, 400, 1)
    assert torch.equal(drawn.target, target * drawn.x[0])
    assert_uniform(drawn.x[0].flatten().long(), [-1, 1])
    assert_uniform(drawn.lengths, range(20, 31))


def test_noise_has_its_variance() -> None:
    for given, variance in (({}, 0.2), ({"variance": 0.04}, 0.04)):
        drawn = latch(400, 1.0, 50, 50, generator=seeded(1), **given)
        noise = drawn.x[1:]
        assert abs(noise.mean()) < 5 * (variance / noise.numel()) ** 0.5
        assert abs(noise.var() / variance - 1) < 5 * (2 / noise.numel()) ** 0.5


def test_behind_the_end_is_nothing() -> None:
    drawn = latch(50, 1.0, 5, 20, generator=seeded(2))
    after = torch.arange(len(drawn.x))[:, None] >= drawn.lengths
    assert (drawn.x[after] == 0).all()
    assert (drawn.x[~after] != 0).all()


def test_lengths_that_are_none() -> None:
    message = "latch - maximal_length is 4, expected at least 5 - give a larger number"
    with pytest.raises(OptionError, match=re.escape(message)):
        latch(2, 1.0, 5, 4)
