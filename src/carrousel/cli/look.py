"""Commands that look inside: cells, kernels, the machine."""

import enum
import os
import platform
import sys
from typing import Annotated

import typer

from carrousel.cli.app import app
from carrousel.cli.tables import print_table, table_of

__all__ = ["cells", "doctor", "show"]

_LIBRARIES = ("carrousel", "torch", "numpy", "sympy", "llvmlite", "pytorch-lightning", "scikit-learn", "matplotlib")

#: How the names of the features begin that decide how many numbers a CPU computes at once.
_SIMD = ("sse", "avx", "f16c", "fma", "amx", "neon", "fp16", "sve")


class Direction(enum.StrEnum):
    """The two kernels of a cell."""

    forward = "forward"
    backward = "backward"


@app.command()
def cells() -> None:
    """List the cells."""
    from carrousel import cells

    columns, lines = ("cell", "states", "gates", "parameters", "paper"), []
    for name in cells.names():
        cell = cells.get(name)
        gates = dict.fromkeys(gate for group in cell.groups for gate in group.gates)
        groups = (group.name for group in cell.groups)
        lines.append((name, *(" ".join(names) for names in (cell.states, gates, groups)), cell.paper))
    table = table_of(columns, lines, text=columns)
    table.columns[0].no_wrap = True
    print_table(table)


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

    from carrousel import backends, cells
    from carrousel.nn import operator

    own = [name for name in cells.names() if operator.mode_of(cells.get(name))]
    lines = [
        ("python", f"{platform.python_version()} ({sys.executable})"),
        *((library, _version(library)) for library in _LIBRARIES),
        *_cpu(),
        ("threads", f"{torch.get_num_threads()} of torch, on {os.cpu_count()} cores; {_team()}"),
        ("backends", ", ".join([f"torch ({', '.join(own)})", *backends.names()])),
        *_cache(clear),
    ]
    print_table(table_of(("", ""), lines))


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
