"""The figures of a page: drawn once, in colours that the page sets by day and by night."""

import io
import math
import re
from collections.abc import Sequence
from html import escape
from pathlib import Path

from carrousel.errors import MissingExtraError, OptionError
from carrousel.report.page import Picture
from carrousel.writing import write_whole

try:
    from matplotlib import rc_context
    from matplotlib.axes import Axes
    from matplotlib.colors import same_color
    from matplotlib.figure import Figure
    from matplotlib.text import Text
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator
except ImportError as error:
    raise MissingExtraError(
        'report - matplotlib is not installed, the figures need it - pip install "carrousel[plot]"'
    ) from error

__all__ = ["COLOURS", "GREY", "GRID", "INK", "canvas", "legend", "log_axis", "picture", "thousands", "write_figure"]

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
        >>> len(panels), float(figure.get_figheight())
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
    return figure, list(panels)


def log_axis(axes: Axes, which: str, has_thirds: bool = False) -> None:
    """Make an axis logarithmic, its labels powers of ten.

    Args:
        axes: the panel.
        which: "x" or "y".
        has_thirds: whether 3, 30, 300 have labels too: for a range of few powers.
    """
    (axes.set_xscale if which == "x" else axes.set_yscale)("log")
    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_locator(LogLocator(subs=(1.0, 3.0) if has_thirds else (1.0,), numticks=7))
    axis.set_major_formatter(FuncFormatter(lambda value, _: _power(value)))
    axis.set_minor_locator(NullLocator())


def _power(value: float) -> str:
    exponent = math.floor(math.log10(value) + 1e-9) if value > 0 else 0
    if -4 <= exponent <= 6:
        return f"{value:,.10g}"
    power = "10" + str(exponent).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    digit = round(value / 10**exponent)
    return power if digit == 1 else f"{digit}·{power}"


def thousands(axes: Axes) -> None:
    """Write the x axis' numbers with commas."""
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))


def legend(axes: Axes, columns: int = 2) -> None:
    """Name a panel's curves below the figure."""
    figure = axes.get_figure()
    assert isinstance(figure, Figure)
    figure.legend(
        *axes.get_legend_handles_labels(),
        loc="outside lower left",
        ncols=columns,
        frameon=False,
        fontsize=8.5,
        labelcolor=INK,
        handlelength=1.6,
    )


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
            if same_color(text.get_color(), "black"):
                text.set_color(INK)
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


def write_figure(figure: Figure, path: Path) -> None:
    """Write a figure as a picture of the kind that the path's end says.

    Args:
        figure: what was drawn.
        path: of the file; one that is there is replaced.

    Raises:
        OptionError: there is no such kind.
        OutputError: it can not be written.
    """
    kind, kinds = path.suffix[1:].lower(), figure.canvas.get_supported_filetypes()
    if kind not in kinds:
        raise OptionError(f"plot - {path} ends in no kind of picture - choose .png, .svg or .pdf")
    file = io.BytesIO()
    figure.savefig(file, format=kind, dpi=200)
    write_whole({path: file.getvalue()})
