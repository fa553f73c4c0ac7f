"""What a classifier is worth: scores beside those of always naming the commonest class, by class and by confusion."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from carrousel.models.classification.classes import Labels

__all__ = ["result"]


def result(
    classes: Labels, codes: NDArray[np.int64], probabilities: NDArray[np.float64], majority: int
) -> dict[str, Any]:
    """Return the scores of predictions, for `metrics.json` and the report.

    Args:
        classes: their names.
        codes: (label,), the true ones.
        probabilities: (label, class).
        majority: the commonest class of the training.

    Returns:
        count; accuracy, balanced_accuracy (the mean of the classes' recalls), log_loss in nats; the two accuracies of
        the majority class; per_class, a list of class, precision, recall, f1 and count; confusion, (true, predicted).

    Example:
        >>> found = result(np.array(["a", "b"]), np.array([0, 1]), np.array([[0.9, 0.1], [0.6, 0.4]]), 0)
        >>> found["accuracy"], found["majority_accuracy"], found["confusion"]
        (0.5, 0.5, [[1, 0], [1, 0]])
    """
    from sklearn.metrics import confusion_matrix, log_loss, precision_recall_fscore_support

    every, guesses = np.arange(len(classes)), probabilities.argmax(1)
    confusion = confusion_matrix(codes, guesses, labels=every)
    per_class = precision_recall_fscore_support(codes, guesses, labels=every, zero_division=0.0)
    present = confusion.sum(1) > 0  # a class that is not there has no recall
    rows = zip(map(str, classes.tolist()), *(values.tolist() for values in per_class), strict=True)
    return {
        "count": len(codes),
        "accuracy": float(np.mean(guesses == codes)),
        "balanced_accuracy": float(per_class[1][present].mean()),
        "log_loss": float(log_loss(codes, probabilities, labels=every)),
        "majority_class": str(classes[majority]),
        "majority_accuracy": float(np.mean(codes == majority)),
        "majority_balanced_accuracy": float(present[majority] / present.sum()),
        "per_class": [
            {"class": name, "precision": precision, "recall": recall, "f1": f1, "count": count}
            for name, precision, recall, f1, count in rows
        ],
        "confusion": confusion.tolist(),
    }
