"""The command line. Commands import what they need: `--help` and `--version` load neither torch nor SymPy."""

from carrousel.cli import look, papers  # noqa: F401  # their commands enter the app as they are defined
from carrousel.cli.app import app, main
from carrousel.cli.classify import classify
from carrousel.cli.export import export
from carrousel.cli.forecast import forecast
from carrousel.cli.generate import generate
from carrousel.cli.runs import evaluate, info, predict
from carrousel.cli.tune import tune

__all__ = ["app", "main"]

for command in (forecast, classify, generate, predict, evaluate, info, export):
    app.command()(command)
app.add_typer(tune)
