"""A report as tables on the terminal."""

from collections.abc import Callable

from rich.console import Console
from rich.table import Table

from benchmarks.bars import Bar, geometric_mean, per_unit
from benchmarks.machine import QUIET
from benchmarks.measurements import Report, Timing

__all__ = ["print_bars", "print_report"]

#: part -> the side that the others are compared with.
_OURS = {"lengths": "carrousel, lengths=", "overhead": "carrousel.LSTM", "compile": ""}
_TITLES = {
    "lstm": "The plain LSTM",
    "wide": "The plain LSTM, wide grid",
    "cells": "Cells",
    "lengths": "Random lengths",
    "population": "Populations",
    "compile": "First call of a process",
    "overhead": "One step of one row",
    "recompute": "Two layers with recompute=True; held is what autograd keeps, times ours without it",
    "trials": "One presentation to each of ten trials",
}


def print_report(report: Report, console: Console) -> None:
    """Print every part that was measured."""
    for part, title in _TITLES.items():
        timings = report.find(part=part)
        if timings:
            console.print(_comparison(title, timings, _OURS.get(part, "carrousel")))
    if report.find(part="cells", side="carrousel"):
        console.print(_per_gate(report))
    if report.latencies:
        console.print(_latency(report))
    if report.growths:
        console.print(_growth(report))
    if report.roofs:
        console.print(_roofs(report))
        if report.find(part="lstm"):
            console.print(_share_of_peak(report))
    others = report.environment.get("taken_by_others") or 0.0
    if others > QUIET:
        text = f"other processes took {100 * others:.0f} % of the machine meanwhile: measure again on a quiet one"
        console.print(text, style="bold yellow", highlight=False)
    for line in report.wrong:
        console.print(f"WRONG, not timed: {line}", style="bold red", highlight=False)
    for line in report.skipped:
        console.print(f"skipped: {line}", style="yellow", highlight=False)


def _table(title: str, *columns: str, texts: int = 1) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for number, column in enumerate(columns):
        table.add_column(column, justify="left" if number < texts else "right", no_wrap=True)
    return table


def _comparison(title: str, timings: list[Timing], ours: str) -> Table:
    """Milliseconds of every side, and how many times ours each is."""
    sides = list(dict.fromkeys(t.side for t in timings))
    sides.sort(key=lambda side: side != ours)
    note = "ms, median; in brackets times ours" if ours else "ms, median"
    head = ("case", "mode", "batch x steps x inputs x hidden")
    if ours:
        table = _table(f"\n{title} ({note})", *head, *sides, texts=3)
    else:
        table = _table(f"\n{title} ({note})", "side", "mode", "quartiles", "median", texts=2)
        for t in timings:
            table.add_row(t.side, t.mode, f"{1e3 * t.times.lower:.1f} to {1e3 * t.times.upper:.1f}", _ms(t))
        return table
    rows: dict[tuple, dict[str, Timing]] = {}
    for t in timings:
        rows.setdefault((t.case, t.mode, t.shape, t.nets), {})[t.side] = t
    for (case, mode, shape, nets), found in rows.items():
        own = found.get(ours)
        cells = [_beside(found.get(side), own) for side in sides]
        table.add_row(f"{nets} x {case}" if nets > 1 else case, mode, str(shape), *cells)
    return table


def _ms(timing: Timing) -> str:
    milliseconds = 1e3 * timing.times.median
    return f"{milliseconds:.{3 if milliseconds < 10 else 1}f}"


def _beside(timing: Timing | None, own: Timing | None) -> str:
    if timing is None:
        return "-"
    if own is None or timing is own:
        return _ms(timing)
    return f"{_ms(timing)} ({timing.times.median / own.times.median:.2f})"


def _per_gate(report: Report) -> Table:
    """Time per gate, product and operation beside the plain LSTM's, geometric mean over the shapes."""
    columns = ("cell", "mode", "gates", "products", "per gate", "per product", "worst shape", "per flop")
    table = _table("\nOur cells beside our plain LSTM (1 = as fast; geometric mean over the shapes)", *columns, texts=2)
    units: tuple[Callable[[Timing], float], ...] = (lambda t: t.gates, lambda t: t.products, lambda t: t.flops)
    for mode in ("inference", "training"):
        by_gate, by_product, by_flop = (per_unit(report, mode, unit) for unit in units)
        for cell in by_gate:
            timing = report.find(part="cells", case=cell, mode=mode, side="carrousel")[0]
            numbers = [
                geometric_mean(by_gate[cell].values()),
                geometric_mean(by_product[cell].values()),
                max(by_product[cell].values()),
                geometric_mean(by_flop[cell].values()),
            ]
            table.add_row(cell, mode, str(timing.gates), str(timing.products), *(f"{n:.2f}" for n in numbers))
    return table


def _latency(report: Report) -> Table:
    """Microseconds of single steps."""
    sides = list(dict.fromkeys(found.side for found in report.latencies))
    table = _table("Single steps of the plain LSTM: p50 / p99 / p99.9, us", "batch x steps x inputs x hidden", *sides)
    by_place = {(found.shape, found.side): found for found in report.latencies}
    for shape in dict.fromkeys(found.shape for found in report.latencies):
        cells = []
        for side in sides:
            found = by_place.get((shape, side))
            values = (found.p50, found.p99, found.p999) if found else ()
            cells.append(" / ".join(f"{1e6 * value:.3g}" for value in values))
        table.add_row(str(shape), *cells)
    return table


def _growth(report: Report) -> Table:
    table = _table("\nResident set (MiB)", "side", "mode", "calls", "first", "last", "grown", texts=2)
    for g in report.growths:
        first, last = g.megabytes[0], g.megabytes[-1]
        table.add_row(g.side, g.mode, str(g.calls[-1]), f"{first:.0f}", f"{last:.0f}", f"{g.grown:+.1f}")
    return table


def _roofs(report: Report) -> Table:
    assert report.roofs is not None
    table = _table("\nThe machine's limits", "what", "threads", "KiB per thread", "measured")
    for threads, rate in report.roofs.fma.items():
        table.add_row(f"multiply-add, {report.roofs.lanes} lanes", threads, "", f"{rate:.0f} GFLOP/s")
    for t in report.roofs.read:
        size, bandwidth = f"{t.bytes_per_thread / 1024:.0f}", f"{t.gigabytes_per_second:.0f} GB/s"
        table.add_row(f"read {t.level}", str(t.threads), size, bandwidth)
    return table


def _share_of_peak(report: Report) -> Table:
    assert report.roofs is not None
    sides = list(dict.fromkeys(t.side for t in report.find(part="lstm")))
    table = _table(
        "\nThe LSTM: GFLOP/s (percent of the peak)", "mode", "batch x steps x inputs x hidden", *sides, texts=2
    )
    rows: dict[tuple, dict[str, Timing]] = {}
    for t in report.find(part="lstm"):
        rows.setdefault((t.mode, t.shape), {})[t.side] = t
    peak = report.roofs.peak(int(report.environment["threads"]))
    for (mode, shape), found in rows.items():
        rates = [found[side].gigaflops if side in found else None for side in sides]
        cells = ["-" if r is None else f"{r:.1f} ({100 * r / peak:.0f} %)" for r in rates]
        table.add_row(mode, str(shape), *cells)
    return table


def print_bars(bars: list[Bar], console: Console) -> None:
    """Print bar, measured, held or not."""
    table = _table("\nBars", "bar", "asked", "measured", "held", "where")
    for bar in bars:
        held = {True: "[green]yes[/]", False: "[red]no[/]", None: "-"}[bar.held]
        asked = f"{'at least' if bar.is_least else 'at most'} {bar.required:g}{bar.unit}"
        measured = "-" if bar.measured is None else f"{bar.measured:.2f}{bar.unit}"
        table.add_row(bar.name, asked, measured, held, bar.detail)
    console.print(table)
