"""The command line: `python -m benchmarks [PART]... [options]`."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from benchmarks import bars, machine, tables
from benchmarks.measurements import Disagreement, Growth, Latency, Report, Roofs, Timing
from benchmarks.plan import Plan

PARTS = (
    "peak",
    "lstm",
    "cells",
    "lengths",
    "population",
    "compile",
    "overhead",
    "steps",
    "memory",
    "recompute",
    "trials",
)
_RESULTS = Path(__file__).parent / "results"

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    parts: Annotated[list[str] | None, typer.Argument(help=f"Of {', '.join(PARTS)}; all if none.")] = None,
    threads: Annotated[int, typer.Option(min=1, help="Threads of every library.")] = 2,
    repeat: Annotated[int, typer.Option(min=1, help="Rounds in which the sides take turns.")] = 15,
    quick: Annotated[bool, typer.Option("--quick", help="Tiny sizes, one round: does it run?")] = False,
    wide: Annotated[bool, typer.Option("--wide", help="The LSTM also over a grid of sizes.")] = False,
    check: Annotated[bool, typer.Option("--bars", help="Check the bars; exit with 1 if one fails.")] = False,
    backend: Annotated[str, typer.Option(help="backend= of carrousel's layers.")] = "auto",
    cell: Annotated[list[str] | None, typer.Option(help="Only these cells in the part cells.")] = None,
    jax: Annotated[bool, typer.Option("--jax/--no-jax", help="Whether JAX is measured.")] = True,
    read: Annotated[list[Path] | None, typer.Option(help="Do not measure, read results; several are joined.")] = None,
    out: Annotated[Path, typer.Option(help="The folder for JSON and pictures.")] = _RESULTS,
    name: Annotated[str, typer.Option(help="Their name; by default the parts'.")] = "",
) -> None:
    """Measure carrousel beside PyTorch, ONNX Runtime, JAX and the limits of the machine."""
    console = Console(width=None if sys.stdout.isatty() else 240)
    chosen = tuple(parts or PARTS)
    name = name or ("quick" if quick else "all" if chosen == PARTS else "-".join(chosen))
    for part in chosen:
        if part not in PARTS:
            raise typer.BadParameter(f"{part!r} is not a part; the parts are {', '.join(PARTS)}")
    if read:
        report = Report()
        for path in read:
            report.add(Report.read(path))
    else:
        plan = Plan(threads, repeat, quick, wide, backend, jax, tuple(cell or ()))
        report = _measured(chosen, plan, out / f"{name}.json", console)
    tables.print_report(report, console)
    _leave(report, out, name, console)
    found = bars.check(report) if check else []
    if check:
        tables.print_bars(found, console)
    if report.wrong or any(bar.held is False for bar in found):
        raise typer.Exit(1)


def _measured(parts: tuple[str, ...], plan: Plan, path: Path, console: Console) -> Report:
    """Measure part after part; what is measured is on disk should a later part fail."""
    available = machine.cores()
    machine.restrict(plan.threads)
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    import torch

    torch.set_num_threads(plan.threads)
    report = Report(machine.environment(plan, available))
    report.skipped = _skipped(parts, plan)
    neighbours = machine.Neighbours()
    for part in parts:
        with console.status(part) as status:
            for found in _measurements(part, plan):
                _keep(report, found)
                if isinstance(found, Timing):
                    status.update(f"{part}: {found.case}, {found.mode}, {found.shape}")
        report.environment["taken_by_others"] = neighbours.share()
        report.write(path)
    return report


def _measurements(part: str, plan: Plan) -> Iterator[Timing | Growth | Latency | Roofs | Disagreement]:
    from benchmarks import (
        cells,
        first_call,
        lengths,
        lstm,
        memory,
        overhead,
        peak,
        population,
        recompute,
        steps_latency,
        trials,
    )

    programs: dict[str, Callable[[Plan], Any]] = {
        "lstm": lstm.measure,
        "cells": cells.measure,
        "lengths": lengths.measure,
        "population": population.measure,
        "compile": first_call.measure,
        "overhead": overhead.measure,
        "steps": steps_latency.measure,
        "memory": memory.measure,
        "recompute": recompute.measure,
        "trials": trials.measure,
    }
    if part == "peak":
        yield peak.measure(plan)
    else:
        yield from programs[part](plan)


def _keep(report: Report, found: Timing | Growth | Latency | Roofs | Disagreement) -> None:
    if isinstance(found, Roofs):
        report.roofs = found
    elif isinstance(found, Disagreement):
        report.wrong.append(found.what)
    elif isinstance(found, Growth):
        report.growths.append(found)
    elif isinstance(found, Latency):
        report.latencies.append(found)
    else:
        report.timings.append(found)


def _skipped(parts: tuple[str, ...], plan: Plan) -> list[str]:
    from benchmarks import loops, onnx_runtime

    lines = []
    if "cells" in parts and not (plan.jax and loops.jax_available()):
        reason = "is not installed" if plan.jax else "was left out (--no-jax)"
        lines.append(f"the JAX scan: jax {reason}")
    if {"lstm", "cells", "steps"} & set(parts) and not onnx_runtime.available():
        lines.append("ONNX Runtime: onnx or onnxruntime is not installed")
    return lines


def _leave(report: Report, out: Path, name: str, console: Console) -> None:
    """Write JSON, and the pictures of what was measured."""
    report.write(out / f"{name}.json")
    console.print(f"\n{out / name}.json", highlight=False)
    try:
        from benchmarks import pictures
    except ImportError:
        console.print("no picture: matplotlib is not installed", style="yellow")
        return
    for path in pictures.draw(report, out, name):
        console.print(str(path), highlight=False)


if __name__ == "__main__":
    app()
