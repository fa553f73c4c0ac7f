"""What data goes through before the network sees it: filled, scaled, with its calendar."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from carrousel.data.calendar import calendar_features
from carrousel.data.missing import fill
from carrousel.data.scaling import Scale, fit_scale
from carrousel.data.series import Panel
from carrousel.data.windows import Rows
from carrousel.errors import DataError, DataWarning

__all__ = ["Preparation", "check_values", "plain_id", "prepare"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Preparation:
    """What was learned of the training part.

    Attributes:
        ids: of the series that were there.
        target: the scale of each target of each series.
        past, future, static: the scales of the covariates, alike for all series.
        constant: (series, target), whether it never changed; such a series is forecast as it is.
        kind: of the scale of targets.
        cycles: of the calendar.
        missing: how missing values are filled.
    """

    ids: tuple[Any, ...]
    target: Scale
    past: Scale
    future: Scale
    static: Scale
    constant: NDArray[np.bool_]
    kind: str
    cycles: tuple[str, ...]
    missing: str

    def scale_of(self, panel: Panel) -> tuple[Scale, Array]:
        """Return the scale of a panel's series, and their widths in forecasts, 0 for constants, (series, target)."""
        place = {id: k for k, id in enumerate(self.ids)}
        found = [place.get(plain_id(id), -1) for id in panel.ids]
        known = np.array(found)
        centre, width = self.target.centre[known], self.target.width[known]
        constant = self.constant[known]
        new = np.flatnonzero(known < 0)
        if len(new):
            warnings.warn(
                f"{len(new)} series were not in training, the first is '{panel.ids[new[0]]}': scaled by their own rows",
                DataWarning,
                stacklevel=3,
            )
            own = fit_scale(panel.target, panel.first[:-1][new], panel.first[1:][new], self.kind)
            centre[new], width[new], constant[new] = own.centre, own.width, False
        return Scale(centre, width), np.where(constant, 0.0, width)

    def rows(self, panel: Panel, scale: Scale | None = None) -> Rows:
        """Return a panel as the network sees it.

        Args:
            panel: the series.
            scale: of its targets, if it is known already.
        """
        scale = scale or self.scale_of(panel)[0]
        way = "ffill" if self.missing in ("mask", "error") else self.missing
        filled = fill(panel.target, panel.first, way)
        one = np.array([len(panel.target)])
        calendar = calendar_features(panel.times.local, self.cycles)
        return Rows(
            _tensor(scale.apply(filled, panel.lengths)),
            torch.from_numpy(~np.isnan(panel.target)),
            _tensor(self.past.apply(fill(panel.past, panel.first, way), one)),
            _tensor(self.future.apply(fill(panel.future, panel.first, way), one)),
            torch.from_numpy(calendar),
            _tensor(self.static.apply(panel.static, np.array([len(panel.static)]))),
            panel.first,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return what a saved model keeps."""
        scales = {name: getattr(self, name).to_dict() for name in ("target", "past", "future", "static")}
        return {
            **scales,
            "ids": list(self.ids),
            "constant": self.constant.tolist(),
            "kind": self.kind,
            "cycles": list(self.cycles),
            "missing": self.missing,
        }

    @classmethod
    def from_dict(cls, kept: Mapping[str, Any]) -> "Preparation":
        """Return what was kept."""
        target, past, future, static = (Scale.from_dict(kept[name]) for name in ("target", "past", "future", "static"))
        constant = np.array(kept["constant"], bool)
        return cls(
            tuple(kept["ids"]),
            target,
            past,
            future,
            static,
            constant,
            kept["kind"],
            tuple(kept["cycles"]),
            kept["missing"],
        )


def prepare(panel: Panel, train_end: NDArray[np.int64], kind: str, cycles: tuple[str, ...]) -> Preparation:
    """Learn the scales of the training part.

    Args:
        panel: all rows.
        train_end: (series,), the row at which each series' training part ends.
        kind: of the scale.
        cycles: of the calendar.

    Raises:
        DataError: no target ever changes.
    """
    begin = panel.first[:-1]
    target = fit_scale(panel.target, begin, train_end, kind)
    constant = _constant(panel, train_end)
    training = np.concatenate([np.arange(b, e) for b, e in zip(begin, train_end, strict=True)])
    whole = np.array([0]), np.array([len(training)])
    past, future = (fit_scale(values[training], *whole) for values in (panel.past, panel.future))
    static = fit_scale(panel.static, np.array([0]), np.array([len(panel.static)]))
    ids = tuple(plain_id(id) for id in panel.ids)
    return Preparation(ids, target, past, future, static, constant, kind, cycles, panel.reading.missing)


def check_values(panel: Panel) -> None:
    """Check that no value is missing, unless the user says what to do about it.

    Raises:
        DataError: some are.
    """
    roles = panel.reading.roles
    for names, values in ((roles.target, panel.target), (roles.past, panel.past), (roles.future, panel.future)):
        gone = np.isnan(values)
        if gone.any() and panel.reading.missing == "error":
            column = int(gone.any(0).argmax())
            row = int(gone[:, column].argmax())
            name = names[column] if len(names) == values.shape[1] else ", ".join(names)
            many = int(gone[:, column].sum())
            todo = "choose --missing (missing=) ffill, interpolate or mask"
            if _are_last(gone[:, column], panel):
                todo += "; or cut these last rows off, and pass what is known ahead with --future-data (future=)"
            raise DataError(
                f"'{name}' - it has {many} missing value{'s' if many > 1 else ''} (first at {panel.times.text(row)}) - "
                f"{todo}"
            )
    empty = np.isnan(panel.target).all(0)
    if empty.any():
        raise DataError(f"'{roles.target[int(empty.argmax())]}' - it has no value at all - name another target")


def _are_last(gone: NDArray[np.bool_], panel: Panel) -> bool:
    """Whether several rows are gone, and none that has another behind it in its series."""
    ends = np.zeros(len(gone), bool)
    ends[panel.first[1:] - 1] = True
    return bool(gone.sum() > 1 and not (gone[:-1] & ~gone[1:] & ~ends[:-1]).any())


def _constant(panel: Panel, train_end: NDArray[np.int64]) -> NDArray[np.bool_]:
    begin = panel.first[:-1]
    constant = np.array(
        [
            np.nanmax(part, 0, initial=-np.inf) - np.nanmin(part, 0, initial=np.inf) <= 0
            for part in (panel.target[b:e] for b, e in zip(begin, train_end, strict=True))
        ]
    )
    if constant.all():
        value = panel.target[~np.isnan(panel.target)][0]
        name = panel.reading.roles.target[0]
        raise DataError(f"'{name}' - it is {value:g} everywhere: nothing to learn - give a target that changes")
    if constant.any():
        series, column = (int(k[0]) for k in np.nonzero(constant))
        name = panel.reading.roles.target[column]
        what = f"'{name}'" + (f" of {panel.name(series)}" if panel.reading.roles.id else "")
        warnings.warn(
            f"{what} never changes in the training part ({int(constant.sum())} in all): it is forecast as it is",
            DataWarning,
            stacklevel=4,
        )
    return constant


def _tensor(values: Array) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))


def plain_id(id: Any) -> Any:
    """Return the id of a series as JSON has it."""
    return id.item() if isinstance(id, np.generic) else str(id) if not isinstance(id, int | float | str) else id
