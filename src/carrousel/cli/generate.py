"""`carrousel generate`: learn a text, say how well, write some."""

import json
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from carrousel.cli.app import INTERRUPTED
from carrousel.cli.tables import print_table

if TYPE_CHECKING:
    from carrousel.models.generation.generator import Generator

__all__ = ["generate", "write"]


def generate(
    text: Annotated[list[str], typer.Argument(help="Files, folders, or patterns such as 'src/**/*.py'.")],
    glob: Annotated[str, typer.Option(help="Names of the files that are read in a folder.")] = "*",
    level: Annotated[str, typer.Option(help="char, or byte, which knows every text.")] = "char",
    prompt: Annotated[str, typer.Option(help="The beginning of what is written.")] = "",
    length: Annotated[int, typer.Option(min=0, help="Characters to write.")] = 500,
    temperature: Annotated[float, typer.Option(help="0 takes the likeliest, 1 draws as learned.")] = 0.8,
    top_k: Annotated[int, typer.Option(help="Only the k likeliest can come; 0 for all.")] = 0,
    top_p: Annotated[float, typer.Option(help="Only the likeliest of this probability in all.")] = 1.0,
    cell: Annotated[str, typer.Option(help="A name that `carrousel cells` lists, or file.py:name.")] = "lstm",
    hidden: Annotated[int, typer.Option(help="Hidden units of each layer.")] = 384,
    layers: Annotated[int, typer.Option(help="Recurrent layers.")] = 1,
    embed: Annotated[int, typer.Option(help="Features of a character.")] = 64,
    seq: Annotated[int, typer.Option(help="Characters that a gradient flows back over.")] = 64,
    dropout: Annotated[float, typer.Option(help="Probability of dropout.")] = 0.1,
    val_fraction: Annotated[float, typer.Option(help="Part of the text, at its end, that is held out.")] = 0.1,
    epochs: Annotated[int, typer.Option(help="At most so many.")] = 100,
    max_seconds: Annotated[float, typer.Option(help="Stop training after so many seconds.")] = 120.0,
    patience: Annotated[int, typer.Option(help="Stop after so many epochs without a better held-out end.")] = 8,
    lr: Annotated[float, typer.Option(help="The highest learning rate.")] = 4e-3,
    batch: Annotated[int, typer.Option(help="Streams that are read side by side.")] = 32,
    seed: Annotated[int, typer.Option(help="Of weights, order, dropout, and of what is written.")] = 0,
    threads: Annotated[int | None, typer.Option(help="As many as there are cores.", show_default=False)] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda...")] = "auto",
    devices: Annotated[int, typer.Option(help="Processes that train together, each with its batch.")] = 1,
    nodes: Annotated[int, typer.Option(help="Machines, under torchrun.")] = 1,
    tensorboard: Annotated[Path | None, typer.Option(help="A folder for TensorBoard's files.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="The folder of the run.", show_default="carrousel-runs/NAME-DATE-TIME")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite a run that is there.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on after a kill; name its --out.")] = False,
    report: Annotated[bool, typer.Option(help="Write report.html.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON, nothing else.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but what is written.")] = False,
) -> None:
    """Learn to write like a text, and write some."""
    from carrousel.data.text import Vocabulary, read_text
    from carrousel.models import folder as runs
    from carrousel.models.generation.generator import Generator
    from carrousel.models.generation.sampling import Sampling

    Sampling(temperature, top_k, top_p)  # says now what is wrong with them
    name = Path(text[0]).stem.strip("*") or "text"
    folder = out or Path("carrousel-runs") / time.strftime(f"{name}-%Y%m%d-%H%M%S")
    runs.check_free(folder, force)
    generator = Generator(
        level, hidden_size=hidden, num_layers=layers, embed=embed, seq_len=seq, cell=cell, dropout=dropout,
        val_fraction=val_fraction, lr=lr, batch_size=batch, epochs=epochs, patience=patience, max_seconds=max_seconds,
        device=device, seed=seed, verbose=0 if quiet or as_json else 1, threads=threads,
    )  # fmt: skip
    generator.devices, generator.num_nodes, generator.tensorboard = devices, nodes, tensorboard
    found = read_text(list(text), level, glob)
    Vocabulary.of(found.content).encode(prompt, "prompt")  # says now what will not be known
    unfinished = folder.with_name(f"{folder.name}.unfinished")
    generator.fit(found, folder=unfinished, resume=resume)
    if report:
        generator.report(title=name)
    generator.save(folder, overwrite=force)
    shutil.rmtree(unfinished, ignore_errors=True)
    if as_json:
        typer.echo(json.dumps({"run": str(folder), **generator.metrics_}))
    elif quiet:
        write(generator, prompt, length, temperature, top_k, top_p, seed)
    else:
        _say(generator)
        write(generator, prompt, length, temperature, top_k, top_p, seed)
        _say_where(folder, report)
    if generator.history_.stopped == "interrupted":
        raise typer.Exit(INTERRUPTED)


def write(generator: "Generator", prompt: str, length: int, *how: Any) -> None:
    """Print the prompt and what follows it, while it is drawn.

    Args:
        generator: what writes.
        prompt: the beginning.
        length: symbols that follow it.
        *how: temperature, top_k, top_p and seed, as in `Generator.generate`.
    """
    typer.echo(prompt, nl=False)
    for piece in generator.stream(prompt, length, *how):
        typer.echo(piece, nl=False)
    typer.echo()


def _say(generator: "Generator") -> None:
    """Print what was understood, the result table and a sentence on it."""
    from carrousel.report.bits import rows, verdict

    for line in generator.understood():
        typer.echo(line)
    typer.echo(f"{generator.history_}\n")
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    table.add_column("")
    table.add_column(f"bits per {generator.unit}", justify="right")
    for name, bits in rows(generator.metrics_):
        table.add_row(name, f"{bits:.3f}")
    print_table(table)
    typer.echo(f"\n{verdict(generator.metrics_)}\n")


def _say_where(folder: Path, report: bool) -> None:
    typer.echo(f"\nThe run: {folder}")
    if report:
        typer.echo(f"The report: {folder / 'report.html'}")
    typer.echo(f"More of it: carrousel predict {folder} --prompt '...'")
