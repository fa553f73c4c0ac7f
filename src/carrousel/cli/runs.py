"""Commands on runs: predict, evaluate, info."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from carrousel.cli.look import doctor
from carrousel.cli.tables import print_table, short, table_of
from carrousel.errors import OptionError, OutputError
from carrousel.writing import write_whole

__all__ = ["evaluate", "info", "predict"]

_Run = Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run.", show_default=False)]
#: What `predict` takes of a run of each kind, beside what it takes of all.
_TAKES = {
    "forecast": ("data", "horizon", "future_data"),
    "classify": ("data", "proba"),
    "generate": ("prompt", "length", "temperature", "top_k", "top_p", "seed"),
}
_Cell = Annotated[str | None, typer.Option(help="file.py:name, where the cell is one of yours.", show_default=False)]


def predict(
    context: typer.Context,
    run: _Run,
    data: Annotated[Path | None, typer.Argument(help="New data; forecasts go on from their own without.")] = None,
    horizon: Annotated[int | None, typer.Option(help="Forecast: fewer steps.", show_default=False)] = None,
    future_data: Annotated[Path | None, typer.Option(help="Forecast: a file of the columns known ahead.")] = None,
    proba: Annotated[bool, typer.Option("--proba", help="Classify: the probability of each class.")] = False,
    prompt: Annotated[str, typer.Option(help="Generate: the beginning of what is written.")] = "",
    length: Annotated[int, typer.Option(min=0, help="Generate: characters to write.")] = 500,
    temperature: Annotated[float, typer.Option(help="Generate: 0 takes the likeliest, 1 draws as learned.")] = 0.8,
    top_k: Annotated[int, typer.Option(help="Generate: only the k likeliest can come; 0 for all.")] = 0,
    top_p: Annotated[float, typer.Option(help="Generate: only the likeliest of this probability in all.")] = 1.0,
    seed: Annotated[int, typer.Option(help="Generate: of what is drawn.")] = 0,
    cell: _Cell = None,
    out: Annotated[Path | None, typer.Option(help="A file for the result, instead of the terminal.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite a file that is there.")] = False,
) -> None:
    """Forecast, classify or write with a run."""
    import numpy as np

    from carrousel.models import load

    if out is not None and out.exists() and not force:
        raise OutputError(f"{out} - is there already - name another file, or overwrite it, --force")
    estimator: Any = load(run, cell=cell)
    _check_taken(context, run, estimator.kind)
    if estimator.kind == "generate":
        from carrousel.cli.generate import write

        if out is None:
            write(estimator, prompt, length, temperature, top_k, top_p, seed)
        else:
            _give(estimator.generate(prompt, length, temperature, top_k, top_p, seed=seed), out)
    elif estimator.kind == "classify":
        if data is None:
            raise OptionError("predict - a classifier needs DATA - carrousel predict RUN DATA")
        found = estimator.predict_proba(data) if proba else estimator.predict(data)
        names = [f"p_{name}" for name in estimator.classes_] if proba else ["label"]
        _give(_lines(found, names) if isinstance(found, list | np.ndarray) else _csv(found), out)
    else:
        from carrousel.data.files import read_table

        tables = [None if path is None else read_table(path) for path in (data, future_data)]
        _give(_csv(estimator.predict(tables[0], horizon=horizon, future=tables[1])), out)


def _check_taken(context: typer.Context, run: Path, kind: str) -> None:
    """Check that all that was said is for this kind of run; a default was not said."""
    sources = {name: context.get_parameter_source(name) for names in _TAKES.values() for name in names}
    given = [name for name, source in sources.items() if source is not None and source.name == "COMMANDLINE"]
    others = [name for name in given if name not in _TAKES[kind]]
    if others:
        raise OptionError(
            f"predict - {run} is a run of `{kind}` and takes {_options(_TAKES[kind])}; got {_options(others)} - leave "
            "that out"
        )


def _options(names: Sequence[str]) -> str:
    """What arguments are called on the command line."""
    return ", ".join("DATA" if name == "data" else f"--{name.replace('_', '-')}" for name in names)


def evaluate(
    run: _Run,
    data: Annotated[Path, typer.Argument(help="Data with the answers, that the run was not trained on.")],
    cell: _Cell = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON, nothing else.")] = False,
) -> None:
    """Measure a run on data it was not trained on."""
    from carrousel.models import load

    estimator: Any = load(run, cell=cell)
    if estimator.kind == "forecast":
        from carrousel.data.files import read_table

        found = estimator.evaluate(read_table(data))
    else:
        found = estimator.evaluate(data)
    if as_json:
        typer.echo(json.dumps(found))
        return
    _SAY[estimator.kind](found)


def _say_forecast(found: dict[str, Any]) -> None:
    from carrousel.cli.forecast import say_result

    say_result(found)


def _say_classes(found: dict[str, Any]) -> None:
    from carrousel.cli.classify import say_scores

    say_scores(found)


def _say_numbers(found: dict[str, Any]) -> None:
    for name, value in found.items():
        shown = f"{value:,}" if isinstance(value, int) else f"{value:.4f}"
        typer.echo(f"{name.replace('_', ' ')}: {shown}")


_SAY: dict[str, Callable[[dict[str, Any]], None]] = {
    "forecast": _say_forecast,
    "classify": _say_classes,
    "generate": _say_numbers,
}


def info(
    run: Annotated[
        Path | None, typer.Argument(metavar="[RUN]", help="The folder of a run.", show_default=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print config and metrics as JSON, nothing else.")] = False,
) -> None:
    """Show what a run is: kind, parameters, size, what was measured. Without RUN: the machine, as doctor does."""
    if run is None:
        if as_json:
            raise OptionError("info - there is no JSON of the machine - name a RUN, or leave out --json")
        doctor(clear=False)
        return
    from carrousel.models import folder

    found = folder.read(run)
    if as_json:
        typer.echo(json.dumps({**found.config, "metrics": found.metrics}))
        return
    weights = sum(value.numel() for value in found.weights.values())
    params, metrics = found.config["params"], found.metrics
    lines = [
        ("kind", str(found.config["kind"])),
        ("carrousel", str(found.config.get("carrousel", ""))),
        ("weights", f"{weights:,}"),
        *((name, str(value)) for name, value in params.items()),
        *((name, short(value)) for name, value in metrics.items() if isinstance(value, int | float | str)),
    ]
    print_table(table_of(("", ""), lines))


def _csv(result: Any) -> str:
    """A forecast, or the classes of a table, as CSV."""
    from carrousel.models.forecasting.output import as_csv

    return as_csv(result)


def _lines(found: Any, names: Sequence[Any]) -> str:
    """The classes, or their probabilities, of sequences that are in no table."""
    rows = ([value] if isinstance(value, str) or not hasattr(value, "__len__") else list(value) for value in found)
    return "".join(",".join(str(value) for value in row) + "\n" for row in ([*names], *rows))


def _give(text: str, out: Path | None) -> None:
    """Print a result, or write it."""
    if out is None:
        typer.echo(text, nl=False)
    else:
        write_whole({out: text.encode()})
        typer.echo(str(out))
