"""`carrousel tune`: forecast, classify and generate once more, but a search for better parameters is what they fit."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from carrousel.cli import options
from carrousel.cli.classify import classify
from carrousel.cli.forecast import forecast
from carrousel.cli.generate import generate
from carrousel.cli.tables import print_table, short, table_of
from carrousel.processes import INTERRUPTED

if TYPE_CHECKING:
    from carrousel.models.estimator import Estimator
    from carrousel.models.tuning import Tuned

__all__ = ["tune"]

_option = partial(typer.Option, show_default=False, rich_help_panel="Search")
#: Options of a run that a search has no use for: its trials are what is spread, and what is gone on with.
_NONE = ("devices", "nodes", "resume")


@dataclass(frozen=True)
class Search(options.Run):
    """A run that is the best of many."""

    trials: Annotated[int, _option(help="Fits in all.", show_default=True)] = 20
    timeout: Annotated[float | None, _option(help="Begin no trial after so many seconds.")] = None
    storage: Annotated[
        str | None, _option(help="Optuna's address of a database that processes and machines share.")
    ] = None
    study: Annotated[str, _option(help="The search's name in it.", show_default=True)] = "carrousel"
    ray: Annotated[str | None, _option(help="Fit on the Ray cluster at this address, on each core a trial.")] = None
    found: "list[Tuned]" = field(default_factory=list, init=False)

    def fit(self, estimator: "Estimator", *data: Any, folder: Path, **options: Any) -> None:
        """Make of an estimator the best that is found; a trial keeps no checkpoint.

        Args:
            estimator: what is trained.
            *data: what on.
            folder: of the run.
            **options: of its `fit`.
        """
        from carrousel.models.tuning import tune

        found = tune(
            estimator, *data, n_trials=self.trials, timeout=self.timeout, storage=self.storage, study=self.study,
            ray=self.ray, **options,
        )  # fmt: skip
        estimator.__dict__.update(found.best.__dict__)
        estimator.kept_["trials.csv"] = found.to_csv()
        self.found.append(found)

    def keep(self, estimator: "Estimator", folder: Path, say: Callable[[], None]) -> None:
        """Write the best run, and say so.

        Args:
            estimator: the best.
            folder: where.
            say: says it, unless all that is said is JSON.

        Raises:
            Exit: the search was interrupted; what was best by then is kept.
        """
        (found,) = self.found

        def say_all() -> None:
            if not self.quiet:
                _say_trials(found)
            say()

        super().keep(estimator, folder, say_all)
        if found.is_interrupted:
            raise typer.Exit(INTERRUPTED)


def _say_trials(found: "Tuned") -> None:
    """Print the trials, the best first."""
    columns = ("trial", "validation", "seconds", *found.parameters)
    best_first = sorted(found.trials, key=lambda row: float("inf") if row["validation"] is None else row["validation"])
    print_table(table_of(columns, ([short(row.get(name)) for name in columns] for row in best_first)))
    typer.echo()


tune = typer.Typer(name="tune", help="Search for better parameters, and keep the best run.", no_args_is_help=True)

for command in (forecast, classify, generate):
    told = f"Search for better parameters of `carrousel {command.__name__}`, whose options it takes; keep the best run."
    searching = options.with_run(inspect.unwrap(command), Search, without=_NONE, max_seconds=30.0)
    tune.command(help=told)(searching)
