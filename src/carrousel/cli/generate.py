"""`carrousel generate`: learn a text, say how well, write some."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from carrousel.cli import options
from carrousel.cli.tables import print_table, table_of

if TYPE_CHECKING:
    from carrousel.models.generation.generator import Generator

__all__ = ["generate", "write"]


@options.with_run
def generate(
    text: Annotated[list[str], typer.Argument(help="Files, folders, patterns such as 'src/**/*.py'; - for a pipe.")],
    glob: Annotated[str, typer.Option(help="Names of the files that are read in a folder.")] = "*",
    level: Annotated[str, typer.Option(help="char, or byte, which knows every text.")] = "char",
    prompt: Annotated[str, typer.Option(help="The beginning of what is written.")] = "",
    length: Annotated[int, typer.Option(min=0, help="Characters to write.")] = 500,
    temperature: Annotated[float, typer.Option(help="0 takes the likeliest, 1 draws as learned.")] = 0.8,
    top_k: Annotated[int, typer.Option(help="Only the k likeliest can come; 0 for all.")] = 0,
    top_p: Annotated[float, typer.Option(help="Only the likeliest of this probability in all.")] = 1.0,
    cell: options.Cell = "lstm",
    hidden: Annotated[int, typer.Option(help="Hidden units of each layer.")] = 384,
    layers: options.Layers = 1,
    embed: Annotated[int, typer.Option(help="Features of a character.")] = 64,
    seq: Annotated[int, typer.Option(help="Characters that a gradient flows back over.")] = 64,
    dropout: options.Dropout = 0.1,
    val_fraction: Annotated[float, typer.Option(help="Part of the text, at its end, that is held out.")] = 0.1,
    epochs: Annotated[int, typer.Option(help="At most so many.")] = 100,
    max_seconds: options.MaxSeconds = 120.0,
    patience: Annotated[int, typer.Option(help="Stop after so many epochs without a better held-out end.")] = 8,
    lr: options.Rate = 4e-3,
    batch: Annotated[int, typer.Option(help="Streams that are read side by side.")] = 32,
    *,
    run: options.Run,
) -> None:
    """Learn to write like a text, and write some."""
    name = options.name_of(Path(text[0])).strip("*") or "text"
    folder = run.new_folder(name)
    from carrousel.data.text import Vocabulary, read_text  # takes seconds
    from carrousel.models.generation.generator import Generator
    from carrousel.models.generation.sampling import Sampling

    Sampling(temperature, top_k, top_p)  # says now what is wrong with them
    generator = Generator(
        level, hidden_size=hidden, num_layers=layers, embed=embed, seq_len=seq, cell=cell, dropout=dropout,
        val_fraction=val_fraction, lr=lr, batch_size=batch, epochs=epochs, patience=patience, max_seconds=max_seconds,
    )  # fmt: skip
    run.prepare(generator)
    found = read_text(list(text), level, glob)
    Vocabulary.of(found.content).encode(prompt, "prompt")  # says now what will not be known
    run.fit(generator, found, folder=folder)
    sample = generator.generate(prompt, length, temperature, top_k, top_p, run.seed)
    generator.keep("sample.txt", sample)
    if run.report:
        generator.report(title=name)

    def say() -> None:
        if not run.quiet:
            _say(generator)
        typer.echo(sample)
        if not run.quiet:
            _say_where(generator, folder, run.report)

    run.keep(generator, folder, say)


def write(generator: "Generator", prompt: str, length: int, *how: Any) -> None:
    """Print the prompt and what follows it, while it is drawn.

    Args:
        generator: what writes.
        prompt: the beginning.
        length: symbols that follow it.
        *how: temperature, top_k, top_p and seed, as in `Generator.generate`.
    """
    pieces = generator.stream(prompt, length, *how)  # says what is wrong before anything is printed
    typer.echo(prompt, nl=False)
    for piece in pieces:
        typer.echo(piece, nl=False)
    typer.echo()


def _say(generator: "Generator") -> None:
    """Print what was understood, the result table and a sentence on it."""
    from carrousel.report.bits import rows, verdict

    for line in generator.understood():
        typer.echo(line)
    typer.echo(f"{generator.history_}\n")
    lines = [(name, f"{bits:.3f}") for name, bits in rows(generator.metrics_)]
    print_table(table_of(("", f"bits per {generator.unit}"), lines))
    typer.echo(f"\n{verdict(generator.metrics_)}\n")


def _say_where(generator: "Generator", folder: Path, report: bool) -> None:
    typer.echo(f"\nThe run: {folder}")
    if report:
        typer.echo(f"The report: {folder / 'report.html'}")
    typer.echo(f"More of it: carrousel predict {folder} --prompt '...'{options.own_cell(generator)}")
