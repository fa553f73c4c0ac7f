"""The report of a generator: what the page is made from."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from carrousel.cell import Cell
from carrousel.models.generation.net import TextNet

if TYPE_CHECKING:
    from carrousel.models.generation.generator import Generator
    from carrousel.report.inside import Inside
    from carrousel.report.page import Page

__all__ = ["page", "understood"]

#: What is shown of its writing.
_TEMPERATURES, _SAMPLE = (0.5, 0.8, 1.0), 600
#: Symbols that the net is looked at over.
_INSIDE = 200


def understood(fitted: "Generator") -> tuple[str, ...]:
    """Return in words what the text was taken for."""
    m = fitted.metrics_
    files = f" of {m['files']:,} file{'s' if m['files'] > 1 else ''}" if m["files"] else ""
    kinds = f", {m['vocabulary']:,} different" if fitted.level == "char" else ""
    return (
        f"{m['symbols']:,} {fitted.unit}s{files}{kinds}; "
        f"{m['symbols'] - m['held_out']:,} to train on, the last {m['held_out']:,} held out",
    )


def page(fitted: "Generator", title: str) -> "Page":
    """Return the page about a fitted generator.

    Args:
        fitted: trained, or loaded.
        title: the heading.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    from carrousel.report.generation import Sample, generation_page
    from carrousel.report.inside import inside
    from carrousel.report.learning import Learned

    samples = [Sample(t, fitted.generate(temperature=t, length=_SAMPLE, seed=fitted.seed)) for t in _TEMPERATURES]
    example = fitted.vocabulary_.encode(fitted.example_)[:_INSIDE]
    seen = inside(_inside(fitted.net_, example), f"the first {len(example)} {fitted.unit}s held out", fitted.unit)
    learned = Learned(fitted.history_.curve, f"{fitted.history_}.", seen, _facts(fitted))
    return generation_page(title, understood(fitted), fitted.metrics_, learned, samples, fitted.unit)


def _inside(net: torch.nn.Module, example: Tensor) -> "Inside":
    """The layers over the example but its last symbol; the error is that of predicting it."""
    from carrousel.report.inside import look_inside

    assert isinstance(net, TextNet)
    with torch.no_grad():
        x = net.embedding(example[:-1, None].int())
    return look_inside(net.recurrent, x, lambda output: cross_entropy(net.scores(output[-1]), example[-1:].long()))


def _facts(fitted: "Generator") -> tuple[tuple[str, str], ...]:
    cell = fitted.cell.name if isinstance(fitted.cell, Cell) else fitted.cell
    layers, weights = f"{fitted.num_layers} x {fitted.hidden_size}", fitted.metrics_["weights"]
    streams = f"{fitted.batch_size} streams, gradients over {fitted.seq_len} {fitted.unit}s"
    return (("cell", f"{cell}, {layers}, {weights:,} weights"), ("training", streams), ("seed", str(fitted.seed)))
