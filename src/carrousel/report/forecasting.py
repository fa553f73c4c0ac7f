"""The page of a forecaster: what was read, how good it is beside simpler forecasts, what it says, how it learned."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from carrousel.report.figures import COLOURS, GREY, INK, Axes, Figure, canvas, legend, picture
from carrousel.report.learning import Learned, learning_curve, page_of
from carrousel.report.page import Card, Page, Picture, Section

__all__ = ["Drawn", "forecasting_page", "result_lines", "windows_figure"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Drawn:
    """One forecast to draw.

    Attributes:
        title: of which series, from when.
        known_times, known: what came before it.
        times: of the steps, datetime64 or numbers.
        middle, low, high: of the forecast.
        asked: what came, None where it is not known yet.
        naive: the naive forecast, None for none.
        naive_name: what it is called.
        level: of the interval, in percent.
    """

    title: str
    known_times: NDArray[Any]
    known: Array
    times: NDArray[Any]
    middle: Array
    low: Array
    high: Array
    asked: Array | None
    naive: Array | None
    naive_name: str
    level: float


def forecasting_page(
    title: str,
    understood: Sequence[str],
    metrics: Mapping[str, Any],
    learned: Learned,
    *,
    ahead: Sequence[Drawn] = (),
    windows: Sequence[Drawn] = (),
) -> Page:
    """Return the page.

    Args:
        title: its heading.
        understood: sentences on what was read.
        metrics: what was measured, as `Measured.to_dict` gives it.
        learned: how.
        ahead: forecasts of what is not known yet.
        windows: forecasts of what was held out.

    Example:
        >>> row = {"mae": 1.0, "rmse": 1.5, "mase": 0.9, "skill": 0.1, "coverage": {"90": 0.88}}
        >>> naive = {"model": "last value", **row, "skill": 0.0, "coverage": {}}
        >>> metrics = {
        ...     "part": "test", "windows": 7, "naive": "last value", "verdict": "The LSTM's MAE is lower.",
        ...     "rows": [{"model": "LSTM", **row}, naive], "by_step": {"LSTM": [0.5, 1.5], "last value": [1.0, 2.0]},
        ... }
        >>> page = forecasting_page("rain", ["100 rows"], metrics, Learned())
        >>> [section.title for section in page.sections]
        ['How good it is', 'How it was learned']
    """
    sections = [
        Section("The forecast", pictures=tuple(_window(each) for each in ahead)) if ahead else None,
        Section("How good it is", cards=(_table(metrics),), pictures=(_by_step(metrics),)),
        Section(
            "Forecasts of what was held out",
            ("Nothing of the test part was seen in training." if metrics["part"] == "test" else "",),
            pictures=tuple(_window(each) for each in windows),
        )
        if windows
        else None,
    ]
    return page_of(title, understood, sections, learned, _curve(learned.curve) if learned.curve else None)


def result_lines(metrics: Mapping[str, Any]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Return the names of the columns of the result table, and its lines, for page and terminal.

    Args:
        metrics: as `Measured.to_dict` gives it.
    """
    levels = list(metrics["rows"][0]["coverage"])
    columns = ("", "MAE", "RMSE", "MASE", "skill", *(f"in {level} % band" for level in levels))
    lines = [
        (
            row["model"],
            *(_number(row[name]) for name in ("mae", "rmse")),
            f"{row['mase']:.3f}",
            f"{row['skill']:.1%}",
            *(f"{row['coverage'][level]:.1%}" if level in row["coverage"] else "" for level in levels),
        )
        for row in metrics["rows"]
    ]
    return columns, lines


def _number(value: float) -> str:
    """Four digits that say something."""
    return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"


_PARTS = {
    "test": "the test part, the last rows, which nothing was fitted on",
    "validation": "the validation part, which training stopped by: it flatters",
    "training": "the training part itself: it says little",
}


def _table(metrics: Mapping[str, Any]) -> Card:
    columns, lines = result_lines(metrics)
    best = min(
        range(len(lines)),
        key=lambda k: (
            metrics["rows"][k]["scaled_mae"] if "scaled_mae" in metrics["rows"][k] else metrics["rows"][k]["mae"]
        ),
    )
    return Card(
        f"{metrics['windows']:,} forecasts of {_PARTS.get(metrics['part'], metrics['part'])}",
        columns,
        tuple(lines),
        notes=(
            "MAE and RMSE in the units of the target. MASE: the MAE as a multiple of that of the seasonal naive "
            "forecast one step ahead in the training part. Skill: 1 - error / error of the forecast "
            f"'{metrics['naive']}'. Band: how many of the values were in it.",
        ),
        remarks=(metrics["verdict"],),
        is_marked=best != 0,
        is_wide=True,
    )


def windows_figure(drawn: Sequence[Drawn]) -> Figure:
    """Return a figure with one forecast below the other."""
    drawing, panels = canvas([2.4] * len(drawn))
    for axes, each in zip(panels, drawn, strict=True):
        _draw(axes, each)
        axes.set_title(each.title, loc="left", color=INK, fontsize=9.5, parse_math=False)
    legend(panels[0], columns=4)
    return drawing


def _window(drawn: Drawn) -> Picture:
    drawing, (axes,) = canvas([2.9])
    _draw(axes, drawn)
    legend(axes, columns=4)
    return picture(drawing, drawn.title, "Thin: the values. The band is to hold so many of them at every step.")


def _draw(axes: Axes, drawn: Drawn) -> None:
    axes.plot(drawn.known_times, drawn.known, color=INK, lw=1.4)
    axes.fill_between(
        drawn.times, drawn.low, drawn.high, color=COLOURS[0], alpha=0.2, lw=0, label=f"{drawn.level:g} % band"
    )
    axes.plot(drawn.times, drawn.middle, color=COLOURS[0], lw=2, label="forecast")
    if drawn.naive is not None:
        axes.plot(drawn.times, drawn.naive, color=GREY, lw=1.2, ls=(0, (3, 2)), label=drawn.naive_name)
    if drawn.asked is not None:
        axes.plot(drawn.times, drawn.asked, color=INK, lw=1.4, label="what came")
    if np.issubdtype(drawn.times.dtype, np.datetime64):
        from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

        locator = AutoDateLocator(minticks=3, maxticks=7)
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))


def _by_step(metrics: Mapping[str, Any]) -> Picture:
    drawing, (axes,) = canvas([2.8])
    for k, (name, errors) in enumerate(metrics["by_step"].items()):
        steps = np.arange(1, len(errors) + 1)
        axes.plot(steps, errors, color=COLOURS[k], lw=2.4 if k == 0 else 1.4, label=name, zorder=3 - (k > 0))
    axes.set_ylim(bottom=0)
    axes.set_xlabel("step of the forecast")
    axes.set_ylabel("mean absolute error, scaled")
    legend(axes, columns=4)
    caption = "The error at each step of the horizon, in standard deviations of the training part (as the scaler is)."
    return picture(drawing, "Error by step", caption)


def _curve(curve: Sequence[tuple[float, float, float]]) -> Picture:
    caption = "Each point is an epoch; training is measured while the weights change, with dropout."
    return learning_curve(curve, "quantile loss", "validation", caption)
