"""Tables, series and arrays of people as one thing: series after series on a regular grid of times."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from carrousel.data.categories import encode, learn_categories
from carrousel.data.clock import Times, parse_times
from carrousel.data.container import Container, open_container
from carrousel.data.frequency import Frequency, infer, parse
from carrousel.data.missing import check_way
from carrousel.data.numbers import check_finite, to_numbers
from carrousel.data.roles import Roles, check_columns, find_roles
from carrousel.errors import DataError, DataWarning

__all__ = ["Panel", "Reading", "parse_frequency", "read_panel"]

Array = NDArray[np.float64]
Integers = NDArray[np.int64]

#: A grid more than this many times as long as the rows is no series with gaps but a wrong frequency.
_SPARSE = 20


@dataclass(frozen=True)
class Reading:
    """How tables are read; what `fit` finds out holds for every table after it.

    Attributes:
        roles: of the columns; found if the target is empty.
        frequency: of the rows, None to find it.
        missing: "error", "ffill", "interpolate" or "mask".
        time_format: how a text is read as a time.
        categories: column of text -> its values, each an input of its own; None to find them.
    """

    roles: Roles
    frequency: Frequency | None = None
    missing: str = "error"
    time_format: str | None = None
    categories: Mapping[str, Sequence[str]] | None = None


@dataclass(frozen=True)
class Panel:
    """Series after series, each without gaps in its times.

    Attributes:
        ids: (series,), what the id column says; of a single series without one, an empty text.
        first: (series + 1,), the row at which each series begins, and the number of rows.
        target: (row, target), NaN where a value is missing.
        past, future: (row, input), NaN where a value is missing.
        static: (series, input).
        times: (row,).
        reading: how it was read, with all that was found out.
        container: what the user gave, to give back the same.
    """

    ids: NDArray[Any]
    first: Integers
    target: Array
    past: Array
    future: Array
    static: Array
    times: Times
    reading: Reading
    container: Container

    @property
    def frequency(self) -> Frequency:
        """The distance of neighbouring rows."""
        assert self.reading.frequency is not None
        return self.reading.frequency

    @property
    def lengths(self) -> Integers:
        """(series,), the rows of each."""
        return np.diff(self.first)

    def name(self, series: int) -> str:
        """Return what messages call a series."""
        return f"series '{self.ids[series]}'" if self.reading.roles.id else "the series"

    def take(self, series: NDArray[Any], last: int | None = None) -> "Panel":
        """Return some of the series, of each the last rows only if `last` is given."""
        lengths = self.lengths[series] if last is None else np.minimum(self.lengths[series], last)
        ends = self.first[1:][series]
        rows = np.concatenate([np.arange(e - n, e) for e, n in zip(ends, lengths, strict=True)] or [np.arange(0)])
        first = np.concatenate([[0], np.cumsum(lengths)])
        parts = (self.target[rows], self.past[rows], self.future[rows], self.static[series], self.times[rows])
        return Panel(self.ids[series], first, *parts, self.reading, self.container)


def read_panel(data: Any, reading: Reading, *, needs_target: bool = True, is_doubted: bool = False) -> Panel:
    """Read what the user has.

    Args:
        data: a pandas or polars frame in the long form or wide, a series, an array (time,) or (time, target), or a
            path.
        reading: how.
        needs_target: False for a table of future inputs alone.
        is_doubted: whether the rows are to show the frequency that `reading` has, as where it is found.

    Raises:
        DataError: something is wrong with the data.
        OptionError: a column has two roles.

    Example:
        >>> panel = read_panel([1.0, 2.0, 4.0], Reading(Roles(())))
        >>> panel.target.tolist(), str(panel.frequency)
        ([[1.0], [2.0], [4.0]], 'step')
    """
    check_way(reading.missing)
    container = open_container(data)
    frame = container.frame
    if not len(frame):
        raise DataError(f"{container.name} - it has 0 data rows - give at least some")
    if container.kind == "array":
        return _panel_of_array(container, reading)
    asked = container.roles(reading.roles)
    is_known = reading.categories is not None
    if is_known and needs_target:
        check_columns(frame.columns, (*asked.inputs, *asked.target))
    roles = find_roles(frame, asked, is_known) if needs_target else _roles_of_future(frame, asked)
    times = parse_times(frame[roles.time], roles.time, reading.time_format) if roles.time else _counted(len(frame))
    _check_clock(times, roles.time, reading.frequency)
    codes, ids = _codes(frame, roles.id)
    order, was_sorted = _order(codes, times)
    if not was_sorted:
        warnings.warn(f"sorted {len(frame):,} rows by {roles.time}", DataWarning, stacklevel=3)
    categories = learn_categories(frame, roles.inputs) if reading.categories is None else reading.categories
    may_miss = reading.missing != "error"
    target = _columns(frame, roles.target if needs_target else (), may_miss)
    past, future, static = (
        encode(frame, names, categories, may_miss) for names in (roles.past, roles.future, roles.static)
    )
    if order is not None:
        codes, times = codes[order], times[order]
        target, past, future, static = target[order], past[order], future[order], static[order]
    frequency = reading.frequency or _infer(times, codes)
    found = Reading(roles, frequency, reading.missing, reading.time_format, categories)
    first = np.concatenate([[0], np.flatnonzero(np.diff(codes)) + 1, [len(codes)]])
    panel = Panel(ids, first, target, past, future, static, times, found, container.without_frame())
    return _on_grid(_with_static(panel), is_found=is_doubted or reading.frequency is None)


def parse_frequency(text: str | None) -> Frequency | None:
    """Read the option `freq`: None and "auto" leave it to be found."""
    return None if text in (None, "auto") else parse(str(text))


def _panel_of_array(container: Container, reading: Reading) -> Panel:
    values = container.frame.reshape(len(container.frame), -1)
    if reading.roles.inputs or reading.roles.time or reading.roles.id:
        raise DataError("data - an array has no names, the columns asked for can not be in it - give a frame")
    names = tuple(f"y{k + 1}" for k in range(values.shape[1])) if values.shape[1] > 1 else ("y",)
    for name, column in zip(names, values.T, strict=True):
        check_finite(column, name)
    none, first = np.empty((len(values), 0)), np.array([0, len(values)])
    found = Reading(Roles(names), Frequency("step", 1), reading.missing, None, {})
    times, ids = _counted(len(values)), np.array([""], dtype=object)
    return Panel(ids, first, values, none, none, np.empty((1, 0)), times, found, container.without_frame())


def _counted(rows: int) -> Times:
    """The times of rows that have none: 0, 1, 2..."""
    steps = np.arange(rows, dtype=np.int64)
    return Times(steps, steps, None, False)


def _check_clock(times: Times, name: str | None, frequency: Frequency | None) -> None:
    """Numbers have no days, nor dates steps."""
    if frequency is None or times.is_date == (frequency.unit != "step"):
        return
    where = f"column '{name}'" if name else "freq"
    what = "its times are dates" if times.is_date else "its times are numbers" if name else "no column of times"
    raise DataError(f"{where} - {what}, expected one row every {frequency} - give times as in fit, or leave freq out")


def _roles_of_future(frame: Any, roles: Roles) -> Roles:
    missing = [name for name in (roles.time, roles.id, *roles.future) if name and name not in frame.columns]
    if missing:
        raise DataError(
            f"future - the column '{missing[0]}' is not in the table of future values, its columns are "
            f"{', '.join(frame.columns)} - add it"
        )
    return Roles(roles.target, roles.time, roles.id, (), roles.future, ())


def _columns(frame: Any, names: Sequence[str], texts_are_missing: bool) -> Array:
    if not names:
        return np.empty((len(frame), 0))
    some = frame.select(list(names)) if len(names) > 1 else None
    if some is not None and all(dtype.is_numeric() for dtype in some.schema.values()):
        values = np.asarray(some.to_numpy())
        if values.dtype.kind in "fiu":  # very many columns, all at once
            values = values.astype(np.float64)
            for name, column in zip(names, values.T, strict=True):
                check_finite(column, name)
            return values
    return np.stack([to_numbers(frame[name], name, texts_are_missing) for name in names], 1)


def _codes(frame: Any, name: str | None) -> tuple[Integers, NDArray[Any]]:
    """Each row's series by number, in the order of appearance."""
    if name is None:
        return np.zeros(len(frame), np.int64), np.array([""], dtype=object)
    column = frame[name]
    if column.is_null().any():
        row = int(np.flatnonzero(column.is_null().to_numpy())[0])
        raise DataError(f"column '{name}' row {row + 1} - the id is missing - give it, or leave the row out")
    import pandas

    values = np.asarray(column.to_list() if not column.dtype.is_numeric() else column.to_numpy())
    if values.ndim > 1:
        raise DataError(f"column '{name}' row 1 - the id is {column[0]!r}, expected a text or a number - write one")
    codes, ids = pandas.factorize(values)
    return codes.astype(np.int64), np.asarray(ids)


def _order(codes: Integers, times: Times) -> tuple[NDArray[np.int64] | None, bool]:
    """The order of series after series and rising times; None if it is there, and whether all times rose."""
    together = np.diff(codes)
    rising = np.diff(times.elapsed) >= 0
    if (together >= 0).all() and rising[together == 0].all():
        return None, True
    by_series = np.argsort(codes, kind="stable")
    same = np.diff(codes[by_series]) == 0
    was_sorted = bool((np.diff(times.elapsed[by_series])[same] >= 0).all())
    return (by_series if was_sorted else np.lexsort((times.elapsed, codes))), was_sorted


def _infer(times: Times, codes: Integers) -> Frequency:
    if times.is_date:
        return infer(times.elapsed, times.local, np.diff(codes) == 0)
    steps = np.diff(times.elapsed)[np.diff(codes) == 0]
    steps = steps[steps > 0]
    found, counts = np.unique(steps, return_counts=True)
    return Frequency("step", int(found[counts.argmax()]) if len(found) else 1)


def _with_static(panel: Panel) -> Panel:
    """One row of static inputs for each series."""
    begin = panel.first[:-1]
    static = panel.static[begin]
    for column, name in enumerate(panel.reading.roles.static):
        if panel.static.shape[1] != len(panel.reading.roles.static):
            break  # categories: several columns a name
        low = np.fmin.reduceat(panel.static[:, column], begin)
        high = np.fmax.reduceat(panel.static[:, column], begin)
        changing = np.flatnonzero(low != high)
        if len(changing) and not np.isnan(low[changing[0]]):
            series = int(changing[0])
            raise DataError(
                f"column '{name}' - it goes from {low[series]:g} to {high[series]:g} within {panel.name(series)}, "
                "expected one value - pass it as past or future"
            )
    parts = (panel.target, panel.past, panel.future, np.nan_to_num(static), panel.times)
    return Panel(panel.ids, panel.first, *parts, panel.reading, panel.container)


# ---------------------------------------------------------------------- the grid


def _on_grid(panel: Panel, is_found: bool) -> Panel:
    """Put every row at its step; steps without a row are missing values, or an error.

    Args:
        panel: rows as they are.
        is_found: whether the frequency was found in them; what is asked for is not doubted.
    """
    positions = panel.frequency.positions(panel.times.of(panel.frequency))
    if len(positions) < 2:
        return panel
    same = np.ones(len(positions) - 1, bool)
    same[panel.first[1:-1] - 1] = False
    ahead = np.diff(positions)
    if is_found:
        _check_one_frequency(panel, same, ahead)
    _check_regular(panel, same)
    _check_duplicates(panel, same, ahead)
    gaps = np.flatnonzero(same & (ahead > 1))
    if not len(gaps):
        return panel
    absent = int((ahead[gaps] - 1).sum())
    unit = str(panel.frequency)
    if absent > _SPARSE * len(positions):
        raise DataError(
            f"{panel.name(_series_of(panel, int(gaps[0])))} - of {absent + len(positions):,} steps of one {unit} only "
            f"{len(positions):,} have a row: no frequency fits - give --freq (freq=), or bring the rows to one"
        )
    if panel.reading.missing == "error":
        row = int(gaps[0])
        many = f"{absent} missing {unit}{'s' if absent > 1 and not unit.endswith('s') else ''}"
        where = f" in {panel.name(_series_of(panel, row))}" if panel.reading.roles.id else ""
        raise DataError(
            f"column '{panel.reading.roles.time}' - {many}, the first after {panel.times.text(row)}{where} - "
            "--missing interpolate (missing='interpolate') fills them"
        )
    return _with_gaps(panel, positions)


def _series_of(panel: Panel, row: int) -> int:
    return int(np.searchsorted(panel.first, row, side="right")) - 1


def _check_duplicates(panel: Panel, same: NDArray[np.bool_], ahead: Integers) -> None:
    rows = np.flatnonzero(same & (ahead == 0))
    if not len(rows):
        return
    row = int(rows[0])
    again = panel.times.elapsed[row] == panel.times.elapsed[row + 1]
    if not again:
        raise DataError(
            f"column '{panel.reading.roles.time}' - {panel.times.text(row)} and {panel.times.text(row + 1)} are in one "
            f"step of one {panel.frequency} - give --freq (freq=), or bring the rows to one frequency"
        )
    begin, end = panel.first[_series_of(panel, row)], panel.first[_series_of(panel, row) + 1]
    count = int((panel.times.elapsed[begin:end] == panel.times.elapsed[row]).sum())
    todo = "pass --id (id=) if several series are stacked"
    if panel.reading.roles.id:
        todo = "leave one out; if two columns tell the series, as shop and product, join them into one"
    where = panel.name(_series_of(panel, row))
    raise DataError(f"time {panel.times.text(row)} - it appears {count} times in {where} - {todo}")


def _check_regular(panel: Panel, same: NDArray[np.bool_]) -> None:
    """Steps of fixed length must be whole multiples of it."""
    frequency = panel.frequency
    if frequency.unit not in ("step", "time") and not (frequency.unit == "day" and frequency.count > 1):
        return
    times = panel.times.of(frequency)
    step = frequency.count * (86_400_000_000 if frequency.unit == "day" else 1)
    apart = np.diff(times)
    odd = np.flatnonzero(same & (apart % step != 0))
    if len(odd):
        row = int(odd[0])
        raise DataError(
            f"column '{panel.reading.roles.time}' - from {panel.times.text(row)} to {panel.times.text(row + 1)} in "
            f"{panel.name(_series_of(panel, row))} it is no whole number of steps of one {frequency} - "
            "give --freq (freq=), or bring the rows to one frequency"
        )


def _check_one_frequency(panel: Panel, same: NDArray[np.bool_], ahead: Integers) -> None:
    """Many other steps in a row, all alike, are rows of another frequency."""
    frequency, times, apart = panel.frequency, panel.times, np.diff(panel.times.elapsed)
    is_other = same & (apart != frequency.count if frequency.is_elapsed else ahead != 1)
    others = np.flatnonzero(is_other)
    usual = float(np.median(apart[others])) if len(others) else 0.0
    alike = np.abs(apart[others] - usual) <= 0.15 * usual  # as months are
    in_a_row = np.isin(others + 1, others)
    if usual == 0 or len(others) < 4 or alike.mean() < 0.9 or in_a_row.mean() < 0.75:
        return
    other = infer(times.elapsed, times.local, is_other) if times.is_date else Frequency("step", int(usual))
    row = int(others[in_a_row.argmax()])
    since = f"from {times.text(row)}" + (f" in {panel.name(_series_of(panel, row))}" if panel.reading.roles.id else "")
    what = f"column '{panel.reading.roles.time}' - one row every {frequency}, but {since} one every {other}"
    if panel.reading.missing == "error" or (ahead[others] < 1).any():
        raise DataError(
            f"{what} - resample the rows to one frequency; or name the finer one with --freq (freq=), and fill it with "
            "--missing interpolate (missing='interpolate')"
        )
    warnings.warn(f"{what}: the steps between those are filled", DataWarning, stacklevel=5)


def _with_gaps(panel: Panel, positions: Integers) -> Panel:
    lengths = np.array([positions[e - 1] - positions[b] + 1 for b, e in _parts(panel)], np.int64)
    first = np.concatenate([[0], np.cumsum(lengths)])
    rows = np.concatenate([positions[b:e] - positions[b] + f for (b, e), f in zip(_parts(panel), first, strict=False)])

    def spread(values: Array) -> Array:
        wide = np.full((first[-1], values.shape[1]), np.nan)
        wide[rows] = values
        return wide

    pieces = []
    for (begin, end), length in zip(_parts(panel), lengths, strict=True):
        pieces.append(panel.times[begin : begin + 1])
        pieces.append(panel.times[begin:end].next(panel.frequency, 0, int(length) - 1))
    times = Times(
        np.concatenate([piece.elapsed for piece in pieces]),
        np.concatenate([piece.local for piece in pieces]),
        panel.times.zone,
        panel.times.is_date,
    )
    times.elapsed[rows], times.local[rows] = panel.times.elapsed, panel.times.local
    parts = (spread(panel.target), spread(panel.past), spread(panel.future), panel.static, times)
    return Panel(panel.ids, first, *parts, panel.reading, panel.container)


def _parts(panel: Panel) -> list[tuple[int, int]]:
    return list(zip(panel.first[:-1].tolist(), panel.first[1:].tolist(), strict=True))
