"""The last rows of every series, kept in the model: a forecast goes on from them with new rows only."""

import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from carrousel.data.clock import Times, by_the_wall
from carrousel.data.container import Container
from carrousel.data.missing import fill
from carrousel.data.series import Panel, Reading
from carrousel.errors import DataError, DataWarning
from carrousel.models.forecasting.preparation import plain_id

__all__ = ["checked", "continued", "from_dict", "joined", "remember", "replaced", "to_dict", "warn_of_known"]


def remember(panel: Panel, context: int) -> Panel:
    """Return the last rows of every series; what is missing in the first of them is filled from the rows before."""
    kept = panel.take(np.arange(len(panel.ids)), context)
    begin, source = kept.first[:-1], panel.first[1:] - kept.lengths
    for name in ("target", "past", "future"):
        values, before = getattr(kept, name), getattr(panel, name)
        if np.isnan(values[begin]).any():
            way = "interpolate" if panel.reading.missing == "interpolate" else "ffill"
            values[begin] = fill(before, panel.first, way)[source]
    return kept


def continued(memory: Panel, new: Panel, context: int) -> Panel:
    """Put new rows after the rows that are remembered, as `joined` does, for a forecast.

    Raises:
        DataError: rows are missing in between, or there are too few.
    """
    return checked(joined(memory, new, context), context)


def joined(memory: Panel, new: Panel, context: int) -> Panel:
    """Put new rows after the rows that are remembered.

    Rows that go on where a series ended are put after it, or over it where they overlap. Rows that end before it are a
    history of their own: nothing that came after them is used. Series without new rows are left out.

    Args:
        memory: what `remember` gave.
        new: new rows, of some series or all.
        context: rows that a forecast needs.

    Raises:
        DataError: rows are missing in between, or a static input is another one.
    """
    place = {str(id): k for k, id in enumerate(memory.ids)}
    found = []
    for k, id in enumerate(new.ids):
        fresh = new.take(np.array([k]))
        known = place.get(str(id))
        found.append(fresh if known is None else _joined(memory, known, fresh, context))
    return found[0] if len(found) == 1 else _stacked(found, new)


def warn_of_known(memory: Panel, new: Panel) -> None:
    """Warn where rows that are to be measured are not new."""
    if memory.reading.roles.time is None and memory.container.kind != "indexed":
        return  # rows without times are always the next ones
    place = {str(id): k for k, id in enumerate(memory.ids)}
    for k, id in enumerate(new.ids):
        end = memory.first[place[str(id)] + 1] - 1 if str(id) in place else None
        if end is not None and new.times.local[new.first[k]] <= memory.times.local[end]:
            warnings.warn(
                f"data - {new.name(k)} begins at {new.times.text(new.first[k])}, before the end of what the model has "
                f"seen, {memory.times.text(end)}: also what it learned from is measured",
                DataWarning,
                stacklevel=3,
            )
            return


def checked(memory: Panel, context: int) -> Panel:
    """Return the series that are remembered, if each has the rows that a forecast needs."""
    short = np.flatnonzero(memory.lengths < context)
    if len(short):
        _check_length(memory.take(short[:1]), context)
    return memory


def replaced(memory: Panel, fresh: Panel) -> Panel:
    """Return the memory with some series as they are now."""
    new = {str(id) for id in fresh.ids}
    old = [memory.take(np.array([k])) for k, id in enumerate(memory.ids) if str(id) not in new]
    both = [*old, *(fresh.take(np.array([k])) for k in range(len(fresh.ids)))]
    return both[0] if len(both) == 1 else _stacked(both, memory)


def _joined(memory: Panel, series: int, fresh: Panel, context: int) -> Panel:
    old = memory.take(np.array([series]))
    frequency = memory.frequency
    if not fresh.times.is_date and fresh.reading.roles.time is None and fresh.container.kind == "array":
        return fresh if len(fresh.target) >= context else _appended(old, _counted_on(old, fresh))
    fresh = replace(fresh, times=_same_clock(old.times, fresh.times))
    positions, before = (frequency.positions(each.times.of(frequency)) for each in (fresh, old))
    if positions[-1] < before[-1]:
        return fresh
    gap = int(positions[0] - before[-1]) - 1
    if gap > 0 and len(fresh.target) >= context:
        return fresh
    if gap > 0:
        unit = str(frequency)
        raise DataError(
            f"{memory.name(series)} - {gap} {unit}{'s' if gap > 1 and not unit.endswith('s') else ''} are missing "
            f"between {old.times.text(-1)}, where the model's rows end, and {fresh.times.text(0)} - give the rows in "
            f"between, or at least {context} rows"
        )
    if not np.array_equal(old.static, fresh.static, equal_nan=True):
        names = "', '".join(fresh.reading.roles.static)
        raise DataError(
            f"{memory.name(series)} - its static '{names}' is not what the model's rows have - correct it, or give at "
            f"least {context} rows that do not go on from them"
        )
    kept = np.flatnonzero(before < positions[0])
    return _appended(_rows(old, kept), fresh)


def _counted_on(old: Panel, fresh: Panel) -> Panel:
    """Rows of an array have no times: they are the next ones."""
    return replace(fresh, times=old.times.next(old.frequency, len(old.target) - 1, len(fresh.target)))


def _same_clock(old: Times, new: Times) -> Times:
    """New times by the wall continue the clock changes of the old ones."""
    if new.zone is not None or not new.is_date:
        return new
    if new.local[0] > old.local[-1]:
        both = by_the_wall(np.concatenate([old.local, new.local]))[len(old) :]
        return replace(both, elapsed=both.elapsed + (old.elapsed[0] - old.local[0]))
    at = max(0, int(np.searchsorted(old.local, new.local[0], side="right")) - 1)
    return replace(new, elapsed=new.elapsed + (old.elapsed[at] - old.local[at]))


def _rows(panel: Panel, rows: NDArray[np.int64]) -> Panel:
    """Some rows of a panel of one series."""
    parts = {name: getattr(panel, name)[rows] for name in ("target", "past", "future", "times")}
    return replace(panel, **parts, first=np.array([0, len(rows)]))


def _appended(old: Panel, fresh: Panel) -> Panel:
    return _stacked([old, fresh], fresh, is_one=True)


def _stacked(panels: list[Panel], like: Panel, is_one: bool = False) -> Panel:
    """Panels of one series each, one after the other; as the rows of one series if they are one."""
    parts = {name: np.concatenate([getattr(each, name) for each in panels]) for name in ("target", "past", "future")}
    times = Times(
        np.concatenate([each.times.elapsed for each in panels]),
        np.concatenate([each.times.local for each in panels]),
        like.times.zone,
        like.times.is_date,
    )
    ends = np.cumsum([len(each.target) for each in panels])
    static = panels[0].static if is_one else np.concatenate([each.static for each in panels])
    first = np.array([0, ends[-1]]) if is_one else np.concatenate([[0], ends])
    ids = panels[-1].ids if is_one else np.concatenate([each.ids for each in panels])
    return replace(like, **parts, ids=ids, static=static, first=first, times=times)


def _check_length(panel: Panel, context: int) -> Panel:
    if len(panel.target) < context:
        raise DataError(
            f"{panel.name(0)} - {len(panel.target)} rows, a forecast needs the {context} before it - give more rows"
        )
    return panel


def to_dict(memory: Panel) -> dict[str, Any]:
    """Return what a saved model keeps of it."""
    arrays = {name: getattr(memory, name).tolist() for name in ("first", "target", "past", "future", "static")}
    times = {"elapsed": memory.times.elapsed.tolist(), "local": memory.times.local.tolist()}
    ids = [plain_id(id) for id in memory.ids]
    return {**arrays, **times, "ids": ids, "zone": memory.times.zone, "is_date": memory.times.is_date}


def from_dict(kept: Mapping[str, Any], reading: Reading, container: Container) -> Panel:
    """Return what was kept."""
    times = Times(np.array(kept["elapsed"], np.int64), np.array(kept["local"], np.int64), kept["zone"], kept["is_date"])
    first = np.array(kept["first"], np.int64)
    series = len(kept["ids"])

    def block(name: str, rows: int) -> NDArray[np.float64]:
        return np.array(kept[name], float).reshape(rows, -1) if rows else np.empty((0, 0))

    rows = int(first[-1])
    target, past, future = (block(name, rows) for name in ("target", "past", "future"))
    ids = np.array(kept["ids"])
    return Panel(ids, first, target, past, future, block("static", series), times, reading, container)
