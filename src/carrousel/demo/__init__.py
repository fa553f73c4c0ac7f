"""What `carrousel demo` runs: a cell's equations, a forecast, a long lag, two pictures."""

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from carrousel import cells
from carrousel.data.temperatures import hourly_temperatures
from carrousel.demo import forecast, long_lag
from carrousel.errors import MissingExtraError, OutputError

__all__ = ["Outcome", "Settings", "run"]


@dataclass(frozen=True)
class Settings:
    """What the demo trains; the same seed gives the same numbers.

    Attributes:
        day_ahead: of the forecast.
        adding: of the adding problem.
        seed: of weights, batches and sequences.
    """

    day_ahead: forecast.Settings = field(default_factory=forecast.Settings)
    adding: long_lag.Settings = field(default_factory=long_lag.Settings)
    seed: int = 0


@dataclass(frozen=True)
class Outcome:
    """What the demo found.

    Attributes:
        day_ahead, adding: the reports that everything printed and drawn is taken from.
        pictures: the PNGs.
    """

    day_ahead: forecast.Report
    adding: long_lag.Report
    pictures: tuple[Path, ...]


def run(out: Path, console: Console, settings: Settings | None = None) -> Outcome:
    """Run the demo.

    Args:
        out: the folder for the pictures; it is made if it does not exist.
        console: where to print.
        settings: sizes; the default takes about half a minute.

    Returns:
        The reports and the pictures' paths.

    Raises:
        OutputError: nothing can be written to the folder; said before anything is trained.
        MissingExtraError: matplotlib is not installed; said before anything is trained.

    Example:
        >>> import io, tempfile
        >>> tiny = Settings(
        ...     forecast.Settings(context=24, hidden_size=2, epochs=1, batch_size=512, trainings=1),
        ...     long_lag.Settings(minimal_length=20, hidden_size=2, updates=2, tests=2, test_size=4),
        ... )
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     outcome = run(Path(folder), Console(file=io.StringIO()), tiny)
        >>> [picture.name for picture in outcome.pictures]
        ['forecast.png', 'long-lag.png']
    """
    began = time.perf_counter()
    settings = settings or Settings()
    _check_matplotlib()
    _check_folder(out)
    with _one_thread():
        _show_cell(console)
        forecasts = _forecast(console, settings)
        lag = _long_lag(console, settings)
    pictures = _draw(forecasts, lag, out)
    _heading(console, "Pictures")
    for picture in pictures:
        _show(console, str(picture))
    _say(console, f"\nDone in {time.perf_counter() - began:.0f} s.")
    return Outcome(forecasts, lag, pictures)


def _check_matplotlib() -> None:
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise MissingExtraError(
            'demo - matplotlib is not installed, the pictures need it - pip install "carrousel[plot]"'
        ) from error


def _check_folder(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
    except OSError as error:
        raise OutputError(
            f"demo - can not write to the folder {out}: {error.strerror} - name one that can be written with --out"
        ) from error


@contextmanager
def _one_thread() -> Iterator[None]:
    """Run torch on one thread: for networks this small a second one only waits, for long if its core is busy."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _heading(console: Console, text: str) -> None:
    console.print(f"\n{text}\n", style="bold", markup=False, highlight=False)


def _say(console: Console, text: str) -> None:
    """Print prose: wrapped between words on a terminal, unwrapped in a file."""
    console.print(text, markup=False, highlight=False, soft_wrap=not console.is_terminal)


def _show(console: Console, equations: str) -> None:
    """Print equations, never wrapped."""
    console.print(equations, markup=False, highlight=False, soft_wrap=True)


@contextmanager
def _progress(console: Console, text: str, total: int) -> Iterator[Callable[[], None]]:
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(text, total=total)
        yield lambda: progress.advance(task)


def _show_cell(console: Console) -> None:
    cell = cells.get("lstm")
    _heading(console, "1. A cell is its equations, and its gradient is derived from them")
    _show(console, str(cell))
    _say(console, "\nThe gradient of one step; d<q> is the derivative of the loss by q:\n")
    _show(console, str(cell.adjoint))


def _forecast(console: Console, settings: Settings) -> forecast.Report:
    temperatures, chosen = hourly_temperatures(), settings.day_ahead
    hours, missing = len(temperatures.celsius), int(np.isnan(temperatures.celsius).sum())
    _heading(console, "2. A day ahead")
    _say(
        console,
        f"Temperature at LaGuardia Airport, New York, {temperatures.start:%Y}: {hours:,} hours, {missing} of them "
        f"missing. The last {chosen.held_out:.0%} are held out.\n"
        f"Every forecast gives the next {forecast.DAY} hours from the last {chosen.context}; "
        f"one step of the LSTM reads {chosen.segment} of them.\n",
    )
    with _progress(console, "Training the LSTM", chosen.trainings * chosen.epochs) as advance:
        report = forecast.run(temperatures, chosen, settings.seed, advance)
    table = Table("", box=None, pad_edge=False, padding=(0, 3, 0, 0))
    for column in ("MAE (°C)", "RMSE (°C)", "skill"):
        table.add_column(column, justify="right")
    for name, found in report.errors.items():
        shown = f"LSTM (mean of {chosen.trainings} trainings)" if name == "LSTM" else name
        style = "bold" if name == "LSTM" else None
        table.add_row(shown, f"{found.mae:.2f}", f"{found.rmse:.2f}", f"{report.skill(name):.1%}", style=style)
    console.print(table)
    _say(
        console,
        f"\n{len(report.held_out.origin):,} held-out forecasts, one made every hour; "
        "skill = 1 - MAE / MAE of 'same hour yesterday'.",
    )
    _say(console, report.verdict)
    return report


def _long_lag(console: Console, settings: Settings) -> long_lag.Report:
    chosen = settings.adding
    _heading(console, "3. A long lag")
    _say(
        console,
        "The adding problem of Hochreiter & Schmidhuber (1997), section 5.4: remember two marked numbers among "
        f"{chosen.minimal_length} and more, for at least {chosen.minimal_length // 2} steps, and add them. Both "
        f"networks have {chosen.hidden_size} units and see the same sequences.\n"
        "The paper trains on one sequence at a time by plain gradient descent; this demo, to be quick, on batches of "
        f"{chosen.batch_size} with Adam and gradient clipping, and it sets the biases of the LSTM's gates for the "
        "length of the lag before it starts.\n",
    )
    with _progress(console, "Training both networks", chosen.updates) as advance:
        report = long_lag.run(chosen, settings.seed, advance)
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    for column in ("sequences", *report.error, "always the mean"):
        table.add_column(column, justify="right")
    for row in range(0, len(report.sequences), max(1, len(report.sequences) // 10)):
        errors = (f"{error[row]:.5f}" for error in report.error.values())
        table.add_row(f"{report.sequences[row]:,}", *errors, f"{report.mean_error:.5f}")
    console.print(table)
    _say(console, f"\nMean squared error on {chosen.test_size} sequences that neither network was trained on.")
    _say(console, report.verdict)
    return report


def _draw(forecasts: forecast.Report, lag: long_lag.Report, out: Path) -> tuple[Path, ...]:
    from carrousel.demo import pictures

    paths = out / "forecast.png", out / "long-lag.png"
    pictures.draw_forecast(forecasts, paths[0])
    pictures.draw_long_lag(lag, paths[1])
    return paths
