"""The network of the forecaster."""

import re

import pytest
import torch

from carrousel.data.windows import Batch
from carrousel.errors import OptionError
from carrousel.models.forecasting.net import ForecastNet

QUANTILES = (0.05, 0.5, 0.95)


def batch_of(rows: int, context: int = 8, horizon: int = 3, future: int = 2) -> Batch:
    random = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=random)

    steps = context + horizon
    ones, asked = torch.ones(rows, horizon), draw(rows, horizon)
    known = draw(rows, context)
    inputs = (draw(rows, context, 1), draw(rows, steps, future), draw(rows, steps, 2), draw(rows, 1))
    return Batch(known, draw(rows), torch.ones(rows, context), *inputs, asked, ones)


def net_of(cell: str = "lstm", **options) -> ForecastNet:
    torch.manual_seed(0)
    sizes = {"past": 1, "future": 2, "calendar": 2, "static": 1, "hidden_size": 5, "segment": 4, **options}
    return ForecastNet(cell, 8, 3, QUANTILES, **sizes).eval()


@pytest.mark.parametrize("cell", ["lstm", "gru", "peephole_lstm", "elman", "slstm"])
def test_rising_quantiles_of_any_cell(cell: str) -> None:
    said = net_of(cell)(batch_of(4))
    assert said.shape == (4, 3, 3)
    assert (said.diff(dim=-1) >= 0).all()


def test_a_row_does_not_depend_on_the_others() -> None:
    net, batch = net_of(), batch_of(4)
    alone = net(Batch(*[part[2:3] for part in batch]))
    torch.testing.assert_close(alone, net(batch)[2:3], rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("part", "where"), [("known", 0), ("past", 0), ("future", 0), ("future", 10), ("calendar", 4), ("static", 0)]
)
def test_every_input_is_used(part: str, where: int) -> None:
    net, batch = net_of(), batch_of(1)
    changed = getattr(batch, part).clone()
    changed[0, where] += 1.0
    assert not torch.equal(net(batch._replace(**{part: changed})), net(batch))


def test_what_is_asked_and_the_level_are_not_seen() -> None:
    net, batch = net_of(), batch_of(1)
    blind = batch._replace(asked=batch.asked + 1, level=batch.level + 1, measured=batch.measured * 0)
    torch.testing.assert_close(net(blind), net(batch))
    masked = net_of(has_mask=True)
    assert not torch.equal(masked(blind), masked(batch))


def test_begins_at_the_linear_forecast() -> None:
    net, batch = net_of(future=0), batch_of(4, future=0)
    line, residuals = torch.randn(3, 8), torch.tensor([[-1.0, 0.0, 1.0]] * 3)
    net.begin_at(line, residuals)
    middle = net(batch)[..., 1]
    torch.testing.assert_close(middle, batch.known @ line.T, atol=0.2, rtol=0)
    without = net_of(has_line=False)
    before = without(batch_of(1))
    without.begin_at(line, residuals)
    torch.testing.assert_close(without(batch_of(1)), before)


def test_segment_that_does_not_fit() -> None:
    with pytest.raises(
        OptionError, match=re.escape("segment - 3 does not divide the context, 8 - choose one that does")
    ):
        net_of(segment=3)
