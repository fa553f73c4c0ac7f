"""Labelled sequences from tables and files: long frames, wide frames, `.npz`, `.ts`, folders of recordings."""

import warnings
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from carrousel.data.clock import parse_times
from carrousel.data.container import eager, index_names, named, with_levels
from carrousel.data.numbers import to_numbers
from carrousel.data.ragged import Ragged, ragged
from carrousel.data.roles import check_columns, listed, repeated, row_numbers
from carrousel.errors import DataError, DataWarning, OptionError, did_you_mean

__all__ = ["Columns", "Labelled", "is_table", "read"]

_LABELS = ("label", "class", "target", "y")
_IDS = ("id", "series_id", "unique_id", "sequence", "sequence_id", "seq_id", "sample", "sample_id", "case", "case_id")
_TIMES = ("time", "timestamp", "date", "datetime", "step", "t", "frame", "ds")


@dataclass(frozen=True)
class Columns:
    """Which column of a table is what.

    Attributes:
        label: the class.
        id: which sequence a row belongs to; None if each row is a sequence.
        time: the order of the rows in a sequence; None for the order of the file.
        channels: columns with the numbers; with None as id the steps.
        interleaved: channels of a table without id, whose columns are then step after step: x1, y1, x2, y2...
    """

    label: str | None = None
    id: str | None = None
    time: str | None = None
    channels: tuple[str, ...] = ()
    interleaved: int = 1

    def __str__(self) -> str:
        said = [f"label {self.label!r}" if self.label else "", f"id {self.id!r}" if self.id else "each row a sequence"]
        return ", ".join(filter(None, [*said, f"time {self.time!r}" if self.time else ""]))


@dataclass(frozen=True)
class Labelled:
    """Sequences and what is known of them.

    Attributes:
        sequences: their numbers; NaN where one is missing.
        labels: (sequence,), a list of one (step,) per sequence, or None.
        ids: (sequence,), what people call them.
        names: of the channels.
        columns: of the table they come from; None if it is none.
        rows: (step,), the table's row that each step was; None where each row is a sequence, or without table.
        native: the table they come from, for an answer of its kind.
        rate: samples per second of recordings.
        is_file: whether they come from a file that is no table.
    """

    sequences: Ragged
    labels: Any = None
    ids: NDArray[Any] | None = None
    names: tuple[str, ...] = ()
    columns: Columns | None = None
    rows: NDArray[np.int64] | None = None
    native: Any = None
    rate: int | None = None
    is_file: bool = False


def is_table(data: Any) -> bool:
    """Return whether data is a frame or a path, rather than arrays."""
    if isinstance(data, str | Path):
        return True
    return hasattr(data, "columns") and (
        hasattr(data, "__dataframe__") or hasattr(data, "iloc") or hasattr(data, "lazy")
    )


def read(
    data: Any, columns: Columns | None = None, *, labelled: bool = True, layout: str = "auto", audio: Any = None
) -> Labelled:
    """Read labelled sequences.

    Args:
        data: a pandas or polars frame, or the path of a CSV or Parquet file, an `.npz` file with the arrays X and y
            (and lengths, of padded X), a `.ts` file, or a folder of wav files.
        columns: what is said about a table's columns; the rest is found. Those of the training are passed for tables
            that follow, and must be there; None where it was on no table, and nothing can be said.
        labelled: whether a label is needed; without, one that is there is still taken.
        layout: of X in an `.npz` file, as in `carrousel.data.ragged.ragged`.
        audio: how recordings are read, `carrousel.data.audio.Audio`.

    Raises:
        DataError: it can not be read, or a column is missing or in doubt.
        MissingExtraError: a library is not installed.

    Example:
        >>> import pandas
        >>> frame = pandas.DataFrame({"id": [1, 1, 2], "x": [0.5, 1.0, 2.0], "label": ["a", "a", "b"]})
        >>> found = read(frame)
        >>> found.sequences.lengths.tolist(), found.labels.tolist(), str(found.columns)
        ([2, 1], ['a', 'b'], "label 'label', id 'id'")
    """
    if isinstance(data, str | Path):
        path = Path(data)
        if path.is_dir():
            from carrousel.data.audio import Audio, read_folder

            return replace(read_folder(path, audio or Audio(), labelled), is_file=True)
        if path.suffix == ".npz" and path.is_file():
            return replace(_read_npz(path, labelled, layout), is_file=True)
        if path.suffix == ".ts" and path.is_file():
            from carrousel.data.ts_files import read_ts

            return replace(read_ts(path), is_file=True)
        from carrousel.data.files import read_table

        data = read_table(path)
    return _of_frame(data, columns, labelled)


def _of_frame(native: Any, columns: Columns | None, labelled: bool) -> Labelled:
    asked = columns or Columns()
    frame = named(eager(native, "table"), "table")
    index = [str(name) for name in index_names(frame)]
    known = {asked.id, asked.time, asked.label, *_LABELS, *_IDS, *_TIMES}
    if len(index) > 1 or known & {*index, *(name.lower() for name in index)}:
        frame = with_levels(frame)
    if not len(frame):
        raise DataError("table - has 0 data rows - give at least one row of each class")
    if asked.time and not asked.id:
        raise OptionError(f"time - {asked.time!r} orders the steps of a sequence - name its column with --id (id=) too")
    if asked.channels:
        columns = _as_in_training(frame.columns, asked, labelled)
    else:
        columns = _find(frame, asked, labelled, may_choose=columns is not None)
    found = _long(frame, columns) if columns.id else _wide(frame, columns)
    return replace(found, native=frame.to_native())


# ---------------------------------------------------------------------- which column is what


def _as_in_training(names: Sequence[str], known: Columns, labelled: bool) -> Columns:
    """The columns of a table that follows that of the training: nothing is looked for."""
    check_columns(names, known.channels)
    for role, name in (("label", known.label), ("id", known.id), ("time", known.time)):
        if name and name not in names and (role != "label" or labelled):
            raise DataError(
                f"table - has no column {name!r}, which was the {role} in training; columns are {listed(names, 20)}."
                f"{did_you_mean(name, names)} - call the {role} {name!r} here too"
            )
    return replace(known, label=known.label if known.label in names else None)


def _find(frame: Any, asked: Columns, labelled: bool, may_choose: bool) -> Columns:
    """Fill in what was not said; what was said must be there."""
    names = list(frame.columns)
    for name in filter(None, (asked.id, asked.time, asked.label)):
        _check_there(name, names)
    _check_roles(asked)
    label = asked.label or _label(names, labelled, may_choose)
    others = [name for name in names if name != label]
    identity = asked.id or _known(_IDS, others) or _counted_within(frame, others)
    if asked.id is None and identity and frame[identity].n_unique() == len(frame) and not asked.time:
        # a number for each row: it names the sequences of a wide table, and is none of their steps
        channels = _numeric(frame, {label, identity})
        return Columns(label, None, None, channels, asked.interleaved)
    time = asked.time or _known(_TIMES, others)
    if time and not identity:
        _check_no_date(frame[time], time, may_choose)
        time = None
    channels = _numeric(frame, {label, identity, time} | (set() if identity else {""}))
    return Columns(label, identity, time, channels, asked.interleaved)


def _counted_within(frame: Any, names: Sequence[str]) -> str | None:
    """The column within whose blocks of equal values the time rises, to begin anew in the next: the sequences' name."""
    time = _known(_TIMES, names)
    found = [name for name in names if time and name != time and _begins_anew(frame[time], frame[name])]
    if len(found) > 1:
        raise DataError(
            f"id - {time!r} begins anew in the blocks of several columns, one of them says the sequence of a row - "
            f"choose --id (id=) among: {listed(found)}"
        )
    return found[0] if found else None


def _begins_anew(time: Any, blocks: Any) -> bool:
    times, values = time.to_numpy(), blocks.to_numpy()
    change = values[1:] != values[:-1]
    if not 0 < change.sum() < len(change) / 2 or change.sum() + 1 != blocks.n_unique():
        return False
    try:
        rises = times[1:] > times[:-1]
    except TypeError:  # texts and nothing
        return False
    return bool((rises != change).all())


def _check_there(name: str, names: Sequence[str]) -> None:
    if name not in names:
        raise DataError(
            f"table - no column {name!r}; columns are {listed(names, 20)}.{did_you_mean(name, names)} - name one of "
            "these"
        )


def _check_no_date(column: Any, name: str, may_choose: bool) -> None:
    """Rows that have a date each are steps, and no column says of which sequence."""
    if not column.dtype.is_numeric():
        todo = "name it with --id (id=)" if may_choose else "call it 'id'"
        raise DataError(
            f"column {name!r} - it says when each row was, so rows are steps, but of which sequence no column says - "
            f"{todo}; to forecast one series: carrousel forecast"
        )


def _check_roles(asked: Columns) -> None:
    given = [name for name in (asked.label, asked.id, asked.time) if name is not None]
    if len(set(given)) < len(given):
        raise OptionError(f"columns - {repeated(given)!r} has two roles of label, id and time - name three columns")


def _known(known: Iterable[str], names: Sequence[str]) -> str | None:
    """The first column that is called like its role."""
    return next((name for name in names if name.lower() in known), None)


def _label(names: Sequence[str], needed: bool, may_choose: bool) -> str | None:
    """The column that is called like a label."""
    found = [name for name in names if name.lower() in _LABELS]
    if len(found) == 1 or not needed:
        return found[0] if found else None
    shown = listed(found or names, 20)
    if may_choose:
        raise DataError(f"label - no column is surely the label - choose --label (label=) among: {shown}")
    todo = f"keep only one of {shown}" if found else f"call it 'label'; columns are {shown}"
    raise DataError(
        f"label - no column is surely the label, and the model was fitted on no table that would tell its name - {todo}"
    )


def _numeric(frame: Any, taken: set[str | None]) -> tuple[str, ...]:
    """The columns that are left, but numbers of rows."""
    unnamed = row_numbers(frame)
    channels = tuple(name for name in frame.columns if name not in taken and name not in unnamed)
    if not channels:
        raise DataError("table - no column is left for the numbers of the sequences - give at least one more column")
    return channels


# ---------------------------------------------------------------------- one row per step


def _long(frame: Any, columns: Columns) -> Labelled:
    """A row is a step; rows of one id are a sequence, wherever they stand."""
    assert columns.id is not None
    ids = _values(frame, columns.id)
    first, codes = _by_first(ids)
    order = np.argsort(codes, kind="stable")
    if columns.time:
        order = _in_time(frame, columns, codes, ids)
    steps = np.column_stack([to_numbers(frame[name], name, texts_are_missing=False) for name in columns.channels])
    sequences = Ragged(steps[order], np.bincount(codes))
    labels = None if columns.label is None else _per_sequence(_values(frame, columns.label)[order], sequences)
    return Labelled(sequences, labels, ids[first], columns.channels, columns, order)


def _values(frame: Any, name: str) -> NDArray[Any]:
    """A column of labels or names, without a missing one."""
    if frame[name].is_null().any():
        row = int(np.flatnonzero(frame[name].is_null().to_numpy())[0])
        raise DataError(f"column {name!r} row {row + 1} - is empty - give every row its {name}, or leave the row out")
    values = frame[name].to_list()
    texts = any(isinstance(value, str) for value in values)
    found = np.array([str(value) for value in values]) if texts else np.array(values)
    if found.ndim > 1:
        raise DataError(f"column {name!r} row 1 - is {values[0]!r}, expected a text or a number - write one")
    return found


def _by_first(values: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where each value stands first, and the values' numbers in that order."""
    _, first, codes = np.unique(values, return_index=True, return_inverse=True)
    rank: NDArray[np.int64] = np.argsort(np.argsort(first))
    return np.sort(first), rank[codes]


def _in_time(frame: Any, columns: Columns, codes: NDArray[np.int64], ids: NDArray[Any]) -> NDArray[np.int64]:
    """The rows, sequence by sequence in the order of their times."""
    assert columns.time is not None
    column = frame[columns.time]
    # steps may be counted in fractions, as seconds are
    elapsed = column.to_numpy() if column.dtype.is_float() else parse_times(column, columns.time).elapsed
    if column.dtype.is_float() and not np.isfinite(elapsed).all():
        row = int(np.flatnonzero(~np.isfinite(elapsed))[0])
        raise DataError(f"column {columns.time!r} row {row + 1} - is {elapsed[row]}, expected a time - correct it")
    order: NDArray[np.int64] = np.lexsort((elapsed, codes))
    same = (np.diff(elapsed[order]) == 0) & (np.diff(codes[order]) == 0)
    if same.any():
        row = int(order[np.flatnonzero(same)[0]])
        raise DataError(
            f"column {columns.time!r} row {row + 1} - time {column.to_list()[row]} is there twice in sequence "
            f"'{ids[row]}' - leave one out, or name the column of the sequences with --id (id=)"
        )
    if (order != np.argsort(codes, kind="stable")).any():
        warnings.warn(f"sorted {len(order):,} rows by {columns.time}", DataWarning, stacklevel=2)
    return order


def _per_sequence(labels: NDArray[Any], sequences: Ragged) -> Any:
    """One label per sequence where it never changes in one, else one per step."""
    starts = sequences.starts
    if (labels == np.repeat(labels[starts], sequences.lengths)).all():
        return labels[starts]
    return np.split(labels, starts[1:])


# ---------------------------------------------------------------------- one row per sequence


def _wide(frame: Any, columns: Columns) -> Labelled:
    """A row is a sequence; what is empty at its end was never measured."""
    values = np.column_stack([to_numbers(frame[name], name, texts_are_missing=False) for name in columns.channels])
    count = columns.interleaved
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise OptionError(f"channels - got {count!r}, expected a whole number from 1 - 2 for columns x1, y1, x2, y2...")
    if values.shape[1] % count:
        raise DataError(
            f"table - has {values.shape[1]} columns of numbers, not a multiple of {count} channels - "
            "leave out the others, or give another number of channels"
        )
    steps = values.reshape(len(values), -1, count)
    there: NDArray[np.bool_] = np.asarray(~np.isnan(steps).all(2))
    lengths = there.shape[1] - there[:, ::-1].argmax(1)
    if not there.any(1).all():
        row = int(np.flatnonzero(~there.any(1))[0])
        raise DataError(f"row {row + 1} - has no number: a sequence of 0 steps - leave the row out")
    within = np.arange(steps.shape[1]) < lengths[:, None]
    labels = None if columns.label is None else _values(frame, columns.label)
    names = tuple(f"channel {k}" for k in range(count)) if count > 1 else ("value",)
    return Labelled(Ragged(steps[within], lengths), labels, np.arange(len(values)), names, columns)


# ---------------------------------------------------------------------- arrays in a file


def _read_npz(path: Path, labelled: bool, layout: str) -> Labelled:
    """X (N, T, C) or (N, T), and y; `lengths` says how many steps of each count, or cuts all steps (S, C)."""
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        is_pickled = "Object arrays" in str(error)
        what = "holds pickled objects, which could run any code" if is_pickled else f"is no .npz file ({error})"
        raise DataError(
            f"{path.name} - {what} - write np.savez(file, X=steps, lengths=lengths, y=labels) with plain arrays"
        ) from error
    if "X" not in arrays or (labelled and "y" not in arrays):
        raise DataError(f"{path.name} - has the arrays {', '.join(arrays)}, expected X and y - name them so")
    x, lengths, labels = arrays["X"], arrays.get("lengths"), arrays.get("y")
    if lengths is None:
        return Labelled(ragged(x, layout), labels)
    sequences = _of_lengths(path.name, x, lengths, layout)
    if labels is not None and labels.ndim == 2 and len(labels) == len(sequences):
        labels = [row[:length] for row, length in zip(labels, sequences.lengths, strict=True)]
    elif labels is not None and len(labels) == len(sequences.steps) != len(sequences):
        labels = np.split(labels, sequences.starts[1:])
    return Labelled(sequences, labels)


def _of_lengths(name: str, x: NDArray[Any], lengths: NDArray[Any], layout: str) -> Ragged:
    if lengths.ndim != 1 or not np.issubdtype(lengths.dtype, np.integer) or lengths.min(initial=1) < 1:
        raise DataError(
            f"{name} - lengths are {lengths.dtype} {lengths.shape} from {lengths.min(initial=1)}, expected whole "
            "numbers from 1, one per sequence - correct them"
        )
    if x.ndim == 2 and len(x) == lengths.sum():
        return ragged(np.split(x, np.cumsum(lengths)[:-1]), "NTC")
    if x.ndim == 3 and layout == "NCT":
        x = x.transpose(0, 2, 1)
    if x.ndim not in (2, 3) or len(x) != len(lengths) or lengths.max(initial=0) > x.shape[1]:
        raise DataError(
            f"{name} - X {x.shape} does not fit {len(lengths)} lengths up to {lengths.max(initial=0)} - pass (N, T, C) "
            "with N lengths up to T, or all steps (S, C) with lengths that add up to S"
        )
    return ragged([row[:length] for row, length in zip(x, lengths, strict=True)], "NTC")
