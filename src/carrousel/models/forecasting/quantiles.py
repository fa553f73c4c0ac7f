"""Quantiles: the loss that finds them, the intervals they make, and the correction that makes those true."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from carrousel.errors import OptionError

__all__ = ["check_levels", "corrected", "coverage", "margins", "pinball", "probabilities"]

Array = NDArray[np.float64]


def check_levels(level: float | Sequence[float]) -> tuple[float, ...]:
    """Return the levels of the intervals, rising.

    Args:
        level: one or several, in percent.

    Raises:
        OptionError: one is not between 1 and 100, as a part of one would be.

    Example:
        >>> check_levels(90), check_levels((95, 50))
        ((90.0,), (50.0, 95.0))
    """
    try:
        levels = tuple(sorted({float(each) for each in (level if isinstance(level, Sequence) else (level,))}))
    except (TypeError, ValueError):
        levels = ()
    if not levels or not all(1 <= each < 100 for each in levels):
        raise OptionError(f"level - {level!r}, expected percent, from 1 to below 100 - give one such as 90, or several")
    return levels


def probabilities(levels: Sequence[float]) -> tuple[float, ...]:
    """Return the quantiles that the intervals of these levels end at, and the median, rising.

    Example:
        >>> probabilities((90.0,))
        (0.05, 0.5, 0.95)
    """
    low = [round(0.5 - each / 200, 6) for each in sorted(levels, reverse=True)]
    return (*low, 0.5, *[round(1 - each, 6) for each in reversed(low)])


def pinball(forecast: Tensor, asked: Tensor, counts: Tensor, quantiles: Tensor) -> Tensor:
    """Return the loss whose minimum is the quantile: the mean over steps and quantiles, (row,).

    Args:
        forecast: what is said.
        asked: what came.
        counts: 1 where it is known, else 0.
        quantiles: their probabilities.

    Shapes:
        - forecast: (row, horizon, quantile)
        - asked, counts: (row, horizon)
        - quantiles: (quantile,)

    Example:
        >>> one = torch.ones(1, 1)
        >>> pinball(torch.tensor([[[0.0]]]), one, one, torch.tensor([0.9])).tolist()
        [0.8999999761581421]

    Source:
        Koenker & Bassett (1978), Regression quantiles.
    """
    off = asked[..., None] - forecast
    losses = torch.maximum(quantiles * off, (quantiles - 1) * off).mean(-1)
    return (losses * counts).sum(-1) / counts.sum(-1).clamp(min=1.0)


def margins(forecast: Array, asked: Array, counts: Array, levels: Sequence[float]) -> Array:
    """Return how much wider, or narrower, each interval must be to hold as many values as it says.

    Args:
        forecast: of windows that the network was not fitted on, (window, horizon, quantile), quantiles rising.
        asked: what came, (window, horizon).
        counts: 1 where it is known, else 0, (window, horizon).
        levels: of the intervals, rising.

    Returns:
        (level, horizon), to be taken off the lower end and put on the upper. With n windows it is the
        (1 - alpha) (1 + 1/n) quantile of how far the value lies outside the interval. Windows overlap, so that they are
        not exchangeable, as the guarantee of the source asks for; that is why the coverage is measured.

    Source:
        Romano, Patterson & Candès (2019), Conformalized quantile regression, equations 6 to 8.
    """
    found = np.zeros((len(levels), forecast.shape[1]))
    last = forecast.shape[2] - 1
    outside_of = [
        np.maximum(forecast[..., k] - asked, asked - forecast[..., last - k]) for k in reversed(range(len(levels)))
    ]
    for row, (level, outside) in enumerate(zip(levels, outside_of, strict=True)):
        for step in range(forecast.shape[1]):
            scores = outside[counts[:, step] > 0, step]
            if len(scores):
                share = min(1.0, level / 100 * (1 + 1 / len(scores)))
                found[row, step] = np.quantile(scores, share, method="higher")
    return found


def corrected(forecast: Array, margin: Array) -> Array:
    """Return quantiles whose intervals are widened; none crosses the median.

    Args:
        forecast: (..., horizon, quantile), rising.
        margin: (level, horizon), levels rising, as `margins` gives it.
    """
    moved, last = forecast.copy(), forecast.shape[-1] - 1
    middle = forecast[..., last // 2]
    for k, wider in enumerate(margin[::-1]):
        moved[..., k] = np.minimum(forecast[..., k] - wider, middle)
        moved[..., last - k] = np.maximum(forecast[..., last - k] + wider, middle)
    return moved


def coverage(low: Array, high: Array, asked: Array, counts: Array) -> float:
    """Return the share of the known values that lie in their interval."""
    inside = (low <= asked) & (asked <= high)
    return float((inside * counts).sum() / max(1.0, counts.sum()))
