"""What is forecast from how much, and which rows are trained on, validated on, and kept for the measurement."""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from carrousel.data.calendar import useful_cycles
from carrousel.data.missing import fill
from carrousel.data.series import Panel
from carrousel.errors import DataError, DataWarning, OptionError
from carrousel.models.forecasting.baselines import find_season

__all__ = ["Plan", "Wishes", "check_horizon", "check_steps", "make_plan", "workable"]

Integers = NDArray[np.int64]

#: The shortest context, and the longest that is chosen unasked.
_LEAST, _MOST = 4, 512
_FARTHEST = 10_000


@dataclass(frozen=True)
class Wishes:
    """What the user asks for.

    Attributes:
        horizon: steps.
        context: known steps, or "auto".
        segment: known steps that are read at once, or "auto".
        season: steps of a season, or "auto".
        val_fraction, test_fraction: parts of the rows of each series.
        calendar: "auto", or False for no calendar features.
    """

    horizon: int
    context: int | str = "auto"
    segment: int | str = "auto"
    season: int | str = "auto"
    val_fraction: float = 0.15
    test_fraction: float = 0.15
    calendar: str | bool = "auto"

    def sizes(self, rows: int) -> tuple[int, int]:
        """Return the rows for validation and measurement of a series of so many; a forecast fits into each."""
        return self._size("val_fraction", rows), self._size("test_fraction", rows)

    def _size(self, name: str, rows: int) -> int:
        asked = getattr(self, name)
        if isinstance(asked, bool) or not isinstance(asked, int | float) or not 0 <= asked < 1:
            raise OptionError(f"{name} - {asked!r}, expected a part from 0 to 1 - give one such as 0.15")
        return max(self.horizon, round(asked * rows)) if asked else 0

    def need(self, context: int) -> int:
        """Return the fewest rows of a series: one window to train on, and a horizon for each other part."""
        return context + self.horizon * (1 + (self.val_fraction > 0) + (self.test_fraction > 0))


@dataclass(frozen=True)
class Plan:
    """What was decided.

    Attributes:
        horizon, context, segment, season: in steps; season is 1 if there is none.
        cycles: of the calendar.
        usual: the season that people expect of the frequency, for the seasonal naive forecast where none is found.
    """

    horizon: int
    context: int
    segment: int
    season: int
    cycles: tuple[str, ...]
    usual: int = 1


def check_horizon(horizon: Any) -> int:
    """Check the option.

    Raises:
        OptionError: it can not be.
    """
    whole = isinstance(horizon, int | np.integer) and not isinstance(horizon, bool)
    if not whole or not 1 <= int(horizon) <= _FARTHEST:
        raise OptionError(f"horizon - must be a whole number from 1 to {_FARTHEST}, got {horizon!r} - give another")
    return int(horizon)


def check_steps(horizon: Any, fitted: int) -> int:
    """Return the steps of a forecast, those that the model was fitted for if None.

    Raises:
        OptionError: it can not be, or they are more.
    """
    steps = fitted if horizon is None else check_horizon(horizon)
    if steps > fitted:
        raise OptionError(f"horizon - {steps}, the model was fitted for {fitted} steps - fit it with horizon={steps}")
    return steps


def workable(panel: Panel, wishes: Wishes) -> Panel:
    """Leave out the series that are too short, and say which.

    Raises:
        DataError: all are.
    """
    context = wishes.context if isinstance(wishes.context, int) else _LEAST
    need, lengths = wishes.need(context), panel.lengths
    long_enough = np.flatnonzero(lengths >= need)
    if len(long_enough) == len(lengths):
        return panel
    if not len(long_enough):
        longest = int(lengths.max())
        if longest == 1 < len(lengths):
            raise DataError(
                f"id - '{panel.reading.roles.id}' makes {len(lengths):,} series of 1 row each - name the column that "
                "tells series apart with --id (id=), or leave it out where all rows are one series"
            )
        parts = (need - context) // wishes.horizon
        best = max(0, (longest - context) // parts)
        hint = f"the largest workable horizon is {best}" if best else "give more rows"
        raise DataError(
            f"{'the longest series' if len(lengths) > 1 else 'the series'} - {longest} rows; horizon {wishes.horizon} "
            f"with context {context} needs at least {context} + {parts} * {wishes.horizon} = {need} - {hint}"
        )
    short = [str(panel.ids[k]) for k in np.flatnonzero(lengths < need)]
    shown = ", ".join(short[:5]) + (", ..." if len(short) > 5 else "")
    warnings.warn(
        f"{len(short)} of {len(lengths)} series have less than {need} rows and are left out: {shown}",
        DataWarning,
        stacklevel=3,
    )
    return panel.take(long_enough)


def make_plan(panel: Panel, wishes: Wishes) -> Plan:
    """Decide what the user leaves open, from the longest series.

    Args:
        panel: the series, none too short.
        wishes: what is asked for.

    Raises:
        OptionError: a wish can not be.
    """
    longest, shortest = int(panel.lengths.argmax()), int(panel.lengths.min())
    rows = int(panel.lengths[longest])
    train = rows - sum(wishes.sizes(rows))
    season = _season(panel, wishes, longest, train)
    room = shortest - sum(wishes.sizes(shortest)) - wishes.horizon
    context = _context(wishes, season, panel.frequency.unit == "time", train, room)
    segment = _segment(wishes, context, season)
    if wishes.context == "auto":
        context -= context % segment
    has_calendar = wishes.calendar and panel.times.is_date
    cycles = useful_cycles(panel.frequency, train) if has_calendar else ()
    return Plan(wishes.horizon, context, segment, season, cycles, panel.frequency.season)


def _steps(name: str, asked: Any) -> int:
    if isinstance(asked, bool) or not isinstance(asked, int) or asked < 1:
        raise OptionError(f"{name} - {asked!r}, expected a whole number of steps from 1, or auto - give one")
    return asked


def _season(panel: Panel, wishes: Wishes, series: int, train: int) -> int:
    if wishes.season != "auto":
        if isinstance(wishes.season, bool) or not isinstance(wishes.season, int) or wishes.season < 1:
            raise OptionError(
                f"season - {wishes.season!r}, expected a whole number of steps from 1, or auto - give one"
            )
        return wishes.season
    begin = panel.first[series]
    part = fill(panel.target[begin : begin + train], np.array([0, train]), "interpolate")
    found = [find_season(part[:, k], panel.frequency.season) for k in range(part.shape[1])]
    seasons, counts = np.unique(found, return_counts=True)
    return int(seasons[counts.argmax()])


def _context(wishes: Wishes, season: int, has_hours: bool, train: int, room: int) -> int:
    """A week of hours, three seasons of anything else, four horizons: as much as is there for learning from it."""
    if wishes.context != "auto":
        if isinstance(wishes.context, bool) or not isinstance(wishes.context, int) or wishes.context < 1:
            raise OptionError(
                f"context - {wishes.context!r}, expected a whole number of steps from 1, or auto - give one"
            )
        return wishes.context
    wanted = max((7 if has_hours and season <= 48 else 3) * season, 4 * wishes.horizon, 16)
    wanted = min(wanted, max(_MOST, 2 * season), max(train // 4, season))
    return max(_LEAST, min(wanted, room - 1, max(room * 2 // 3, _LEAST)))


def _segment(wishes: Wishes, context: int, season: int) -> int:
    """About sixteen segments or more, several to a season where there is one."""
    if wishes.segment != "auto":
        if isinstance(wishes.segment, bool) or not isinstance(wishes.segment, int) or wishes.segment < 1:
            raise OptionError(
                f"segment - {wishes.segment!r}, expected a whole number of steps from 1, or auto - give one"
            )
        return wishes.segment
    most = max(1, context // 12)
    if wishes.context != "auto":
        return max(k for k in range(1, most + 1) if context % k == 0)
    if season > 1 and (dividing := [k for k in range(2, most + 1) if season % k == 0]):
        return max(dividing)
    return most
