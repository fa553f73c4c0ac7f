"""One forecast for the end of every series: the rows it is made from, with what is known of the steps ahead."""

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from carrousel.data.clock import Times
from carrousel.data.missing import fill
from carrousel.data.series import Panel
from carrousel.data.windows import Windows
from carrousel.errors import DataError
from carrousel.models.forecasting.net import ForecastNet
from carrousel.models.forecasting.plan import Plan
from carrousel.models.forecasting.preparation import Preparation, check_values
from carrousel.models.forecasting.quantiles import corrected

__all__ = ["ahead_of", "forecast_rows", "future_values"]

Array = NDArray[np.float64]


def ahead_of(panel: Panel, horizon: int) -> Times:
    """Return the times after the end of every series, (series * horizon,)."""
    found = [panel.times.next(panel.frequency, int(end) - 1, horizon) for end in panel.first[1:]]
    if len(found) == 1:
        return found[0]
    elapsed, local = (np.concatenate([getattr(each, name) for each in found]) for name in ("elapsed", "local"))
    return Times(elapsed, local, panel.times.zone, panel.times.is_date)


def future_values(panel: Panel, ahead: Panel | None, times: Times, steps: int) -> Array:
    """Return the inputs known ahead at the asked steps, (series * horizon, input).

    Args:
        panel: the series.
        ahead: the table of future inputs, None if there is none.
        times: of the steps, as `ahead_of` gives them.
        steps: how many of them are asked for; later ones may be missing.

    Raises:
        DataError: a value is missing.
    """
    series, width = len(panel.ids), panel.future.shape[1]
    horizon = len(times) // series
    if not width:
        return np.empty((series * horizon, 0))
    found = np.full((series * horizon, width), np.nan)
    place = {} if ahead is None else {str(id): k for k, id in enumerate(ahead.ids)}
    for k, id in enumerate(panel.ids):
        asked = slice(k * horizon, (k + 1) * horizon)
        if ahead is not None and str(id) in place:
            found[asked] = _of_series(ahead, place[str(id)], times[asked])
        known = ~np.isnan(found[asked]).any(1)
        if not known[:steps].all():
            names = "', '".join(panel.reading.roles.future)
            which = f" in {panel.name(k)}" if panel.reading.roles.id else ""
            raise DataError(
                f"future column '{names}' - it is needed for {steps} steps after "
                f"{panel.times.text(panel.first[k + 1] - 1)}{which}; got {int(known[:steps].sum())} - pass them in a "
                "table with --future-data (future=)"
            )
        found[asked] = fill(found[asked], np.array([0, horizon]), "ffill")
    return found


def _of_series(ahead: Panel, series: int, times: Times) -> Array:
    begin, end = ahead.first[series], ahead.first[series + 1]
    frequency = ahead.frequency
    # times without a zone are compared by the wall
    by_the_wall = times.zone is None and times.is_date
    there, asked = (
        frequency.positions(each.local if by_the_wall else each.of(frequency))
        for each in (ahead.times[begin:end], times)
    )
    row = np.searchsorted(there, asked)
    hit = (row < len(there)) & (there[np.minimum(row, len(there) - 1)] == asked)
    found = np.full((len(times), ahead.future.shape[1]), np.nan)
    found[hit] = ahead.future[begin:end][row[hit]]
    return found


def forecast_rows(
    net: ForecastNet,
    preparation: Preparation,
    plan: Plan,
    subtracted: str,
    margin: Array,
    panel: Panel,
    times: Times,
    known: Array,
) -> Array:
    """Forecast the end of every series.

    Args:
        net: the network.
        preparation: what data goes through.
        plan: context and horizon.
        subtracted: what is taken off a window.
        margin: what widens the intervals, (level, horizon).
        panel: the series, each with at least the context.
        times, known: of the steps ahead, (series * horizon,), (series * horizon, input).

    Returns:
        Quantiles, in the units of the target, (series, target, horizon, quantile).
    """
    check_values(panel)
    series, targets = len(panel.ids), panel.target.shape[1]
    whole = _with_steps(panel, plan, times, known)
    scale, width = preparation.scale_of(panel)
    rows = preparation.rows(whole, scale)
    origins = whole.first[:-1] + plan.context
    windows = Windows(rows, origins, np.arange(series), plan.context, plan.horizon, subtracted)
    with torch.no_grad():
        batch = windows.batch(torch.arange(len(windows)))
        said = net(batch).numpy().astype(np.float64).reshape(series, targets, plan.horizon, -1)
    level = batch.level.numpy().astype(np.float64).reshape(series, targets)
    centre = level * scale.width + scale.centre
    values: Array = centre[..., None, None] + corrected(said, margin) * width[..., None, None]
    return values


def _with_steps(panel: Panel, plan: Plan, times: Times, known: Array) -> Panel:
    """The last rows of every series, filled, with the asked steps after them."""
    context, horizon, series = plan.context, plan.horizon, len(panel.ids)
    way = "interpolate" if panel.reading.missing == "interpolate" else "ffill"
    rows = np.concatenate([np.arange(end - context, end) for end in panel.first[1:]])

    def joined(name: str, after: Array) -> Array:
        values = getattr(panel, name)
        filled = fill(values, panel.first, way)[rows]
        before = filled.reshape(series, context, values.shape[1])
        both = np.concatenate([before, after.reshape(series, horizon, values.shape[1])], 1)
        return np.asarray(both.reshape(series * (context + horizon), values.shape[1]))

    def in_line(old: NDArray[np.int64], new: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.asarray(np.concatenate([old[rows].reshape(series, -1), new.reshape(series, -1)], 1).ravel())

    none = np.zeros((series * horizon, panel.target.shape[1]))
    target = joined("target", none)
    if panel.reading.missing == "mask":
        gone = np.isnan(panel.target[rows]).reshape(series, context, -1)
        target = target.reshape(series, context + horizon, -1)
        target[:, :context][gone & (np.arange(context) > 0)[None, :, None]] = np.nan
        target = target.reshape(series * (context + horizon), -1)
    both = Times(in_line(panel.times.elapsed, times.elapsed), in_line(panel.times.local, times.local), times.zone)
    return replace(
        panel,
        target=target,
        past=joined("past", np.zeros((series * horizon, panel.past.shape[1]))),
        future=joined("future", known),
        times=replace(both, is_date=times.is_date),
        first=np.arange(series + 1) * (context + horizon),
    )
