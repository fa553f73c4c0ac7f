"""A day ahead: an LSTM forecasts hourly temperatures beside the baselines that it has to beat."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from carrousel.data.temperatures import Temperatures
from carrousel.errors import OptionError
from carrousel.nn import LSTM

__all__ = [
    "BASELINES",
    "DayAhead",
    "Errors",
    "Report",
    "Scale",
    "Settings",
    "Windows",
    "errors",
    "fit",
    "fit_linear",
    "last_value",
    "run",
    "same_hour_yesterday",
    "split",
]

Array = NDArray[np.float64]

#: The horizon, and the season of the seasonal naive forecast.
DAY = 24

BASELINES = ("same hour yesterday", "last value", "linear")


@dataclass(frozen=True)
class Settings:
    """What is trained; the defaults were chosen on the last fifth of the training part, not on the held-out part.

    Attributes:
        context: hours that every forecast is made from.
        segment: hours that one step of the LSTM reads.
        hidden_size, dropout: of the LSTM; dropout acts on its last output.
        epochs, batch_size, learning_rate, weight_decay: of AdamW, with a cosine schedule.
        held_out: the share at the end of the series that is kept for the comparison.
        trainings: how often the LSTM is trained, each time from another seed.
    """

    context: int = 168
    segment: int = 12
    hidden_size: int = 64
    dropout: float = 0.4
    epochs: int = 8
    batch_size: int = 64
    learning_rate: float = 3e-3
    weight_decay: float = 0.1
    held_out: float = 0.2
    trainings: int = 5

    def __post_init__(self) -> None:
        if self.context < DAY or self.context % self.segment:
            raise OptionError(
                f"forecast - context is {self.context} and segment {self.segment}, expected a context of at least "
                f"{DAY} that segment divides - change one of them"
            )


@dataclass(frozen=True)
class Windows:
    """What is known and what is asked, one row per forecast.

    Shapes:
        origin: (window,), the index of the first hour that is forecast.
        clock: (window,), its hour of the day, UTC.
        known: (window, context), the hours before the origin; a missing one has the value of the hour before it.
        future: (window, 24), the measured hours from the origin on.

    Units:
        known, future: degrees Celsius.
    """

    origin: NDArray[np.int64]
    clock: NDArray[np.int64]
    known: Array
    future: Array

    @property
    def last(self) -> Array:
        """(window, 1), the last known value."""
        return self.known[:, -1:]


def _windows(temperatures: Temperatures, first: int, end: int, context: int) -> Windows:
    """All windows that ask for hours in first..end-1 only and for no missing hour."""
    missing = np.isnan(temperatures.celsius)
    reported = np.maximum.accumulate(np.where(missing, 0, np.arange(len(missing))))
    held = temperatures.celsius[reported]
    origin = np.arange(max(first, context), end - DAY + 1)
    future = origin[:, None] + np.arange(DAY)
    origin = origin[~missing[future].any(1)]
    if not len(origin):
        raise OptionError(
            f"forecast - no window of {context} known and {DAY} asked hours in hours {first} to {end} - "
            "give a longer series or a shorter context"
        )
    known = held[origin[:, None] + np.arange(-context, 0)]
    clock = (origin + temperatures.start.hour) % 24
    return Windows(origin, clock, known, temperatures.celsius[origin[:, None] + np.arange(DAY)])


def split(temperatures: Temperatures, settings: Settings) -> tuple[Windows, Windows]:
    """Cut the series in time into windows for training and held-out windows.

    Args:
        temperatures: the series.
        settings: context and share held out.

    Returns:
        The windows whose known and asked hours lie before the cut, and those whose asked hours lie after it.

    Raises:
        OptionError: the series is too short.

    Example:
        >>> from carrousel.data.temperatures import hourly_temperatures
        >>> train, held_out = split(hourly_temperatures(), Settings())
        >>> int(train.origin[-1]) + 24 <= int(held_out.origin[0])
        True
    """
    hours = len(temperatures.celsius)
    cut = round(hours * (1 - settings.held_out))
    return _windows(temperatures, 0, cut, settings.context), _windows(temperatures, cut, hours, settings.context)


# ---------------------------------------------------------------------- baselines


def same_hour_yesterday(windows: Windows) -> Array:
    """Forecast the last day again, hour by hour: the seasonal naive forecast, (window, 24)."""
    return windows.known[:, -DAY:]


def last_value(windows: Windows) -> Array:
    """Forecast the last known value for all hours, (window, 24)."""
    return np.repeat(windows.last, DAY, axis=1)


def fit_linear(train: Windows) -> Callable[[Windows], Array]:
    """Fit least squares from all that the LSTM is given, known values and hour of the day, to the 24 values.

    Args:
        train: the windows to fit.

    Returns:
        The forecast, a function from windows to (window, 24).
    """

    def regressors(windows: Windows) -> Array:
        angle = 2 * np.pi * windows.clock / 24
        return np.column_stack([windows.known, np.sin(angle), np.cos(angle), np.ones(len(angle))])

    coefficients = np.linalg.lstsq(regressors(train), train.future, rcond=None)[0]
    return lambda windows: regressors(windows) @ coefficients


# ---------------------------------------------------------------------- the LSTM


class Scale(NamedTuple):
    """Mean and standard deviation of the training part.

    Units:
        degrees Celsius.
    """

    mean: float
    deviation: float


class DayAhead(nn.Module):
    """An LSTM that reads the known hours in segments and gives all 24 values from its last output.

    Args:
        scale: of the training part.
        settings: sizes.

    Shapes:
        - returned: (window, 24), how far the temperature moves from the last known value, in deviations

    Example:
        >>> from carrousel.data.temperatures import hourly_temperatures
        >>> train, _ = split(hourly_temperatures(), Settings())
        >>> DayAhead(Scale(13.0, 9.0), Settings())(train).shape[1]
        24
    """

    def __init__(self, scale: Scale, settings: Settings) -> None:
        super().__init__()
        self.scale, self.segment = scale, settings.segment
        self.lstm = LSTM(settings.segment + 3, settings.hidden_size)
        self.dropout = nn.Dropout(settings.dropout)
        self.readout = nn.Linear(settings.hidden_size, DAY)

    def features(self, windows: Windows) -> Tensor:
        """Return the input of every step.

        Args:
            windows: what is known.

        Shapes:
            - returned: (time, window, segment + 3): the segment's values relative to the last known one, sine and
              cosine of the hour at which it begins, and the last known value relative to the training mean
        """
        count, context = windows.known.shape
        begin = windows.clock[:, None] + np.arange(-context, 0, self.segment)
        angle = 2 * np.pi * begin / 24
        level = np.broadcast_to((windows.last - self.scale.mean) / self.scale.deviation, angle.shape)
        moves = ((windows.known - windows.last) / self.scale.deviation).reshape(count, -1, self.segment)
        steps = np.concatenate([moves, np.stack([np.sin(angle), np.cos(angle), level], -1)], -1)
        return torch.tensor(steps, dtype=torch.float32).transpose(0, 1).contiguous()

    def moves(self, features: Tensor) -> Tensor:
        """Return the forecasts for features (time, window, segment + 3) as moves (window, 24)."""
        output, _ = self.lstm(features)
        moves: Tensor = self.readout(self.dropout(output[-1]))
        return moves

    def forward(self, windows: Windows) -> Tensor:
        """Return the forecasts for windows as moves (window, 24)."""
        return self.moves(self.features(windows))

    @torch.no_grad()
    def forecast(self, windows: Windows) -> Array:
        """Return the forecasts for windows in degrees Celsius, (window, 24)."""
        moves: Array = self.eval()(windows).numpy().astype(float)
        return windows.last + self.scale.deviation * moves


def fit(train: Windows, settings: Settings, seed: int, advance: Callable[[], None] = lambda: None) -> DayAhead:
    """Train one LSTM.

    Args:
        train: the windows to learn; nothing else is seen.
        settings: sizes and the optimiser's options.
        seed: of the weights, the order of the windows and dropout.
        advance: called after every epoch.

    Returns:
        The trained network.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        scale = Scale(float(train.known.mean()), float(train.known.std()))
        net = DayAhead(scale, settings)
        x = net.features(train)
        target = torch.tensor((train.future - train.last) / scale.deviation, dtype=torch.float32)
        optimiser = torch.optim.AdamW(net.parameters(), settings.learning_rate, weight_decay=settings.weight_decay)
        updates = settings.epochs * -(-len(target) // settings.batch_size)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, updates)
        for _ in range(settings.epochs):
            for rows in torch.randperm(len(target)).split(settings.batch_size):
                loss = nn.functional.mse_loss(net.moves(x[:, rows]), target[rows])
                optimiser.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(net.parameters(), 1.0)
                optimiser.step()
                schedule.step()
            advance()
        return net


# ---------------------------------------------------------------------- the comparison


class Errors(NamedTuple):
    """Mean absolute and root mean squared error.

    Units:
        degrees Celsius.
    """

    mae: float
    rmse: float


def errors(forecast: Array, future: Array) -> Errors:
    """Measure forecasts against what came.

    Args:
        forecast, future: arrays of one shape.

    Returns:
        Their errors.

    Example:
        >>> errors(np.array([[1.0, 3.0]]), np.array([[1.0, 1.0]]))
        Errors(mae=1.0, rmse=1.4142135623730951)
    """
    off = forecast - future
    return Errors(float(np.abs(off).mean()), float(np.sqrt((off**2).mean())))


@dataclass(frozen=True)
class Report:
    """What the held-out part says.

    Shapes:
        baselines: name -> (window, 24).
        lstm: (training, window, 24).

    Units:
        baselines, lstm: degrees Celsius.
    """

    temperatures: Temperatures
    held_out: Windows
    baselines: dict[str, Array]
    lstm: Array

    @property
    def trainings(self) -> list[Errors]:
        """The errors of the LSTM, one entry per training."""
        return [errors(forecast, self.held_out.future) for forecast in self.lstm]

    @property
    def errors(self) -> dict[str, Errors]:
        """Name -> errors; those of the LSTM are the means over its trainings."""
        found = {name: errors(forecast, self.held_out.future) for name, forecast in self.baselines.items()}
        found["LSTM"] = Errors(*(float(value) for value in np.mean(self.trainings, axis=0)))
        return found

    def skill(self, name: str) -> float:
        """Return 1 - MAE / MAE of the seasonal naive forecast: 0 is as good as it, 1 is without error."""
        return 1 - self.errors[name].mae / self.errors["same hour yesterday"].mae

    @property
    def verdict(self) -> str:
        """One sentence on whether the LSTM won, by what margin, and in how many trainings."""
        count = len(self.lstm)
        found = self.errors
        best = min(self.baselines, key=lambda name: found[name].mae)
        wins = sum(training.mae < found[best].mae for training in self.trainings)
        margin = 1 - found["LSTM"].mae / found[best].mae
        wins_rmse = sum(training.rmse < found[best].rmse for training in self.trainings)
        by_rmse = f"by RMSE {_compared(1 - found['LSTM'].rmse / found[best].rmse)}, better in {wins_rmse} of {count}"
        if wins == count:
            said = "The LSTM won"
        elif margin > 0:
            said = "The LSTM won on average, not every time"
        else:
            said = f"The LSTM did not win; '{best}' is the forecast to use"
        return (
            f"{said}: against the best baseline, '{best}', its MAE is {_compared(margin)}, "
            f"better in {wins} of {count} trainings ({by_rmse})."
        )


def _compared(margin: float) -> str:
    return f"{abs(margin):.1%} {'lower' if margin > 0 else 'higher'}"


def run(
    temperatures: Temperatures, settings: Settings, seed: int, advance: Callable[[], None] = lambda: None
) -> Report:
    """Train on the earlier part of a series, forecast the later part, and compare.

    Args:
        temperatures: the series.
        settings: what is trained.
        seed: of the first training; each further one takes the next.
        advance: called after every epoch of every training.

    Returns:
        The forecasts of the held-out windows.

    Raises:
        OptionError: the series is too short.
    """
    train, held_out = split(temperatures, settings)
    forecasts = (same_hour_yesterday(held_out), last_value(held_out), fit_linear(train)(held_out))
    nets = [fit(train, settings, seed + training, advance) for training in range(settings.trainings)]
    lstm = np.stack([net.forecast(held_out) for net in nets])
    return Report(temperatures, held_out, dict(zip(BASELINES, forecasts, strict=True)), lstm)
