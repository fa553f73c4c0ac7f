"""The page of a generator: what was read, how well it is known, what is written, how it was learned."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from carrousel.report.bits import rows, verdict
from carrousel.report.learning import Learned, learning_curve, page_of
from carrousel.report.page import Card, Page, Picture, Section

__all__ = ["Sample", "generation_page"]


class Sample(NamedTuple):
    """A text that was written.

    Attributes:
        temperature: it was drawn at.
        text: what came.
    """

    temperature: float
    text: str


def generation_page(
    title: str,
    understood: Sequence[str],
    metrics: Mapping[str, Any],
    learned: Learned,
    samples: Sequence[Sample],
    unit: str = "character",
) -> Page:
    """Return the page.

    Args:
        title: its heading.
        understood: sentences on what was read.
        metrics: `bits`, `unigram_bits`, `five_gram_bits`, `held_out`.
        learned: how; losses in nats.
        samples: texts at some temperatures.
        unit: what a symbol is.

    Example:
        >>> metrics = {"bits": 2.2, "unigram_bits": 4.8, "five_gram_bits": 2.3, "held_out": 100}
        >>> page = generation_page("hamlet.txt", ["1,000 characters"], metrics, Learned([(1.0, 2.0, 2.0)]), [])
        >>> [section.title for section in page.sections]
        ['How well it knows the text', 'How it was learned']
    """
    table = Card(
        f"Bits per {unit} of the held-out end",
        ("", f"bits per {unit}", "perplexity"),
        tuple((name, f"{bits:.3f}", f"{2**bits:.2f}") for name, bits in rows(metrics)),
        notes=(f"{metrics['held_out']:,} {unit}s at the end of the text, which were not trained on. Less is better.",),
        remarks=(verdict(metrics),),
        is_marked=metrics["bits"] >= metrics["five_gram_bits"],
    )
    written = tuple(
        Card(f"Temperature {sample.temperature:g}", (), (), notes=tuple(_lines(sample.text))) for sample in samples
    )
    sections = (
        Section("How well it knows the text", cards=(table,)),
        Section("What it writes", ("Drawn after a line's end, without a prompt.",), cards=written) if written else None,
    )
    return page_of(title, understood, sections, learned, _curve(learned.curve, metrics, unit))


def _lines(text: str) -> list[str]:
    """Lines as they are indented: a page would leave out the spaces."""
    lines = text.strip("\n").split("\n")
    return ["\u00a0" * (len(line) - len(line.lstrip(" "))) + line.lstrip(" ") for line in lines]


def _curve(curve: Sequence[tuple[float, float, float]], metrics: Mapping[str, Any], unit: str) -> Picture:
    bits = [(seconds, train / math.log(2), held / math.log(2)) for seconds, train, held in curve]
    caption = "Each point is an epoch; training is measured while the weights change, and with dropout."
    level = "5-gram", metrics["five_gram_bits"]
    return learning_curve(bits, f"bits per {unit}", "held-out end", caption, level=level)
