"""The classifier's defaults on a task that is split already."""

import argparse
import time
from typing import Any, NamedTuple

import numpy as np

from benchmarks.applications.rounds import Round, parser_of
from carrousel.models.classification.classifier import Classifier

__all__ = ["Split", "arguments", "facts", "one"]


class Split(NamedTuple):
    """Training and test: sequences and labels."""

    train: Any
    train_labels: Any
    test: Any
    test_labels: Any


def arguments(description: str, data: str) -> argparse.Namespace:
    """Return what the script was called with.

    Args:
        description: what it does.
        data: what its data is.
    """
    return parser_of(description, data).parse_args()


def one(split: Split, seed: int, threads: int) -> Round:
    """Train the defaults and measure accuracy; the seconds are those of everything, trained anew on all or not.

    Args:
        split: training and test.
        seed: of the classifier.
        threads: of torch.
    """
    began = time.perf_counter()
    fitted = Classifier(seed=seed, threads=threads, verbose=0).fit(split.train, split.train_labels)
    seconds = time.perf_counter() - began
    scores, held = fitted.evaluate(split.test, split.test_labels), fitted.metrics_["validation"]
    epochs = len(fitted.history_.epochs)
    return Round(scores["accuracy"], held["accuracy"], seconds, epochs, balanced=scores["balanced_accuracy"])


def facts(split: Split) -> dict[str, Any]:
    """Return what `rounds.say` takes of a split: the naive row and the sizes."""
    names, counts = np.unique(split.train_labels, return_counts=True)
    majority = float((np.asarray(split.test_labels) == names[counts.argmax()]).mean())
    return {"naive": {"the commonest class": majority}, "train": len(split.train), "test": len(split.test)}
