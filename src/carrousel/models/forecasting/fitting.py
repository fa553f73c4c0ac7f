"""From series to a fitted forecaster: split, prepared, begun at the linear forecast, trained, corrected, measured."""

import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from carrousel import cells
from carrousel.data.series import Panel
from carrousel.data.windows import Batch, Rows, Windows, origins
from carrousel.errors import DataWarning
from carrousel.learn import History, InOrder, Shuffled, Training, fit
from carrousel.models.forecasting.backtest import SEASONAL, Measured, compare, quantiles_of
from carrousel.models.forecasting.baselines import Linear, fit_linear
from carrousel.models.forecasting.held import apart
from carrousel.models.forecasting.net import ForecastNet
from carrousel.models.forecasting.output import check_names
from carrousel.models.forecasting.plan import Plan, Wishes, make_plan, workable
from carrousel.models.forecasting.preparation import Preparation, check_values, prepare
from carrousel.models.forecasting.quantiles import check_levels, margins, pinball, probabilities
from carrousel.models.forecasting.rows import ahead_of, future_values
from carrousel.models.own_cell import find

if TYPE_CHECKING:
    from carrousel.models.forecasting.forecaster import Forecaster

__all__ = ["Fitted", "Parts", "build", "fit_panel", "linear_from", "measure", "model_name"]

Array = NDArray[np.float64]
Integers = NDArray[np.int64]

#: Windows of an epoch, at most, and steps of the optimizer, at least; windows of validation, at most; origins that are
#: measured, and numbers in their forecasts.
_EPOCH, _STEPS, _VALIDATION, _ORIGINS, _NUMBERS = 65_536, 40, 8_192, 20_000, 40_000_000

#: The batch size that nobody asked for.
_BATCH = 128


@dataclass(frozen=True)
class Parts:
    """Where the training part of each series ends, and where the validation part; the test part is the rest.

    Attributes:
        train, validation: (series,), rows.
    """

    train: Integers
    validation: Integers

    @classmethod
    def of(cls, panel: Panel, wishes: Wishes) -> "Parts":
        """Cut the series of a panel."""
        sizes = np.array([wishes.sizes(int(rows)) for rows in panel.lengths])
        end = panel.first[1:]
        return cls(end - sizes.sum(1), end - sizes[:, 1])


@dataclass(frozen=True)
class Fitted:
    """All that fitting finds.

    Attributes:
        panel: the series that were long enough.
        net, history: trained.
        plan, preparation: what was chosen, what was learned of the data.
        margin: (level, horizon), what widens the intervals, of scaled values.
        linear: the linear baseline.
        naive_errors: (series, target), what MASE divides by.
        measured: the model beside the baselines.
        understood: what was made of the data, in words.
    """

    panel: Panel
    net: ForecastNet
    history: History
    plan: Plan
    preparation: Preparation
    margin: Array
    linear: Linear
    naive_errors: Array
    measured: Measured
    understood: tuple[str, ...]


def fit_panel(
    forecaster: "Forecaster",
    panel: Panel,
    wishes: Wishes,
    training: Training,
    folder: Path | None = None,
    resume: bool = False,
    held_out: Panel | None = None,
    ahead: Panel | None = None,
) -> Fitted:
    """Fit a forecaster.

    Args:
        forecaster: its parameters.
        panel: the series.
        wishes: horizon, context and the like.
        training: how the network is trained.
        folder, resume: of checkpoints, as `carrousel.learn.fit` takes them.
        held_out: what is validated on, instead of a part of the panel.
        ahead: the inputs known ahead, which are looked at before training.

    Raises:
        DataError: there is too little, or nothing to learn.
        TrainingError: nothing could be learned.
    """
    wishes = wishes if held_out is None else replace(wishes, val_fraction=0.0)
    panel, plan = _planned(panel, wishes)
    if ahead is not None:
        future_values(panel, ahead, ahead_of(panel, plan.horizon), plan.horizon)  # says what is missing
    own = None if held_out is None else apart(held_out, panel, plan)
    parts = Parts.of(panel, wishes)
    preparation = prepare(panel, parts.train, forecaster.scaler, plan.cycles)
    rows = preparation.rows(panel)
    begin = panel.first[:-1]
    linked = _windows(rows, plan, forecaster.subtract)
    learned = linked(begin, begin, parts.train)
    most = _VALIDATION // rows.target.shape[1] + 1
    held = linked(begin, parts.train, parts.validation, most) if wishes.val_fraction else None
    if own is not None:
        held = _windows(preparation.rows(own), plan, forecaster.subtract)(*_whole(own), most)
    linear = fit_linear(learned, held)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(training.seed)
        net = build(forecaster, plan, panel)
    net.begin_at(linear.weights, linear.residuals(learned, net.quantiles))
    batches = _Drawn(learned, _batch_size(forecaster, learned), training.seed)
    validation = None if held is None else InOrder(held, 1024)
    history = fit(net, _losses, batches, validation, training, folder=folder, resume=resume)
    levels = check_levels(forecaster.level)
    chosen_on = linked(begin, begin, parts.train, most) if held is None else held
    margin = margins(*quantiles_of(net, chosen_on)[:3], levels)
    naive_errors = _naive_errors(rows, parts.train, panel, plan.season)
    part, source, *at = _measured_on(wishes, panel, parts, own)
    numbers = plan.horizon * len(net.quantiles) * rows.target.shape[1]
    seen = rows if source is panel else preparation.rows(source)
    judged = _windows(seen, plan, forecaster.subtract)(*at, min(_ORIGINS, max(200, _NUMBERS // numbers)))
    scale, width = preparation.scale_of(source)
    errors, seasons = _of_series(naive_errors, preparation, source), (plan.season, plan.usual)
    scales, name = (scale.centre, width, errors), model_name(forecaster.cell)
    measured = compare(name, part, net, source, judged, margin, linear, *seasons, *scales, levels)
    understood = _understood(panel, plan, parts, measured, own)
    return Fitted(panel, net, history, plan, preparation, margin, linear, naive_errors, measured, understood)


def _planned(panel: Panel, wishes: Wishes) -> tuple[Panel, Plan]:
    """The series that are long enough, and what is decided for them."""
    check_values(panel)
    check_names(panel.reading.roles)
    panel = workable(panel, wishes)
    plan = make_plan(panel, wishes)
    found = Wishes(wishes.horizon, plan.context, 1, 1, wishes.val_fraction, wishes.test_fraction)
    return workable(panel, found), plan


def _whole(panel: Panel) -> tuple[Integers, Integers, Integers]:
    """The beginnings of the series, and the part of each that is all of it."""
    return panel.first[:-1], panel.first[:-1], panel.first[1:]


def _measured_on(
    wishes: Wishes, panel: Panel, parts: Parts, own: Panel | None
) -> tuple[str, Panel, Integers, Integers, Integers]:
    """The test part; without one the validation part; without both what was learned from."""
    begin, _, end = _whole(panel)
    if wishes.test_fraction:
        return "test", panel, begin, parts.validation, end
    if own is not None:
        return "validation", own, *_whole(own)
    if wishes.val_fraction:
        return "validation", panel, begin, parts.train, parts.validation
    return "training", panel, begin, begin, parts.train


def build(forecaster: "Forecaster", plan: Plan, panel: Panel) -> ForecastNet:
    """Make the network, for a panel's numbers of inputs and targets."""
    targets = panel.target.shape[1]
    return ForecastNet(
        find(forecaster.cell),
        plan.context,
        plan.horizon,
        probabilities(check_levels(forecaster.level)),
        segment=plan.segment,
        past=panel.past.shape[1],
        future=panel.future.shape[1],
        calendar=2 * len(plan.cycles),
        static=panel.static.shape[1] + (targets if targets > 1 else 0),
        has_mask=forecaster.missing == "mask",
        hidden_size=forecaster.hidden_size,
        num_layers=forecaster.num_layers,
        dropout=forecaster.dropout,
        has_line=forecaster.linear,
    )


def measure(forecaster: "Forecaster", panel: Panel, windows_at: tuple[Integers, Integers], part: str) -> Measured:
    """Measure a fitted forecaster.

    Args:
        forecaster: fitted.
        panel: series.
        windows_at: origins and the series of each.
        part: what the windows are of.
    """
    check_values(panel)
    plan, preparation = forecaster.plan_, forecaster.preparation_
    scale, width = preparation.scale_of(panel)
    rows = preparation.rows(panel, scale)
    windows = Windows(rows, *windows_at, plan.context, plan.horizon, forecaster.subtract)
    errors = _of_series(forecaster.naive_errors_, preparation, panel)
    levels, net = check_levels(forecaster.level), forecaster.net_
    assert isinstance(net, ForecastNet)
    return compare(
        model_name(forecaster.cell),
        part,
        net,
        panel,
        windows,
        forecaster.margin_,
        forecaster.linear_,
        plan.season,
        plan.usual,
        scale.centre,
        width,
        errors,
        levels,
    )


def model_name(cell: Any) -> str:
    """Return what the result table calls the model.

    Example:
        >>> model_name("lstm"), model_name("my_cells.py:mine")
        ('LSTM', 'mine')
    """
    name = cell if isinstance(cell, str) else cells.name_of(cell)
    return {"lstm": "LSTM", "gru": "GRU"}.get(name, name.rpartition(":")[2])


class _Drawn(Shuffled):
    """Windows in a new order every epoch; few are taken several times, of very many some are drawn."""

    @property
    def _rows(self) -> int:
        return min(_EPOCH, max(len(self.examples), _STEPS * self.batch_size))

    def __len__(self) -> int:
        return -(-self._rows // self.batch_size)

    def order(self, epoch: int) -> Tensor:
        """Return the windows of an epoch, (row,)."""
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + epoch)
        count = len(self.examples)
        if count > _EPOCH:
            return torch.randint(count, (_EPOCH,), generator=generator)
        rounds = [torch.randperm(count, generator=generator) for _ in range(-(-self._rows // count))]
        return torch.cat(rounds)[: self._rows]


def _windows(rows: Rows, plan: Plan, subtracted: str) -> Any:
    def of(first: Integers, begin: Integers, end: Integers, most: int = 0) -> Windows:
        found = origins(first, begin, end, plan.context, plan.horizon, most)
        return Windows(rows, *found, plan.context, plan.horizon, subtracted)

    return of


def _losses(net: ForecastNet, batch: Batch) -> Tensor:
    return pinball(net(batch), batch.asked, batch.counts, net.quantiles)


def _batch_size(forecaster: "Forecaster", learned: Windows) -> int:
    """Smaller where a short series makes few windows."""
    asked = forecaster._batch_of_all
    if asked > len(learned) and forecaster.batch_size != _BATCH:
        warnings.warn(
            f"batch_size - {asked}, there are {len(learned)} windows to learn from: batches are smaller",
            DataWarning,
            stacklevel=4,
        )
    return min(asked, max(16, len(learned) // 20))


def _naive_errors(rows: Rows, train_end: Integers, panel: Panel, season: int) -> Array:
    """Of the seasonal naive forecast one step ahead, in the training part, (series, target)."""
    found = []
    for begin, end in zip(panel.first[:-1], train_end, strict=True):
        part = rows.target[begin:end]
        found.append((part[season:] - part[:-season]).abs().mean(0).double().numpy())
    errors = np.nan_to_num(np.array(found))
    return np.where(errors > 1e-9, errors, 1.0)


def _of_series(naive_errors: Array, preparation: Preparation, panel: Panel) -> Array:
    """Those of a panel's series, the mean for a series that was not in training, (series, target)."""
    place = {str(id): k for k, id in enumerate(preparation.ids)}
    usual = naive_errors.mean(0)
    return np.array([naive_errors[place[str(id)]] if str(id) in place else usual for id in panel.ids])


def _understood(panel: Panel, plan: Plan, parts: Parts, measured: Measured, own: Panel | None) -> tuple[str, ...]:
    """What was made of the data."""
    roles, rows = panel.reading.roles, len(panel.target)
    unit, series = str(panel.frequency), len(panel.ids)
    every = f"one every {unit}" if panel.times.is_date else "in order"
    gone = int(np.isnan(panel.target).sum())
    begin, end = panel.first[:-1], panel.first[1:]
    sizes = [
        int((b - a).sum()) for a, b in ((begin, parts.train), (parts.train, parts.validation), (parts.validation, end))
    ]
    shown = ", ".join(roles.target[:5]) + (", ..." if len(roles.target) > 5 else "")
    first = f"{rows:,} rows, {every}; {series:,} series; target {shown}; {gone:,} missing"
    if roles.time:
        first += f"; time {roles.time}, {panel.times.text(0)} to {panel.times.text(-1)}"
    if panel.times.zone:
        first += f" ({panel.times.zone})"
    chosen = f"horizon {plan.horizon}, context {plan.context} in segments of {plan.segment}"
    season = f"season {plan.season}" if plan.season > 1 else "no clear season"
    if plan.season == 1 and SEASONAL in measured.baselines:
        season += f" ('{SEASONAL}' repeats the last {plan.usual} rows)"
    calendar = f"calendar: {', '.join(plan.cycles)}" if plan.cycles else "no calendar"
    covariates = [
        f"{name} {', '.join(getattr(roles, name))}" for name in ("past", "future", "static") if getattr(roles, name)
    ]
    split = "train {:,} / validation {:,} / test {:,} rows".format(*sizes)
    if own is not None:
        split = f"train {sizes[0]:,} / test {sizes[2]:,} rows; validation {len(own.target):,} rows of their own"
    return (first, "; ".join([chosen, season, calendar, *covariates]), split)


def linear_from(kept: dict[str, Any]) -> Linear:
    """Return the linear baseline that a saved model keeps."""
    return Linear(torch.tensor(kept["weights"], dtype=torch.float32), float(kept["ridge"]))
