"""Inputs that are words: each word an input of 0 and 1."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from carrousel.data.numbers import is_number_like, remedy_of, to_numbers, values_of
from carrousel.errors import DataError, DataWarning

__all__ = ["encode", "learn_categories", "width"]

#: A column with more words than this is no input.
_MOST = 50


def learn_categories(frame: Any, names: Sequence[str]) -> dict[str, list[str]]:
    """Find the words of the columns that hold words.

    Args:
        frame: a narwhals DataFrame.
        names: of its columns.

    Raises:
        DataError: a column has very many.
    """
    found = {}
    for name in names:
        if is_number_like(frame[name]):
            continue
        words = sorted({str(word) for word in values_of(frame[name]) if word is not None})
        if len(words) > _MOST:
            todo = f"it has '{words[0]}': {remedy}, or " if (remedy := remedy_of(words[0])) else ""
            raise DataError(
                f"column '{name}' - it has {len(words)} different texts, expected numbers or at most {_MOST} words - "
                f"{todo}leave it out"
            )
        found[name] = words
    return found


def encode(
    frame: Any, names: Sequence[str], categories: Mapping[str, Sequence[str]], texts_are_missing: bool
) -> NDArray[np.float64]:
    """Return columns as inputs: numbers as they are, words as 0 and 1; a word never seen is 0, no word NaN everywhere.

    Args:
        frame: a narwhals DataFrame.
        names: of its columns.
        categories: column -> its words.
        texts_are_missing: as in `to_numbers`.

    Returns:
        (row, input).
    """
    if not names:
        return np.empty((len(frame), 0))
    columns = []
    for name in names:
        if name not in categories:
            columns.append(to_numbers(frame[name], name, texts_are_missing)[:, None])
            continue
        given = values_of(frame[name])
        values = np.array([str(word) for word in given], dtype=object)
        words = list(categories[name])
        new = sorted({str(word) for word in given if word is not None} - {*words})
        if new:
            warnings.warn(
                f"column '{name}': {new[0]!r} was not in training and counts as none", DataWarning, stacklevel=2
            )
        found = (values[:, None] == np.array(words, dtype=object)[None]).astype(np.float64)
        found[[word is None for word in given]] = np.nan
        columns.append(found)
    return np.concatenate(columns, 1)


def width(names: Sequence[str], categories: Mapping[str, Sequence[str]]) -> int:
    """Return how many inputs the columns make."""
    return sum(len(categories[name]) if name in categories else 1 for name in names)
