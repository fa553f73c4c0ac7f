"""A classifier's data on its way to the net, the same in training and ever after."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from carrousel.data import labelled, scaling
from carrousel.data.audio import Audio
from carrousel.data.labelled import Columns, Labelled
from carrousel.data.ragged import Ragged, complete, ragged
from carrousel.data.roles import listed
from carrousel.errors import DataError
from carrousel.models.classification import classes
from carrousel.models.classification.examples import Examples
from carrousel.models.classification.split import held_out
from carrousel.models.estimator import Estimator

__all__ = ["Part", "Reading", "example_of", "ids_of"]

#: Sequences and the numbers of their classes, (sequence,), or with one label per step (step,).
Part = tuple[Ragged, NDArray[np.int64]]


class Reading(Estimator):
    """What an estimator of labelled sequences knows of their form: columns, channels, scale, classes."""

    layout: str
    missing: str
    val_fraction: float

    columns_: Columns | None
    names_: tuple[str, ...]
    audio_: Audio
    masked_: NDArray[np.bool_]
    n_features_in_: int
    scale_: scaling.Scale
    classes_: classes.Labels
    per_step_: bool
    majority_: int
    counts_: dict[str, int]
    lengths_: tuple[int, int]
    again_: dict[str, Any]

    def _read(self, X: Any, y: Any, columns: Columns | None, is_labelled: bool = True) -> Labelled:
        """Sequences and labels of anything that is passed; a frame beside y is an array of series."""
        if isinstance(X, list | tuple) and not len(X):
            raise DataError("X - 0 sequences, expected at least 1 - give a list of (T, C) arrays")
        if labelled.is_table(X) and y is None and (columns is not None or isinstance(X, str | Path)):
            return labelled.read(X, columns, labelled=is_labelled, layout=self.layout, audio=self.audio_)
        return Labelled(ragged(X, self.layout), y)

    def _pair(self, given: Any) -> Labelled:
        """Data that is passed beside the training's: (X, y), or what has the labels too."""
        x, y = given if isinstance(given, tuple) else (given, None)
        return self._read(x, y, self.columns_)

    def _complete(self, found: Labelled, where: str = "X") -> Ragged:
        """The sequences with the channels that the net takes, no number missing."""
        got = found.sequences.channels
        if got != self.n_features_in_:
            names = f" ({listed(self.names_)})" if self.names_ else ""
            raise DataError(
                f"{where} - has {got} channel{'s'[: got != 1]}, expected {self.n_features_in_}{names} as in fit - "
                "give the same ones, in the same order"
            )
        return complete(found.sequences, self.missing, self.masked_, found.names)

    def _examples(self, x: Ragged, codes: NDArray[np.int64] | None = None) -> Examples:
        scaled = Ragged(self.scale_.apply(x.steps, np.array([len(x.steps)])), x.lengths)
        return Examples(scaled, codes, self.per_step_)

    def _new(self, X: Any, y: Any = None, is_labelled: bool = False) -> Labelled:
        """Data that the net was not trained on."""
        self._check_fitted()
        return self._read(X, y, self.columns_, is_labelled)

    def _true(self, found: Labelled, where: str) -> Part:
        """Sequences and the numbers of their classes, of data with labels."""
        x = self._complete(found, where)
        labels, per_step = classes.labels_of(found.labels, x)
        if per_step != self.per_step_:
            if per_step:
                raise DataError(f"{where} - has one label per step, training has one per sequence - give the same")
            labels = np.repeat(labels, x.lengths)
        return x, classes.encode(labels, self.classes_, where)

    def _parts(self, everything: Part, ids: NDArray[Any], val: Any) -> tuple[Part, Part | None, NDArray[Any]]:
        """What is trained and what is validated on, and how its sequences are called."""
        x, codes = everything
        if val is not None:
            pair = self._pair(val)
            return everything, self._true(pair, "validation"), ids_of(pair)
        rows = held_out(codes if not self.per_step_ else np.zeros(len(x), np.int64), self.val_fraction, self.seed)
        if not rows.any():
            return everything, None, ids[:0]
        parts = [np.flatnonzero(~rows), np.flatnonzero(rows)]
        of_each = [x.steps_of(part) if self.per_step_ else part for part in parts]
        training, validation = [(x.take(part), codes[at]) for part, at in zip(parts, of_each, strict=True)]
        return training, validation, ids[rows]

    def _preprocess(self) -> dict[str, Any]:
        return {
            "classes": self.classes_.tolist(),
            "classes_dtype": self.classes_.dtype.str,
            "per_step": self.per_step_,
            "scale": self.scale_.to_dict(),
            "channels": self.n_features_in_,
            "masked": self.masked_.tolist(),
            "names": list(self.names_),
            "columns": None if self.columns_ is None else asdict(self.columns_),
            "audio": asdict(self.audio_),
            "majority": self.majority_,
            "counts": self.counts_,
            "again": self.again_,
            "lengths": list(self.lengths_),
        }

    def _read_kept(self, preprocess: Mapping[str, Any]) -> None:
        """Take what `_preprocess` gave."""
        self.classes_ = np.array(preprocess["classes"], preprocess["classes_dtype"])
        self.per_step_, self.n_features_in_ = preprocess["per_step"], preprocess["channels"]
        self.scale_ = scaling.Scale.from_dict(preprocess["scale"])
        self.masked_, self.names_ = np.array(preprocess["masked"], bool), tuple(preprocess["names"])
        columns = preprocess["columns"]
        self.columns_ = columns and Columns(**{**columns, "channels": tuple(columns["channels"])})
        self.audio_, self.majority_ = Audio(**preprocess["audio"]), preprocess["majority"]
        self.counts_, self.again_, self.lengths_ = (
            preprocess["counts"],
            preprocess["again"],
            tuple(preprocess["lengths"]),
        )


def ids_of(found: Labelled) -> NDArray[Any]:
    """Return how each sequence is called: by its id in a table, else by its place."""
    return np.arange(len(found.sequences)) if found.ids is None else np.asarray(found.ids)


def example_of(x: Ragged, codes: NDArray[np.int64], per_step: bool) -> Part:
    """Return one sequence of middling length, and its class or classes.

    Args:
        x: sequences.
        codes: (sequence,), with `per_step` (step,).
        per_step: whether each step has a label.

    Example:
        >>> x, codes = example_of(Ragged(np.zeros((9, 1)), np.array([1, 5, 3])), np.array([0, 1, 2]), per_step=False)
        >>> x.lengths.tolist(), codes.tolist()
        ([3], [2])
    """
    row = np.argsort(x.lengths, kind="stable")[len(x) // 2 : len(x) // 2 + 1]
    return x.take(row), codes[x.steps_of(row) if per_step else row]
