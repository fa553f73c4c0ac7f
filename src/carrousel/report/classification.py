"""The page of a classifier: what was read, how often it is right, what it confuses, how it was learned."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from carrousel.report.accuracy import confusions, rows, verdict
from carrousel.report.figures import COLOURS, INK, canvas, picture
from carrousel.report.learning import Learned, learning_curve, page_of
from carrousel.report.page import Card, Page, Picture, Section

__all__ = ["classification_page"]

#: Classes that a matrix is drawn for; numbers are written into one of at most so many.
_DRAWN, _NUMBERED = 60, 15

_PARTS = {"test": "test data", "validation": "what was held out"}


def classification_page(
    title: str,
    understood: Sequence[str],
    metrics: Mapping[str, Mapping[str, Any]],
    learned: Learned,
) -> Page:
    """Return the page.

    Args:
        title: its heading.
        understood: sentences on what was read.
        metrics: "test", "validation" or both: the scores that `Classifier.evaluate` returns.
        learned: how; losses in nats.

    Example:
        >>> scores = {
        ...     "count": 4, "accuracy": 0.75, "balanced_accuracy": 0.75, "log_loss": 0.5, "majority_class": "a",
        ...     "majority_accuracy": 0.5, "majority_balanced_accuracy": 0.5, "confusion": [[2, 0], [1, 1]],
        ...     "per_class": [
        ...         {"class": "a", "precision": 0.67, "recall": 1.0, "f1": 0.8, "count": 2},
        ...         {"class": "b", "precision": 1.0, "recall": 0.5, "f1": 0.67, "count": 2},
        ...     ],
        ... }
        >>> page = classification_page("vowels", ["4 sequences"], {"test": scores}, Learned([(1.0, 0.7, 0.6)]))
        >>> [section.title for section in page.sections]
        ['How often it is right', 'Class by class', 'How it was learned']
    """
    parts = [part for part in _PARTS if part in metrics]
    sections = [
        Section("How often it is right", cards=tuple(_table(part, metrics[part]) for part in parts))
        if parts
        else Section("How often it is right", ("Nothing was held out, and there is no test data: it is not known.",)),
        _classes(metrics[parts[0]], _PARTS[parts[0]]) if parts else None,
    ]
    return page_of(title, understood, sections, learned, _curve(learned.curve) if learned.curve else None)


def _table(part: str, scores: Mapping[str, Any]) -> Card:
    is_worse = scores["accuracy"] <= scores["majority_accuracy"]
    note = "" if part == "test" else " Training stopped by it, so it flatters a little."
    return Card(
        f"{scores['count']:,} labels of {_PARTS[part]}",
        ("", "accuracy", "balanced", "log loss"),
        tuple(rows(scores)),
        notes=(f"Balanced: the mean of the classes' recalls. Log loss in nats.{note}",),
        remarks=(verdict(scores),),
        is_marked=is_worse,
    )


def _classes(scores: Mapping[str, Any], part: str) -> Section:
    per_class = Card(
        "Each class",
        ("class", "precision", "recall", "F1", "count"),
        tuple(
            (row["class"], *(f"{row[name]:.3f}" for name in ("precision", "recall", "f1")), f"{row['count']:,}")
            for row in scores["per_class"]
        ),
        notes=("Precision: how many that were called so are. Recall: how many that are were called so.",),
    )
    worst = confusions(scores)
    mistaken = Card(
        "What it confuses",
        ("true", "called", "times"),
        tuple((true, said, f"{times:,}") for true, said, times in worst),
        notes=() if worst else ("Nothing: every label was found.",),
    )
    pictures = (_matrix(scores),) if len(scores["per_class"]) <= _DRAWN else ()
    return Section("Class by class", (f"Measured on {part}.",), (mistaken, per_class), pictures)


def _matrix(scores: Mapping[str, Any]) -> Picture:
    names, counts = [row["class"] for row in scores["per_class"]], np.array(scores["confusion"])
    of_class = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    drawing, (axes,) = canvas([4.6])
    axes.grid(visible=False)
    axes.spines["bottom"].set_visible(False)
    places = range(len(names))
    for true in places:
        for said in np.flatnonzero(counts[true]).tolist():
            colour = COLOURS[0] if true == said else COLOURS[3]
            # the faintest can still be seen: a mistake among thousands is one
            axes.add_patch(_square(true, said, colour, 0.15 + 0.75 * float(of_class[true, said])))
            if len(names) <= _NUMBERED:
                axes.text(said, true, f"{counts[true, said]:,}", ha="center", va="center", fontsize=8.5, color=INK)
    axes.set(
        xlim=(-0.5, len(names) - 0.5), ylim=(len(names) - 0.5, -0.5), xlabel="called", ylabel="true", aspect="equal"
    )
    long = max(map(len, names)) > 3
    axes.set_xticks(places, [_short(name) for name in names], rotation=90 if long or len(names) > 20 else 0)
    axes.set_yticks(places, [_short(name) for name in names])
    caption = (
        "A row is a class, a field how often it was called so; blue is right, red is wrong, deeper is more of the row."
    )
    return picture(drawing, "Confusion matrix", caption)


def _square(true: int, said: int, colour: str, depth: float) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle((said - 0.47, true - 0.47), 0.94, 0.94, facecolor=colour, alpha=depth, lw=0)


def _short(name: str) -> str:
    return name if len(name) <= 14 else name[:13] + "…"


def _curve(curve: Sequence[tuple[float, float, float]]) -> Picture:
    caption = "Each point is an epoch; training is measured while the weights change, with dropout and noise."
    return learning_curve(curve, "loss, nats", "held out", caption, from_zero=True)
