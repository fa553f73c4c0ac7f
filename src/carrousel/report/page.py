"""A page in one file: sections of cards and pictures; text is text, whatever it contains."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from jinja2 import Environment, StrictUndefined, Template

__all__ = ["Card", "Page", "Picture", "Section", "render"]


@dataclass(frozen=True)
class Picture:
    """A figure of a page.

    Attributes:
        title: stands above it.
        caption: what is seen, and how it was measured.
        svg: the drawing, of `carrousel.report.figures.picture`; the only text that is not escaped.
    """

    title: str
    caption: str
    svg: str


@dataclass(frozen=True)
class Card:
    """A small table.

    Attributes:
        title: stands above it.
        columns: their names; the first column's are often empty.
        lines: a text for each column.
        notes: paragraphs under the title.
        remarks: paragraphs under the lines.
        is_marked: whether the card stands out; the remarks say why.
        is_wide: whether it takes the page's whole width.
    """

    title: str
    columns: tuple[str, ...]
    lines: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    is_marked: bool = False
    is_wide: bool = False


@dataclass(frozen=True)
class Section:
    """A part of a page.

    Attributes:
        title: its heading.
        text: paragraphs.
        cards: side by side where there is room.
        pictures: below them.
    """

    title: str
    text: tuple[str, ...] = ()
    cards: tuple[Card, ...] = ()
    pictures: tuple[Picture, ...] = ()


@dataclass(frozen=True)
class Page:
    """A page.

    Attributes:
        title: its heading.
        text: paragraphs.
        sections: its parts.
        facts: what the page was made with, name and value.
    """

    title: str
    text: tuple[str, ...] = ()
    sections: tuple[Section, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()


@cache
def _template() -> Template:
    source = Path(__file__).with_name("page.html").read_text(encoding="utf-8")
    return Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True).from_string(
        source
    )


def render(page: Page) -> str:
    """Return a page as HTML that needs no other file.

    Args:
        page: what it says.

    Example:
        >>> html = render(Page("Lags of 10 & more", sections=(Section("a < b"),)))
        >>> "<h1>Lags of 10 &amp; more</h1>" in html, "a &lt; b" in html
        (True, True)
    """
    return _template().render(page=page)
