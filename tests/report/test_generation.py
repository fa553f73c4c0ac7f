"""The page of a generator."""

from carrousel.report.bits import rows, verdict
from carrousel.report.generation import Sample, generation_page
from carrousel.report.learning import Learned
from carrousel.report.page import Section, render

METRICS = {"bits": 2.0, "unigram_bits": 4.5, "five_gram_bits": 2.5, "held_out": 12_345}
CURVE = [(1.0, 3.0, 2.5), (2.0, 2.0, 2.1)]
LEARNED = Learned(CURVE, "2 epochs in 2 s", facts=[("seed", "0")])


def page(metrics: dict = METRICS, unit: str = "character") -> str:
    samples = [Sample(0.5, "\n    deep <b>\nshallow\n"), Sample(1.0, "wild")]
    return render(generation_page("play.txt", ["1,000 characters"], metrics, LEARNED, samples, unit))


def test_it_shows_all_there_is() -> None:
    html = page()
    for said in ("play.txt", "1,000 characters", "unigram", "4.500", "5-gram", "2.500", "this net", "2.000", "4.00",
                 "12,345 characters at the end", "Temperature 0.5", "wild", "2 epochs in 2 s", "Learning curve",
                 "<dt>seed</dt>"):  # fmt: skip
        assert said in html


def test_what_is_written_keeps_its_lines_and_is_no_markup() -> None:
    html = page()
    assert "<p>\u00a0\u00a0\u00a0\u00a0deep &lt;b&gt;</p>" in html
    assert "<p>shallow</p>" in html


def test_a_net_that_does_not_win_is_marked_and_said_so() -> None:
    assert "needs 20 % fewer bits than counting" in verdict(METRICS)
    assert 'class="card marked"' not in page()
    loses = {**METRICS, "bits": 2.6}
    assert "NOT better than counting 5-grams (2.600 bits, 2.500 bits)" in verdict(loses)
    assert 'class="card marked"' in page(loses)


def test_rows_stand_from_the_simplest_to_the_net() -> None:
    assert [bits for _, bits in rows(METRICS)] == [4.5, 2.5, 2.0]


def test_inside_has_its_place() -> None:
    def headings(inside: Section | None = None) -> list[str]:
        learned = Learned(CURVE, inside=inside)
        return [s.title for s in generation_page("t", [], METRICS, learned, [Sample(1, "x")]).sections]

    plain = headings()
    assert plain == ["How well it knows the text", "What it writes", "How it was learned"]
    assert headings(inside=Section("Inside")) == [*plain[:2], "Inside", plain[2]]


def test_bytes_are_called_bytes() -> None:
    html = page(unit="byte")
    assert "bits per byte" in html
    assert "per character" not in html
