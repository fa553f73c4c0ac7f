"""What `carrousel demo` runs: a cell's equations, a forecast, handwriting, a text, a long lag; each with its report."""

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from carrousel import cells
from carrousel.demo import long_lag
from carrousel.errors import MissingExtraError, OutputError

__all__ = ["Outcome", "Settings", "run"]


@dataclass(frozen=True)
class Settings:
    """How much the demo trains.

    Attributes:
        forecast, handwriting, text: seconds of training of each.
        letters: characters that are written.
        adding: of the long lag.
        seed: of the long lag's weights, batches and sequences.
    """

    forecast: float = 20.0
    handwriting: float = 15.0
    text: float = 55.0
    letters: int = 400
    adding: long_lag.Settings = field(default_factory=long_lag.Settings)
    seed: int = 0


@dataclass(frozen=True)
class Outcome:
    """What the demo found.

    Attributes:
        skill: 1 - MAE / MAE of the seasonal naive forecast.
        accuracy: of the handwritten digits that were not trained on.
        bits: per character of the end of the text.
        adding: the report of the long lag.
        pages: the reports to open, and a picture.
    """

    skill: float
    accuracy: float
    bits: float
    adding: long_lag.Report
    pages: tuple[Path, ...]


def run(out: Path, console: Console, settings: Settings | None = None) -> Outcome:
    """Run the demo.

    Args:
        out: the folder for runs and reports; it is made if it does not exist.
        console: where to print.
        settings: sizes; the default takes less than two minutes.

    Returns:
        The numbers that were printed, and where the reports are.

    Raises:
        OutputError: nothing can be written to the folder; said before anything is trained.
        MissingExtraError: a library of the extra `fit` is not installed; said before anything is trained.
    """
    began = time.perf_counter()
    settings = settings or Settings()
    _check_libraries()
    _check_folder(out)
    _show_cell(console)
    skill = _forecast(console, settings, out / "forecast")
    accuracy = _handwriting(console, settings, out / "handwriting")
    bits = _text(console, settings, out / "text")
    with _one_thread():
        adding = _long_lag(console, settings)
    pages = (*(out / name / "report.html" for name in ("forecast", "handwriting", "text")), _draw(adding, out))
    _heading(console, "Open these")
    for page in pages:
        _show(console, str(page))
    _heading(console, "Try next")
    _show(console, f"carrousel predict {out / 'text'} --prompt 'A generator is'")
    _show(console, "carrousel forecast YOUR.csv")
    _show(console, "carrousel reproduce 9")
    _say(console, f"\nDone in {time.perf_counter() - began:.0f} s.")
    return Outcome(skill, accuracy, bits, adding, pages)


def _check_libraries() -> None:
    for library in ("matplotlib", "pytorch_lightning", "sklearn", "pandas", "narwhals"):
        if find_spec(library) is None:
            raise MissingExtraError(f'demo - {library} is not installed - pip install "carrousel[fit]"')


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


def _forecast(console: Console, settings: Settings, folder: Path) -> float:
    from carrousel.demo.lessons import day_ahead
    from carrousel.report.forecasting import result_lines

    _heading(console, "2. A day ahead: a year of hourly temperatures at LaGuardia Airport, New York")
    found = day_ahead(folder, settings.forecast, int(console.is_terminal))
    for line in (*found.understood_, str(found.history_)):
        _say(console, line)
    _table(console, *result_lines(found.metrics_))
    _say(
        console,
        f"\n{found.metrics_['windows']:,} forecasts of the part that nothing was fitted on, in degrees Celsius.",
    )
    _say(console, found.metrics_["verdict"])
    return float(found.metrics_["rows"][0]["skill"])


def _handwriting(console: Console, settings: Settings, folder: Path) -> float:
    from carrousel.demo.lessons import handwriting
    from carrousel.report.accuracy import rows, verdict

    _heading(console, "3. Handwriting: 8 x 8 images of digits, read row by row")
    found = handwriting(folder, settings.handwriting, int(console.is_terminal))
    for line in (*found.understood(), str(found.history_)):
        _say(console, line)
    scores = found.metrics_["test"]
    _table(console, ("", "accuracy", "balanced", "log loss"), rows(scores))
    _say(console, f"\n{verdict(scores)}")
    return float(scores["accuracy"])


def _text(console: Console, settings: Settings, folder: Path) -> float:
    from carrousel.demo.lessons import manual
    from carrousel.report.bits import rows, verdict

    _heading(console, "4. A text that everybody has: the manual inside Python, character by character")
    found = manual(folder, settings.text, int(console.is_terminal))
    for line in (*found.understood(), str(found.history_)):
        _say(console, line)
    lines = [(name, f"{bits:.3f}") for name, bits in rows(found.metrics_)]
    _table(console, ("", "bits per character"), lines)
    _say(console, f"\n{verdict(found.metrics_)}\n\nIt writes:\n")
    prompt = "The statement "
    _show(console, found.generate(prompt, settings.letters, seed=settings.seed))
    return float(found.metrics_["bits"])


def _table(console: Console, columns: Sequence[str], lines: Sequence[Sequence[str]]) -> None:
    table = Table("", box=None, pad_edge=False, padding=(0, 3, 0, 0))
    for column in columns[1:]:
        table.add_column(column, justify="right")
    for line in lines:
        table.add_row(*line)
    console.print()
    console.print(table)


def _long_lag(console: Console, settings: Settings) -> long_lag.Report:
    chosen = settings.adding
    _heading(console, "5. A long lag")
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


def _draw(lag: long_lag.Report, out: Path) -> Path:
    from carrousel.demo import pictures

    path = out / "long-lag.png"
    pictures.draw_long_lag(lag, path)
    return path
