"""A time column: parsed, with its time zone, and true to the hours that clocks skip or repeat."""

import re
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from carrousel.data.frequency import DAY, HOUR, Frequency
from carrousel.errors import DataError, DataWarning

__all__ = ["Times", "by_the_wall", "is_time", "parse_times"]

Integers = NDArray[np.int64]

_OFFSET = re.compile(r"(Z|[+-]\d{2}:?\d{2})$")


@dataclass(frozen=True)
class Times:
    """The times of rows.

    Attributes:
        elapsed: (row,), microseconds that pass, UTC where the zone is known; or whole numbers.
        local: (row,), microseconds as the clock on the wall shows them; or the same whole numbers.
        zone: the time zone's name; None for times without one.
        is_date: whether they are times; False for whole numbers.
    """

    elapsed: Integers
    local: Integers
    zone: str | None = None
    is_date: bool = True

    def __len__(self) -> int:
        return len(self.elapsed)

    def __getitem__(self, rows: Any) -> "Times":
        return Times(self.elapsed[rows], self.local[rows], self.zone, self.is_date)

    def of(self, frequency: Frequency) -> Integers:
        """Return those times that a frequency counts."""
        return self.elapsed if frequency.is_elapsed else self.local

    def next(self, frequency: Frequency, last: int, steps: int) -> "Times":
        """Return the times that follow a row.

        Args:
            frequency: the distance.
            last: the row.
            steps: how many times.
        """
        ahead = np.arange(1, steps + 1, dtype=np.int64)
        found = frequency.after(int(self.of(frequency)[last]), ahead)
        if not self.is_date:
            return Times(found, found, None, False)
        if frequency.is_elapsed:
            return Times(found, self._local_of(found, last), self.zone)
        return Times(self._elapsed_of(found, last), found, self.zone)

    def values(self) -> Any:
        """Return what a frame's time column holds: whole numbers, or times with the zone they came with."""
        if not self.is_date:
            return self.elapsed
        if self.zone is None:
            return self.local.astype("M8[us]")
        import pandas

        return pandas.DatetimeIndex(self.elapsed.astype("M8[us]")).tz_localize("UTC").tz_convert(self.zone)

    def text(self, row: int) -> str:
        """Return one time as people write it."""
        if not self.is_date:
            return str(self.elapsed[row])
        shown = str(np.datetime64(int(self.local[row]), "us")).replace("T", " ")
        shown = re.sub(r"\.0+$", "", shown)
        return shown.removesuffix(":00").removesuffix(" 00:00") if shown.endswith(":00") else shown

    def _local_of(self, elapsed: Integers, last: int) -> Integers:
        if self.zone is None:
            return np.asarray(elapsed + (self.local[last] - self.elapsed[last]))
        return _wall_clock(elapsed, self.zone)

    def _elapsed_of(self, local: Integers, last: int) -> Integers:
        if self.zone is None:
            return np.asarray(local + (self.elapsed[last] - self.local[last]))
        import pandas

        there = pandas.DatetimeIndex(local.astype("M8[us]"))
        zoned = there.tz_localize(self.zone, ambiguous=np.zeros(len(local), bool), nonexistent="shift_forward")
        return _microseconds(zoned.tz_convert("UTC").tz_localize(None))


def parse_times(column: Any, name: str, time_format: str | None = None) -> Times:
    """Read a time column.

    Args:
        column: a narwhals Series of times, dates, texts or whole numbers; 20240131 and the like are dates.
        name: the column's name, for messages.
        time_format: how a text, or a number, is read, in the letters of strptime; found if None.

    Raises:
        DataError: a value is missing or is no time.
    """
    import narwhals as nw
    import pandas

    dtype = column.dtype
    if column.is_null().any():
        row = int(np.flatnonzero(column.is_null().to_numpy())[0])
        raise DataError(f"column '{name}' row {row + 1} - the time is missing - give it, or leave the row out")
    if dtype.is_numeric():
        numbers = column.to_numpy()
        if time_format is None and not _are_dates(numbers):
            return _whole_numbers(numbers, name)
        return _parse_text([f"{number:.0f}" for number in numbers.tolist()], name, time_format or "%Y%m%d")
    if is_time(column) and not dtype.is_temporal():
        there = pandas.DatetimeIndex(column.to_native())
        elapsed = _microseconds(there.tz_convert("UTC").tz_localize(None))
        return Times(elapsed, _wall_clock(elapsed, str(there.tz)), str(there.tz))
    if isinstance(dtype, nw.Datetime) and dtype.time_zone:
        elapsed = column.dt.convert_time_zone("UTC").dt.replace_time_zone(None).to_numpy()
        elapsed = _microseconds(elapsed)
        return Times(elapsed, _wall_clock(elapsed, dtype.time_zone), dtype.time_zone)
    if isinstance(dtype, nw.Datetime | nw.Date):
        return by_the_wall(_microseconds(column.to_numpy()))
    return _parse_text(column.to_list(), name, time_format)


def is_time(column: Any) -> bool:
    """Return whether a column holds times; narwhals does not know zones with other signs than letters and slashes.

    Example:
        >>> import narwhals as nw, pandas
        >>> times = pandas.Series(pandas.date_range("2024-01-01", periods=2, tz="America/New_York"))
        >>> is_time(nw.from_native(times, series_only=True))
        True
    """
    import pandas

    if str(column.dtype) != "Unknown":
        return bool(column.dtype.is_temporal())
    return isinstance(column.to_native(), pandas.Series) and pandas.api.types.is_datetime64_any_dtype(
        column.to_native()
    )


def _are_dates(numbers: Any) -> bool:
    """Whether all numbers are a year, a month and a day, as in 20240131."""
    values = np.asarray(numbers)
    if not ((values >= 1000_01_01) & (values <= 2999_12_31)).all():
        return False
    month, day = values // 100 % 100, values % 100
    return bool(((month >= 1) & (month <= 12) & (day >= 1) & (day <= 31) & (values % 1 == 0)).all())


def _whole_numbers(values: Any, name: str) -> Times:
    numbers = np.asarray(values, float)
    wrong = np.flatnonzero(~np.isfinite(numbers) | (numbers != np.floor(numbers)))
    if len(wrong):
        row = int(wrong[0])
        raise DataError(
            f"column '{name}' row {row + 1} - {numbers[row]:g} is no time, expected times or whole numbers - "
            "name another column with time"
        )
    steps = np.asarray(values).astype(np.int64)
    return Times(steps, steps, None, False)


def _parse_text(texts: list[Any], name: str, time_format: str | None) -> Times:
    import pandas

    column = pandas.Series([str(text).strip() for text in texts])
    if time_format is None and ":" in column[0] and _OFFSET.search(column[0]):
        offsets = column.str.extract(_OFFSET, expand=False)
        if offsets.notna().all():
            return _with_offsets(column, offsets, name)
    try:
        parsed = _parse_dates(column, time_format)
    except ValueError as error:  # some times with a zone and some without, or a letter that strptime has not
        raise DataError(
            f"column '{name}' - {str(error).split('. ')[0]} - write all times alike, or correct --time-format "
            "(time_format=)"
        ) from error
    wrong = np.flatnonzero(parsed.isna().to_numpy())
    if len(wrong):
        row = int(wrong[0])
        raise DataError(
            f"column '{name}' row {row + 1} - '{texts[row]}' is not a date - correct it, or say with --time-format "
            "(time_format=) how it is read"
        )
    return by_the_wall(_microseconds(parsed))


def _parse_dates(column: Any, time_format: str | None) -> Any:
    """ISO first; else in the format of the first row, the month first unless that fails or is less regular."""
    import pandas

    if time_format is not None:
        return pandas.to_datetime(column, format=time_format, errors="coerce")
    parsed = pandas.to_datetime(column, format="ISO8601", errors="coerce")
    if not parsed.isna().any():
        return parsed
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        month_first, day_first = (
            pandas.to_datetime(column, errors="coerce", dayfirst=first) for first in (False, True)
        )
    if day_first.isna().any() and month_first.isna().any():
        return month_first if month_first.isna().sum() <= day_first.isna().sum() else day_first
    if month_first.isna().any() or (not day_first.isna().any() and _kinds(day_first) < _kinds(month_first)):
        return day_first
    return month_first if not month_first.isna().any() else day_first


def _kinds(times: Any) -> tuple[int, int]:
    """How many different steps there are, counted in months where all lie on one day of the month; and in days."""
    days = int(times.diff().nunique())
    if times.dt.day.nunique() > 1 or times.dt.normalize().ne(times).any():
        return days, days
    return int((times.dt.year * 12 + times.dt.month).diff().nunique()), days


def _with_offsets(column: Any, offsets: Any, name: str) -> Times:
    """Texts that end with Z or +02:00; times that follow are given in the last offset."""
    import pandas

    parsed = pandas.to_datetime(column, errors="coerce", utc=True, format="ISO8601")
    wrong = np.flatnonzero(parsed.isna().to_numpy())
    if len(wrong):
        row = int(wrong[0])
        raise DataError(
            f"column '{name}' row {row + 1} - '{column[row]}' is not a date - correct it, or say with --time-format "
            "(time_format=) how it is read"
        )
    elapsed = _microseconds(parsed.dt.tz_localize(None))
    local = elapsed + np.array([_shift(text) for text in offsets], np.int64)
    last = offsets.iloc[-1]
    return Times(elapsed, local, "UTC" if last == "Z" or _shift(last) == 0 else f"UTC{last[:3]}:{last[-2:]}")


def _shift(text: str) -> int:
    if text == "Z":
        return 0
    minutes = int(text[1:3]) * 60 + int(text[-2:])
    return (-minutes if text[0] == "-" else minutes) * HOUR // 60


def by_the_wall(local: Integers) -> Times:
    """Times without a zone; where a clock on the wall was set, the time that passes is not what it shows.

    In the file's order an hour that is repeated, or skipped, in the night before a Sunday's morning, in times that are
    otherwise an hour or less apart, is taken for a change between standard and summer time.
    """
    steps = np.diff(local)
    if not len(steps):
        return Times(local, local)
    found, counts = np.unique(steps, return_counts=True)
    usual = int(found[counts.argmax()])
    if not 0 < usual <= HOUR or HOUR % usual:
        return Times(local, local)
    hour = local[:-1] % DAY // HOUR
    sunday = (local[:-1] + usual) // DAY % 7 == 3
    night = sunday & ((hour <= 3) | (hour == 23))
    back, forth = night & (steps == usual - HOUR), night & (steps == usual + HOUR)
    month = local[:-1].astype("M8[us]").astype("M8[M]").astype(np.int64) % 12
    forth &= np.isin(month, (1, 2, 3, 7, 8, 9, 10))
    # a change comes twice a year: more of them are gaps
    if not (back | forth).any() or (back | forth).sum() > 2 + (local[-1] - local[0]) // (150 * DAY):
        return Times(local, local)
    shift = np.concatenate([[0], np.cumsum(HOUR * (back.astype(np.int64) - forth))])
    row = int(np.flatnonzero(back | forth)[0])
    what = "repeated" if back[row] else "skipped"
    warnings.warn(
        f"the hour after {Times(local, local).text(row)} is {what}: taken for a change to or from summer time "
        f"({int((back | forth).sum())} in all); times with a zone leave no doubt",
        DataWarning,
        stacklevel=2,
    )
    return Times(local + shift, local)


def _microseconds(values: Any) -> Integers:
    return np.asarray(values).astype("M8[us]").astype(np.int64)


def _wall_clock(elapsed: Integers, zone: str) -> Integers:
    import pandas

    there = pandas.DatetimeIndex(elapsed.astype("M8[us]")).tz_localize("UTC").tz_convert(zone)
    return _microseconds(there.tz_localize(None))
