"""The picture of the long lag, drawn from its report."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from carrousel.demo import long_lag
from carrousel.errors import OutputError

__all__ = ["draw_long_lag"]

_INK, _GREY, _GRID = "#1b1b1f", "#5f6368", "#e4e4e7"
_COLOURS = {"LSTM": "#0b62a8", "Elman net": "#c4402f"}


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
