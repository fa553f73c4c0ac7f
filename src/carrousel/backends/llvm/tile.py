"""The register tile, and the sweep of a tile over rows and units.

`accumulator[row][unit] += operand[row][k] * weights[k][unit]`: one broadcast for each row and k, one multiply-add for
each register of units. A tile is as many rows as the registers hold; what is left over is shared out evenly, so there
is no slow last row. A single row has too few accumulators to keep the multipliers busy: it splits k over several sets.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from llvmlite import ir

from carrousel.backends.llvm.frame import Frame
from carrousel.backends.llvm.layout import Sweep
from carrousel.backends.llvm.words import I32, I64, Code, Value

__all__ = ["Operand", "Rows", "Tiling", "accumulate", "sweep_rows"]

Registers = list[Value]


@dataclass(frozen=True)
class Operand:
    """One term of a sweep: the operand of every row of the tile, and its weights for every panel."""

    rows: Sequence[Value]
    panels: Sequence[Value]
    count: Value
    step: int = 1  # elements from one k of a row to the next


@dataclass(frozen=True)
class Tiling:
    """The shape of a sweep's tiles: `rows` x `panels` of `sums` registers each."""

    rows: int
    panels: int
    sums: int

    @classmethod
    def of(cls, frame: Frame, sums: int) -> "Tiling":
        """Choose the largest tile that the registers hold: several panels if one has few sums."""
        panels = max(1, min(4, frame.accumulators // 6) // sums)
        return cls(max(1, min(8, frame.accumulators // (panels * sums))), panels, sums)


def accumulate(code: Code, frame: Frame, start: Registers, operands: Sequence[Operand], sums: int, sets: int) -> Registers:
    """Add all terms to the accumulators of a tile.

    Args:
        code: where to write.
        frame: of the module.
        start: the accumulators, row by row, panel by panel, sum by sum.
        operands: the terms.
        sums: accumulators of a row and panel.
        sets: how many sets of accumulators share k.

    Returns:
        The accumulators.
    """
    total = [start, *([code.zero] * len(start) for _ in range(sets - 1))]
    for operand in operands:
        whole = operand.count
        if sets > 1:
            whole = code.builder.and_(operand.count, ir.Constant(I64, -sets))
        total = _loop(code, frame, total, operand, sums, code.mul(0), whole)
        if sets > 1:
            total[:1] = _loop(code, frame, total[:1], operand, sums, whole, operand.count)
    while len(total) > 1:
        pairs = zip(total[::2], total[1::2], strict=True)
        total = [[code.builder.fadd(a, b) for a, b in zip(x, y, strict=True)] for x, y in pairs]
    return total[0]


def _loop(
    code: Code, frame: Frame, total: list[Registers], operand: Operand, sums: int, start: Value, stop: Value
) -> list[Registers]:
    """The loop over k, one k for each set at a time."""
    builder, sets = code.builder, len(total)
    before = builder.block
    body, after = code.function.append_basic_block("k"), code.function.append_basic_block("k_done")
    builder.cbranch(code.compare(start, "<", stop), body, after)
    builder.position_at_end(body)
    k = builder.phi(I64, name="k")
    carried = [[builder.phi(code.vector) for _ in registers] for registers in total]
    result = [
        _multiply(code, frame, registers, operand, sums, code.add(k, s)) for s, registers in enumerate(carried)
    ]
    following = code.add(k, sets)
    builder.cbranch(code.compare(following, "<", stop), body, after)
    end = builder.block
    k.add_incoming(start, before)
    k.add_incoming(following, end)
    builder.position_at_end(after)
    left: list[Registers] = []
    for registers, phis, news in zip(total, carried, result, strict=True):
        left.append([builder.phi(code.vector) for _ in registers])
        for old, phi, new, out in zip(registers, phis, news, left[-1], strict=True):
            phi.add_incoming(old, before)
            phi.add_incoming(new, end)
            out.add_incoming(old, before)
            out.add_incoming(new, end)
    return left


def _multiply(code: Code, frame: Frame, registers: Registers, operand: Operand, sums: int, k: Value) -> Registers:
    """One k: the weights of every panel, each element of the operand, their products."""
    offset = code.mul(k, sums * frame.lanes)
    weights = [
        code.load(code.at(panel, offset, s * frame.lanes)) for panel in operand.panels for s in range(sums)
    ]
    result = []
    for m, row in enumerate(operand.rows):
        element = _element(code, frame, row, code.mul(k, operand.step))
        part = registers[m * len(weights) : (m + 1) * len(weights)]
        result += [code.multiply_add(element, w, r) for w, r in zip(weights, part, strict=True)]
    return result


def _element(code: Code, frame: Frame, row: Value, k: Value) -> Value:
    """Element k of a row in every lane; with networks in the lanes, one register of them."""
    if frame.nets:
        return code.load(code.at(row, code.mul(k, frame.lanes)))
    return code.splat(code.load_scalar(code.at(row, k)))


# ---------------------------------------------------------------------- the sweep


@dataclass(frozen=True)
class Rows:
    """How a sweep finds what it reads, and what it does with the result.

    Attributes:
        operand: (line, k-th term) -> address of the term's operand.
        start: (line, panel) -> the accumulators to begin with.
        finish: (line, panel, accumulators, whether the call is the only one) -> None.
        line: words in a line of the table.
        of_a_step: whether the lines are those of one step: a batch of one is then a single row, with its own tile.
    """

    operand: Callable[[Value, int], Value]
    start: Callable[[Value, Value], Registers]
    finish: Callable[[Value, Value, Registers, bool], None]
    line: int
    of_a_step: bool


def sweep_rows(
    code: Code, frame: Frame, sweep: Sweep, packed: Value, table: Value, count: Value, share: tuple[Value, Value], rows: Rows
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
    shape = Tiling.of(frame, len(sweep.sums))
    first, last = share
    whole = code.sub(last, code.builder.urem(code.sub(last, first), ir.Constant(I64, shape.panels)))
    for panels, start, stop in ((shape.panels, first, whole), (1, whole, last))[: 1 + (shape.panels > 1)]:
        with code.loop(start, stop, panels, "panel") as panel:
            _sweep_panel(code, frame, sweep, packed, table, count, panel, Tiling(shape.rows, panels, shape.sums), rows)


def _sweep_panel(
    code: Code, frame: Frame, sweep: Sweep, packed: Value, table: Value, count: Value, panel: Value, shape: Tiling, rows: Rows
) -> None:
    """All rows of one group of panels, in tiles of nearly the same size."""
    builder = code.builder
    if rows.of_a_step:
        with builder.if_else(frame.is_argument(code, "batch", "==", 1)) as (single, several):
            with single, code.when(code.compare(count, ">", 0)):
                sets = max(n for n in (1, 2, 4) if n == 1 or n * shape.panels * shape.sums <= frame.accumulators)
                _tile(code, frame, sweep, packed, [table], panel, shape, rows, sets)
            with several:
                _tiles(code, frame, sweep, packed, table, count, panel, shape, rows)
    else:
        _tiles(code, frame, sweep, packed, table, count, panel, shape, rows)


def _tiles(
    code: Code, frame: Frame, sweep: Sweep, packed: Value, table: Value, count: Value, panel: Value, shape: Tiling, rows: Rows
) -> None:
    """Tiles of nearly the same size, as many as are needed."""
    builder = code.builder
    tiles = code.div(code.add(count, shape.rows - 1), shape.rows)
    at = code.variable(I64)
    builder.store(code.mul(0), at)
    with code.loop(0, tiles, name="tile") as tile:
        first = builder.load(at, typ=I64)
        left = code.sub(tiles, tile)
        size = code.div(code.add(code.sub(count, first), code.sub(left, 1)), left)
        builder.store(code.add(first, size), at)
        line = code.word_at(table, code.mul(first, rows.line))

        def body(n: int, line: Value = line) -> None:
            lines = [code.word_at(line, m * rows.line) for m in range(n)]
            _tile(code, frame, sweep, packed, lines, panel, shape, rows, 1)

        _switch(code, size, shape.rows, body)


def _switch(code: Code, value: Value, most: int, body: Callable[[int], None]) -> None:
    """Run the body that belongs to a value of 1 to `most`."""
    builder = code.builder
    after = code.function.append_basic_block("switched")
    switch = builder.switch(builder.trunc(value, I32), after)
    for n in range(1, most + 1):
        block = code.function.append_basic_block(f"rows_{n}")
        switch.add_case(ir.Constant(I32, n), block)
        builder.position_at_end(block)
        body(n)
        builder.branch(after)
    builder.position_at_end(after)


def _tile(
    code: Code, frame: Frame, sweep: Sweep, packed: Value, lines: Sequence[Value], panel: Value, shape: Tiling, rows: Rows, sets: int
) -> None:
    """One tile: start, all terms, finish."""
    panels = [code.add(panel, p) for p in range(shape.panels)]
    counts = [frame.units(code, frame.layout.size(operand)) for operand, _ in sweep.terms]
    length = code.mul(code.add(*counts), shape.sums * frame.lanes)
    offset: Value = code.mul(0)
    operands = []
    for t, count in enumerate(counts):
        weights = [code.at(packed, code.mul(p, length), offset) for p in panels]
        operands.append(Operand([rows.operand(line, t) for line in lines], weights, count))
        offset = code.add(offset, code.mul(count, shape.sums * frame.lanes))
    start = [register for line in lines for p in panels for register in rows.start(line, p)]
    total = accumulate(code, frame, start, operands, shape.sums, sets)
    for m, line in enumerate(lines):
        for p, number in enumerate(panels):
            at = (m * shape.panels + p) * shape.sums
            rows.finish(line, number, total[at : at + shape.sums], sets > 1)
