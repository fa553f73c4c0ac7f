"""The LSTM under the machine's roofs: GFLOP/s over the operations per byte that it has to move."""

import math
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from benchmarks.measurements import Report, Roofs, Shape, Timing

__all__ = ["draw", "moved"]

_INK, _GREY, _GRID = "#1b1b1f", "#5f6368", "#e4e4e7"
#: side -> colour, marker, filled.
_MARKS = {
    "carrousel": ("#0072B2", "o", True),
    "torch.nn": ("#E69F00", "s", False),
    "ONNX Runtime": ("#009E73", "^", False),
}
_ROOFS = {"L1": "#3c4043", "L2": "#6f747a", "L3": "#9aa0a6", "memory": "#c0c4c9"}
_GATES = 4


def moved(shape: Shape, mode: str) -> int:
    """Return the bytes that a call of the LSTM has to move.

    The recurrent weights once for every step, whatever the batch; the input weights, input and output once. Training
    walks both ways, and writes and reads gates and cell state.
    """
    recurrent = shape.steps * _GATES * shape.hidden**2
    once = _GATES * shape.hidden * shape.inputs
    rows = shape.steps * shape.batch
    passing = rows * (shape.inputs + shape.hidden)
    if mode == "inference":
        return 4 * (recurrent + once + passing)
    kept = rows * (_GATES + 1) * shape.hidden
    return 4 * 2 * (recurrent + once + passing + kept)


def draw(axes: Axes, report: Report, mode: str, title: str) -> None:
    """Draw roofs, and a point for each shape and side, numbered as the shapes are."""
    assert report.roofs is not None
    threads = int(report.environment["threads"])
    timings = report.find(part="lstm", mode=mode)
    places = [t.flops / moved(t.shape, mode) for t in timings]
    peak = report.roofs.peak(threads)
    left, right = min([0.2, *places]) / 1.6, max([64.0, *places]) * 1.6
    low = min([peak / 100, *(t.gigaflops for t in timings)]) / 1.8
    axes.set(xscale="log", yscale="log", xlim=(left, right), ylim=(low, peak * 2))
    _roofs(axes, report.roofs, threads, left, right)
    for number, shape in enumerate(report.shapes("lstm"), 1):
        if at_shape := [t for t in timings if t.shape == shape]:
            _column(axes, at_shape, moved(shape, mode), number)
    axes.set_title(title, loc="left", size=11.5, color=_INK, pad=8)
    axes.set_xlabel("FLOP per byte moved", size=9, color=_GREY)
    axes.set_ylabel("GFLOP/s", size=9, color=_GREY)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(_GREY)
    axes.tick_params(colors=_INK, labelsize=9, length=0)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(FixedLocator([base * 10.0**power for power in range(-3, 5) for base in (1, 3)]))
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.grid(color=_GRID, lw=0.7)
    axes.set_axisbelow(True)
    axes.legend(loc="lower right", fontsize=9, frameon=True, edgecolor="white", framealpha=0.9, markerscale=0.75)


def _roofs(axes: Axes, roofs: Roofs, threads: int, left: float, right: float) -> None:
    peak = roofs.peak(threads)
    axes.plot([left, right], [peak, peak], color=_INK, lw=1.6)
    text = f"multiply-add peak, {threads} threads: {peak:.0f} GFLOP/s"
    axes.text(left * 1.05, peak * 1.06, text, va="bottom", size=8.5, color=_INK)
    x = np.geomspace(left, right, 400)
    for transfer in roofs.read:
        if transfer.threads != threads:
            continue
        rate, colour = transfer.gigabytes_per_second, _ROOFS.get(transfer.level, _GREY)
        y = rate * x
        axes.plot(x[y <= peak], y[y <= peak], color=colour, lw=1.4)
        start = max(left, axes.get_ylim()[0] / rate) * 1.07
        label = f"{transfer.level} {rate:.0f} GB/s"
        style: dict[str, Any] = {"va": "bottom", "rotation": _slope(axes), "rotation_mode": "anchor"}
        axes.text(start, start * rate * 1.04, label, size=8, color=_GREY, **style)


def _slope(axes: Axes) -> float:
    """Degrees at which a bandwidth rises on paper."""
    box = axes.get_window_extent()
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    return math.degrees(math.atan2(box.height / math.log(high / low), box.width / math.log(right / left)))


def _column(axes: Axes, timings: list[Timing], bytes_moved: int, number: int) -> None:
    """The sides of one shape stand above each other; ours has the shape's number."""
    x = timings[0].flops / bytes_moved
    rates = [t.gigaflops for t in timings]
    axes.plot([x, x], [min(rates), max(rates)], color=_GREY, lw=0.8, alpha=0.6, zorder=3)
    for t in timings:
        colour, marker, is_ours = _MARKS.get(t.side, (_GREY, "x", False))
        style: dict[str, Any] = {
            "ms": 13 if is_ours else 7,
            "mec": "white" if is_ours else colour,
            "mew": 0.8 if is_ours else 1.6,
        }
        inside, level = (colour, 4) if is_ours else ("none", 5)
        label = t.side if t.side not in axes.get_legend_handles_labels()[1] else None
        axes.plot(x, t.gigaflops, marker, mfc=inside, ls="", zorder=level, label=label, **style)
        if is_ours:
            center: dict[str, Any] = {"ha": "center", "va": "center_baseline", "zorder": 6, "weight": "bold"}
            axes.text(x, t.gigaflops, str(number), size=8.5, color="white", **center)
