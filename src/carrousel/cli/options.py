"""Options that several commands have."""

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from carrousel.cli.app import INTERRUPTED

if TYPE_CHECKING:
    from carrousel.models.estimator import Estimator

__all__ = [
    "AsJson",
    "Cell",
    "Device",
    "Devices",
    "Dropout",
    "Force",
    "Layers",
    "MaxSeconds",
    "Missing",
    "Nodes",
    "Out",
    "Quiet",
    "Rate",
    "Report",
    "Resume",
    "Seed",
    "TensorBoard",
    "Threads",
    "keep",
    "new_folder",
    "unfinished",
]

Missing = Annotated[str, typer.Option(help="error, ffill, interpolate, or mask.")]
Cell = Annotated[str, typer.Option(help="A name that `carrousel cells` lists, or file.py:name.")]
Layers = Annotated[int, typer.Option(help="Recurrent layers.")]
Dropout = Annotated[float, typer.Option(help="Probability of dropout.")]
MaxSeconds = Annotated[float, typer.Option(help="Stop training after so many seconds.")]
Rate = Annotated[float, typer.Option(help="The highest learning rate.")]
Seed = Annotated[int, typer.Option(help="Of weights, order, dropout, and of what is drawn.")]
Threads = Annotated[int | None, typer.Option(help="As many as there are cores.", show_default=False)]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda...")]
Devices = Annotated[int, typer.Option(help="Processes that train together, each with its batch.")]
Nodes = Annotated[int, typer.Option(help="Machines, under torchrun.")]
TensorBoard = Annotated[Path | None, typer.Option(help="A folder for TensorBoard's files.")]
Out = Annotated[Path | None, typer.Option(help="The folder of the run.", show_default="carrousel-runs/NAME-DATE-TIME")]
Force = Annotated[bool, typer.Option("--force", help="Overwrite a run that is there.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on after a kill; name its --out.")]
Report = Annotated[bool, typer.Option(help="Write report.html.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON, nothing else.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print the least: where the run is, or what is written.")]


def new_folder(out: Path | None, name: str, force: bool) -> Path:
    """Return the folder of a run, after a look at whether it can be written.

    Args:
        out: what was asked for.
        name: of the data, for one that is named after it.
        force: whether a run that is there is overwritten.

    Raises:
        OutputError: it is there already, or can not be written.
    """
    from carrousel.models.folder import check_free

    folder = out or Path("carrousel-runs") / time.strftime(f"{name}-%Y%m%d-%H%M%S")
    check_free(folder, force)
    return folder


def unfinished(folder: Path) -> Path:
    """Where the checkpoints of a run lie while it trains."""
    return folder.with_name(f"{folder.name}.unfinished")


def keep(estimator: "Estimator", folder: Path, force: bool, as_json: bool, say: Callable[[], None]) -> None:
    """Write a run that was trained, and say so.

    Args:
        estimator: fitted.
        folder: where.
        force: whether a run that is there is overwritten.
        as_json: whether all that is said is JSON.
        say: says it otherwise.

    Raises:
        Exit: training was interrupted; what was best by then is kept.
    """
    estimator.save(folder, overwrite=force)
    shutil.rmtree(unfinished(folder), ignore_errors=True)
    if as_json:
        typer.echo(json.dumps({"run": str(folder), **estimator.metrics_}))
    else:
        say()
    if estimator.history_.stopped == "interrupted":
        raise typer.Exit(INTERRUPTED)
