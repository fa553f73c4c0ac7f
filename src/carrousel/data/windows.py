"""Windows of series: known steps and steps asked for, gathered by index when a batch is made, never copied before."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from carrousel.errors import OptionError

__all__ = ["SUBTRACTED", "Batch", "Rows", "Windows", "check_subtracted", "origins"]

#: What is taken off a window's values before the network sees them, and put back on its forecast.
SUBTRACTED = ("last", "mean", "none")


class Batch(NamedTuple):
    """Windows side by side; a window is of one target, with the covariates of its series.

    Shapes:
        known: (row, context), scaled values less the level
        level: (row,), what was taken off
        measured: (row, context), 1 where the value was measured and 0 where it is filled in
        past: (row, context, input)
        future: (row, context + horizon, input)
        calendar: (row, context + horizon, feature)
        static: (row, input), with which of the targets it is where there are several
        asked: (row, horizon), scaled values less the level; 0 where they are not known
        counts: (row, horizon), 1 where a value was measured, else 0
    """

    known: Tensor
    level: Tensor
    measured: Tensor
    past: Tensor
    future: Tensor
    calendar: Tensor
    static: Tensor
    asked: Tensor
    counts: Tensor


@dataclass(frozen=True)
class Rows:
    """All rows of all series as the network sees them: scaled and filled.

    Shapes:
        target: (row, target)
        measured: (row, target), bool
        past, future, calendar: (row, input)
        static: (series, input)
        first: (series + 1,), the row at which each series begins, and the number of rows
    """

    target: Tensor
    measured: Tensor
    past: Tensor
    future: Tensor
    calendar: Tensor
    static: Tensor
    first: NDArray[np.int64]

    def __post_init__(self) -> None:
        assert self.first[-1] == len(self.target)


@dataclass(frozen=True)
class Windows:
    """Windows of rows, one for each origin and target: window k is of origin k // targets and target k % targets.

    Attributes:
        rows: of all series.
        origins: (origin,), the first row that is asked for.
        series: (origin,), whose it is.
        context: steps known.
        horizon: steps asked for.
        subtracted: one of SUBTRACTED.

    Example:
        >>> from carrousel.data.windows import Rows
        >>> ramp, none = torch.arange(6.0)[:, None], torch.zeros(6, 0)
        >>> rows = Rows(ramp, ramp > -1, none, none, none, torch.zeros(1, 0), np.array([0, 6]))
        >>> windows = Windows(rows, np.array([3, 4]), np.array([0, 0]), context=3, horizon=2)
        >>> batch = windows.batch(torch.tensor([1]))
        >>> batch.known.tolist(), batch.level.tolist(), batch.asked.tolist()
        ([[-2.0, -1.0, 0.0]], [3.0], [[1.0, 2.0]])
    """

    rows: Rows
    origins: NDArray[np.int64]
    series: NDArray[np.int64]
    context: int
    horizon: int
    subtracted: str = "last"

    def __len__(self) -> int:
        return len(self.origins) * self.targets

    @property
    def targets(self) -> int:
        """How many columns are forecast."""
        return self.rows.target.shape[1]

    def batch(self, rows: Tensor) -> Batch:
        """Gather windows.

        Args:
            rows: (row,), their numbers.
        """
        data, targets = self.rows, self.targets
        number, which = rows // targets, rows % targets
        origin = torch.as_tensor(self.origins)[number]
        back, ahead = torch.arange(-self.context, 0), torch.arange(self.horizon)
        known_rows, asked_rows = origin[:, None] + back, origin[:, None] + ahead
        every = torch.cat([known_rows, asked_rows], 1)
        column = which[:, None]
        known, asked = data.target[known_rows, column], data.target[asked_rows, column]
        level = self._level(known)
        static = data.static[torch.as_tensor(self.series)[number]]
        if targets > 1:
            static = torch.cat([static, torch.eye(targets)[which]], 1)
        counts = data.measured[asked_rows, column].to(known.dtype)
        return Batch(
            known - level[:, None],
            level,
            data.measured[known_rows, column].to(known.dtype),
            data.past[known_rows],
            data.future[every],
            data.calendar[every],
            static,
            (asked - level[:, None]) * counts,
            counts,
        )

    def before(self, rows: Tensor, steps: int) -> Tensor:
        """Return the values before some windows' asked steps, also those before the known ones, (row, step)."""
        number, which = rows // self.targets, rows % self.targets
        back = torch.as_tensor(self.origins)[number][:, None] + torch.arange(-steps, 0)
        return self.rows.target[back, which[:, None]]

    def _level(self, known: Tensor) -> Tensor:
        if self.subtracted == "last":
            return known[:, -1]
        return known.mean(1) if self.subtracted == "mean" else torch.zeros(len(known))


def check_subtracted(subtracted: str) -> None:
    """Check the option.

    Raises:
        OptionError: there is no such way.
    """
    if subtracted not in SUBTRACTED:
        raise OptionError(f"subtract - {subtracted!r} can not be taken off - choose {', '.join(SUBTRACTED)}")


def origins(
    first: NDArray[np.int64],
    begin: NDArray[np.int64],
    end: NDArray[np.int64],
    context: int,
    horizon: int,
    most: int = 0,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """List the windows whose asked steps lie in a part of every series.

    Args:
        first: (series,), the row at which each series begins.
        begin, end: (series,), the rows of the part, `begin` to `end - 1`.
        context, horizon: of the windows.
        most: of so many windows at most, evenly spread; 0 for all.

    Returns:
        The origins, and the series of each.

    Example:
        >>> origins(np.array([0]), np.array([0]), np.array([10]), context=4, horizon=3)[0].tolist()
        [4, 5, 6, 7]
    """
    low = np.maximum(begin, first + context)
    counts = np.maximum(0, end - horizon + 1 - low)
    series = np.repeat(np.arange(len(first)), counts)
    before = np.repeat(np.cumsum(counts) - counts, counts)
    found = np.repeat(low, counts) + np.arange(len(series)) - before
    if most and len(found) > most:
        kept = np.linspace(0, len(found) - 1, most).round().astype(np.int64)
        found, series = found[kept], series[kept]
    return found.astype(np.int64), series.astype(np.int64)
