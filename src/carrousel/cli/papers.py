"""Commands that show what carrousel is: the demo, and the papers re-run."""

from pathlib import Path
from typing import Annotated

import typer

from carrousel.cli.app import app
from carrousel.errors import OptionError

__all__ = ["demo", "reproduce"]


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="The folder for runs and reports.")] = Path("carrousel-demo"),
) -> None:
    """Show equations, a forecast, handwriting, a text, a long lag: under two minutes, no download."""
    from rich.console import Console

    from carrousel import demo

    demo.run(out, Console())


@app.command()
def reproduce(
    tables: Annotated[list[str] | None, typer.Argument(help="Keys of tables, `1`, `4`, ...; all if none.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Every row, few trials, cut short: some minutes.")] = False,
    standard: Annotated[bool, typer.Option("--standard", help="Ten or more trials a row: 100 minutes or so.")] = False,
    full: Annotated[bool, typer.Option("--full", help="The papers' own numbers of trials, and limits: days.")] = False,
    seeds: Annotated[int | None, typer.Option(help="Trials of every row, instead.", show_default=False)] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the trials of the folder.")] = False,
    workers: Annotated[int | None, typer.Option(help="Processes, one a core by default.", show_default=False)] = None,
    ray: Annotated[str | None, typer.Option(help="Run on the Ray cluster at this address.", show_default=False)] = None,
    out: Annotated[Path, typer.Option(help="The folder for trials and report.")] = Path("carrousel-reproduction"),
) -> None:
    """Run the experiments of the papers beside their published numbers."""
    from carrousel.experiments.reproduce import reproduce as run

    asked = [size for size, is_asked in (("quick", quick), ("standard", standard), ("full", full)) if is_asked]
    if len(asked) > 1:
        raise OptionError(f"reproduce - got --{' and --'.join(asked)} - ask for one size")
    run(tables or [], asked[0] if asked else "quick", out, trials=seeds, resume=resume, workers=workers, ray=ray)
