"""The two pictures of the demo, drawn from its reports."""

from datetime import timedelta, timezone
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import DateFormatter, DayLocator, date2num, num2date
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from carrousel.demo import forecast, long_lag
from carrousel.errors import OutputError

__all__ = ["draw_forecast", "draw_long_lag", "typical_week"]

_INK, _GREY, _GRID = "#1b1b1f", "#5f6368", "#e4e4e7"
_COLOURS = {
    "LSTM": "#0b62a8",
    "linear": "#e08a00",
    "same hour yesterday": "#4f9d69",
    "last value": "#b07aa1",
    "Elman net": "#c4402f",
}
_NEW_YORK = timezone(timedelta(hours=-5), "standard time")
_DAYS = 7


def typical_week(report: forecast.Report) -> NDArray[np.int64]:
    """Return the windows at the midnights of the week in which the LSTM (its first training) has the median error.

    Args:
        report: forecasts of the held-out part.

    Shapes:
        - returned: (day,), indices into the held-out windows; the last day if there are no seven in a row

    Raises:
        OptionError: no window begins at midnight.
    """
    held_out = report.held_out
    midnight = -int(_NEW_YORK.utcoffset(None).total_seconds()) // 3600
    days = np.flatnonzero(held_out.clock == midnight)
    weeks = [days[i : i + _DAYS] for i in range(len(days) - _DAYS + 1)]
    weeks = [week for week in weeks if held_out.origin[week[-1]] - held_out.origin[week[0]] == 24 * (_DAYS - 1)]
    off = np.abs(report.lstm[0] - held_out.future).mean(1)
    ranked = sorted(weeks, key=lambda week: float(off[week].mean()))
    return ranked[len(ranked) // 2] if ranked else days[-1:]


def draw_forecast(report: forecast.Report, path: Path) -> None:
    """Draw the forecasts of a typical held-out week, and the errors hour by hour.

    Args:
        report: forecasts of the held-out part.
        path: the PNG to write.

    Raises:
        OutputError: the file can not be written.
    """
    figure = Figure(figsize=(10, 7.6), dpi=150, facecolor="white")
    week, lead = figure.subplots(2, 1, height_ratios=[1.25, 1])
    figure.subplots_adjust(left=0.065, right=0.795, top=0.91, bottom=0.075, hspace=0.45)
    _draw_week(week, report)
    _draw_lead(lead, report)
    _save(figure, path)


def _draw_week(axes: Axes, report: forecast.Report) -> None:
    held_out, rows = report.held_out, typical_week(report)
    forecasts = {**report.baselines, "LSTM": report.lstm[0]}
    for name in ("last value", "same hour yesterday", "linear", "LSTM"):
        width, level = (2.6, 4) if name == "LSTM" else (1.2, 3)
        for row in rows:
            hours = _hours(report, held_out.origin[row])
            label = name if row == rows[0] else None
            axes.plot(hours, forecasts[name][row], color=_COLOURS[name], label=label, lw=width, zorder=level)
    hours = np.concatenate([_hours(report, held_out.origin[row]) for row in rows])
    axes.plot(hours, held_out.future[rows].ravel(), ".", color=_INK, ms=4, label="measured", zorder=5)
    for midnight in hours[:: forecast.DAY]:
        axes.axvline(midnight, color=_GRID, lw=1, zorder=1)
    _title(
        axes,
        "Temperature at LaGuardia Airport: every midnight, the next 24 hours",
        f"Held-out week of {num2date(hours[0]):%Y} on which the LSTM's error is the median (its first training); °C",
    )
    axes.set_xlim(hours[0], hours[-1])
    axes.yaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.xaxis.set_major_locator(DayLocator(tz=_NEW_YORK))
    axes.xaxis.set_major_formatter(DateFormatter("%a %-d %b", tz=_NEW_YORK))
    _clean(axes)
    for tick in axes.get_xticklabels():
        tick.set_horizontalalignment("left")
    handles, labels = axes.get_legend_handles_labels()
    order = [labels.index(name) for name in ("measured", "LSTM", "linear", "same hour yesterday", "last value")]
    axes.legend(
        [handles[i] for i in order],
        [labels[i] for i in order],
        loc="upper left",
        bbox_to_anchor=(1.0, 1.04),
        frameon=False,
        fontsize=10,
        labelcolor=_INK,
        handlelength=1.3,
    )


def _draw_lead(axes: Axes, report: forecast.Report) -> None:
    future = report.held_out.future
    hours = np.arange(1, forecast.DAY + 1)
    curves = {name: np.abs(values - future).mean(0) for name, values in report.baselines.items()}
    curves["LSTM"] = np.abs(report.lstm - future).mean((0, 1))
    for name, curve in curves.items():
        axes.plot(hours, curve, color=_COLOURS[name], lw=2.6 if name == "LSTM" else 1.6, zorder=4)
    _title(
        axes,
        "How the error grows with the hours ahead",
        f"Mean absolute error of {len(future):,} held-out forecasts, one made every hour; "
        f"LSTM: mean of {len(report.lstm)} trainings; °C",
    )
    axes.set_xlim(1, forecast.DAY)
    axes.set_xticks([1, 3, 6, 9, 12, 15, 18, 21, 24])
    axes.set_ylim(0, max(float(curve.max()) for curve in curves.values()) * 1.08)
    _label_ends(axes, {name: float(curve[-1]) for name, curve in curves.items()}, forecast.DAY)
    _clean(axes)
    axes.set_xlabel("hours ahead", color=_GREY, fontsize=10)


def _hours(report: forecast.Report, origin: int) -> NDArray[np.float64]:
    """The 24 hours from `origin` on, as matplotlib counts time: in days."""
    return float(date2num(report.temperatures.start)) + (origin + np.arange(forecast.DAY)) / 24


def draw_long_lag(report: long_lag.Report, path: Path) -> None:
    """Draw one sequence of the adding problem, and how the errors of both networks fall.

    Args:
        report: errors of both networks.
        path: the PNG to write.

    Raises:
        OutputError: the file can not be written.
    """
    figure = Figure(figsize=(10, 7.6), dpi=150, facecolor="white")
    task, curves = figure.subplots(2, 1, height_ratios=[0.55, 1])
    figure.subplots_adjust(left=0.065, right=0.82, top=0.9, bottom=0.085, hspace=0.5)
    _draw_sequence(task, report)
    _draw_curves(curves, report)
    _save(figure, path)


def _draw_sequence(axes: Axes, report: long_lag.Report) -> None:
    value, marker = report.example.x[:, 0].unbind(-1)
    steps = np.arange(len(value))
    axes.vlines(steps, 0, value, color="#c6c8cd", lw=0.8, zorder=2)
    for number, step in enumerate(np.flatnonzero(marker == 1), start=1):
        axes.vlines(step, 0, value[step], color=_COLOURS["LSTM"], lw=2.4, zorder=3)
        axes.plot(step, value[step], "o", color=_COLOURS["LSTM"], ms=6, zorder=4)
        above = bool(value[step] > 0)
        axes.annotate(
            f"X{number} = {float(value[step]):+.2f}",
            (step, float(value[step])),
            xytext=(8, 3 if above else -3),
            textcoords="offset points",
            va="bottom" if above else "top",
            color=_COLOURS["LSTM"],
            fontsize=10,
            fontweight="bold",
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 1},
            zorder=5,
        )
    axes.text(
        1.015,
        0.5,
        f"answer here:\n0.5 + (X1 + X2) / 4\n= {float(report.example.target):.3f}",
        transform=axes.transAxes,
        va="center",
        color=_INK,
        fontsize=10,
    )
    _title(
        axes,
        "The adding problem: remember two marked numbers, add them at the end",
        f"One sequence of {len(value)} values; between the second mark and the answer lie at least "
        f"{report.minimal_length // 2} steps",
    )
    axes.set_xlim(-2, len(value) + 1)
    axes.set_ylim(-1.35, 1.35)
    axes.set_yticks([-1, 0, 1])
    _clean(axes)
    axes.set_xlabel("step", color=_GREY, fontsize=10)


def _draw_curves(axes: Axes, report: long_lag.Report) -> None:
    for name, error in report.error.items():
        axes.plot(report.sequences, error, color=_COLOURS[name], lw=2.4, solid_capstyle="round", zorder=4)
    axes.axhline(report.mean_error, color=_INK, lw=1.4, ls=(0, (4, 3)), zorder=5)
    ends = {f"{name}\n{report.correct[name]:.1%} right": error[-1] for name, error in report.error.items()}
    axes.set_yscale("log")
    lowest = min(min(error) for error in report.error.values())
    axes.set_ylim(lowest / 1.8, report.mean_error * 3)
    axes.set_xlim(0, report.sequences[-1])
    _label_ends(axes, ends, report.sequences[-1])
    axes.annotate(
        "always saying the mean",
        (0, report.mean_error),
        xytext=(6, 7),
        textcoords="offset points",
        color=_GREY,
        fontsize=10,
    )
    _title(
        axes,
        "Two networks, the same training sequences: how the error falls",
        "Mean squared error on sequences that neither was trained on; "
        f"right: the last answer is within {long_lag.CORRECT_WITHIN}",
    )
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    _clean(axes)
    axes.set_xlabel("training sequences", color=_GREY, fontsize=10)


# ---------------------------------------------------------------------- the manner of both


def _title(axes: Axes, title: str, subtitle: str) -> None:
    axes.set_title(title, loc="left", fontsize=13.5, fontweight="bold", color=_INK, pad=25)
    axes.annotate(
        subtitle, (0, 1), xytext=(0, 8), xycoords="axes fraction", textcoords="offset points", fontsize=10, color=_GREY
    )


def _clean(axes: Axes) -> None:
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color("#9aa0a6")
    axes.grid(axis="y", color=_GRID, lw=0.8, zorder=0)
    axes.set_axisbelow(True)
    axes.tick_params(axis="both", which="both", length=0, colors=_GREY, labelsize=10)


def _label_ends(axes: Axes, ends: dict[str, float], x: float) -> None:
    """Write each curve's name at its end, apart from the others even where the curves meet."""
    scale = axes.transData + axes.transAxes.inverted()
    names = sorted(ends, key=lambda name: ends[name])
    apart = 0.075 * max(name.count("\n") + 1 for name in ends)
    places = [float(scale.transform((x, ends[name]))[1]) for name in names]
    for i in range(1, len(places)):
        places[i] = max(places[i], places[i - 1] + apart)
    for i in reversed(range(len(places))):
        places[i] = min(places[i], 1 - apart * (len(places) - 1 - i))
    for name, place in zip(names, places, strict=True):
        axes.text(
            1.015,
            place,
            name,
            transform=axes.transAxes,
            va="center",
            color=_COLOURS[name.partition("\n")[0]],
            fontsize=10.5,
            fontweight="bold" if name.startswith("LSTM") else "normal",
        )


def _save(figure: Figure, path: Path) -> None:
    try:
        figure.savefig(path)
    except OSError as error:
        raise OutputError(
            f"demo - can not write {path}: {error.strerror or error} - free space there, or name another folder"
        ) from error
