"""The figures of a page: drawn once, in colours that the page sets by day and by night."""

import io
import math
import re
from collections.abc import Mapping, Sequence
from html import escape

from carrousel.errors import MissingExtraError
from carrousel.report.page import Picture

try:
    from matplotlib import rc_context
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Text
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator
except ImportError as error:
    raise MissingExtraError(
        'report - matplotlib is not installed, the figures need it - pip install "carrousel[plot]"'
    ) from error

__all__ = ["COLOURS", "GREY", "GRID", "INK", "canvas", "label_ends", "legend", "log_axis", "picture", "thousands"]

#: Colours that the page replaces by its own.
INK, GREY, GRID = "#1b1b1f", "#5f6368", "#e4e4e7"
_VARIABLES = {INK: "var(--ink)", GREY: "var(--grey)", GRID: "var(--grid)"}

#: Colours of curves, to be seen on white and on black.
COLOURS = (
    "#2f7fc1", "#d9822b", "#3f9e63", "#c4402f", "#8a6fd1",
    "#2aa5a5", "#c9507a", "#9a8c2c", "#8b9096", "#a5714a",
)  # fmt: skip

#: Inches; a narrow figure can still be read where a phone shrinks it.
_WIDTH = 5.6


def canvas(heights: Sequence[float], is_shared: bool = False) -> tuple[Figure, list[Axes]]:
    """Return a figure of panels, one below the other.

    Args:
        heights: of the panels, in inches.
        is_shared: whether they have one x axis.

    Example:
        >>> figure, panels = canvas([2, 1])
        >>> len(panels), figure.get_figheight()
        (2, 3.0)
    """
    figure = Figure(figsize=(_WIDTH, sum(heights)), layout="constrained")
    panels = figure.subplots(len(heights), 1, height_ratios=heights, sharex=is_shared, squeeze=False)[:, 0]
    for axes in panels:
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.spines["bottom"].set_color(GREY)
        axes.grid(axis="y", color=GRID, lw=0.8)
        axes.set_axisbelow(True)
        axes.tick_params(axis="both", which="both", length=0, colors=GREY, labelsize=8.5)
        for label in (axes.xaxis.label, axes.yaxis.label):
            label.set(color=GREY, fontsize=9)
        axes.set_title("", loc="left")
    return figure, list(panels)


def log_axis(axes: Axes, which: str) -> None:
    """Make an axis logarithmic, its labels powers of ten.

    Args:
        axes: the panel.
        which: "x" or "y".
    """
    (axes.set_xscale if which == "x" else axes.set_yscale)("log")
    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_locator(LogLocator(numticks=7))
    axis.set_major_formatter(FuncFormatter(lambda value, _: _power(value)))
    axis.set_minor_locator(NullLocator())


def _power(value: float) -> str:
    exponent = round(math.log10(value)) if value > 0 else 0
    if -2 <= exponent <= 4:
        return f"{value:,.10g}"
    return "10" + str(exponent).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def thousands(axes: Axes) -> None:
    """Write the x axis' numbers with commas."""
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))


def legend(axes: Axes, columns: int = 2) -> None:
    """Name the curves below a panel."""
    axes.legend(
        loc="upper left",
        bbox_to_anchor=(0, -0.2),
        ncols=columns,
        frameon=False,
        fontsize=8.5,
        labelcolor=INK,
        handlelength=1.6,
        borderaxespad=0.6,
    )


def label_ends(axes: Axes, ends: Mapping[str, tuple[float, str]], size: float = 8.5) -> None:
    """Write each curve's name to the right of the panel at the height of its end, apart from the others.

    Args:
        axes: the panel; its limits and scale must be final.
        ends: name -> the height of the curve's end, and its colour.
        size: of the text, in points.
    """
    low, high = (axes.transData.transform((1, limit))[1] for limit in axes.get_ylim())
    figure = axes.get_figure()
    assert figure is not None
    apart = 1.5 * size / (72 * figure.get_figheight() * axes.get_position().height)

    def place(name: str) -> float:
        at = float(axes.transData.transform((1, ends[name][0]))[1] - low) / float(high - low)
        return min(max(at, 0.0), 1.0) if math.isfinite(at) else 0.0

    names = sorted(ends, key=place)
    places = [place(name) for name in names]
    for i in range(1, len(places)):
        places[i] = max(places[i], places[i - 1] + apart)
    for i in reversed(range(len(places))):
        places[i] = min(places[i], 1 - apart * (len(places) - 1 - i))
    for name, at in zip(names, places, strict=True):
        axes.text(1.015, at, name, transform=axes.transAxes, va="center", color=ends[name][1], fontsize=size)


def picture(figure: Figure, title: str, caption: str) -> Picture:
    """Return a figure as a part of a page.

    Args:
        figure: what was drawn; its texts are texts, not formulas.
        title: stands above it.
        caption: stands below it.

    Example:
        >>> figure, (axes,) = canvas([2])
        >>> _ = axes.set_xlabel("a < b")
        >>> drawn = picture(figure, "Lags", "Nothing")
        >>> drawn.svg[:4], "a &lt; b" in drawn.svg, "<?xml" in drawn.svg
        ('<svg', True, False)
    """
    file = io.StringIO()
    # names in the file depend on the title, so that pictures on one page do not meet, and a page is made the same twice
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": title}):
        figure.draw_without_rendering()
        for text in figure.findobj(Text):
            text.set_parse_math(False)
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = file.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'(<g) id="[^"]*"', r"\1", svg)
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r"'DejaVu Sans'.*?(?=[;\"])", "system-ui, sans-serif", svg)
    for colour, variable in _VARIABLES.items():
        svg = svg.replace(colour, variable)
    return Picture(title, caption, svg.replace("<svg", f'<svg role="img" aria-label="{escape(title)}"', 1))
