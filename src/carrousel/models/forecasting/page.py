"""The report of a forecaster: what the page is made from."""

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from carrousel.data.series import Panel
from carrousel.data.windows import Windows, origins
from carrousel.models.forecasting.backtest import Measured
from carrousel.models.forecasting.quantiles import check_levels, pinball
from carrousel.models.forecasting.rows import ahead_of, forecast_rows, future_values

if TYPE_CHECKING:
    from carrousel.models.forecasting.forecaster import Forecaster

__all__ = ["held_out", "html"]

#: Forecasts that are drawn, at most; steps that are drawn before them.
_WINDOWS, _SERIES, _BEFORE = 4, 4, 96


def html(forecaster: "Forecaster", title: str) -> str:
    """Return the page about a fitted forecaster as HTML.

    Args:
        forecaster: fitted here; one that was loaded has no data to draw.
        title: the heading.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    from carrousel.report.forecasting import forecasting_page
    from carrousel.report.inside import inside
    from carrousel.report.learning import Learned
    from carrousel.report.page import render

    history, plan = forecaster.history_, forecaster.plan_
    read = "one row" if plan.segment == 1 else f"{plan.segment} rows side by side"
    found = _inside(forecaster)
    facts = (
        ("cell", str(forecaster.metrics_["rows"][0]["model"])),
        ("weights", f"{sum(p.numel() for p in forecaster.net_.parameters()):,}"),
        ("seed", str(forecaster.seed)),
    )
    step, text = "segment" if plan.segment > 1 else "step", f"A step of the net reads {read}."
    learned = Learned(history.curve, f"{history}.", inside(found[0], found[1], step, (text,)), facts)
    ahead, windows = _ahead(forecaster), held_out(forecaster.result_)
    return render(
        forecasting_page(title, forecaster.understood_, forecaster.metrics_, learned, ahead=ahead, windows=windows)
    )


def _times(panel: Panel, rows: slice) -> NDArray[Any]:
    local = panel.times.local[rows]
    return local.astype("M8[us]") if panel.times.is_date else local


def _name(panel: Panel, series: int, target: int) -> str:
    names = [str(panel.ids[series])] if panel.reading.roles.id else []
    return ", ".join([*names, panel.reading.roles.target[target]])


def _ahead(forecaster: "Forecaster") -> list[Any]:
    """The forecasts after the data; none where inputs would have to be known ahead."""
    from carrousel.report.forecasting import Drawn

    if forecaster.reading_.roles.future and forecaster.ahead_ is None:
        return []
    memory, plan = forecaster.memory_, forecaster.plan_
    some = memory.take(np.arange(min(_SERIES, len(memory.ids))))
    times = ahead_of(some, plan.horizon)
    values = forecast_rows(
        forecaster.net_,
        forecaster.preparation_,
        plan,
        forecaster.subtract,
        forecaster.margin_,
        some,
        times,
        future_values(some, forecaster.ahead_, times, plan.horizon),
    )
    found = []
    for series in range(len(some.ids)):
        for target in range(min(_SERIES, values.shape[1])):
            rows = slice(
                max(some.first[series], some.first[series + 1] - _before(plan.horizon)), some.first[series + 1]
            )
            at = slice(series * plan.horizon, (series + 1) * plan.horizon)
            local = times.local[at]
            said = values[series, target]
            found.append(
                Drawn(
                    _name(some, series, target),
                    _times(some, rows),
                    some.target[rows, target],
                    local.astype("M8[us]") if times.is_date else local,
                    said[:, said.shape[1] // 2],
                    said[:, 0],
                    said[:, -1],
                    None,
                    None,
                    "",
                    check_levels(forecaster.level)[-1],
                )
            )
    return found[:_SERIES]


def held_out(measured: Measured) -> list[Any]:
    """Return forecasts of measured windows to draw: the last of each series, then a horizon before it, and so on."""
    from carrousel.report.forecasting import Drawn

    panel, horizon = measured.panel, measured.asked.shape[1]
    last: dict[tuple[int, int], tuple[int, int]] = {}  # (series, target) -> its origin chosen last, how many were
    turns = []
    for k in range(measured.windows)[::-1]:
        own = int(measured.series[k]), int(measured.which[k])
        origin, count = last.get(own, (measured.origins[k] + horizon, 0))
        if origin - measured.origins[k] >= horizon:
            last[own] = measured.origins[k], count + 1
            turns.append((count, *own, k))
    found = []
    for *_, k in sorted(turns)[:_WINDOWS]:
        origin, series, target = int(measured.origins[k]), int(measured.series[k]), int(measured.which[k])
        before = slice(max(int(panel.first[series]), origin - _before(horizon)), origin)
        after, said = slice(origin, origin + horizon), measured.quantiles[k]
        found.append(
            Drawn(
                f"{_name(panel, series, target)}, from {panel.times.text(origin)}",
                _times(panel, before),
                panel.target[before, target],
                _times(panel, after),
                said[:, said.shape[1] // 2],
                said[:, 0],
                said[:, -1],
                panel.target[after, target],
                measured.baselines[measured.naive][k],
                measured.naive,
                measured.levels[-1],
            )
        )
    return found


def _before(horizon: int) -> int:
    return min(max(_BEFORE, horizon), 3 * horizon + 12)


def _inside(forecaster: "Forecaster") -> tuple[Any, str]:
    """The last window that is known whole, and what it is."""
    from carrousel.report.inside import look_inside

    panel, plan, net = forecaster.panel_, forecaster.plan_, forecaster.net_
    rows = forecaster.preparation_.rows(panel)
    at, series = origins(panel.first[:-1], panel.first[:-1], panel.first[1:], plan.context, plan.horizon)
    windows = Windows(rows, at[-1:], series[-1:], plan.context, plan.horizon, forecaster.subtract)
    batch = windows.batch(torch.tensor([0]))

    def error(output: torch.Tensor) -> torch.Tensor:
        return pinball(net.read(output[-1], batch), batch.asked, batch.counts, net.quantiles).sum()

    return look_inside(
        net.recurrent, net.steps(batch), error
    ), f"the {plan.context} rows before {panel.times.text(int(at[-1]))}"
