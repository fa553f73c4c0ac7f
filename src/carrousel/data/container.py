"""What the user's data came in, so that forecasts go back in the same."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from carrousel.data.files import read_table
from carrousel.data.numbers import to_array
from carrousel.data.roles import ALL, TIME_NAMES, Roles, repeated
from carrousel.errors import DataError, MissingExtraError, OptionError

__all__ = ["Container", "csv_of", "eager", "index_names", "named", "open_container", "with_levels", "with_target"]


@dataclass(frozen=True)
class Container:
    """A table, and what it was.

    Attributes:
        frame: a narwhals DataFrame, an array for "array", None when it was read.
        kind: "frame", "series", "indexed" (the times are the index) or "array".
        name: what messages call it.
        columns: how many the array had, 0 if it had one axis.
        backend: the library of frames that forecasts are made with, "pandas" or "polars".
        target: the name of a series.
        times: column -> what its times were: "date", or a period of pandas, such as "M".
    """

    frame: Any
    kind: str = "frame"
    name: str = "data"
    columns: int = 0
    backend: str = "pandas"
    target: str | None = None
    times: Mapping[str, str] = field(default_factory=dict)

    def without_frame(self) -> "Container":
        """Return what is kept when the table was read."""
        backend = self.backend if self.kind == "array" else self.frame.implementation.value
        return replace(self, frame=None, backend=backend)

    def roles(self, asked: Roles) -> Roles:
        """Return the roles that the user's are where there are no names."""
        if asked.target or (self.kind == "frame" and not self.target):
            return asked
        if self.kind == "frame":
            return replace(asked, target=(str(self.target),))
        if self.kind == "indexed" and self.columns != 1:
            return replace(asked, time=asked.time or self.frame.columns[0])
        return replace(
            asked, target=asked.target or (ALL,), time=self.frame.columns[0] if self.kind == "indexed" else None
        )

    def frame_of(self, columns: Mapping[str, Any], time: str | None) -> Any:
        """Return columns as a frame of the user's library; the times are its index if they were one.

        Args:
            columns: by name; times are dates or periods again if those of the column `time` were.
            time: the name of the time column.
        """
        import narwhals as nw

        library: Any = self.backend
        was = self.times.get(time or "")
        made = nw.from_dict({name: _as_they_were(values, was) for name, values in columns.items()}, backend=library)
        native = made.to_native()
        return native.set_index(time) if self.kind == "indexed" else native


def open_container(data: Any) -> Container:
    """Take what the user has.

    Args:
        data: a path, a frame, a series, or an array (time,) or (time, target).

    Raises:
        DataError: it is none of these.
        MissingExtraError: narwhals is not installed.
    """
    nw = _narwhals()
    if isinstance(data, str | Path):
        return Container(nw.from_native(read_table(data), eager_only=True), name=Path(data).name)
    if _is_array(data):
        return _of_array(data)
    native = eager(data, "data")
    return _of_series(native) if isinstance(native, nw.Series) else _of_frame(native)


def eager(data: Any, name: str) -> Any:
    """Return a frame or series of any library as one of narwhals; a lazy one is computed.

    Args:
        data: the frame.
        name: what messages call it.

    Raises:
        DataError: it is none, or a column is there twice.
        MissingExtraError: narwhals is not installed.
    """
    nw = _narwhals()
    try:
        found: Any = nw.from_native(data, allow_series=True)
    except TypeError as error:
        raise DataError(
            f"{name} - it is a {type(data).__name__}, expected a frame of pandas or polars, a series, an array or a "
            "path - convert it"
        ) from error
    except nw.exceptions.DuplicateError as error:
        raise DataError(
            f"{name} - column {repeated(list(data.columns))!r} is there twice - rename one of them"
        ) from error
    return found.collect() if isinstance(found, nw.LazyFrame) else found


def with_target(data: Any, y: Any, target: str | Sequence[str] | None) -> tuple[Any, Any]:
    """Put a target that is beside the data into it, as a column.

    Args:
        data: as `open_container` takes it.
        y: the target, a value for each row; None if it is in the data.
        target: the column's name; that of y, or "y", if None.

    Returns:
        The data, and the target's name.

    Raises:
        DataError: they do not fit together.
        OptionError: several names for one column.
    """
    if y is None:
        return data, target
    names = [target] if isinstance(target, str) else list(target or ())
    if len(names) > 1:
        raise OptionError(f"target - {', '.join(names)}: y is one column - name one, or put them all into data")
    values = to_array(y)
    if _is_array(data) or not hasattr(data, "columns"):
        if not np.array_equal(to_array(data).reshape(len(data), -1), values.reshape(len(values), -1)):
            raise DataError(
                "y - the data beside it is an array or a series, whose values have no names - give a frame, or fit(y)"
            )
        return data, target
    frame = eager(data, "data")
    if values.shape != (len(frame),):
        raise DataError(f"y - its shape is {values.shape}, expected ({len(frame)},), a value for each row of data")
    if hasattr(y, "iloc") and hasattr(data, "iloc") and not y.index.equals(data.index):
        raise DataError("y - its index is not that of data - give both the same, or a y without one: y.to_numpy()")
    name = names[0] if names else str(getattr(y, "name", None) or "y")
    if name in frame.columns:
        there = frame[name].to_numpy()
        if not np.array_equal(there, values, equal_nan=there.dtype.kind == values.dtype.kind == "f"):
            raise DataError(f"y - data has a column '{name}' with other values - leave it out, or give y another name")
        return data, name
    column = _narwhals().new_series(name, values, backend=frame.implementation)
    return frame.with_columns(column).to_native(), name


def _narwhals() -> Any:
    try:
        import narwhals
    except ImportError as error:
        raise MissingExtraError(
            'data - narwhals is not installed, tables are read with it - pip install "carrousel[fit]"'
        ) from error
    return narwhals


def csv_of(frame: Any) -> str:
    """Return a frame of any library as CSV; an index of times is its first column."""
    import narwhals as nw

    table = nw.from_native(frame, eager_only=True)
    dated = _with_index_as_column(table)
    return str((table if dated is None else dated).write_csv())


def _is_array(data: Any) -> bool:
    if isinstance(data, np.ndarray | list | tuple | torch.Tensor):
        return True
    return hasattr(data, "__array__") and not (hasattr(data, "columns") or hasattr(data, "name"))


def _of_array(data: Any) -> Container:
    try:
        found = to_array(data)
        if np.iscomplexobj(found):
            raise DataError("data - its numbers are complex - give real and imaginary part as two columns")
        if found.dtype.kind in "Mm":
            raise DataError(
                f"data - it holds times ({found.dtype}), expected numbers - give the values that go with them"
            )
        values = found.astype(np.float64)
    except DataError:
        raise
    except (TypeError, ValueError) as error:
        raise DataError("data - it is no array of numbers - give one of shape (time,) or (time, target)") from error
    if values.ndim not in (1, 2):
        raise DataError(
            f"data - it has {values.ndim} axes, shape {values.shape}, expected (time,) or (time, target) - reshape it"
        )
    return Container(values, "array", "the array", 0 if values.ndim == 1 else values.shape[1])


def _of_series(series: Any) -> Container:
    name = str(series.name or "y")
    frame = series.to_frame().rename({series.name: name}) if series.name != name else series.to_frame()
    if not series.name:
        frame = series.alias("y").to_frame()
    dated = _with_index_as_column(frame)
    if dated is not None:
        return Container(dated, "indexed", "the series", 1, times=_period_of_index(frame, dated))
    whole = with_levels(frame)
    return Container(whole, "series" if whole is frame else "frame", "the series", target=name)


def _of_frame(frame: Any) -> Container:
    frame = named(frame, "data")
    periods = _periods(frame)
    frame = _with_dates(frame, periods)
    dated = _with_index_as_column(frame)
    if dated is not None:
        return Container(dated, "indexed", times=_period_of_index(frame, dated))
    return Container(with_levels(frame), times=periods | _dates(frame))


def named(frame: Any, where: str) -> Any:
    """Return a frame whose columns all have names.

    Args:
        frame: of narwhals.
        where: begins the message.

    Raises:
        DataError: one has none.
    """
    if any(not isinstance(name, str) for name in frame.columns):
        raise DataError(f"{where} - columns are {list(frame.columns)[:4]}, expected names - rename them to texts")
    return frame


def _periods(frame: Any) -> dict[str, str]:
    """The columns of pandas' periods, and what these are."""
    native: Any = frame.to_native()
    kinds = {name: str(getattr(native[name], "dtype", "")) for name in frame.columns}
    return {name: kind[len("period[") : -1] for name, kind in kinds.items() if kind.startswith("period[")}


def _dates(frame: Any) -> dict[str, str]:
    """The columns of days without hours; pandas has no such type."""
    import narwhals as nw

    if frame.implementation.is_pandas():
        return {}
    return {name: "date" for name, kind in frame.schema.items() if kind == nw.Date}


def _with_dates(frame: Any, periods: Collection[str]) -> Any:
    """A frame whose columns of pandas' periods are the times at which they begin."""
    if not periods:
        return frame
    native: Any = frame.to_native()
    return eager(native.assign(**{name: native[name].dt.to_timestamp() for name in periods}), "data")


def _period_of_index(frame: Any, dated: Any) -> dict[str, str]:
    """What the periods of an index are, which is the first column now."""
    index = frame.to_native().index
    return {dated.columns[0]: str(index.freqstr)} if type(index).__name__ == "PeriodIndex" else {}


def _as_they_were(values: Any, was: str | None) -> Any:
    """Times as the dates or periods that they were; anything else as it is."""
    if not was or getattr(values, "dtype", np.dtype(float)).kind != "M":
        return values
    if was == "date":
        return np.asarray(values).astype("M8[D]")
    import pandas

    return pandas.PeriodIndex(pandas.DatetimeIndex(values), freq=was)


def with_levels(frame: Any) -> Any:
    """Return a pandas frame whose index says something, as an id and a time do, with its levels as columns.

    Args:
        frame: of narwhals; one of another library is returned as it is.

    Raises:
        DataError: a level has no name, or that of a column.
    """
    native: Any = frame.to_native()
    index: Any = getattr(native, "index", None)
    levels = index_names(frame)
    if len(levels) < 2 and (index is None or _counts_rows(index)):
        return frame
    if len(levels) > 1 and not all(isinstance(name, str) for name in levels):
        raise DataError(
            f"data - its index has {len(levels)} levels, called {levels}, expected names - name them, as with "
            "data.rename_axis(['id', 'time'])"
        )
    if both := [name for name in levels if name in native.columns]:
        raise DataError(f"data - '{both[0]}' is a column and a level of its index - leave one out")
    return eager(native.reset_index(), "data")


def index_names(frame: Any) -> list[Any]:
    """Return what the levels of a pandas frame's index are called; None is one without a name."""
    return list(getattr(getattr(frame.to_native(), "index", None), "names", ()))


def _counts_rows(index: Any) -> bool:
    """Whether an index of one level is nothing but numbers of rows."""
    is_time = str(index.name).lower() in TIME_NAMES
    return index.dtype.kind in "iu" and not is_time and (index.name is None or index.is_unique)


def _with_index_as_column(frame: Any) -> Any:
    """A pandas frame whose index is dates, with the index as its first column; None for any other."""
    native: Any = frame.to_native()
    index: Any = getattr(native, "index", None)
    if type(index).__name__ not in ("DatetimeIndex", "PeriodIndex"):
        return None
    import narwhals as nw

    if type(index).__name__ == "PeriodIndex":
        native = native.set_axis(index.to_timestamp())
    name = next(each for each in (index.name, "time", "index") if each and each not in native.columns)
    return nw.from_native(native.rename_axis(name).reset_index(), eager_only=True)
