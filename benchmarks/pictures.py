"""A report as pictures: speed-ups and rooflines of the LSTM, and what other cells cost."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from benchmarks import roofline
from benchmarks.bars import geometric_mean, per_unit, speed_ups
from benchmarks.machine import QUIET
from benchmarks.measurements import Report, Shape, Timing

__all__ = ["draw"]

INK, _GREY, _GRID = "#1b1b1f", "#5f6368", "#e4e4e7"
#: Colours that the colour-blind tell apart (Okabe and Ito).
COLOURS = {
    "torch.nn": "#E69F00",
    "ONNX Runtime": "#009E73",
    "with input gradient": "#8c6200",
    "torch loop": "#E69F00",
    "JAX scan": "#CC79A7",
    "carrousel": "#0072B2",
}
_MODES = {"inference": "Inference", "training": "Training: forward and all gradients"}
#: peer in the picture -> the sides of which the fastest counts.
_PEERS = {"torch loop": ["torch loop", "eager"], "JAX scan": ["JAX scan"]}
_TICKS = (0.01, 0.03, 0.1, 0.25, 0.5, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512)


def draw(report: Report, out: Path, name: str) -> list[Path]:
    """Draw what the report has.

    Args:
        report: what was measured.
        out: the folder.
        name: how the pictures' names begin.

    Returns:
        The files written.
    """
    written = []
    if report.find(part="lstm"):
        written.append(_saved(_lstm(report), out / f"{name}.png"))
    if any(t.case != "lstm" for t in report.find(part="cells", side="carrousel")):
        written.append(_saved(_cells(report), out / f"{name}-cells.png"))
    return written


def _saved(figure: Figure, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    return path


def _figure(width: float, height: float, report: Report, title: str) -> Figure:
    figure = Figure(figsize=(width, height), dpi=130, facecolor="white")
    where = report.environment
    libraries = "   ".join(
        f"{name} {where['versions'][name]}" for name in ("torch", "onnxruntime", "jax") if where["versions"].get(name)
    )
    machine = f"{where['machine']} ({where['llvm_cpu']}), {where['threads']} threads, float32"
    others = where.get("taken_by_others") or 0.0
    if others > QUIET:
        machine += f", of which other processes took {100 * others:.0f} %"
    figure.text(0.02, 1 - 0.3 / height, title, size=15, weight="bold", color=INK, va="center")
    figure.text(0.02, 1 - 0.58 / height, f"{machine}   {libraries}   {where['date'][:10]}", size=9.5, color=_GREY)
    return figure


def _bare(axes: Axes, title: str) -> None:
    axes.set_title(title, loc="left", size=11.5, color=INK, pad=8)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(_GREY)
    axes.tick_params(colors=INK, labelsize=9, length=0)
    axes.grid(axis="x", color=_GRID, lw=0.8)
    axes.set_axisbelow(True)


def _ratio_axis(axes: Axes, values: Sequence[float], least: float = 0.8, most: float = 2.5) -> None:
    """A logarithmic axis: twice as fast is as long to the right as half as fast to the left."""
    axes.set_xscale("log")
    axes.set_xlim(min([least, *values]) / 1.12, max([most, *values]) * 1.45)
    axes.xaxis.set_major_locator(FixedLocator(_TICKS))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}x"))


def _lstm(report: Report) -> Figure:
    shapes, has_roofs = report.shapes("lstm"), report.roofs is not None
    height = 11.4 if has_roofs else 5.8
    figure = _figure(13, height, report, "The LSTM: how many times faster than its peers")
    rows = 2 if has_roofs else 1
    grid = figure.subplots(rows, 2, squeeze=False, height_ratios=[1, 1.12][:rows])
    bottom = 0.62 / height if has_roofs else 0.95 / height
    figure.subplots_adjust(left=0.175, right=0.985, top=1 - 1.25 / height, bottom=bottom, hspace=0.34, wspace=0.14)
    inference = {side: speed_ups(report, "lstm", "inference", [side]) for side in ("torch.nn", "ONNX Runtime")}
    training = {
        "torch.nn": speed_ups(report, "lstm", "training", ["torch.nn"]),
        "with input gradient": speed_ups(report, "lstm", "training_x", ["torch.nn"]),
    }
    labels = {"torch.nn": "than torch.nn.LSTM", "ONNX Runtime": "than ONNX Runtime"}
    _bare(grid[0][0], _MODES["inference"])
    _speed_up_bars(grid[0][0], shapes, inference, labels, is_named=True)
    labels = {"torch.nn": "than torch.nn.LSTM", "with input gradient": "the same, input gradient too"}
    _bare(grid[0][1], _MODES["training"])
    _speed_up_bars(grid[0][1], shapes, training, labels, is_named=False)
    if has_roofs:
        for axes, mode in zip(grid[1], _MODES, strict=True):
            roofline.draw(axes, report, mode, f"Roofline, {mode}")
    return figure


def _speed_up_bars(
    axes: Axes,
    shapes: Sequence[Shape],
    series: dict[str, dict[tuple[str, Shape], float]],
    labels: dict[str, str],
    is_named: bool,
) -> None:
    series = {side: ratios for side, ratios in series.items() if ratios}
    thick = 0.8 / max(1, len(series))
    for number, (side, ratios) in enumerate(series.items()):
        label: str | None = f"{labels[side]}: {geometric_mean(ratios.values()):.2f}x in the geometric mean"
        for index, shape in enumerate(shapes):
            value = ratios.get(("lstm", shape))
            if value is None:
                continue
            y = index + (number - (len(series) - 1) / 2) * thick
            axes.barh(y, value - 1, thick * 0.9, left=1, color=COLOURS[side], label=label)
            label = None
            axes.text(max(value, 1) * 1.03, y, f"{value:.2f}", va="center", size=8, color=INK)
    _ratio_axis(axes, [value for ratios in series.values() for value in ratios.values()])
    axes.axvline(1, color=INK, lw=1.2)
    numbers = [f"{f'{shape}    ' if is_named else ''}{number}" for number, shape in enumerate(shapes, 1)]
    axes.set_yticks(range(len(shapes)), numbers)
    axes.set_ylim(len(shapes) - 0.45, -0.55)
    if is_named:
        place: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points"}
        axes.annotate("batch x steps x inputs x hidden", (0, 1), (-22, 2), ha="right", size=8, color=_GREY, **place)
    axes.legend(loc="upper left", bbox_to_anchor=(-0.02, -0.06), frameon=False, fontsize=9)


def _cells(report: Report) -> Figure:
    cells = list(dict.fromkeys(t.case for t in report.find(part="cells", side="carrousel") if t.case != "lstm"))
    height = 2.2 + 0.27 * len(cells)
    figure = _figure(13, height, report, "Other cells: dots are geometric means over the shapes, lines their range")
    cost, gain = figure.subplots(1, 2, sharey=True)
    figure.subplots_adjust(left=0.165, right=0.985, top=1 - 1.2 / height, bottom=0.8 / height, wspace=0.06)
    _bare(cost, "Time per gate beside our plain LSTM's (left is better)")
    _bare(gain, "Times faster than the same equations (right is better)")
    every: dict[Axes, list[float]] = {cost: [], gain: []}
    for mode, shift in (("inference", -0.15), ("training", 0.15)):
        relative = per_unit(report, mode, _products)
        for index, cell in enumerate(cells):
            every[cost] += _ranged(cost, index + shift, [*relative.get(cell, {}).values()], COLOURS["carrousel"], mode)
        for number, (side, peers) in enumerate(_PEERS.items()):
            ratios = speed_ups(report, "cells", mode, peers)
            for index, cell in enumerate(cells):
                values = [value for (case, _), value in ratios.items() if case == cell]
                y = index + shift + (number - 0.5) * 0.14
                every[gain] += _ranged(gain, y, values, COLOURS[side], mode)
    for axes, bars in ((cost, {1.3: INK}), (gain, {15: COLOURS["torch loop"], 2.5: COLOURS["JAX scan"]})):
        _ratio_axis(axes, every[axes])
        axes.axvline(1, color=INK, lw=1.2)
        for value, colour in bars.items():
            axes.axvline(value, color=colour, lw=1.1, ls=(0, (4, 3)))
    cost.set_yticks(range(len(cells)), cells)
    cost.set_ylim(len(cells) - 0.4, -0.6)
    _cell_legends(cost, gain)
    return figure


def _products(timing: Timing) -> float:
    return timing.products


def _ranged(axes: Axes, y: float, values: list[float], colour: str, mode: str) -> list[float]:
    if values:
        axes.plot([min(values), max(values)], [y, y], color=colour, lw=1.3, alpha=0.55, zorder=2)
        inside = colour if mode == "inference" else "white"
        axes.plot(geometric_mean(values), y, "o", ms=5.5, mfc=inside, mec=colour, mew=1.4, zorder=3)
    return values


def _cell_legends(cost: Axes, gain: Axes) -> None:
    def dot(colour: str, inside: str, label: str) -> Line2D:
        style: dict[str, Any] = {"marker": "o", "ls": "", "ms": 6, "mew": 1.4}
        return Line2D([], [], color=colour, mfc=inside, mec=colour, label=label, **style)

    def bar(colour: str, label: str) -> Line2D:
        return Line2D([], [], color=colour, lw=1.1, ls=(0, (4, 3)), label=label)

    ours, loop, scan = COLOURS["carrousel"], COLOURS["torch loop"], COLOURS["JAX scan"]
    place: dict[str, Any] = {
        "loc": "upper center",
        "bbox_to_anchor": (0.5, 0),
        "borderaxespad": 2.2,
        "frameon": False,
        "fontsize": 9,
    }
    first = [dot(ours, ours, "inference"), dot(ours, "white", "training"), bar(INK, "bar: at most 1.3")]
    cost.legend(handles=first, ncols=3, **place)
    second = [
        dot(loop, loop, "torch loop"),
        bar(loop, "bar: at least 15"),
        dot(scan, scan, "JAX scan"),
        bar(scan, "bar: at least 2.5"),
    ]
    gain.legend(handles=second, ncols=4, **place)
