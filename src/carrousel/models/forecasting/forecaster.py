"""Forecast people's series."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from torch import Tensor

from carrousel.cell import Cell
from carrousel.data.container import with_target
from carrousel.data.roles import Roles, names_of
from carrousel.data.series import Panel, Reading, parse_frequency, read_panel
from carrousel.errors import DataError, OptionError
from carrousel.learn.settings import Training
from carrousel.models.estimator import Estimator
from carrousel.models.forecasting import memory, saving
from carrousel.models.forecasting.backtest import Measured
from carrousel.models.forecasting.fitting import build, fit_panel, measure
from carrousel.models.forecasting.held import read_held, read_like
from carrousel.models.forecasting.net import ForecastNet
from carrousel.models.forecasting.options import check_options
from carrousel.models.forecasting.output import as_array, as_csv, as_frame
from carrousel.models.forecasting.plan import Wishes, check_horizon, check_steps
from carrousel.models.forecasting.quantiles import check_levels
from carrousel.models.forecasting.rows import ahead_of, forecast_rows, future_values
from carrousel.models.room import enough_memory

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Forecaster"]


class Forecaster(Estimator):
    """Forecast one or many series, with intervals, and say whether a simpler forecast is as good.

    Args:
        horizon: steps to forecast.
        context: known steps that a forecast is made from; "auto" takes a week of hours, three seasons of anything else,
            or four horizons, and less where there is little to learn from.
        hidden_size, num_layers, dropout: of the recurrent layers.
        cell: a name of the registry, a Cell, or "file.py:name".
        level: percent of the values that the interval is to hold; several for several intervals.
        scaler: "standard", "robust" or "none": fitted on the training part of every series, undone in the forecast.
        past: columns that are known up to now.
        future: columns that are known ahead.
        static: columns that are the same in all rows of a series.
        calendar: "auto" adds hour, weekday and day of the year where they can be learned; False adds nothing.
        missing: "error", "ffill", "interpolate" or "mask": filled, and the network sees where.
        subtract: what is taken off a window's values and put back on its forecast: its "last" value, its "mean", or
            "none".
        segment: known steps that the layers read at once; "auto" for at least about twelve segments.
        season: steps of a season; "auto" for what the frequency says, if the series agrees, else what the series shows.
        linear: whether a linear function of the known values is added to what the recurrent layers say.
        val_fraction: the part of the rows, before the test part, that the best weights and the width of the intervals
            are chosen on, where `fit` is given none of their own.
        test_fraction: the part of the rows, the last, that nothing is fitted on: `result_` is measured there.
        lr, epochs, patience, max_seconds, weight_decay, device, seed, threads, verbose: of training.
        batch_size: windows of an update; a short series, of less than twenty such batches, has smaller ones.

    Attributes:
        result_: the model beside the baselines, measured on the test part.
        plan_: context, season and whatever else was chosen.
        history_: the epochs.
        metrics_: the numbers of `result_`, as they are saved.

    Example:
        >>> import numpy as np
        >>> wave = np.sin(np.arange(400) / 4) + np.arange(400) / 100
        >>> forecaster = Forecaster(horizon=3, context=24, epochs=2, verbose=0).fit(wave)
        >>> forecaster.predict().shape, forecaster.predict(level=90).shape
        ((3,), (3, 3))

    Source:
        The quantile head: Wen et al. (2017), A multi-horizon quantile recurrent forecaster; the last value taken off:
        Zeng et al. (2023), NLinear; see `ForecastNet` for the network and `margins` for the intervals.
    """

    kind = "forecast"
    net_: ForecastNet

    def __init__(
        self,
        horizon: int = 24,
        *,
        context: int | str = "auto",
        hidden_size: int = 64,
        num_layers: int = 1,
        cell: str | Cell = "lstm",
        dropout: float = 0.3,
        level: float | Sequence[float] = 90,
        scaler: str = "standard",
        past: Sequence[str] = (),
        future: Sequence[str] = (),
        static: Sequence[str] = (),
        calendar: str | bool = "auto",
        missing: str = "error",
        subtract: str = "last",
        segment: int | str = "auto",
        season: int | str = "auto",
        linear: bool = True,
        val_fraction: float = 0.15,
        test_fraction: float = 0.15,
        lr: float = 1e-3,
        batch_size: int = 128,
        epochs: int = 8,
        patience: int | None = 4,
        max_seconds: float | None = None,
        weight_decay: float = 0.1,
        device: str = "auto",
        seed: int = 0,
        threads: int | None = None,
        verbose: int = 1,
    ) -> None:
        """Keep the parameters; `fit` checks them."""
        self.horizon = horizon
        self.context = context
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.cell = cell
        self.dropout = dropout
        self.level = level
        self.scaler = scaler
        self.past = past
        self.future = future
        self.static = static
        self.calendar = calendar
        self.missing = missing
        self.subtract = subtract
        self.segment = segment
        self.season = season
        self.linear = linear
        self.val_fraction = val_fraction
        self.test_fraction = test_fraction
        self.lr = lr
        self.batch_size = batch_size
        self.epochs = epochs
        self.patience = patience
        self.max_seconds = max_seconds
        self.weight_decay = weight_decay
        self.device = device
        self.seed = seed
        self.threads = threads
        self.verbose = verbose

    # ------------------------------------------------------------------ fitting

    @enough_memory()
    def fit(
        self,
        data: Any,
        y: Any = None,
        *,
        target: str | Sequence[str] | None = None,
        time: str | None = None,
        id: str | None = None,
        freq: str | None = None,
        time_format: str | None = None,
        val: Any = None,
        future: Any = None,
        folder: Path | None = None,
        resume: bool = False,
    ) -> Self:
        """Learn from series.

        Args:
            data: a frame of pandas or polars with a row for each time (and series), a series, an array (time,) or
                (time, target), or a path.
            y: the target, where `data` does not hold it: a value for each row of a frame, whose columns are then times,
                id and inputs. It becomes the column `target`, or of its own name, or "y", and is expected in all data
                that follow, except beside the `y` of `score`.
            target: the column to forecast, or several; "all" for every numeric column, as in a wide frame.
            time: the column of times, found where there is no doubt.
            id: the column that says which series a row is of.
            freq: the distance of rows, as h, 15min, D, B, W, MS; found if None.
            time_format: how texts are read as times, in the letters of strptime.
            val: what the best weights and the width of the intervals are chosen on, instead of a part of `data`: other
                rows of its series, as `data` is. Its windows know its own rows alone, a context and a horizon at least.
                The test part is the end of `data` all the same.
            future: a table of the columns known ahead, for the steps after the data; what is missing in it is said
                before training, and `predict` and the report use it. A run does not keep it.
            folder: where a checkpoint is kept after every epoch; none is kept if None.
            resume: go on from that checkpoint.

        Raises:
            DataError: something is wrong with the data.
            OptionError, OptionTypeError: a parameter can not be.
            TrainingError: nothing could be learned.
        """
        check_options(self)
        self._training()
        data, target = with_target(data, y, names_of("target", () if target is None else target))
        targets = (target,) if isinstance(target, str) else tuple(target or ())
        roles = Roles(
            targets, time, id, *(names_of(name, getattr(self, name)) for name in ("past", "future", "static"))
        )
        reading = Reading(roles, parse_frequency(freq), self.missing, time_format)
        panel = read_panel(data, reading)
        held = None if val is None else read_held(val, panel.reading, is_doubted=reading.frequency is None)
        ahead = None if future is None else read_panel(future, panel.reading, needs_target=False)
        return self._adopt(panel, folder, resume, held, ahead)

    def _adopt(
        self,
        panel: Panel,
        folder: Path | None = None,
        resume: bool = False,
        held: Panel | None = None,
        ahead: Panel | None = None,
    ) -> Self:
        """Learn from series that are read."""
        fitted = fit_panel(self, panel, self._wishes(), self._training(), folder, resume, held, ahead)
        self.net_, self.history_ = fitted.net, fitted.history
        self.plan_, self.preparation_ = fitted.plan, fitted.preparation
        self.margin_, self.linear_, self.naive_errors_ = fitted.margin, fitted.linear, fitted.naive_errors
        self.reading_, self.container_, self.understood_ = fitted.panel.reading, panel.container, fitted.understood
        self.memory_ = memory.remember(fitted.panel, max(fitted.plan.context, 1))
        self.result_: Measured = fitted.measured
        self.panel_, self.ahead_, self.report_ = fitted.panel, ahead, ""
        self.kept_: dict[str, str] = {}
        self.metrics_ = {"understood": list(fitted.understood), **fitted.measured.to_dict()}
        return self

    def _wishes(self) -> Wishes:
        names = ("context", "segment", "season", "val_fraction", "test_fraction", "calendar")
        return Wishes(check_horizon(self.horizon), **{name: getattr(self, name) for name in names})

    def _training(self) -> Training:
        return replace(super()._training(), weight_decay=self.weight_decay)

    # ------------------------------------------------------------------ forecasting

    def predict(
        self, data: Any = None, *, horizon: int | None = None, future: Any = None, level: float | None = None
    ) -> Any:
        """Forecast what comes after the data.

        Args:
            data: None for what comes after the data of `fit`; new rows that go on where it ended; or a history of its
                own. The model itself does not change, `update` makes it remember.
            horizon: fewer steps than it was fitted for.
            future: a table of the columns known ahead, with the times of all asked steps; that of `fit` if None.
            level: one of the levels it was fitted for; all of them if None.

        Returns:
            A frame as `data` was: id, time, yhat, yhat_lo_90, yhat_hi_90 and so on; of several targets each name begins
            with that of the target. Of an array an array (step,) or (step, target); with `level` one more axis for low,
            middle and high.

        Raises:
            NotFittedError: call `fit` first.
            DataError: columns or rows are missing.
            OptionError: it was not fitted for this horizon or level.
        """
        self._check_fitted()
        steps, levels = check_steps(horizon, self.plan_.horizon), self._levels(level)
        panel = self._continued(data)
        ahead = self.ahead_ if future is None else read_panel(future, self.reading_, needs_target=False)
        times = ahead_of(panel, self.plan_.horizon)
        known = future_values(panel, ahead, times, steps)
        values = forecast_rows(
            self.net_, self.preparation_, self.plan_, self.subtract, self.margin_, panel, times, known
        )
        fitted = check_levels(self.level)
        if panel.container.kind == "array":
            return as_array(values[:, :, :steps], panel, fitted, None if level is None else levels[0])
        return as_frame(values[:, :, :steps], panel, times, fitted, levels)

    def update(self, data: Any) -> Self:
        """Remember new rows: the next forecast comes after them.

        Args:
            data: rows that go on where the model's end.
        """
        self._check_fitted()
        self.memory_ = memory.replaced(self.memory_, memory.remember(self._continued(data), self.plan_.context))
        return self

    def backtest(self, data: Any = None, *, windows: int = 5, step: int | None = None, refit: bool = False) -> Measured:
        """Forecast from several origins, each as if what came after it were not known.

        Args:
            data: what is forecast; the data of `fit` if None. Of that, the rows before the test part were learned from.
            windows: how many origins of each series, the last a horizon before its end.
            step: steps between them, a horizon if None.
            refit: whether a model is fitted for every origin, on the rows before it alone; a part of them is held out.

        Raises:
            DataError: there are too few rows.
            OptionError: a number can not be.
        """
        self._check_fitted()
        for name, value in (("windows", windows), ("step", 1 if step is None else step)):
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise OptionError(f"backtest - {name} is {value!r}, expected a whole number from 1 - give another")
        panel = self._whole(data)
        from carrousel.models.forecasting.rolling import rolling, rolling_refitted

        origins = rolling(panel, self.plan_, windows, step or self.plan_.horizon)
        if refit:
            return rolling_refitted(self, panel, origins)
        return measure(self, panel, origins, "windows")

    def keep(self, name: str, frame: Any) -> None:
        """Write a frame into the run's folder too, when it is saved.

        Args:
            name: of the file, with .csv.
            frame: of pandas or polars, or an array.
        """
        self.kept_[name] = as_csv(frame)

    def evaluate(self, data: Any) -> dict[str, Any]:
        """Return the numbers of all windows of the data, beside the baselines.

        Args:
            data: series that were not trained on. Rows that go on where the model's end are forecast from those too, as
                in `predict`; all steps that are measured are of the data.
        """
        self._check_fitted()
        from carrousel.models.forecasting.rolling import every_window

        new = self._read(data)
        memory.warn_of_known(self.memory_, new)
        panel = memory.joined(self.memory_, new, self.plan_.context)
        return measure(self, panel, every_window(panel, self.plan_, new.lengths), "data").to_dict()

    def score(self, data: Any, y: Any = None) -> float:
        """Return the skill over the naive forecast: 0 is as good as it, 1 is without error.

        Args:
            data, y: as in `fit`.
        """
        self._check_fitted()
        known = None if y is None else self.reading_.roles.target
        return float(self.evaluate(with_target(data, y, known)[0])["rows"][0]["skill"])

    def plot(self, path: str | Path | None = None) -> "Figure":
        """Return a figure of the last forecasts of the test part, as the report has them, with `Measured.plot`.

        Args:
            path: where it is written, too: .png, .svg, .pdf...

        Raises:
            DataError: it was loaded, what it was fitted on is not there.
        """
        self._check_fitted()
        self._check_has_data("plot")
        return self.result_.plot(path)

    def _html(self, title: str) -> str:
        from carrousel.models.forecasting.page import html

        self._check_has_data("report")
        return html(self, title)

    # ------------------------------------------------------------------ pieces

    def _levels(self, level: float | None) -> tuple[float, ...]:
        fitted = check_levels(self.level)
        asked = fitted if level is None else check_levels(level)
        if not set(asked) <= set(fitted):
            known = ", ".join(f"{each:g}" for each in fitted)
            raise OptionError(f"level - {level}, the model was fitted for {known} - fit it with level={level}")
        return asked

    def _read(self, data: Any) -> Panel:
        return read_like(data, self.reading_)

    def _continued(self, data: Any) -> Panel:
        if data is None:
            return memory.checked(self.memory_, self.plan_.context)
        new = self._read(data)
        return memory.continued(self.memory_, new, self.plan_.context)

    def _whole(self, data: Any) -> Panel:
        if data is not None:
            return self._read(data)
        self._check_has_data("backtest")
        return self.panel_

    def _check_has_data(self, what: str) -> None:
        if not hasattr(self, "panel_"):
            todo = {"backtest": "pass data=", "plot": "use backtest(data).plot()"}
            raise DataError(
                f"{what} - a model that was loaded has no data - {todo.get(what, 'make it where the model is fitted')}"
            )

    # ------------------------------------------------------------------ saving

    def _preprocess(self) -> dict[str, Any]:
        return saving.kept_of(self)

    def _restore(self, preprocess: Mapping[str, Any], weights: Mapping[str, Tensor]) -> None:
        saving.restore(self, preprocess)
        self.net_ = build(self, self.plan_, self.memory_)
        self.net_.load_state_dict(dict(weights))
        self.net_.eval()
        self.ahead_ = None
