"""What the calendar says of a row: the hour, the weekday, the day of the year, as points on circles."""

import numpy as np
from numpy.typing import NDArray

from carrousel.data.frequency import DAY, HOUR, Frequency

__all__ = ["CYCLES", "calendar_features", "useful_cycles"]

#: Cycle -> its length in microseconds.
CYCLES = {"hour": HOUR, "day": DAY, "week": 7 * DAY, "year": 365.2425 * DAY}

#: A cycle is learned from so many of its rounds.
_ROUNDS = 2.0


def useful_cycles(frequency: Frequency, rows: int) -> tuple[str, ...]:
    """Return the cycles that can be learned: more than two steps long, and seen at least twice.

    Args:
        frequency: of the rows.
        rows: of the training part of the longest series.

    Example:
        >>> from carrousel.data.frequency import parse
        >>> useful_cycles(parse("h"), 8000), useful_cycles(parse("MS"), 144)
        (('day', 'week'), ('year',))
    """
    step = frequency.microseconds
    if frequency.unit == "step":
        return ()
    return tuple(name for name, length in CYCLES.items() if length > 2.5 * step and rows * step >= _ROUNDS * length)


def calendar_features(local: NDArray[np.int64], cycles: tuple[str, ...]) -> NDArray[np.float32]:
    """Return sine and cosine of where each row is in each cycle.

    Args:
        local: (row,), microseconds by the clock on the wall, so that eight o'clock is eight o'clock in summer too.
        cycles: names of `CYCLES`.

    Returns:
        (row, 2 * cycle).

    Example:
        >>> noon = np.array([12 * HOUR])
        >>> calendar_features(noon, ("day",)).round(6).tolist()
        [[0.0, -1.0]]
    """
    found = np.empty((len(local), 2 * len(cycles)), np.float32)
    for k, name in enumerate(cycles):
        angle = _phase(local, name) * (2 * np.pi)
        found[:, 2 * k], found[:, 2 * k + 1] = np.sin(angle), np.cos(angle)
    return found


def _phase(local: NDArray[np.int64], name: str) -> NDArray[np.float64]:
    """How much of its cycle is over, 0 to 1."""
    if name != "year":
        return np.asarray((local % CYCLES[name]) / CYCLES[name], np.float64)
    times = local.astype("M8[us]")
    year = times.astype("M8[Y]")
    begin, end = year.astype("M8[us]"), (year + 1).astype("M8[us]")
    return np.asarray((times - begin).astype(np.float64) / (end - begin).astype(np.float64))
