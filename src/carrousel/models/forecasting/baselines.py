"""What every forecast has to beat: the last value, the last season again, a linear function of the known values."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from carrousel.data.windows import Windows

__all__ = ["Linear", "find_season", "fit_linear", "last_value", "seasonal_naive"]

Array = NDArray[np.float64]

#: Rows of windows that are worked on at once.
_BLOCK = 4096

#: Windows that the linear function is fitted on, at most, and strengths of the ridge, as shares of the mean variance.
_MOST = 60_000
_RIDGES = (1e-6, 1e-4, 1e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0)

#: The autocorrelation rises by so much from the valley before a season.
_RISE = 0.1


def last_value(known: Tensor, horizon: int) -> Tensor:
    """Forecast the last known value for all steps, (row, horizon).

    Args:
        known: (row, context).
        horizon: steps.
    """
    return known[:, -1:].expand(-1, horizon)


def seasonal_naive(known: Tensor, horizon: int, season: int) -> Tensor:
    """Forecast the last season again, (row, horizon).

    Args:
        known: (row, context), at least a season.
        horizon: steps.
        season: steps of a season.

    Example:
        >>> seasonal_naive(torch.tensor([[9.0, 1.0, 2.0]]), 3, 2).tolist()
        [[1.0, 2.0, 1.0]]
    """
    steps = torch.arange(horizon) % season
    return known[:, known.shape[1] - season + steps]


@dataclass(frozen=True)
class Linear:
    """A linear function from the known values to all steps, both less the level.

    Attributes:
        weights: (horizon, context).
        ridge: its strength, chosen on the validation windows.

    Source:
        Zeng et al. (2023), Are transformers effective for time series forecasting? Their DLinear cuts a series into a
        moving average and the rest, with a linear function of each; together they are one linear function of the
        values, which is fitted here in closed form.
    """

    weights: Tensor
    ridge: float

    def __call__(self, known: Tensor) -> Tensor:
        """Return the forecasts, (row, horizon), for values less the level, (row, context)."""
        return known @ self.weights.T

    def residuals(self, windows: Windows, quantiles: Tensor) -> Tensor:
        """Return the quantiles of its errors, (horizon, quantile)."""
        batch = windows.batch(_spread(len(windows), _BLOCK))
        off = batch.asked - self(batch.known)
        off = torch.where(batch.counts > 0, off, torch.nan)
        return torch.nan_to_num(torch.nanquantile(off, quantiles, dim=0)).T


def fit_linear(training: Windows, validation: Windows | None) -> Linear:
    """Fit the linear baseline in closed form.

    Args:
        training: the windows to fit; those that ask for missing values are left out.
        validation: the windows that the strength of the ridge is chosen on, None for a fixed one.

    Returns:
        The function.
    """
    context, horizon = training.context, training.horizon
    square = torch.zeros(context, context, dtype=torch.float64)
    product = torch.zeros(context, horizon, dtype=torch.float64)
    rows = 0
    for numbers in _spread(len(training), _MOST).split(_BLOCK):
        batch = training.batch(numbers)
        whole = (batch.counts > 0).all(1)
        known, asked = batch.known[whole].double(), batch.asked[whole].double()
        square += known.T @ known
        product += known.T @ asked
        rows += len(known)
    variance = float(square.diagonal().mean()) or 1.0
    values, vectors = torch.linalg.eigh(square)
    rotated = vectors.T @ product

    def solved(ridge: float) -> Tensor:
        weights: Tensor = vectors @ (rotated / (values.clamp(min=0) + ridge * variance)[:, None])
        return weights.T.float().contiguous()

    if validation is None or not len(validation):
        return Linear(solved(_RIDGES[3]), _RIDGES[3])
    batch = validation.batch(_spread(len(validation), _BLOCK))

    def error(ridge: float) -> float:
        off = (batch.asked - batch.known @ solved(ridge).T) * batch.counts
        return float(off.abs().sum())

    best = min(_RIDGES, key=error)
    return Linear(solved(best), best)


def _spread(count: int, most: int) -> Tensor:
    """Numbers of windows, evenly spread, at most so many."""
    return torch.arange(count) if count <= most else torch.linspace(0, count - 1, most).round().long()


def find_season(values: Array, expected: int, most: int = 400) -> int:
    """Find the season of a series: what its frequency suggests, if the series agrees, else what it shows itself.

    Against what its frequency suggests the series has to show it more clearly than where nothing is suggested: an
    autocorrelation of 0.5 instead of 0.3 at the season, which random walks rarely have.

    Args:
        values: (time,), of the training part, without missing values.
        expected: the season that the frequency suggests, 1 for none.
        most: the longest that is looked for.

    Returns:
        Steps of a season, 1 if there is none.

    Example:
        >>> wave = np.sin(np.arange(200) * 2 * np.pi / 11)
        >>> find_season(wave, 1), find_season(wave, 12), find_season(np.arange(100.0), 12)
        (11, 11, 1)
    """
    values = values[-20_000:]
    longest = min(most, len(values) // 3)
    if len(values) < 8 or longest < 2 or np.ptp(values) == 0:
        return 1
    if 1 < expected <= longest:
        width = np.ones(expected) / expected
        middle = (expected - 1) // 2
        slow = np.convolve(values, width, "valid")
        correlation = _correlation(values[middle : middle + len(slow)] - slow, expected + 1)
        is_peak = correlation[expected] > max(correlation[expected - 1], correlation[expected + 1])
        if is_peak and correlation[expected] > max(0.2, 2 / np.sqrt(len(values))):
            return expected
    return _shown(values, longest, 0.5 if expected > 1 else 0.3)


def _shown(values: Array, longest: int, least: float) -> int:
    """The lag at which the autocorrelation, less a straight line, comes back to a peak; 1 if it does not."""
    steps = np.arange(len(values))
    correlation = _correlation(values - np.polyval(np.polyfit(steps, values, 1), steps), longest)
    inner = np.arange(2, longest)
    peaks = inner[(correlation[inner] > correlation[inner - 1]) & (correlation[inner] >= correlation[inner + 1])]
    # after a valley: noise on a slow drift has little peaks without one
    risen = correlation - np.minimum.accumulate(correlation)
    peaks = peaks[(correlation[peaks] > max(least, 2 / np.sqrt(len(values)))) & (risen[peaks] > _RISE)]
    if not len(peaks):
        return 1
    # twice a season is a season too: the first that is about as good as the best
    return _sharpened(int(peaks[correlation[peaks] > 0.8 * correlation[peaks].max()][0]), correlation)


def _sharpened(season: int, correlation: Array) -> int:
    """A slow drift moves a broad peak; of the peaks that follow it, season by season, the last says it most exactly."""
    lag, count = season, 1
    while lag + season + 1 < len(correlation):
        near = np.arange(lag + season - 1, lag + season + 2)
        lag, count = int(near[correlation[near].argmax()]), count + 1
    return round(lag / count)


def _correlation(values: Array, longest: int) -> Array:
    """The autocorrelation up to a lag; 0 everywhere if nothing changes."""
    values = values - values.mean()
    spectrum = np.fft.rfft(values, 2 * len(values))
    found = np.fft.irfft(spectrum * spectrum.conj())[: longest + 1]
    return np.asarray(found / found[0] if found[0] > 1e-12 * len(values) else np.zeros(longest + 1))
