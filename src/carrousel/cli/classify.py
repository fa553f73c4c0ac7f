"""`carrousel classify`: learn to tell sequences apart, say how well, keep it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from carrousel.cli import options
from carrousel.cli.tables import print_table, table_of

if TYPE_CHECKING:
    from carrousel.models.classification.classifier import Classifier

__all__ = ["classify", "say_scores"]


@options.with_run
def classify(
    train: Annotated[
        Path, typer.Argument(help="A table (CSV, Parquet; - for a pipe), .npz, .ts, or a folder of recordings.")
    ],
    test: Annotated[Path | None, typer.Option(help="The same, to measure on.", show_default=False)] = None,
    label: Annotated[str | None, typer.Option(help="Column of the class.", show_default="found")] = None,
    id: Annotated[
        str | None, typer.Option(help="Column of the sequence a row belongs to.", show_default="found")
    ] = None,
    time: Annotated[str | None, typer.Option(help="Column of the order of the rows.", show_default="found")] = None,
    channels: Annotated[int, typer.Option(help="Where a row is a sequence x1,y1,x2,y2...: how many.")] = 1,
    labels_from: Annotated[str, typer.Option(help="Recordings: folder, name (7_jackson_32.wav), auto.")] = "auto",
    layout: Annotated[str, typer.Option(help="Axes of X in .npz: NTC, NCT, auto.")] = "auto",
    missing: options.Missing = "error",
    cell: options.Cell = "lstm",
    hidden: Annotated[int, typer.Option(help="Hidden units of each layer and direction.")] = 96,
    layers: options.Layers = 2,
    bidirectional: Annotated[bool, typer.Option(help="Read in both directions.")] = True,
    pool: Annotated[str, typer.Option(help="Read the class from mean, last, or attention.")] = "mean",
    dropout: options.Dropout = 0.5,
    class_weight: Annotated[str, typer.Option(help="none, or balanced: rare classes count as much.")] = "none",
    val_fraction: Annotated[float, typer.Option(help="Part of each class that is held out.")] = 0.1,
    refit: Annotated[
        bool | None,
        typer.Option(help="Then train anew on what was held out too.", show_default="up to 2,000 sequences"),
    ] = None,
    epochs: Annotated[str, typer.Option(help="At most so many; auto: about 1,000 updates.")] = "auto",
    max_seconds: options.MaxSeconds = 120.0,
    patience: Annotated[int, typer.Option(help="Stop after so many epochs that are no better.")] = 30,
    lr: options.Rate = 2e-3,
    batch: Annotated[int, typer.Option(help="Sequences of an update.")] = 32,
    *,
    run: options.Run,
) -> None:
    """Learn which class sequences belong to, and measure how well."""
    from carrousel.data.files import find

    find(train)
    folder = run.new_folder(options.name_of(train) or "classify")
    from carrousel.data.audio import Audio
    from carrousel.models.classification.classifier import Classifier  # takes seconds

    classifier = Classifier(
        hidden_size=hidden, num_layers=layers, bidirectional=bidirectional, pool=pool, cell=cell, dropout=dropout,
        class_weight=None if class_weight == "none" else class_weight, missing=missing, layout=layout,
        val_fraction=val_fraction, refit="auto" if refit is None else refit,
        lr=lr, batch_size=batch, epochs=_epochs(epochs), patience=patience,
        max_seconds=max_seconds,
    )  # fmt: skip
    run.prepare(classifier)
    run.fit(
        classifier, train, label=label, id=id, time=time, channels=channels, audio=Audio(labels=labels_from), test=test,
        folder=folder,
    )  # fmt: skip
    if run.report:
        classifier.report(title=options.name_of(train))
    run.keep(classifier, folder, lambda: typer.echo(folder) if run.quiet else _say(classifier, folder, run.report))


def _epochs(text: str) -> Any:
    return int(text) if text.isdigit() else text


def _say(classifier: "Classifier", folder: Path, report: bool) -> None:
    """Print what was understood, the results, and where they are."""
    from carrousel.models.classification.page import trained

    for line in classifier.understood():
        typer.echo(line)
    typer.echo(trained(classifier))
    for part, name in (("validation", "what was held out"), ("test", "the test data")):
        if part in classifier.metrics_:
            typer.echo(f"\nOn {name}:\n")
            say_scores(classifier.metrics_[part], is_whole=part == "test" or "test" not in classifier.metrics_)
    typer.echo(f"\nThe run: {folder}")
    if "predictions.csv" in classifier.kept_:
        typer.echo(f"The predictions: {folder / 'predictions.csv'}")
    if report:
        typer.echo(f"The report: {folder / 'report.html'}")
    typer.echo(f"Classify more: carrousel predict {folder} DATA{options.own_cell(classifier)}")


def say_scores(scores: dict[str, Any], is_whole: bool = True) -> None:
    """Print the result table, a sentence on it, the classes and what is confused.

    Args:
        scores: of `Classifier.evaluate`.
        is_whole: whether classes and confusions are printed too.
    """
    from carrousel.report.accuracy import confusions, rows, verdict

    print_table(table_of(("", "accuracy", "balanced", "log loss"), rows(scores)))
    typer.echo(f"\n{verdict(scores)}\n")
    if not is_whole:
        return
    classes = [
        (row["class"], *(f"{row[name]:.3f}" for name in ("precision", "recall", "f1")), f"{row['count']:,}")
        for row in scores["per_class"]
    ]
    print_table(table_of(("class", "precision", "recall", "F1", "count"), classes, text=("class",)))
    worst = [f"{true} called {said} ({times:,})" for true, said, times in confusions(scores)]
    typer.echo(f"\nConfused most: {'; '.join(worst) or 'nothing'}")
