"""Answers in the form of the question: arrays for arrays, a frame of its own kind for a frame."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from carrousel.data.labelled import Labelled

__all__ = ["answer", "to_csv"]


def answer(asked: Labelled, values: Mapping[str, NDArray[Any]], per_step: bool) -> Any:
    """Return what was found out about sequences.

    Args:
        asked: the sequences.
        values: by name, (sequence, ...); with `per_step` (step, ...).
        per_step: whether there is a value for each step.

    Returns:
        For a frame one of its kind: a row per sequence with its id, or per step, in the order of the frame's rows, with
        its id and time. For another file a pandas frame with ids or numbers of the sequences. Otherwise the only value:
        an array, with `per_step` a list of one per sequence.

    Example:
        >>> from carrousel.data.ragged import ragged
        >>> answer(Labelled(ragged([[1, 2], [3]])), {"label": np.array(["a", "b"])}, per_step=False).tolist()
        ['a', 'b']
    """
    if asked.is_file:
        return _of_file(asked, values, per_step)
    if asked.native is None:
        (found,) = values.values()
        return np.split(found, asked.sequences.starts[1:]) if per_step else found
    import narwhals as nw

    frame: Any = nw.from_native(asked.native)
    frame = frame.collect() if isinstance(frame, nw.LazyFrame) else frame
    columns, native = asked.columns, frame.implementation
    kept: dict[str, Any] = {}
    if columns is not None and columns.id:
        assert asked.ids is not None
        kept[columns.id] = frame[columns.id].to_list() if per_step else asked.ids
        if per_step and columns.time:
            kept[columns.time] = frame[columns.time].to_list()
    rows = asked.rows if per_step else None
    for name, found in values.items():
        kept[name] = found if rows is None else found[np.argsort(rows)]
    return nw.from_dict(kept, backend=native).to_native()


def _of_file(asked: Labelled, values: Mapping[str, NDArray[Any]], per_step: bool) -> Any:
    import pandas

    x = asked.sequences
    ids = np.arange(len(x)) if asked.ids is None else asked.ids
    return pandas.DataFrame({"id": ids[x.owners] if per_step else ids, **values})


def to_csv(frame: Any) -> str:
    """Return a frame as CSV.

    Args:
        frame: pandas' or polars'.

    Example:
        >>> import pandas
        >>> print(to_csv(pandas.DataFrame({"id": ["u"], "label": ["a"]})))
        id,label
        u,a
        <BLANKLINE>
    """
    import narwhals as nw

    return str(nw.from_native(frame).write_csv())
