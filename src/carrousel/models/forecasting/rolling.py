"""Rolling origins: forecasts from several points of the past, the model as it is or fitted anew for each."""

import warnings
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from carrousel.data.series import Panel
from carrousel.data.windows import origins
from carrousel.errors import DataError, DataWarning
from carrousel.models.forecasting.backtest import Measured, joined
from carrousel.models.forecasting.fitting import measure
from carrousel.models.forecasting.plan import Plan

if TYPE_CHECKING:
    from carrousel.models.forecasting.forecaster import Forecaster

__all__ = ["every_window", "rolling", "rolling_refitted"]

Integers = NDArray[np.int64]

_MOST = 20_000


def every_window(panel: Panel, plan: Plan, last: Integers) -> tuple[Integers, Integers]:
    """Return the origins of all windows and the series of each; of very many some, evenly spread.

    Args:
        panel: the series.
        plan: context and horizon.
        last: (series,), the rows at the end of each that are asked for.

    Raises:
        DataError: there is none.
    """
    end = panel.first[1:]
    found = origins(panel.first[:-1], end - last, end, plan.context, plan.horizon, _MOST)
    return _some(found, panel, plan)


def rolling(panel: Panel, plan: Plan, windows: int, step: int) -> tuple[Integers, Integers]:
    """Return the last origins of every series, `step` apart, and the series of each.

    Raises:
        DataError: there is none.
    """
    back = np.arange(windows)[::-1] * step
    found = (panel.first[1:, None] - plan.horizon - back).ravel()
    series = np.repeat(np.arange(len(panel.ids)), windows)
    kept = found >= panel.first[:-1][series] + plan.context
    if 0 < kept.sum() < len(kept):
        warnings.warn(
            f"windows - {kept.sum()} of {len(kept)} have the {plan.context} rows before them that a forecast needs: "
            "only these are measured",
            DataWarning,
            stacklevel=3,
        )
    return _some((found[kept], series[kept]), panel, plan)


def rolling_refitted(forecaster: "Forecaster", panel: Panel, windows_at: tuple[Integers, Integers]) -> Measured:
    """Fit a new model for every origin on the rows before it, and measure each on its own windows.

    Args:
        forecaster: its parameters.
        panel: the series.
        windows_at: origins and the series of each.
    """
    from sklearn.base import clone

    at, series = windows_at
    before_end = panel.first[1:][series] - at
    found = []
    for back in np.unique(before_end)[::-1]:
        kept = before_end == back
        fresh = clone(forecaster)._adopt(_cut(panel, int(back)))
        found.append(measure(fresh, panel, (at[kept], series[kept]), "windows"))
    return joined(found)


def _cut(panel: Panel, back: int) -> Panel:
    """The series without their last rows."""
    kept = np.concatenate([np.arange(b, e - back) for b, e in zip(panel.first[:-1], panel.first[1:], strict=True)])
    lengths = np.maximum(0, panel.lengths - back)
    rows = {name: getattr(panel, name)[kept] for name in ("target", "past", "future", "times")}
    return replace(panel, **rows, first=np.concatenate([[0], np.cumsum(lengths)]))


def _some(found: tuple[Integers, Integers], panel: Panel, plan: Plan) -> tuple[Integers, Integers]:
    if len(found[0]):
        return found
    need = plan.context + plan.horizon
    raise DataError(
        f"data - the longest series has {int(panel.lengths.max())} rows; context {plan.context} and horizon "
        f"{plan.horizon} need {need} - give more rows"
    )
