"""The command line. Commands import what they need: `--help` and `--version` load neither torch nor SymPy."""

import enum
import os
import platform
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from carrousel.errors import BackendError, CarrouselError, OptionError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

__all__ = ["app", "main"]

_RUN_FAILED, _BAD_INPUT, _INTERRUPTED = 1, 2, 130

_LIBRARIES = ("carrousel", "torch", "numpy", "sympy", "llvmlite", "matplotlib")

#: How the names of the features begin that decide how many numbers a CPU computes at once.
_SIMD = ("sse", "avx", "f16c", "fma", "amx", "neon", "fp16", "sve")


class _Reporting(TyperGroup):
    """Says in one message, without a traceback, what a command raised."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except CarrouselError as error:
            typer.echo(f"carrousel: {error}", err=True)
            failed = isinstance(error, BackendError)
            raise typer.Exit(_RUN_FAILED if failed else _BAD_INPUT) from error
        except KeyboardInterrupt as error:
            typer.echo("\ncarrousel: interrupted", err=True)
            raise typer.Exit(_INTERRUPTED) from error


app = typer.Typer(
    cls=_Reporting,
    name="carrousel",
    help="The LSTM family, compiled: a cell is written once, as the equations of its paper.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    add_completion=False,
    pretty_exceptions_enable=False,
)


class Direction(enum.StrEnum):
    """The two kernels of a cell."""

    forward = "forward"
    backward = "backward"


def main() -> None:
    """Run the command line."""
    app()


def _print_version(wanted: bool) -> None:
    if wanted:
        from carrousel import __version__

        typer.echo(f"carrousel {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="The folder for the two pictures.")] = Path("carrousel-demo"),
) -> None:
    """Show a cell, forecast temperatures, bridge a long lag. Takes half a minute, needs no download."""
    from rich.console import Console

    from carrousel import demo

    demo.run(out, Console())


@app.command()
def reproduce(
    tables: Annotated[list[str] | None, typer.Argument(help="Keys of tables, `1`, `4`, ...; all if none.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Every row, few trials, cut short: some minutes.")] = False,
    standard: Annotated[bool, typer.Option("--standard", help="Ten or more trials a row: about 90 minutes.")] = False,
    full: Annotated[bool, typer.Option("--full", help="The papers' own numbers of trials, and limits: days.")] = False,
    seeds: Annotated[int | None, typer.Option(help="Trials of every row, instead.", show_default=False)] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the trials of the folder.")] = False,
    workers: Annotated[int | None, typer.Option(help="Processes, one a core by default.", show_default=False)] = None,
    out: Annotated[Path, typer.Option(help="The folder for trials and report.")] = Path("carrousel-reproduction"),
) -> None:
    """Run the experiments of the papers beside their published numbers."""
    from carrousel.experiments.reproduce import reproduce as run

    asked = [size for size, is_asked in (("quick", quick), ("standard", standard), ("full", full)) if is_asked]
    if len(asked) > 1:
        raise OptionError(f"reproduce - got --{' and --'.join(asked)} - ask for one size")
    run(tables or [], asked[0] if asked else "quick", out, trials=seeds, resume=resume, workers=workers)


@app.command()
def cells() -> None:
    """List the cells."""
    from rich.table import Table

    from carrousel import cells

    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    for column in ("cell", "states", "gates", "parameters", "paper"):
        table.add_column(column, no_wrap=column == "cell")
    for name in cells.names():
        cell = cells.get(name)
        gates = dict.fromkeys(gate for group in cell.groups for gate in group.gates)
        groups = (group.name for group in cell.groups)
        table.add_row(name, *(" ".join(names) for names in (cell.states, gates, groups)), cell.paper)
    _print_table(table)


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="A name that `carrousel cells` lists.")],
    adjoint: Annotated[bool, typer.Option("--adjoint", help="Also the derived gradient of one step.")] = False,
    source: Annotated[Direction | None, typer.Option(help="Instead, the text of the generated kernel.")] = None,
    backend: Annotated[str | None, typer.Option(help="The kernel of this backend, eager if none is named.")] = None,
    stage: Annotated[str | None, typer.Option(help="The kernel's text on its way to the machine.")] = None,
) -> None:
    """Print the equations of a cell, or a kernel."""
    from carrousel import cells

    cell = cells.get(name)
    if source is not None or backend is not None or stage is not None:
        typer.echo(cell.source(backend or "eager", (source or Direction.forward).value, stage), nl=False)
        return
    typer.echo(str(cell))
    if adjoint:
        typer.echo(f"\nThe gradient of one step; d<q> is the derivative of the loss by q:\n\n{cell.adjoint}")


@app.command()
def doctor(
    clear: Annotated[bool, typer.Option("--clear", help="Empty the cache of generated kernels.")] = False,
) -> None:
    """Show versions, CPU, threads, backends and the cache."""
    import torch
    from rich.table import Table

    from carrousel import backends, cells
    from carrousel.nn import operator

    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 3, 0, 0))
    table.add_row("python", f"{platform.python_version()} ({sys.executable})")
    for library in _LIBRARIES:
        table.add_row(library, _version(library))
    for row in _cpu():
        table.add_row(*row)
    table.add_row("threads", f"{torch.get_num_threads()} of torch, on {os.cpu_count()} cores; {_team()}")
    own = [name for name in cells.names() if operator.mode_of(cells.get(name))]
    table.add_row("backends", ", ".join([f"torch ({', '.join(own)})", *backends.names()]))
    for row in _cache(clear):
        table.add_row(*row)
    _print_table(table)


def _version(library: str) -> str:
    from importlib import metadata

    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return "not installed"


def _cpu() -> list[tuple[str, str]]:
    """The CPU that LLVM generates code for, its SIMD features, and what kernels use of them."""
    try:
        from llvmlite import binding

        from carrousel.backends.llvm import target
    except ImportError:
        return [("CPU", platform.machine())]
    features = sorted(name for name, has in binding.get_host_cpu_features().items() if has and name.startswith(_SIMD))
    isa, override = target.host(), os.environ.get(target.VARIABLE)
    said = f"{target.VARIABLE}={override}" if override else f"{target.VARIABLE} would override it"
    return [
        ("CPU", f"{binding.get_host_cpu_name()} ({platform.machine()})"),
        ("SIMD", " ".join(features) or "none known"),
        ("instructions", f"{isa.name}, {isa.registers} registers of {isa.bits} bits ({said})"),
    ]


def _team() -> str:
    """What runs kernels on several threads."""
    from carrousel.backends.llvm import threads

    return f"kernels on {threads.team().name}"


def _cache(clear: bool) -> list[tuple[str, str]]:
    from carrousel.backends import store

    rows = [("cache", str(store.folder()))]
    if clear:
        return [*rows, ("kernels", f"{store.clear()} deleted")]
    found = store.entries()
    size = sum(path.stat().st_size for path in found)
    return [*rows, ("kernels", f"{len(found)}, {size / 1024:,.1f} KiB of at most {store.LIMIT // 2**20} MiB")]


def _print_table(table: "Table") -> None:
    """Print a table; in a file no line is cut or wrapped, whatever its length."""
    _console(table).print(table, markup=False, highlight=False)


def _console(table: "Table") -> "Console":
    from rich.console import Console
    from rich.measure import Measurement

    console = Console()
    if not console.is_terminal:
        unlimited = console.options.update(max_width=10_000)
        console.width = Measurement.get(console, unlimited, table).maximum
    return console
