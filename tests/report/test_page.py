"""A page: one file, all text escaped."""

from html.parser import HTMLParser

from carrousel.report.page import Card, Page, Picture, Section, render

NASTY = "<script>alert('1') & \"2\"</script>"
SVG = '<svg viewBox="0 0 1 1"><path d="M 0 0"/></svg>'
EMPTY_TAGS = {"meta", "path"}


class Reader(HTMLParser):
    """Collects tags, what they refer to, and text; complains about tags that do not match."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.refers: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.refers += [value or "" for name, value in attrs if name in ("href", "src", "xlink:href")]
        if tag not in EMPTY_TAGS:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def read(html: str) -> Reader:
    reader = Reader()
    reader.feed(html)
    reader.close()
    assert reader.open == []
    return reader


def full() -> Page:
    """Every field has the same nasty text."""
    card = Card(NASTY, (NASTY, NASTY), ((NASTY, NASTY),), (NASTY,), (NASTY,), is_marked=True)
    section = Section(NASTY, (NASTY,), (card,), (Picture(NASTY, NASTY, SVG),))
    return Page(NASTY, (NASTY,), (section,), ((NASTY, NASTY),))


def test_all_text_is_escaped_and_drawings_are_drawings() -> None:
    seen = read(render(full()))
    assert "script" not in seen.tags
    assert seen.text.count(NASTY) == 17  # 15 fields, and the titles in the head and among the links
    assert seen.tags.count("svg") == 1


def test_it_needs_no_other_file() -> None:
    html = render(full())
    seen = read(html)
    assert seen.refers == ["#section-1"]
    assert 'id="section-1"' in html
    assert not {"link", "img", "iframe", "script"} & set(seen.tags)
    assert "@import" not in html
    assert "url(" not in html


def test_it_is_made_for_phones_and_for_the_dark() -> None:
    html = render(Page("Page"))
    assert 'name="viewport" content="width=device-width' in html
    assert "prefers-color-scheme: dark" in html


def test_a_card_stands_out_if_it_is_marked() -> None:
    plain, marked = (render(Page("p", sections=(Section("s", cards=(Card("c", (), (), is_marked=m),)),)))
                     for m in (False, True))  # fmt: skip
    assert 'class="card"' in plain
    assert 'class="card marked"' in marked


def test_what_is_not_there_leaves_no_trace() -> None:
    seen = read(render(Page("Page", sections=(Section("Part"),))))
    assert not {"table", "figure", "footer", "article"} & set(seen.tags)
    assert "h3" not in read(render(Page("Page", sections=(Section("Part", cards=(Card("", (), ()),)),)))).tags
