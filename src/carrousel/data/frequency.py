"""How far apart the rows of a series are, in elapsed time or on the calendar."""

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from carrousel.errors import OptionError

__all__ = ["DAY", "Frequency", "infer", "parse"]

Integers = NDArray[np.int64]

SECOND = 1_000_000
HOUR, DAY = 3600 * SECOND, 86_400 * SECOND

#: Letters of pandas and what people write -> (unit, how many of it).
_UNITS = {
    "s": ("time", SECOND), "min": ("time", 60 * SECOND), "t": ("time", 60 * SECOND), "h": ("time", HOUR),
    "d": ("day", 1), "b": ("business", 1), "w": ("day", 7),
    "ms": ("time", 1000), "MS": ("month", 1), "m": ("month", 1), "me": ("month", 1),
    "q": ("month", 3), "qs": ("month", 3), "qe": ("month", 3),
    "y": ("month", 12), "ys": ("month", 12), "ye": ("month", 12), "a": ("month", 12),
}  # fmt: skip

_WORDS = {
    ("time", 1): "microsecond", ("time", 1000): "millisecond",
    ("time", SECOND): "second", ("time", 60 * SECOND): "minute", ("time", HOUR): "hour", ("day", 1): "day",
    ("business", 1): "business day", ("day", 7): "week", ("month", 1): "month", ("month", 3): "quarter",
    ("month", 12): "year", ("step", 1): "step",
}  # fmt: skip


@dataclass(frozen=True)
class Frequency:
    """The distance of neighbouring rows.

    Attributes:
        unit: "step" (whole numbers), "time" (microseconds that pass), "day", "business" or "month" (of the calendar).
        count: how many units.
        at_end: of months, whether the times are the ends of months.

    Example:
        >>> hourly = parse("h")
        >>> str(hourly), str(parse("15min")), str(parse("MS")), hourly.season
        ('hour', '15 minutes', 'month', 24)
    """

    unit: str
    count: int
    at_end: bool = False

    def __str__(self) -> str:
        if (self.unit, self.count) in _WORDS:
            return _WORDS[self.unit, self.count]
        for (unit, count), word in reversed(_WORDS.items()):
            if unit == self.unit and self.count % count == 0:
                return f"{self.count // count} {word}s"
        return f"{self.count} {self.unit}s"

    @property
    def microseconds(self) -> float:
        """About how long a step is; NaN for steps without a unit."""
        return self.count * {"time": 1, "day": DAY, "business": 1.4 * DAY, "month": 30.4 * DAY}.get(self.unit, np.nan)

    @property
    def season(self) -> int:
        """How many steps the season has that people expect: a day of hours, a week of days, a year of months; or 1."""
        if self.unit == "time":
            return DAY // self.count if DAY % self.count == 0 and self.count < DAY else 1
        if self.unit == "month":
            return 12 // self.count if 12 % self.count == 0 else 1
        return {("day", 1): 7, ("business", 1): 5, ("day", 7): 52}.get((self.unit, self.count), 1)

    @property
    def is_elapsed(self) -> bool:
        """Whether it counts time that passes rather than days and months of a calendar."""
        return self.unit in ("time", "step")

    def positions(self, times: Integers) -> Integers:
        """Return the number of the step that each time belongs to.

        Args:
            times: (row,), microseconds, elapsed or of the local calendar as `is_elapsed` says; or whole numbers.
        """
        if self.unit == "month":
            months: Integers = times.astype("M8[us]").astype("M8[M]").astype(np.int64)
            return months // self.count
        if self.unit == "business":
            days = times.astype("M8[us]").astype("M8[D]")
            return np.asarray(np.busday_count(np.datetime64("1970-01-05"), days), np.int64)
        return times // (self.count * DAY if self.unit == "day" else self.count)

    def after(self, time: int, steps: Integers) -> Integers:
        """Return the times some steps after a time.

        Args:
            time: as in `positions`.
            steps: (step,), how many steps after it.
        """
        if self.unit == "month":
            return self._months_after(time, steps)
        if self.unit == "business":
            start = np.datetime64(time, "us")
            day = start.astype("M8[D]")
            days = np.busday_offset(day, steps, roll="backward")
            ahead: Integers = (days - day).astype(np.int64)
            return ahead * DAY + time
        return time + steps * self.count * (DAY if self.unit == "day" else 1)

    def _months_after(self, time: int, steps: Integers) -> Integers:
        start = np.datetime64(time, "us")
        month = start.astype("M8[M]")
        day, within = (start.astype("M8[D]") - month).astype(int), int((start - start.astype("M8[D]")).astype(int))
        months = month + steps * self.count
        last = ((months + 1).astype("M8[D]") - months.astype("M8[D]")).astype(int) - 1
        days = months.astype("M8[D]") + (last if self.at_end else np.minimum(last, day))
        found: Integers = days.astype("M8[us]").astype(np.int64)
        return found + within


def parse(text: str) -> Frequency:
    """Read a frequency such as h, 15min, D, B, W, MS, QE, Y.

    Args:
        text: a number, which may be left out, and letters.

    Raises:
        OptionError: it is none.
    """
    found = re.fullmatch(r"\s*(\d*)\s*([A-Za-z]+)(-[A-Za-z]+)?\s*", str(text))
    unit = found and _UNITS.get(found[2] if found[2] in _UNITS else found[2].lower())
    if not found or not unit or found[1] == "0":
        raise OptionError(f"freq - {text!r} is no frequency - give one such as h, 15min, D, B, W, MS, Q or Y, or auto")
    count = int(found[1] or 1)
    return Frequency(unit[0], unit[1] * count, found[2].lower() in ("m", "me", "q", "qe", "y", "ye", "a"))


def infer(elapsed: Integers, local: Integers, same: NDArray[np.bool_]) -> Frequency:
    """Find the frequency from the most frequent distance of neighbours.

    Args:
        elapsed: (row,), microseconds of time that passes, rising in each series.
        local: (row,), of the local calendar.
        same: (row - 1,), whether a row and the next are of one series.
    """
    distances = np.diff(elapsed)[same]
    distances = distances[distances > 0]
    if not len(distances):
        return Frequency("day", 1)
    usual = _mode(distances)
    if usual % DAY and usual < 20 * DAY:
        return Frequency("time", usual)
    days = np.diff(local.astype("M8[us]").astype("M8[D]").astype(np.int64))[same]
    days = days[days > 0]
    usual = _mode(days)
    if 28 <= usual <= 31 or 89 <= usual <= 92 or usual in (365, 366):
        count = 1 if usual <= 31 else 3 if usual <= 92 else 12
        dates = local.astype("M8[us]").astype("M8[D]")
        ends = (dates + 1).astype("M8[M]") != dates.astype("M8[M]")
        return Frequency("month", count, bool(ends.all()))
    weekdays = (local.astype("M8[us]").astype("M8[D]").astype(np.int64) + 3) % 7
    if usual == 1 and len(days) >= 5 and weekdays.max() <= 4:
        return Frequency("business", 1)
    return Frequency("day", usual)


def _mode(values: Integers) -> int:
    found, counts = np.unique(values, return_counts=True)
    return int(found[counts.argmax()])
