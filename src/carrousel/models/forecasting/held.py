"""Data that comes beside that of `fit`: read alike; rows that are held out must not be among those learned from."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from carrousel.data.series import Panel, Reading, read_panel
from carrousel.errors import DataError
from carrousel.models.forecasting.plan import Plan, Wishes, workable
from carrousel.models.forecasting.preparation import check_values

__all__ = ["apart", "read_held", "read_like"]


def read_like(data: Any, reading: Reading, is_doubted: bool = False) -> Panel:
    """Read data with the columns of `fit`.

    Args:
        data: as `read_panel` takes it.
        reading: how that of `fit` was read.
        is_doubted: as `read_panel` takes it.

    Raises:
        DataError: something is wrong with it.
    """
    new = read_panel(data, reading, is_doubted=is_doubted)
    if new.target.shape[1] != len(reading.roles.target):
        raise DataError(
            f"data - the model was fitted on {len(reading.roles.target)} targets; the data has {new.target.shape[1]} - "
            "give as many"
        )
    return new


def read_held(data: Any, reading: Reading, is_doubted: bool) -> Panel:
    """Read rows that are held out; arguments and errors as in `read_like`."""
    try:
        held = read_like(data, reading, is_doubted)
        check_values(held)
    except DataError as error:
        raise DataError(f"val: {error}") from error
    return held


def apart(held: Panel, panel: Panel, plan: Plan) -> Panel:
    """Return the held-out series that are long enough.

    Args:
        held: what is held out.
        panel: what is learned from, with its test part.
        plan: context and horizon.

    Raises:
        DataError: a series is not learned from, its rows are, or all are too short.
    """
    place = {str(id): k for k, id in enumerate(panel.ids)}
    new = [str(id) for id in held.ids if str(id) not in place]
    if new:
        shown, known = (", ".join(names[:5]) + (", ..." if len(names) > 5 else "") for names in (new, list(place)))
        raise DataError(f"val - series {shown} are not learned from; those of data are {known} - leave them out")
    if panel.reading.roles.time:
        _check_times(held, panel, np.array([place[str(id)] for id in held.ids]))
    try:
        return workable(held, Wishes(plan.horizon, plan.context, val_fraction=0, test_fraction=0))
    except DataError as error:
        raise DataError(f"val: {error}") from error


def _check_times(held: Panel, panel: Panel, series: NDArray[np.int64]) -> None:
    """Rows between the first and the last that is learned from would be in both parts."""
    is_zoned = held.times.zone is not None and panel.times.zone is not None
    of_held, of_panel = (each.times.elapsed if is_zoned else each.times.local for each in (held, panel))
    first, last = panel.first[series], panel.first[series + 1] - 1
    is_before = of_held[held.first[1:] - 1] < of_panel[first]
    is_after = of_held[held.first[:-1]] > of_panel[last]
    both = np.flatnonzero(~(is_before | is_after))
    if len(both):
        k = int(both[0])
        rows = " to ".join(held.times.text(int(row)) for row in (held.first[k], held.first[k + 1] - 1))
        learned = " to ".join(panel.times.text(int(row)) for row in (first[k], last[k]))
        raise DataError(
            f"val - its rows of {held.name(k)}, {rows}, overlap with those of data, {learned} - "
            "give rows before or after them"
        )
