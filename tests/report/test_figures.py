"""Figures as parts of a page: well-formed, apart from each other, without colours of their own for text."""

import re
import subprocess
import sys
from xml.etree import ElementTree

import pytest

from carrousel.report.figures import COLOURS, GRID, INK, canvas, legend, log_axis, picture, thousands
from carrousel.report.page import Picture


def drawn(title: str = "Title") -> Picture:
    figure, (above, below) = canvas([1.5, 2], is_shared=True)
    above.plot([1, 2, 3], [1, 10, 100], "o-", color=COLOURS[0], label="a & <b> $x$ y$")
    above.set_title("in black", loc="left")
    log_axis(above, "y")
    below.axhline(1, color=INK)
    legend(above)
    return picture(figure, title, "Caption")


def texts(svg: str) -> list[str]:
    return ["".join(node.itertext()) for node in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


def test_it_is_well_formed_and_its_texts_are_texts() -> None:
    found = drawn().svg
    assert "a & <b> $x$ y$" in texts(found)
    assert {"1", "10", "100"} <= set(texts(found))


def test_its_title_is_a_label() -> None:
    root = ElementTree.fromstring(drawn('a "b" <c>').svg)
    assert root.get("aria-label") == 'a "b" <c>'
    assert root.get("width") is None
    assert root.get("viewBox") is not None


def test_colours_of_text_and_lines_follow_the_page() -> None:
    found = drawn().svg
    assert INK not in found
    assert GRID not in found
    assert COLOURS[0] in found
    for style in re.findall(r'<text style="([^"]*)"', found):
        assert "fill: var(--" in style


def test_two_on_one_page_do_not_meet() -> None:
    one, other = (set(re.findall(r'\bid="([^"]*)"', drawn(title).svg)) for title in ("One", "Other"))
    assert one
    assert not one & other


def test_the_same_is_drawn_the_same() -> None:
    assert drawn() == drawn()


@pytest.mark.parametrize(
    ("limits", "has_thirds", "labels"),
    [
        ((0.5, 20_000_000), False, {"1", "100", "10,000", "1,000,000"}),
        ((1e-9, 2), False, {"10⁻⁶", "0.01", "10⁻⁸"}),
        ((2e-6, 4e-5), True, {"3·10⁻⁶", "10⁻⁵", "3·10⁻⁵"}),
        ((20, 400), True, {"30", "100", "300"}),
    ],
)
def test_labels_of_powers(limits: tuple[float, float], has_thirds: bool, labels: set[str]) -> None:
    figure, (axes,) = canvas([2])
    log_axis(axes, "y", has_thirds)
    axes.set_ylim(*limits)
    axes.set_xlim(0, 40_000)
    thousands(axes)
    assert labels | {"10,000"} <= set(texts(picture(figure, "", "").svg))


def test_without_matplotlib_it_says_what_to_install() -> None:
    script = "import sys; sys.modules['matplotlib'] = None\nimport carrousel.report.figures"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.stderr.strip().endswith(
        "carrousel.errors.MissingExtraError: report - matplotlib is not installed, the figures need it - "
        'pip install "carrousel[plot]"'
    )
