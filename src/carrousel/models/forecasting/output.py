"""Forecasts in what the user's data came in: a frame like his, or an array."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from carrousel.data.clock import Times
from carrousel.data.container import csv_of
from carrousel.data.roles import Roles
from carrousel.data.series import Panel
from carrousel.errors import OptionError

if TYPE_CHECKING:
    from carrousel.models.forecasting.backtest import Measured

__all__ = ["as_array", "as_csv", "as_frame", "as_rows", "as_table", "check_names"]

Array = NDArray[np.float64]


def check_names(roles: Roles) -> None:
    """Check that no column of the data that an answer has too is called like a forecast.

    Raises:
        OptionError: one is.
    """
    for role in ("time", "id"):
        name = getattr(roles, role)
        if name and name.startswith("yhat"):
            raise OptionError(f"{role} - '{name}' is what a forecast is called in the answer - rename the column")


def as_array(values: Array, panel: Panel, levels: Sequence[float], level: float | None) -> Array:
    """Return the forecasts of an array.

    Args:
        values: (1, target, step, quantile).
        panel: the series.
        levels: of the intervals, rising.
        level: of the interval that is asked for; None for the median alone.

    Returns:
        (step,), of an array of several targets (step, target); with a level one more axis: low, middle, high.
    """
    found = values[0].swapaxes(0, 1)
    if panel.container.columns == 0:
        found = found[:, 0]
    middle = values.shape[-1] // 2
    if level is None:
        return np.asarray(found[..., middle])
    low = _place(levels, level)
    return np.asarray(found[..., [low, middle, -1 - low]])


def as_frame(values: Array, panel: Panel, times: Times, levels: Sequence[float], asked: Sequence[float]) -> Any:
    """Return the forecasts of a frame.

    Args:
        values: (series, target, step, quantile).
        panel: the series.
        times: of the steps ahead, (series * horizon,), a horizon of at least the steps.
        levels: of the intervals, rising.
        asked: those of them that are asked for.

    Returns:
        A frame of the user's library: time, id, yhat, yhat_lo_90, yhat_hi_90...; with several targets each name begins
        with that of the target.
    """
    series, _, steps, quantiles = values.shape
    roles, kind = panel.reading.roles, panel.container.kind
    horizon = len(times) // series
    kept = (np.arange(series)[:, None] * horizon + np.arange(steps)).ravel()
    columns: dict[str, Any] = {}
    if kind != "series":
        columns[roles.time or "step"] = times[kept].values()
    if roles.id:
        columns = {roles.id: np.repeat(panel.ids, steps), **columns}
    for k, name in enumerate(roles.target):
        start = "yhat" if len(roles.target) == 1 else f"{name}_yhat"
        columns[start] = values[:, k, :, quantiles // 2].ravel()
        for level in asked:
            low = _place(levels, level)
            columns[f"{start}_lo_{level:g}"] = values[:, k, :, low].ravel()
            columns[f"{start}_hi_{level:g}"] = values[:, k, :, quantiles - 1 - low].ravel()
    return panel.container.frame_of(columns, roles.time)


def as_table(measured: "Measured") -> Any:
    """Return how good the forecasts are as a frame: a row for each kind, the columns of the result table."""
    rows = measured.to_dict()["rows"]
    columns = {name: [row[name] for row in rows] for name in rows[0] if name != "coverage"}
    for level in rows[0]["coverage"]:
        columns[f"coverage_{level}"] = [row["coverage"].get(level, np.nan) for row in rows]
    return replace(measured.panel.container, kind="frame").frame_of(columns, None)


def as_rows(measured: "Measured") -> Any:
    """Return measured forecasts as a frame: a row for each window and step."""
    panel, levels = measured.panel, measured.levels
    _, horizon, quantiles = measured.quantiles.shape
    rows = (measured.origins[:, None] + np.arange(horizon)).ravel()
    roles = panel.reading.roles
    columns: dict[str, Any] = {}
    if roles.id:
        columns[roles.id] = np.repeat(panel.ids[measured.series], horizon)
    if len(roles.target) > 1:
        columns["target"] = np.repeat(np.array(roles.target, dtype=object)[measured.which], horizon)
    name = roles.time or "step"
    columns["after"] = panel.times[np.repeat(measured.origins - 1, horizon)].values()
    columns[name] = panel.times[rows].values()
    columns["y"] = measured.asked.ravel()
    columns["yhat"] = measured.quantiles[..., quantiles // 2].ravel()
    for level in levels:
        low = _place(levels, level)
        columns[f"yhat_lo_{level:g}"] = measured.quantiles[..., low].ravel()
        columns[f"yhat_hi_{level:g}"] = measured.quantiles[..., quantiles - 1 - low].ravel()
    for baseline, values in measured.baselines.items():
        columns[baseline] = values.ravel()
    return replace(panel.container, kind="frame").frame_of(columns, name)


def as_csv(frame: Any) -> str:
    """Return a frame, or an array, as CSV."""
    if isinstance(frame, np.ndarray):
        lines = [",".join(f"{value:.9g}" for value in np.atleast_1d(row).ravel()) for row in frame]
        return "\n".join(
            ["yhat" if frame.ndim == 1 else ",".join(f"y{k + 1}" for k in range(frame[0].size)), *lines, ""]
        )
    return csv_of(frame)


def _place(levels: Sequence[float], level: float) -> int:
    """Which quantile is the lower end of an interval."""
    return len(levels) - 1 - list(levels).index(level)
