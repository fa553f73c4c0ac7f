"""The quantile loss, and intervals that hold what they say."""

import re

import numpy as np
import pytest
import torch

from carrousel.errors import OptionError
from carrousel.models.forecasting.quantiles import check_levels, corrected, coverage, margins, pinball, probabilities


def test_its_minimum_is_the_quantile() -> None:
    values = torch.randn(4001, generator=torch.Generator().manual_seed(0))
    asked, counts = values[:, None], torch.ones(4001, 1)
    quantiles = torch.tensor([0.05, 0.5, 0.95])
    said = torch.zeros(3, requires_grad=True)
    optimiser = torch.optim.Adam([said], 0.02)
    for _ in range(400):
        optimiser.zero_grad()
        pinball(said.expand(4001, 1, 3), asked, counts, quantiles).mean().backward()
        optimiser.step()
    torch.testing.assert_close(said.detach(), values.quantile(quantiles), atol=0.03, rtol=0)


def test_what_does_not_count_does_not() -> None:
    said, asked = torch.zeros(1, 2, 1), torch.tensor([[2.0, 1e9]])
    loss = pinball(said, asked, torch.tensor([[1.0, 0.0]]), torch.tensor([0.5]))
    assert loss.tolist() == [1.0]
    assert pinball(said, asked, torch.zeros(1, 2), torch.tensor([0.5])).tolist() == [0.0]


@pytest.mark.parametrize("scale", [0.3, 1.0, 3.0], ids=["too narrow", "right", "too wide"])
def test_corrected_intervals_hold_new_values(scale: float) -> None:
    random = np.random.default_rng(0)
    levels = (50.0, 90.0)
    said = np.tile(scale * np.array([-1.645, -0.674, 0.0, 0.674, 1.645]), (4000, 2, 1))
    asked, ones = random.normal(size=(4000, 2)), np.ones((4000, 2))
    moved = corrected(said[:2000], margins(said[:2000], asked[:2000], ones[:2000], levels))
    for level, (low, high) in zip(levels, ((1, 3), (0, 4)), strict=True):
        held = coverage(moved[..., low], moved[..., high], asked[2000:], ones[2000:])
        assert abs(held - level / 100) < 0.02
    assert (np.diff(moved) >= 0).all()


def test_with_few_windows_the_interval_is_the_widest_seen() -> None:
    said, asked = np.zeros((3, 1, 3)), np.array([[1.0], [-5.0], [2.0]])
    assert margins(said, asked, np.ones((3, 1)), (90.0,)).tolist() == [[5.0]]
    assert margins(said, asked, np.zeros((3, 1)), (90.0,)).tolist() == [[0.0]]


def test_levels() -> None:
    assert probabilities((50.0, 90.0)) == (0.05, 0.25, 0.5, 0.75, 0.95)
    for level in (0, 0.9, 100, "many", (90, 120), ()):
        with pytest.raises(OptionError, match=re.escape(f"level - {level!r}, expected percent, from 1 to below 100")):
            check_levels(level)
