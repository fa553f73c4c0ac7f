"""What the user's data came in, so that forecasts go back in the same."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from carrousel.data.files import read_table
from carrousel.data.roles import ALL, Roles
from carrousel.errors import DataError, MissingExtraError

__all__ = ["Container", "csv_of", "open_container"]


@dataclass(frozen=True)
class Container:
    """A table, and what it was.

    Attributes:
        frame: a narwhals DataFrame, an array for "array", None when it was read.
        kind: "frame", "series", "indexed" (the times are the index) or "array".
        name: what messages call it.
        columns: how many the array had, 0 if it had one axis.
        backend: the library of frames that forecasts are made with, "pandas" or "polars".
    """

    frame: Any
    kind: str = "frame"
    name: str = "data"
    columns: int = 0
    backend: str = "pandas"

    def without_frame(self) -> "Container":
        """Return what is kept when the table was read."""
        backend = self.backend if self.kind == "array" else self.frame.implementation.value
        return replace(self, frame=None, backend=backend)

    def roles(self, asked: Roles) -> Roles:
        """Return the roles that the user's are where there are no names."""
        if asked.target or self.kind == "frame":
            return asked
        if self.kind == "indexed" and self.columns != 1:
            return replace(asked, time=asked.time or self.frame.columns[0])
        return replace(
            asked, target=asked.target or (ALL,), time=self.frame.columns[0] if self.kind == "indexed" else None
        )

    def frame_of(self, columns: Mapping[str, Any], time: str | None) -> Any:
        """Return columns as a frame of the user's library; the times are its index if they were one."""
        import narwhals as nw

        library: Any = self.backend
        made = nw.from_dict(dict(columns), backend=library).to_native()
        return made.set_index(time) if self.kind == "indexed" else made


def open_container(data: Any) -> Container:
    """Take what the user has.

    Args:
        data: a path, a frame, a series, or an array (time,) or (time, target).

    Raises:
        DataError: it is none of these.
        MissingExtraError: narwhals is not installed.
    """
    try:
        import narwhals as nw
    except ImportError as error:
        raise MissingExtraError(
            'data - narwhals is not installed, tables are read with it - pip install "carrousel[fit]"'
        ) from error
    if isinstance(data, str | Path):
        return Container(nw.from_native(read_table(data), eager_only=True), name=Path(data).name)
    named = hasattr(data, "columns") or hasattr(data, "name")
    if isinstance(data, np.ndarray | list | tuple) or (hasattr(data, "__array__") and not named):
        return _of_array(data)
    try:
        native = nw.from_native(data, eager_only=True, allow_series=True)
    except TypeError as error:
        raise DataError(
            f"data - it is a {type(data).__name__}, expected a frame of pandas or polars, a series, an array or a path "
            "- convert it"
        ) from error
    return _of_series(native) if isinstance(native, nw.Series) else _of_frame(native)


def csv_of(frame: Any) -> str:
    """Return a frame of any library as CSV; an index of times is its first column."""
    import narwhals as nw

    table = nw.from_native(frame, eager_only=True)
    dated = _with_index_as_column(table)
    return str((table if dated is None else dated).write_csv())


def _of_array(data: Any) -> Container:
    try:
        values = np.asarray(data).astype(np.float64)
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
    return Container(frame, "series", "the series") if dated is None else Container(dated, "indexed", "the series", 1)


def _of_frame(frame: Any) -> Container:
    if any(not isinstance(name, str) for name in frame.columns):
        raise DataError(f"data - columns are {list(frame.columns)[:4]}, expected names - rename them to texts")
    dated = _with_index_as_column(frame)
    return Container(frame) if dated is None else Container(dated, "indexed")


def _with_index_as_column(frame: Any) -> Any:
    """A pandas frame whose index is dates, with the index as its first column; None for any other."""
    native: Any = frame.to_native()
    index: Any = getattr(native, "index", None)
    if type(index).__name__ not in ("DatetimeIndex", "PeriodIndex"):
        return None
    import narwhals as nw

    if type(index).__name__ == "PeriodIndex":
        native = native.set_axis(index.to_timestamp())
    name = index.name if index.name and index.name not in native.columns else "time"
    return nw.from_native(native.rename_axis(name).reset_index(), eager_only=True)
