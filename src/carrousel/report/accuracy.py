"""How often a classifier is right, beside always naming the commonest class; in words and lines."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

__all__ = ["confusions", "rows", "verdict"]


def rows(scores: Mapping[str, Any]) -> list[tuple[str, str, str, str]]:
    """Return the lines of the result table: name, accuracy, balanced accuracy and log loss."""
    always = f"always {scores['majority_class']}, the commonest"
    return [
        (always, _percent(scores["majority_accuracy"]), _percent(scores["majority_balanced_accuracy"]), ""),
        (
            "this net",
            _percent(scores["accuracy"]),
            _percent(scores["balanced_accuracy"]),
            f"{scores['log_loss']:.3f}",
        ),
    ]


def verdict(scores: Mapping[str, Any]) -> str:
    """Say in a sentence what the net is worth, and how sure that is.

    Example:
        >>> verdict({"accuracy": 0.9, "majority_accuracy": 0.5, "majority_class": "a", "count": 100})
        'The net is right in 90.0 % of 100 (95 % interval 82.6 to 94.5 %); always saying a is right in 50.0 %.'
        >>> verdict({"accuracy": 0.5, "majority_accuracy": 0.5, "majority_class": "a", "count": 100})
        'The net is NOT better than always saying a (50.0 %, 50.0 %): it needs more or other data.'
    """
    right, naive, name = scores["accuracy"], scores["majority_accuracy"], scores["majority_class"]
    if right <= naive:
        return (
            f"The net is NOT better than always saying {name} ({_percent(right)}, {_percent(naive)}): "
            "it needs more or other data."
        )
    low, high = _interval(right, scores["count"])
    return (
        f"The net is right in {_percent(right)} of {scores['count']:,} (95 % interval {100 * low:.1f} to "
        f"{_percent(high)}); always saying {name} is right in {_percent(naive)}."
    )


def confusions(scores: Mapping[str, Any], limit: int = 5) -> list[tuple[str, str, int]]:
    """Return the commonest confusions: true class, predicted class, how often.

    Example:
        >>> confusions({"per_class": [{"class": "a"}, {"class": "b"}], "confusion": [[3, 2], [0, 4]]})
        [('a', 'b', 2)]
    """
    names, matrix = [row["class"] for row in scores["per_class"]], np.array(scores["confusion"])
    np.fill_diagonal(matrix, 0)
    order = np.argsort(-matrix, axis=None, kind="stable")[:limit]
    pairs = [divmod(int(place), len(names)) for place in order]
    return [(names[true], names[said], int(matrix[true, said])) for true, said in pairs if matrix[true, said]]


def _percent(part: float) -> str:
    return f"{100 * part:.1f} %"


def _interval(part: float, count: int) -> tuple[float, float]:
    """Wilson's interval at 95 % for a part of independent cases."""
    z2 = 1.96**2
    middle = part + z2 / (2 * count)
    half = 1.96 * math.sqrt(part * (1 - part) / count + z2 / (4 * count**2))
    return (middle - half) / (1 + z2 / count), (middle + half) / (1 + z2 / count)
