"""`carrousel forecast`: learn a series, forecast it, say what simpler forecasts are worth, keep it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from carrousel.cli import options
from carrousel.cli.tables import print_table, table_of

if TYPE_CHECKING:
    from carrousel.models.forecasting.forecaster import Forecaster

__all__ = ["forecast", "say_result"]


@options.with_run
def forecast(
    data: Annotated[
        Path, typer.Argument(help="A CSV or Parquet file, a row for each time; - for a pipe.", show_default=False)
    ],
    target: Annotated[str | None, typer.Option(help="Column to forecast: a,b for several, all.")] = None,
    time: Annotated[str | None, typer.Option(help="Column of times.", show_default="found")] = None,
    id: Annotated[str | None, typer.Option(help="Column of the series a row is of.", show_default="found")] = None,
    horizon: Annotated[int, typer.Option(help="Steps to forecast.")] = 24,
    past: Annotated[str, typer.Option(help="Columns that are known up to now: a,b.", show_default=False)] = "",
    future: Annotated[str, typer.Option(help="Columns that are known ahead.", show_default=False)] = "",
    static: Annotated[str, typer.Option(help="Columns that never change in a series.", show_default=False)] = "",
    future_data: Annotated[Path | None, typer.Option(help="A file of the columns known ahead.")] = None,
    context: Annotated[str, typer.Option(help="Rows a forecast is made from, or auto.")] = "auto",
    level: Annotated[str, typer.Option(help="Percent that a band is to hold: 90, or 50,90.")] = "90",
    freq: Annotated[str, typer.Option(help="Distance of rows: h, 15min, D, B, W, MS..., auto.")] = "auto",
    time_format: Annotated[str | None, typer.Option(help="As %d/%m/%Y.", show_default="found")] = None,
    missing: options.Missing = "error",
    scaler: Annotated[str, typer.Option(help="standard, robust, or none.")] = "standard",
    windows: Annotated[int, typer.Option(min=1, help="Rolling forecasts that are kept in backtest.csv.")] = 5,
    cell: options.Cell = "lstm",
    hidden: Annotated[int, typer.Option(help="Hidden units of each layer.")] = 64,
    layers: options.Layers = 1,
    dropout: options.Dropout = 0.3,
    epochs: Annotated[int, typer.Option(help="At most so many.")] = 8,
    max_seconds: options.MaxSeconds = 120.0,
    patience: Annotated[int, typer.Option(help="Stop after so many epochs that are no better.")] = 4,
    lr: options.Rate = 1e-3,
    batch: Annotated[int, typer.Option(help="Windows of an update.")] = 128,
    *,
    run: options.Run,
) -> None:
    """Forecast series, with bands, beside the forecasts that cost nothing."""
    from carrousel.data.files import find, read_table

    find(data)
    folder = run.new_folder(options.name_of(data) or "forecast")
    from carrousel.models.forecasting.forecaster import Forecaster  # takes seconds

    forecaster = Forecaster(
        horizon=horizon, context=_number(context), hidden_size=hidden, num_layers=layers, cell=cell, dropout=dropout,
        level=_levels(level), scaler=scaler, past=_columns(past), future=_columns(future), static=_columns(static),
        missing=missing, lr=lr, batch_size=batch, epochs=epochs, patience=patience, max_seconds=max_seconds,
    )  # fmt: skip
    run.prepare(forecaster)
    table = read_table(data)
    ahead = None if future_data is None else read_table(future_data)
    run.fit(
        forecaster, table, target=_columns(target or "", table), time=time, id=id, freq=freq, time_format=time_format,
        future=ahead, folder=folder,
    )  # fmt: skip
    if ahead is not None or not forecaster.future:
        forecaster.keep("forecast.csv", forecaster.predict())
    forecaster.keep("backtest.csv", forecaster.backtest(windows=windows).frame)
    if run.report:
        forecaster.report(title=options.name_of(data))
    run.keep(forecaster, folder, lambda: typer.echo(folder) if run.quiet else _say(forecaster, folder, run.report))


def say_result(metrics: dict[str, Any]) -> None:
    """Print the result table and the verdict.

    Args:
        metrics: as `Forecaster.metrics_` and `Forecaster.evaluate` give them.
    """
    from carrousel.report.forecasting import result_lines

    print_table(table_of(*result_lines(metrics)))
    typer.echo(f"\n{metrics['verdict']}")


def _say(forecaster: "Forecaster", folder: Path, report: bool) -> None:
    """Print what was understood, the result, and where everything is."""
    for line in forecaster.understood_:
        typer.echo(line)
    typer.echo(str(forecaster.history_))
    metrics = forecaster.metrics_
    typer.echo(f"\n{metrics['windows']:,} forecasts of the {metrics['part']} part:\n")
    say_result(metrics)
    typer.echo(f"\nThe run: {folder}")
    if "forecast.csv" in forecaster.kept_:
        typer.echo(f"The forecast: {folder / 'forecast.csv'}")
    else:
        typer.echo("No forecast: it needs what is known ahead (--future-data)")
    if report:
        typer.echo(f"The report: {folder / 'report.html'}")
    more = (" --future-data FILE" if forecaster.future else "") + options.own_cell(forecaster)
    typer.echo(f"Forecast from new rows: carrousel predict {folder} NEW_ROWS.csv{more}")


def _columns(text: str, table: Any = None) -> tuple[str, ...]:
    """Names with commas between them; a column whose own name has a comma is one name."""
    if table is not None and text in table.columns:
        return (text,)
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _number(text: str) -> Any:
    return int(text) if text.isdigit() else text


def _levels(text: str) -> Any:
    """Percents with commas between them; what is no number is left to be refused."""
    try:
        found = tuple(float(part) for part in text.split(","))
    except ValueError:
        return text
    return found if len(found) > 1 else found[0]
