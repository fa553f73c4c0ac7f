"""The register tile, and the sweep of a tile over rows and units.

`accumulator[row][unit] += operand[row][k] * weights[k][unit]`: one broadcast for each row and k, one multiply-add for
each register of units. A tile is as many rows as the registers hold; what is left over is shared out evenly, so there
is no slow last row. A single row has too few accumulators to keep the multipliers busy: it splits k over several sets.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from llvmlite import ir

from carrousel.backends.llvm.frame import Frame
from carrousel.backends.llvm.layout import Layout, Sweep, Widths
from carrousel.backends.llvm.words import I32, I64, Code, Value

__all__ = ["Operand", "Rows", "accumulate", "sweep_rows"]

Registers = list[Value]


@dataclass(frozen=True)
class Operand:
    """What a tile multiplies.

    Attributes:
        rows: the address of every row's operand.
        panels: the address of every panel's weights.
        count: how many k.
        step: elements from one k of a row to the next.
        repeats: how many operands of `count` follow each other in every row...
        stride: ...so many elements apart; their weights follow each other without a gap.
    """

    rows: Sequence[Value]
    panels: Sequence[Value]
    count: Value
    step: int = 1
    repeats: int = 1
    stride: Value | None = None


@dataclass(frozen=True)
class Tile:
    """The shape of a tile: `rows` x `panels` of `sums` registers each, in `sets` that share k."""

    rows: int
    panels: int
    sums: int
    sets: int = 1


def accumulate(code: Code, frame: Frame, start: Registers, operands: Sequence[Operand], tile: Tile) -> Registers:
    """Add the products of all operands to the accumulators of a tile.

    Args:
        code: where to write.
        frame: of the module.
        start: the accumulators, row by row, panel by panel, sum by sum.
        operands: what is multiplied.
        tile: its shape.

    Returns:
        The accumulators.
    """
    sets = [[code.variable(code.vector) for _ in start] for _ in range(tile.sets)]
    for k, registers in enumerate(sets):
        for register, value in zip(registers, start, strict=True):
            code.builder.store(code.zero if k else value, register)
    for operand in operands:
        with _repeated(code, tile, operand) as (rows, panels):
            here = Operand(rows, panels, operand.count, operand.step)
            whole = code.builder.and_(operand.count, ir.Constant(I64, -tile.sets))
            with code.loop(0, whole, tile.sets, "k") as k:
                for s, registers in enumerate(sets):
                    _multiply(code, frame, registers, here, tile.sums, code.add(k, s))
            if tile.sets > 1:
                with code.loop(whole, operand.count, name="k") as k:
                    _multiply(code, frame, sets[0], here, tile.sums, k)
    total = [[code.builder.load(register, typ=code.vector) for register in registers] for registers in sets]
    while len(total) > 1:
        pairs = zip(total[::2], total[1::2], strict=True)
        total = [[code.builder.fadd(a, b) for a, b in zip(x, y, strict=True)] for x, y in pairs]
    return total[0]


def _multiply(code: Code, frame: Frame, registers: Registers, operand: Operand, sums: int, k: Value) -> None:
    """One k: the weights of every panel, each element of the operand, their products."""
    offset = code.mul(k, sums * frame.lanes)
    weights = [code.load(code.at(panel, offset, s * frame.lanes)) for panel in operand.panels for s in range(sums)]
    for m, row in enumerate(operand.rows):
        element = _element(code, frame, row, code.mul(k, operand.step))
        for register, weight in zip(registers[m * len(weights) :], weights, strict=False):
            total = code.builder.load(register, typ=code.vector)
            code.builder.store(code.multiply_add(element, weight, total), register)


def _element(code: Code, frame: Frame, row: Value, k: Value) -> Value:
    """Element k of a row in every lane; with networks in the lanes, one register of them."""
    if frame.nets:
        return code.load(code.at(row, code.mul(k, frame.lanes)))
    return code.splat(code.load_scalar(code.at(row, k)))


class _repeated:  # noqa: N801
    """The loop over operands that follow each other; gives the addresses of the current one."""

    def __init__(self, code: Code, tile: Tile, operand: Operand) -> None:
        self.code, self.tile, self.operand = code, tile, operand
        self.loop = code.loop(0, operand.repeats, name="term") if operand.repeats > 1 else None

    def __enter__(self) -> tuple[Sequence[Value], Sequence[Value]]:
        code, operand = self.code, self.operand
        if self.loop is None:
            return operand.rows, operand.panels
        number = self.loop.__enter__()
        assert operand.stride is not None
        step = code.mul(number, operand.stride)
        weights = code.mul(number, operand.count, self.tile.sums * code.lanes)
        return [code.at(row, step) for row in operand.rows], [code.at(panel, weights) for panel in operand.panels]

    def __exit__(self, *error: object) -> None:
        if self.loop is not None:
            self.loop.__exit__(None, None, None)


# ---------------------------------------------------------------------- the sweep


@dataclass(frozen=True)
class Rows:
    """How a sweep finds what it reads, and what it does with the result.

    Attributes:
        operand: (line, k-th term) -> address of the term's operand.
        place: k-th term -> where it lies; terms whose places follow each other are one loop. None for a term alone.
        start: (line, panel) -> the accumulators to begin with.
        finish: (line, panel, accumulators) -> None.
        line: words in a line of the table.
        single: whether there is one line only.
        odd: every other step walks over the panels the other way: the weights that it begins with are those that the
            step before ended with, and still in the cache. None for one way.
    """

    operand: Callable[[Value, int], Value]
    place: Callable[[int], tuple[str, Widths]]
    start: Callable[[Value, Value], Registers]
    finish: Callable[[Value, Value, Registers], None]
    line: int
    single: bool
    odd: Value | None = None


def sweep_rows(
    code: Code,
    frame: Frame,
    sweep: Sweep,
    packed: Value,
    table: Value,
    count: Value,
    share: tuple[Value, Value],
    rows: Rows,
) -> None:
    """Compute the sums of a sweep for all lines of a table and a range of panels.

    Args:
        code: where to write.
        frame: of the module.
        sweep: which sums.
        packed: the address of its packed weights.
        table: the lines.
        count: how many.
        share: the first panel and the one behind the last.
        rows: what is done with each.
    """
    sums = len(sweep.sums)
    panels = frame.panels_at_once(sweep.size, sums)
    most = max(1, min(8, frame.accumulators // (panels * sums)))
    first, last = share
    with code.loop(first, last, panels, "walked") as walked:
        panel = walked
        if rows.odd is not None:
            panel = code.choose(rows.odd, code.sub(code.add(first, last), code.add(walked, panels)), walked)
        if rows.single:
            sets = max(n for n in (1, 2, 4) if n == 1 or n * panels * sums <= frame.accumulators)
            with code.when(code.compare(count, ">", 0)):
                _tile(code, frame, sweep, packed, [table], panel, Tile(1, panels, sums, sets), rows)
            continue_with: Iterator[tuple[int, Value]] = iter(())
        else:
            continue_with = _tiles(code, table, count, most, rows.line)
        for n, line in continue_with:
            lines = [code.word_at(line, m * rows.line) for m in range(n)]
            _tile(code, frame, sweep, packed, lines, panel, Tile(n, panels, sums), rows)


def _tiles(code: Code, table: Value, count: Value, most: int, line: int) -> Iterator[tuple[int, Value]]:
    """Cut the lines into tiles of nearly the same size; yields each size, to write the tile of it."""
    builder = code.builder
    tiles = code.div(code.add(count, most - 1), most)
    at = code.variable(I64)
    builder.store(code.mul(0), at)
    with code.loop(0, tiles, name="tile") as tile:
        first, left = builder.load(at, typ=I64), code.sub(tiles, tile)
        size = code.div(code.add(code.sub(count, first), code.sub(left, 1)), left)
        builder.store(code.add(first, size), at)
        start = code.word_at(table, code.mul(first, line))
        after = code.function.append_basic_block("tile_done")
        switch = builder.switch(builder.trunc(size, I32), after)
        for n in range(1, most + 1):
            block = code.function.append_basic_block(f"rows_{n}")
            switch.add_case(ir.Constant(I32, n), block)
            builder.position_at_end(block)
            yield n, start
            builder.branch(after)
        builder.position_at_end(after)


def _tile(
    code: Code, frame: Frame, sweep: Sweep, packed: Value, lines: Sequence[Value], panel: Value, tile: Tile, rows: Rows
) -> None:
    """One tile: start, all terms, finish."""
    panels = [code.add(panel, p) for p in range(tile.panels)]
    counts = [frame.units(code, frame.layout.size(operand)) for operand, _ in sweep.terms]
    length = code.mul(code.add(*counts), tile.sums * frame.lanes)
    offset: Value = code.mul(0)
    operands = []
    for first, repeats in _runs(frame.layout, sweep, rows):
        weights = [code.at(packed, code.mul(p, length), offset) for p in panels]
        stride = frame.width(code, frame.layout.size(sweep.terms[first][0])) if repeats > 1 else None
        sources = [rows.operand(line, first) for line in lines]
        operands.append(Operand(sources, weights, counts[first], 1, repeats, stride))
        offset = code.add(offset, code.mul(counts[first], repeats * tile.sums * frame.lanes))
    start = [register for line in lines for p in panels for register in rows.start(line, p)]
    total = accumulate(code, frame, start, operands, tile)
    for m, line in enumerate(lines):
        for p, number in enumerate(panels):
            at = (m * tile.panels + p) * tile.sums
            rows.finish(line, number, total[at : at + tile.sums])


def _runs(layout: Layout, sweep: Sweep, rows: Rows) -> list[tuple[int, int]]:
    """Terms whose operands are of one size and lie side by side, as (the first, how many)."""
    places = [rows.place(t) for t in range(len(sweep.terms))]

    def key(t: int) -> tuple[str, str, int]:
        (field, before), size = places[t], layout.size(sweep.terms[t][0])
        return field, size, sum(before) - t

    runs = []
    for (field, *_), run in groupby(range(len(places)), key):
        members = list(run)
        runs += [(members[0], len(members))] if field else [(t, 1) for t in members]
    return runs
