"""Labels as people write them, and the numbers that a network is trained on."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from carrousel.data.numbers import to_array
from carrousel.data.ragged import Ragged
from carrousel.errors import DataError, DataWarning, OptionError, did_you_mean

__all__ = ["Labels", "class_weights", "encode", "find_classes", "labels_of"]

#: One label per sequence (sequence,), or per step (step,) of all sequences.
Labels = NDArray[Any]


def labels_of(y: Any, x: Ragged) -> tuple[Labels, bool]:
    """Take labels in any of the forms that people hold them in.

    Args:
        y: one label per sequence: a list, array, Series or column; or one per step: a list of (T,) arrays, or (N, T).
        x: the sequences.

    Returns:
        The labels (sequence,) or (step,), and whether there is one per step.

    Raises:
        DataError: there are not as many labels as sequences or steps, or one is missing or no class.

    Example:
        >>> x = Ragged(np.zeros((5, 1)), np.array([2, 3]))
        >>> labels_of(["a", "b"], x)[1], labels_of([["a", "a"], ["b", "a", "b"]], x)[1]
        (False, True)
    """
    if y is None:
        raise DataError("y - requires y to be passed, but the target y is None - pass one label per sequence")
    if hasattr(y, "to_numpy") or isinstance(y, np.ma.MaskedArray) or not isinstance(y, Sequence | np.ndarray):
        found = to_array(y)
        if not found.ndim:
            raise DataError(f"y - is a {type(y).__name__}, expected one label per sequence - give a list or an array")
        y = found
    rows = list(y)
    if len(rows) != len(x):
        raise DataError(f"y - {len(x)} sequences but {len(rows)} labels - give one label per sequence")
    nested = [isinstance(row, Sequence | np.ndarray) and not isinstance(row, str | bytes) for row in rows]
    if not any(nested):
        return _checked(_array(rows)), False
    if not all(nested):
        raise DataError("y - has single labels and lists of labels - give one per sequence, or one per step")
    lengths = np.array([len(row) for row in rows])
    if (lengths == 1).all() and not (x.lengths == 1).all():  # a column of labels
        what = "A column-vector y was passed when a 1d array was expected"  # scikit-learn's words, which tools look for
        warnings.warn(f"{what}; its first axis is taken", _conversion_warning(), stacklevel=3)
        return _checked(_array([row[0] for row in rows])), False
    wrong = np.flatnonzero(lengths != x.lengths)
    if len(wrong):
        k = int(wrong[0])
        raise DataError(
            f"y - sequence {k} has {x.lengths[k]} steps but {lengths[k]} labels - give one per step, or per sequence"
        )
    return _checked(_array([label for row in rows for label in row])), True


def _conversion_warning() -> type[Warning]:
    from sklearn.exceptions import DataConversionWarning

    return DataConversionWarning  # type: ignore[no-any-return]


def _array(labels: list[Any]) -> Labels:
    """Labels of one type: numpy would turn 1 and 'a' into texts, in silence."""
    labels = [label.item() if isinstance(label, np.generic) or hasattr(label, "detach") else label for label in labels]
    gone = [k for k, label in enumerate(labels) if label is None or (label == label) is not True]  # NaN, pandas' NA
    if gone:
        raise DataError(f"y - label {gone[0]} is missing (NaN or None) - give it, or leave the sequence out")
    odd = next((label for label in labels if not isinstance(label, str | int | float | complex)), None)
    if odd is not None:
        raise DataError(f"y - holds a {type(odd).__name__}, {odd!r}, expected texts or whole numbers - convert it")
    kinds = {str if isinstance(label, str) else float for label in labels}
    if len(kinds) > 1:
        raise DataError("y - holds texts and numbers - write all labels as texts, or all as numbers")
    return np.array(labels)


def _checked(labels: Labels) -> Labels:
    if labels.dtype.kind == "c":
        raise DataError("y - Complex data not supported - give classes")
    if labels.dtype.kind == "f":
        if not np.isfinite(labels).all():
            raise DataError("y - a label is inf, Input contains infinity - give classes")
        if (labels != np.floor(labels)).any():
            raise DataError(
                f"y - Unknown label type: continuous, as {labels[labels != np.floor(labels)][0]:g} - a classifier "
                "learns classes: give names or whole numbers"
            )
    return labels


def find_classes(labels: Labels) -> Labels:
    """Return the classes in order; warn of those that are hardly there.

    Raises:
        DataError: there is only one class.
    """
    classes, counts = np.unique(labels, return_counts=True)
    if len(classes) == 1:
        raise DataError(f"y - only class '{classes[0]}' in y: 1 class, expected at least 2 - add sequences of another")
    single = [str(name) for name, count in zip(classes, counts, strict=True) if count == 1]
    if single:
        shown = ", ".join(single[:5]) + (", ..." if len(single) > 5 else "")
        warnings.warn(
            f"only 1 example of class {shown}: it can not be learned well, nor tested", DataWarning, stacklevel=3
        )
    return classes


def encode(labels: Labels, classes: Labels, where: str) -> NDArray[np.int64]:
    """Return the number of each label among the classes.

    Args:
        labels: as people write them.
        classes: those of the training.
        where: the part of the data that they are of, for the message.

    Raises:
        DataError: a label was not in training.

    Example:
        >>> encode(np.array(["b", "a"]), np.array(["a", "b"]), "test").tolist()
        [1, 0]
    """
    if labels.dtype.kind != classes.dtype.kind and "U" in (labels.dtype.kind, classes.dtype.kind):
        labels, classes = labels.astype(str), classes.astype(str)  # '7' of a file and 7 of an array are one class
    codes = np.minimum(np.searchsorted(classes, labels), len(classes) - 1) if classes.dtype.kind != "U" else None
    if codes is None:
        numbers = {name: k for k, name in enumerate(classes.tolist())}
        codes = np.array([numbers.get(label, 0) for label in labels.tolist()], np.int64)
    unseen = np.unique(labels[classes[codes] != labels])
    if len(unseen):
        shown = ", ".join(map(str, classes[:10].tolist())) + (", ..." if len(classes) > 10 else "")
        near = did_you_mean(str(unseen[0]), map(str, classes))
        raise DataError(
            f"{where} label '{unseen[0]}' was not in training; classes are {shown}.{near} - correct or train it"
        )
    return codes.astype(np.int64)


def class_weights(asked: Any, codes: NDArray[np.int64], classes: Labels) -> NDArray[np.float64] | None:
    """Return what an error in each class counts.

    Args:
        asked: "balanced" for classes that count alike in all, with the mean 1 over the labels; a mapping from class to
            weight, 1 for those it does not name; None for 1.
        codes: the labels' numbers.
        classes: their names.

    Returns:
        (class,) or None.

    Raises:
        OptionError: a class of the mapping is not there, or a weight is negative.

    Example:
        >>> class_weights("balanced", np.array([0, 0, 0, 1]), np.array(["a", "b"])).round(3).tolist()
        [0.667, 2.0]
    """
    if asked is None:
        return None
    if asked == "balanced":
        counts = np.bincount(codes, minlength=len(classes))
        return len(codes) / (np.count_nonzero(counts) * np.maximum(counts, 1))
    weights = np.ones(len(classes))
    numbers = {str(name): k for k, name in enumerate(classes.tolist())}
    for name, weight in asked.items():
        if str(name) not in numbers:
            raise OptionError(
                f"class_weight - names {name!r}; classes are {', '.join(numbers)}.{did_you_mean(str(name), numbers)} - "
                "name one of them"
            )
        if not 0 <= weight < float("inf"):
            raise OptionError(f"class_weight - is {weight!r} for {name!r}, expected a number from 0 - give another")
        weights[numbers[str(name)]] = weight
    return weights
