"""Options that several commands have."""

import inspect
import json
import shutil
import time
from collections.abc import Callable, Container
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from carrousel.errors import OptionError, OutputError
from carrousel.processes import INTERRUPTED

if TYPE_CHECKING:
    from carrousel.models.estimator import Estimator

__all__ = [
    "Cell",
    "Dropout",
    "Force",
    "Layers",
    "MaxSeconds",
    "Missing",
    "Rate",
    "Run",
    "name_of",
    "own_cell",
    "unfinished",
    "with_run",
]

Missing = Annotated[str, typer.Option(help="error, ffill, interpolate, or mask.")]
Cell = Annotated[str, typer.Option(help="A name that `carrousel cells` lists, or file.py:name.")]
Layers = Annotated[int, typer.Option(help="Recurrent layers.")]
Dropout = Annotated[float, typer.Option(help="Probability of dropout.")]
MaxSeconds = Annotated[float, typer.Option(help="Stop training after so many seconds.")]
Rate = Annotated[float, typer.Option(help="The highest learning rate.")]
Force = Annotated[bool, typer.Option("--force", help="Overwrite a run that is there.")]


@dataclass(frozen=True)
class Run:
    """How a run is computed and what becomes of it: the options of every command that trains."""

    seed: Annotated[int, typer.Option(help="Of weights, order, dropout, and of what is drawn.")] = 0
    threads: Annotated[int | None, typer.Option(help="As many as there are cores.", show_default=False)] = None
    device: Annotated[str, typer.Option(help="auto, cpu, cuda...")] = "auto"
    devices: Annotated[int, typer.Option(help="Processes that train together, each with its batch.")] = 1
    nodes: Annotated[int, typer.Option(help="Machines, under torchrun.")] = 1
    tensorboard: Annotated[Path | None, typer.Option(help="A folder for TensorBoard's files.")] = None
    out: Annotated[
        Path | None, typer.Option(help="The folder of the run.", show_default="carrousel-runs/NAME-DATE-TIME")
    ] = None
    force: Force = False
    resume: Annotated[bool, typer.Option("--resume", help="Go on after a kill; name its --out.")] = False
    report: Annotated[bool, typer.Option(help="Write report.html.")] = True
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON, nothing else.")] = False
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print the least: where the run is, or what is written.")
    ] = False

    def new_folder(self, name: str) -> Path:
        """Return the folder of the run, after a look at whether it can be written.

        Args:
            name: of the data, for a folder that is named after it.

        Raises:
            OutputError: it is there already, can not be written, or one that was stopped would be lost.
            OptionError: a run is to go on, and it is not said which.
        """
        from carrousel.models.folder import check_free

        if self.resume and self.out is None:
            raise OptionError("resume - goes on with a run that was killed, which one is not said - name its --out")
        folder = self.out or Path("carrousel-runs") / time.strftime(f"{name}-%Y%m%d-%H%M%S")
        check_free(folder, self.force)
        kept = unfinished(folder)
        if kept.exists() and not self.resume and not self.force:
            raise OutputError(
                f"{kept} - is there, of a run that was stopped - go on with it (--resume), or begin anew (--force)"
            )
        return folder

    def prepare(self, estimator: "Estimator") -> None:
        """Tell an estimator how it is trained."""
        verbose = 0 if self.quiet or self.as_json else 1
        estimator.set_params(seed=self.seed, threads=self.threads, device=self.device, verbose=verbose)
        estimator.devices, estimator.num_nodes, estimator.tensorboard = self.devices, self.nodes, self.tensorboard

    def fit(self, estimator: "Estimator", *data: Any, folder: Path, **options: Any) -> None:
        """Train an estimator.

        Args:
            estimator: what is trained.
            *data: what on.
            folder: of the run; checkpoints lie beside it.
            **options: of its `fit`.

        Raises:
            KeyboardInterrupt, SystemExit: it was ended; what can be gone on from is said.
        """
        checkpoints = unfinished(folder)
        try:
            estimator.fit(*data, folder=checkpoints, resume=self.resume, **options)
        except (KeyboardInterrupt, SystemExit):
            if checkpoints.exists():
                typer.echo(f"\nThe epochs so far are kept: the same with --out {folder} --resume goes on.", err=True)
            raise

    def keep(self, estimator: "Estimator", folder: Path, say: Callable[[], None]) -> None:
        """Write a run that was trained, and say so.

        Args:
            estimator: fitted.
            folder: where.
            say: says it, unless all that is said is JSON.

        Raises:
            Exit: training was interrupted; what was best by then is kept.
        """
        estimator.save(folder, overwrite=self.force)
        shutil.rmtree(unfinished(folder), ignore_errors=True)
        if self.as_json:
            typer.echo(json.dumps({"run": str(folder), **estimator.metrics_}))
        else:
            say()
        if estimator.history_.stopped == "interrupted":
            raise typer.Exit(INTERRUPTED)


def with_run(
    command: Callable[..., None], kind: type[Run] = Run, without: Container[str] = (), **defaults: Any
) -> Callable[..., None]:
    """Show the options of a run in the place of a command's last argument, `run`.

    Args:
        command: takes a run.
        kind: of run.
        without: options of it that are not shown.
        **defaults: of the command's own options, in place of those it has.
    """
    signature = inspect.signature(command)
    options = [each for name, each in inspect.signature(kind).parameters.items() if name not in without]
    own = [
        each.replace(default=defaults.get(name, each.default))
        for name, each in signature.parameters.items()
        if name != "run"
    ]
    parameters = [*own, *options]

    def filled(**given: Any) -> None:
        command(**{p.name: given[p.name] for p in own}, run=kind(**{p.name: given[p.name] for p in options}))

    filled.__name__, filled.__doc__, filled.__wrapped__ = command.__name__, command.__doc__, command  # type: ignore[attr-defined]
    filled.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    filled.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return filled


def own_cell(estimator: "Estimator") -> str:
    """What a command that reads a run has to be told where its cell is the user's own."""
    return f" --cell {estimator.cell}" if isinstance(estimator.cell, str) and ":" in estimator.cell else ""


def name_of(data: Path) -> str:
    """What a run of a file is called; "-" is what comes through a pipe."""
    return "stdin" if str(data) == "-" else data.stem


def unfinished(folder: Path) -> Path:
    """Where the checkpoints of a run lie while it trains."""
    return folder.with_name(f"{folder.name}.unfinished")
