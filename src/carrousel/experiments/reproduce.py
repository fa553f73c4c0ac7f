"""Run the tables, show how far they are, write what came out."""

import importlib.util
import os
import platform
import shlex
import time
from collections.abc import Iterable, Sequence
from contextlib import closing
from importlib import metadata
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from carrousel.errors import OptionError
from carrousel.experiments import page
from carrousel.experiments.record import Record, held
from carrousel.experiments.spread import Job, jobs, over_ray, spread
from carrousel.experiments.tables import chosen
from carrousel.experiments.trials import Row, Trial

__all__ = ["reproduce"]


def reproduce(
    keys: Sequence[str],
    size: str,
    folder: Path,
    *,
    trials: int | None = None,
    resume: bool = False,
    workers: int | None = None,
    ray: str | None = None,
    console: Console | None = None,
) -> Path:
    """Run the rows of some tables and write the report.

    Args:
        keys: of the tables, all if there are none.
        size: "quick", "standard" or "full".
        folder: for trials and report.
        trials: of every row; by default what the size says.
        resume: whether trials that the folder has already count.
        workers: processes, by default one for each core.
        ray: the address of a Ray cluster that runs the trials instead.
        console: where progress is shown.

    Returns:
        The path of the page.

    Raises:
        UnknownNameError: there is no such table.
        OptionError: a number is below 1.
        OutputError: the folder has trials that are not to be resumed, can not be written, or another run writes there.
        ModelError: a line of its trials is damaged.
        TrainingError: a process was killed.
        MissingExtraError: matplotlib is not installed, or Ray where it is asked for.
    """
    for option, number in (("seeds", trials), ("workers", workers)):
        if number is not None and number < 1:
            raise OptionError(f"reproduce - {option} is {number}, expected at least 1 - give a larger number")
    import carrousel.report.figures  # noqa: F401  # a missing extra is said before hours of training

    console, tables = console or Console(), chosen(list(keys))
    rows = [row for table in tables for row in table.rows if size in row.limit and size in row.trials]
    if not keys:
        rows = [row for row in rows if not row.needs or importlib.util.find_spec(row.needs)]
    with held(folder):
        record = Record(folder, resume, {row.key: row.limit[size] for row in rows})
        work = [job for row in rows for job in _missing(row, record, size, trials)]
        _say_what_is_aside(record, size, console)
        start = time.perf_counter()
        if work:
            processes = min(workers or os.cpu_count() or 1, len(work))
            with closing(spread(work, processes) if ray is None else over_ray(ray, work)) as ended:
                _show(work, ended, record, console)
        seconds = time.perf_counter() - start
        for table in tables:
            console.print(page.table_of(table, record))
        figures = () if size == "quick" else page.pictures(folder)
        made_with = environment(size, _command(keys, size, trials, workers, ray), seconds)
        made_with |= {} if trials is None else {"trials": str(trials)}
        path = page.write(tables, record, folder, made_with, figures)
    console.print(f"{path}", highlight=False, soft_wrap=True)
    return path


def _missing(row: Row, record: Record, size: str, trials: int | None) -> list[Job]:
    """The trials of a row that are not on disk yet; what another limit's trial tells is not run again."""
    limit, missing = row.limit[size], []
    there = {trial.seed for trial in record.of(row.key)}
    for seed in range(trials or row.trials[size]):
        trial = record.find(row.key, seed, limit)
        if trial is None:
            missing.append(seed)
        elif seed not in there:
            record.add(trial)
    return jobs(row, missing, limit)


def _say_what_is_aside(record: Record, size: str, console: Console) -> None:
    if record.aside:
        console.print(
            f"{record.path} - {record.aside} trials had other limits than those of --{size}: they are kept, and do not "
            "count here - ask for their size to see them",
            highlight=False,
            soft_wrap=True,
        )


def _show(work: Sequence[Job], trials: Iterable[Trial], record: Record, console: Console) -> None:
    """Write down trials as they end, and show how far they are."""
    totals: dict[str, int] = {}
    for job in work:
        totals[job.row] = totals.get(job.row, 0) + len(job.seeds)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"))
    with Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=console) as progress:
        whole = progress.add_task("all trials", total=sum(totals.values()), rate="")
        tasks = {key: progress.add_task(key, total=total, rate="") for key, total in totals.items()}
        presented = dict.fromkeys(totals, 0)
        began = time.perf_counter()
        for trial in trials:
            record.add(trial)
            presented[trial.row] += trial.presentations
            rate = f"{sum(presented.values()) / (time.perf_counter() - began):,.0f} sequences/s"
            progress.update(whole, advance=1, rate=rate)
            progress.update(tasks[trial.row], advance=1)


def _command(keys: Sequence[str], size: str, trials: int | None, workers: int | None, ray: str | None) -> str:
    """What was asked for, without what changes no number: the folder, and whether it had trials already."""
    options = {"--seeds": trials, "--workers": workers, "--ray": ray}
    given = (text for name, value in options.items() if value is not None for text in (name, str(value)))
    return shlex.join(["carrousel", "reproduce", *keys, f"--{size}", *given])


def environment(size: str, command: str, seconds: float) -> dict[str, str]:
    """What the numbers were made with."""
    from carrousel.backends.llvm import target

    versions = {library: metadata.version(library) for library in ("carrousel", "torch", "llvmlite", "numpy")}
    machine = f"{platform.machine()}, {os.cpu_count()} cores, {target.host().name}"
    return {
        "command": command,
        "size": size,
        "machine": machine,
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        **versions,
        "seconds": f"{seconds:.0f}",
    }
