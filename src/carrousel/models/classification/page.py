"""What a fitted classifier says of itself: a few lines, and a page."""

import csv
import io
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from carrousel.cell import Cell

if TYPE_CHECKING:
    from carrousel.models.classification.classifier import Classifier
    from carrousel.report.page import Page

__all__ = ["html", "page", "predictions", "trained", "understood"]


def understood(fitted: "Classifier") -> tuple[str, ...]:
    """Return in words what the data was taken for."""
    low, high = fitted.lengths_
    steps = f"{low:,} steps" if low == high else f"{low:,} to {high:,} steps"
    held, total = fitted.counts_["validation"], sum(fitted.counts_.values())
    channels = "1 channel" if fitted.n_features_in_ == 1 else f"{fitted.n_features_in_} channels"
    names = ", ".join(map(str, fitted.classes_[:12].tolist())) + (", ..." if len(fitted.classes_) > 12 else "")
    lines = [
        f"{total:,} sequences of {steps}, {channels}; {f'{held:,} of them' if held else 'none'} held out",
        f"{len(fitted.classes_)} classes, one label per {'step' if fitted.per_step_ else 'sequence'}: {names}",
    ]
    return (*lines, f"columns: {fitted.columns_}") if fitted.columns_ else tuple(lines)


def trained(fitted: "Classifier") -> str:
    """Return in words how it was trained."""
    again = fitted.again_
    then = f"; then anew on all of them, {again['epochs']} epochs in {again['seconds']:.0f} s" if again else ""
    return f"{fitted.history_}{then}"


def predictions(
    ids: NDArray[Any], codes: NDArray[np.int64], probabilities: NDArray[np.float64], classes: NDArray[Any]
) -> str:
    """Return a CSV file with a line for each label.

    Args:
        ids: (label,), the sequences' names.
        codes: (label,), the true classes' numbers.
        probabilities: (label, class).
        classes: their names.

    Example:
        >>> print(predictions(np.array(["u"]), np.array([0]), np.array([[0.25, 0.75]]), np.array(["a", "b"])))
        id,label,predicted,p_a,p_b
        u,a,b,0.25,0.75
        <BLANKLINE>
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["id", "label", "predicted", *(f"p_{name}" for name in classes.tolist())])
    said = classes[probabilities.argmax(1)]
    for row in zip(ids.tolist(), classes[codes].tolist(), said.tolist(), probabilities.round(6).tolist(), strict=True):
        writer.writerow([*row[:3], *row[3]])
    return text.getvalue()


def page(fitted: "Classifier", title: str) -> "Page":
    """Return the report.

    Args:
        fitted: a classifier.
        title: the page's heading.
    """
    from carrousel.report.classification import classification_page
    from carrousel.report.inside import inside
    from carrousel.report.learning import Learned

    cell = fitted.cell.name if isinstance(fitted.cell, Cell) else fitted.cell
    weights = sum(weight.numel() for weight in fitted.net_.parameters())
    ways = "both directions" if fitted.bidirectional else "one direction"
    facts = (
        (
            "cell",
            f"{cell}, {fitted.num_layers} x {fitted.hidden_size}, {ways}, pool {fitted.pool}, {weights:,} weights",
        ),
        (
            "training",
            f"lr {fitted.lr:g}, batches of {fitted.batch_size}, dropout {fitted.dropout:g}, seed {fitted.seed}",
        ),
    )
    seen = fitted._inside()
    shown = None if seen is None else inside(*seen)
    learned = Learned(fitted.history_.curve, f"Training: {trained(fitted)}.", shown, facts)
    return classification_page(title, understood(fitted), fitted.metrics_, learned)


def html(fitted: "Classifier", title: str) -> str:
    """Return the report as text that needs no other file."""
    from carrousel.report.page import render

    return render(page(fitted, title))
