"""Forecasts measured against what came, beside those that cost nothing."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from carrousel.data.series import Panel
from carrousel.data.windows import Windows
from carrousel.models.forecasting.baselines import Linear, last_value, seasonal_naive
from carrousel.models.forecasting.net import ForecastNet
from carrousel.models.forecasting.output import as_rows, as_table
from carrousel.models.forecasting.quantiles import corrected, coverage

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["LAST", "LINEAR", "SEASONAL", "Measured", "Row", "compare", "joined", "quantiles_of"]

Array = NDArray[np.float64]

LAST, SEASONAL, LINEAR = "last value", "seasonal naive", "linear"

_BLOCK = 1024

#: Below this share two errors count as equal in the verdict.
_TIE = 0.01


@dataclass(frozen=True)
class Row:
    """How good one kind of forecast is.

    Attributes:
        name: of the kind.
        mae, rmse: mean absolute and root mean squared error, in the units of the target.
        mase: mean absolute error as a multiple of that of the seasonal naive forecast one step ahead in the training
            part: Hyndman & Koehler (2006).
        skill: 1 - error / error of the naive forecast, both of scaled values: 0 is as good as it, 1 is without error.
        coverage: level -> share of the values that were in the interval; empty for forecasts without one.
        scaled_mae, scaled_mse: mean absolute and mean squared error of scaled values.
    """

    name: str
    mae: float
    rmse: float
    mase: float
    skill: float
    scaled_mae: float
    scaled_mse: float
    coverage: Mapping[str, float]


@dataclass(frozen=True, repr=False)
class Measured:
    """Forecasts of windows and what came.

    Attributes:
        panel: the series that were forecast.
        levels: of the intervals, rising, in percent.
        part: what was measured on: "test", "validation" or "windows".
        rows: the model first, then the baselines.
        by_step: name -> mean absolute error of scaled values at each step of the horizon.
        origins, series, which: (window,), the first row asked for, its series and its target.
        quantiles: (window, horizon, quantile), in the units of the target.
        baselines: name -> (window, horizon), in the units of the target.
        asked, counts: (window, horizon), what came, and 1 where it is known.
        naive: the baseline that skill is measured by.

    Example:
        >>> from carrousel import Forecaster
        >>> wave = np.sin(np.arange(300) / 4) + np.arange(300) / 100
        >>> small = Forecaster(horizon=2, context=8, hidden_size=4, epochs=1, verbose=0, season=25)
        >>> measured = small.fit(wave).backtest(windows=3)
        >>> measured.windows, len(measured.frame), list(measured.table.columns)[:4]
        (3, 6, ['model', 'mae', 'rmse', 'mase'])
    """

    panel: Panel
    levels: tuple[float, ...]
    part: str
    rows: tuple[Row, ...]
    by_step: Mapping[str, list[float]]
    origins: NDArray[np.int64]
    series: NDArray[np.int64]
    which: NDArray[np.int64]
    quantiles: Array
    baselines: Mapping[str, Array]
    asked: Array
    counts: Array
    naive: str

    def __repr__(self) -> str:
        model = self.rows[0]
        skill = f"skill {model.skill:.1%} over '{self.naive}'"
        return f"Measured({self.windows:,} forecasts of {self.part}; {model.name}: MAE {model.mae:.4g}, {skill})"

    @property
    def table(self) -> Any:
        """How good each kind of forecast is, as a frame of the user's library: a row for each, the model first."""
        return as_table(self)

    @property
    def frame(self) -> Any:
        """All forecasts, as a frame: a row for each window and step, with what came and what the baselines say."""
        return as_rows(self)

    def plot(self, path: str | Path | None = None) -> "Figure":
        """Return a figure of some of the forecasts, the last ones, with their bands and what came.

        Args:
            path: where it is written, too: .png, .svg, .pdf...

        Raises:
            MissingExtraError: matplotlib is not installed.
            OptionError: there is no such kind of picture.
            OutputError: it can not be written.
        """
        from carrousel.models.forecasting.page import held_out
        from carrousel.report.figures import write_figure
        from carrousel.report.forecasting import windows_figure

        figure = windows_figure(held_out(self))
        if path is not None:
            write_figure(figure, Path(path))
        return figure

    @property
    def windows(self) -> int:
        """How many forecasts were made, of one target each."""
        return len(self.which)

    @property
    def verdict(self) -> str:
        """One sentence: whether the model is worth its while."""
        model, *others = self.rows
        best = min(others, key=lambda row: row.scaled_mae)
        margin = 1 - model.scaled_mae / best.scaled_mae if best.scaled_mae > 0 else 0.0
        share = f"{abs(margin):.1%}"
        if abs(margin) < _TIE:
            return (
                f"The {model.name} is NOT better than the forecast '{best.name}' (MAE within {share}): use the simpler."
            )
        if margin < 0:
            return (
                f"The {model.name} is NOT better than the forecast '{best.name}', its MAE is {share} higher: use that."
            )
        return f"The {model.name}'s MAE is {share} lower than that of the best baseline, '{best.name}'."

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers for JSON."""
        rows = [
            {"model": row.name, **{k: getattr(row, k) for k in _NUMBERS}, "coverage": dict(row.coverage)}
            for row in self.rows
        ]
        shown = {"part": self.part, "windows": self.windows, "naive": self.naive, "verdict": self.verdict}
        return {**shown, "rows": rows, "by_step": {name: list(errors) for name, errors in self.by_step.items()}}


_NUMBERS = ("mae", "rmse", "mase", "skill", "scaled_mae", "scaled_mse")


@torch.no_grad()
def quantiles_of(net: ForecastNet, windows: Windows) -> tuple[Array, Array, Array, Array]:
    """Forecast windows.

    Args:
        net: the network.
        windows: of prepared rows.

    Returns:
        Quantiles (window, horizon, quantile), what came and where it is known, both (window, horizon), all scaled and
        relative to the level; the level (window,).
    """
    net.eval()
    said, asked, counts, level = [], [], [], []
    for rows in torch.arange(len(windows)).split(_BLOCK):
        batch = windows.batch(rows)
        said.append(net(batch))
        asked.append(batch.asked)
        counts.append(batch.counts)
        level.append(batch.level)
    found = (torch.cat(parts).numpy().astype(np.float64) for parts in (said, asked, counts, level))
    return tuple(found)  # type: ignore[return-value]


def compare(
    name: str,
    part: str,
    net: ForecastNet,
    panel: Panel,
    windows: Windows,
    margin: Array,
    linear: Linear | None,
    season: int,
    usual: int,
    centre: Array,
    width: Array,
    naive_errors: Array,
    levels: tuple[float, ...],
) -> Measured:
    """Measure the model beside the baselines, on the same windows.

    Args:
        name: of the model.
        part: what the windows are of.
        net: the network.
        panel: the series.
        windows: of their prepared rows.
        margin: what widens the intervals, (level, horizon).
        linear: the linear baseline.
        season: steps, 1 for none that was found.
        usual: steps that the seasonal naive forecast repeats then, 1 for none; skill is over the last value then.
        centre, width: (series, target), the scales, to give errors in the units of the target.
        naive_errors: (series, target), the error that MASE divides by, of scaled values.
        levels: of the intervals, rising.
    """
    said, asked, counts, level = quantiles_of(net, windows)
    said = corrected(said, margin)
    which = np.tile(np.arange(windows.targets), len(windows.origins))
    series = np.repeat(windows.series, windows.targets)
    simple = _baselines(windows, linear, season if season > 1 else usual)
    middle = said.shape[-1] // 2
    naive = SEASONAL if season > 1 and SEASONAL in simple else LAST
    points = {name: said[..., middle], **simple}
    wide = width[series, which][:, None]
    divisor = naive_errors[series, which][:, None]
    inside = {
        f"{each:g}": coverage(said[..., k], said[..., -1 - k], asked, counts)
        for each, k in zip(levels, reversed(range(len(levels))), strict=True)
    }
    off = {each: point - asked for each, point in points.items()}
    by_step = {each: _by_step(np.abs(errors), counts) for each, errors in off.items()}
    units = counts, wide, divisor, _mean(np.abs(off[naive]), counts)
    rows = tuple(_row(each, errors, *units, inside if each == name else {}) for each, errors in off.items())
    zero = (level * width[series, which] + centre[series, which])[:, None]
    # the values themselves: those of the windows went through single precision
    came = panel.target[windows.origins[:, None] + np.arange(windows.horizon)].swapaxes(1, 2)
    return Measured(
        panel,
        levels,
        part,
        rows,
        by_step,
        np.repeat(windows.origins, windows.targets),
        series,
        which,
        zero[..., None] + said * wide[..., None],
        {each: zero + point * wide for each, point in simple.items()},
        came.reshape(counts.shape),
        counts,
        naive,
    )


def _row(
    name: str, off: Array, counts: Array, wide: Array, divisor: Array, naive: float, inside: Mapping[str, float]
) -> Row:
    """What the errors of one kind of forecast, of scaled values, come to."""
    scaled = _mean(np.abs(off), counts)
    return Row(
        name,
        mae=_mean(np.abs(off) * wide, counts),
        rmse=float(np.sqrt(_mean((off * wide) ** 2, counts))),
        mase=_mean(np.abs(off) / divisor, counts),
        skill=1 - scaled / naive if naive > 0 else 0.0,
        scaled_mae=scaled,
        scaled_mse=_mean(off**2, counts),
        coverage=inside,
    )


def joined(found: list[Measured]) -> Measured:
    """Put measurements of as many windows each together: means of the errors, all windows."""
    # a season that not every model found is no baseline of all
    names = [row.name for row in found[0].rows if all(row.name in each.by_step for each in found)]
    weights = np.array([float(each.counts.sum()) for each in found])

    def mean(values: list[float]) -> float:
        return float(np.average(values, weights=weights))

    rows = []
    for name in names:
        same = [next(row for row in each.rows if row.name == name) for each in found]
        numbers = {field: mean([getattr(row, field) for row in same]) for field in _NUMBERS}
        numbers["rmse"] = float(np.sqrt(mean([row.rmse**2 for row in same])))
        inside = {level: mean([row.coverage[level] for row in same]) for level in same[0].coverage}
        rows.append(Row(name, **numbers, coverage=inside))
    naive = SEASONAL if all(each.naive == SEASONAL for each in found) else LAST
    error = next(row for row in rows if row.name == naive).scaled_mae
    rows = [replace(row, skill=1 - row.scaled_mae / error if error > 0 else 0.0) for row in rows]
    by_step = {name: np.average([each.by_step[name] for each in found], 0, weights).tolist() for name in names}
    arrays = {
        name: np.concatenate([getattr(each, name) for each in found])
        for name in ("origins", "series", "which", "quantiles", "asked", "counts")
    }
    baselines = {name: np.concatenate([each.baselines[name] for each in found]) for name in names[1:]}
    return replace(found[0], rows=tuple(rows), by_step=by_step, baselines=baselines, naive=naive, **arrays)


def _baselines(windows: Windows, linear: Linear | None, season: int) -> dict[str, Array]:
    """The forecasts of the baselines, relative to the level; the seasonal one where all windows reach so far back."""
    has_season = 1 < season <= (windows.origins - windows.rows.first[windows.series]).min()
    found: dict[str, list[torch.Tensor]] = {LAST: [], SEASONAL: [], LINEAR: []}
    for rows in torch.arange(len(windows)).split(_BLOCK):
        batch = windows.batch(rows)
        known = batch.known
        found[LAST].append(last_value(known, windows.horizon))
        if has_season:
            back = windows.before(rows, season) - batch.level[:, None]
            found[SEASONAL].append(seasonal_naive(back, windows.horizon, season))
        if linear is not None:
            found[LINEAR].append(linear(known))
    return {name: torch.cat(parts).numpy().astype(np.float64) for name, parts in found.items() if parts}


def _mean(values: Array, counts: Array) -> float:
    return float((values * counts).sum() / max(1.0, counts.sum()))


def _by_step(values: Array, counts: Array) -> list[float]:
    found: list[float] = ((values * counts).sum(0) / np.maximum(1.0, counts.sum(0))).tolist()
    return found
