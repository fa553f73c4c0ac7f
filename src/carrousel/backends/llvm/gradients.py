"""The gradients of the parameters, after the walk: sums of outer products over all steps and rows.

Steps and rows are gone through in blocks that fit in the cache; what lies beyond a row's length is never read. The
operands of a block are packed as many columns wide as a tile is high, the adjoints three registers wide, and a tile
adds up one block after the other. Matrices that have their adjoints in common, as W and R, are one job; vectors that
sum these adjoints up, as b, belong to it: that is done while they are packed. Work is shared out by output, never over
time: the sums do not depend on the number of threads.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from llvmlite import ir

from carrousel.backends.llvm.blocks import BLOCK, function_of, gradient_of, in_blocks, put, scratch, sums_of
from carrousel.backends.llvm.frame import Frame
from carrousel.backends.llvm.layout import Layout
from carrousel.backends.llvm.packing import transposed
from carrousel.backends.llvm.tile import Operand, Tile, accumulate
from carrousel.backends.llvm.vectors import unpack_vector, write_vectors
from carrousel.backends.llvm.words import I64, PTR, Code, Value

__all__ = ["REGISTERS", "Job", "Part", "jobs_of", "rows_of", "stored_once", "write_gradients"]

#: The width of a tile.
REGISTERS = 3


def rows_of(registers: int) -> int:
    """Return the height of a tile: three quarters of the registers add up, the others hold what is multiplied."""
    return registers // 4


@dataclass(frozen=True)
class Part:
    """The matrices of a group that multiply one operand, in the order of the job's adjoints."""

    group: str
    operand: str
    gates: tuple[int, ...]


@dataclass(frozen=True)
class Job:
    """Outer products of the same adjoints with one or more operands.

    Attributes:
        adjoints: what they have in common.
        parts: the matrices.
        vectors: parameter -> which of the adjoints it is the sum of.
    """

    adjoints: tuple[str, ...]
    parts: tuple[Part, ...]
    vectors: Mapping[str, int]


def jobs_of(layout: Layout) -> list[Job]:
    """Sort the outer products by what they have in common."""
    found: dict[tuple[str, str, int], list[tuple[int, str]]] = {}
    for outer in layout.program.outers:
        group, gate, *_ = layout.matrix(outer.matrix)
        for number, (adjoint, operand) in enumerate(outer.terms):
            found.setdefault((group, operand, number), []).append((gate, adjoint))
    jobs: dict[tuple[str, ...], list[Part]] = {}
    for (group, operand, _), gates in found.items():
        part = Part(group, operand, tuple(gate for gate, _ in gates))
        jobs.setdefault(tuple(adjoint for _, adjoint in gates), []).append(part)
    vectors = {name: adjoint for name, adjoint in layout.program.vectors.items() if adjoint not in layout.totals}
    found_jobs = []
    for adjoints, parts in jobs.items():
        here = {name: adjoints.index(adjoint) for name, adjoint in vectors.items() if adjoint in adjoints}
        vectors = {name: adjoint for name, adjoint in vectors.items() if name not in here}
        found_jobs.append(Job(adjoints, tuple(parts), here))
    return found_jobs


def write_gradients(frame: Frame) -> Code:
    """Write the function `(arguments, thread, threads)` that adds to the parameters' gradients."""
    pack, tile = _write_pack(frame), _write_tile(frame)
    jobs = jobs_of(frame.layout)
    written = [_write_job(frame, k, job, pack, tile) for k, job in enumerate(jobs)]
    summed = {name for job in jobs for name in job.vectors}
    written += write_vectors(frame, set(frame.layout.program.vectors) - summed, stored_once(frame.layout))
    code = frame.function("gradients", "thread", "threads")
    a, groups = code.arguments, frame.word(code, "groups")
    alone = code.compare(groups, ">=", a["threads"])  # networks enough: each thread takes some of them
    share, shares = code.choose(alone, 0, a["thread"]), code.choose(alone, 1, a["threads"])
    net_share = code.choose(alone, a["thread"], 0), code.choose(alone, a["threads"], 1)
    with code.loop(*frame.share(code, groups, *net_share), name="net") as net:
        for function in written:
            code.call(function, a["arguments"], net, share, shares, a["thread"])
            frame.barrier(code, shares)  # the next one uses the same memory for its sums
    code.done()
    return code


# ---------------------------------------------------------------------- outer products


def _write_job(frame: Frame, number: int, job: Job, pack: Code, tile: Code) -> Code:
    """Write the gradients of one job for one network and a share of the sums, tile by tile, column by column."""
    code = function_of(frame, f"gradient_{number}")
    a, layout = code.arguments, frame.layout
    panels = frame.panels(code, layout.size(job.adjoints[0]))
    registers = code.mul(panels, len(job.adjoints))
    tiles, rows = code.div(code.add(registers, REGISTERS - 1), REGISTERS), rows_of(frame.registers)
    columns = [frame.units(code, str(layout.definition.group(part.group).columns)) for part in job.parts]
    padded = [code.mul(code.div(code.add(n, rows - 1), rows), rows) for n in columns]
    all_columns = code.most(code.add(*padded), rows)
    tile_size = code.mul(all_columns, REGISTERS * frame.lanes)
    first, last = frame.share(code, code.mul(tiles, all_columns), a["share"], a["shares"])
    first, last = (code.mul(code.div(n, rows), rows) for n in (first, last))  # whole tiles of columns
    sums = sums_of(frame, code)
    vector_sums = code.at(sums, code.mul(tiles, tile_size))
    element = frame.lanes if frame.nets else 1
    size = code.mul(frame.word(code, "gradient_columns"), BLOCK * element)
    operands = scratch(frame, code, "gradient_operands", size)
    adjoints = scratch(frame, code, "gradient_panel", code.mul(REGISTERS * BLOCK * frame.lanes))

    def body(block: Value, table: Value, count: Value) -> None:
        behind: Value = code.mul(0)
        for k, (n, room) in enumerate(zip(columns, padded, strict=True), 1):
            target = code.at(operands, code.mul(behind, count, element))
            code.call(pack, a["arguments"], table, target, count, n, code.mul(k, 1), code.mul(1 + len(columns), 1))
            behind = code.add(behind, room)
        end = code.div(code.add(last, code.sub(all_columns, 1)), all_columns)
        with code.loop(code.div(first, all_columns), end, name="tile") as nth:  # at both ends a part of its columns
            register, before = code.mul(nth, REGISTERS), code.mul(nth, all_columns)
            start = code.most(code.sub(first, before), 0)
            stop = code.least(code.sub(last, before), all_columns)
            values = _pack_adjoints(frame, code, job, table, count, adjoints, register, panels)
            if job.vectors:
                with code.when(code.compare(start, "==", 0)):
                    for w, value in enumerate(values):
                        _add(code, value, code.at(vector_sums, code.mul(code.add(register, w), frame.lanes)), block)
            at = code.at(sums, code.mul(nth, tile_size))
            code.call(tile, a["arguments"], operands, adjoints, at, count, start, stop, block)

    in_blocks(frame, code, tuple(part.operand for part in job.parts), body)
    frame.barrier(code, a["shares"])  # a register's columns may be the work of two threads
    share = frame.share(code, registers, a["share"], a["shares"])
    behind = code.mul(0)
    for part, room in zip(job.parts, padded, strict=True):
        at = code.at(sums, code.mul(behind, REGISTERS * frame.lanes))
        _unpack(frame, code, part, at, tile_size, panels, share)
        behind = code.add(behind, room)
    _unpack_vectors(frame, code, job, vector_sums, panels)
    code.done()
    return code


def _unpack_vectors(frame: Frame, code: Code, job: Job, sums: Value, panels: Value) -> None:
    """Bring the sums of adjoints to the gradients of the vectors."""
    a, size = code.arguments, frame.layout.size(job.adjoints[0])
    share = frame.share(code, panels, a["share"], a["shares"])
    for name, number in job.vectors.items():
        at = code.at(sums, code.mul(panels, number * frame.lanes))
        unpack_vector(frame, code, name, at, size, share, name.split(".")[0] in stored_once(frame.layout))


def _write_pack(frame: Frame) -> Code:
    """Write the function that packs a block of one operand as [tile][step][its rows]."""
    integers = ("count", "columns", "word", "words")
    code = frame.function("pack_operand", *integers, pointers=("table", "target"), inlined=False)
    a, element = code.arguments, frame.lanes if frame.nets else 1
    rows = rows_of(frame.registers)
    column = ir.VectorType(code.scalar, rows * element)
    align = 8 if isinstance(code.scalar, ir.DoubleType) else 4
    whole = code.div(a["columns"], rows)
    left = code.sub(a["columns"], code.mul(whole, rows))
    with code.loop(0, a["count"], name="step") as step:
        source = code.word(a["table"], code.add(code.mul(step, a["words"]), a["word"]), PTR)

        def target(tile: Value, step: Value = step) -> Value:
            return code.at(a["target"], code.mul(code.add(code.mul(tile, a["count"]), step), rows * element))

        with code.loop(0, whole, name="tile") as tile:
            value = code.builder.load(code.at(source, code.mul(tile, rows * element)), typ=column, align=align)
            code.builder.store(value, target(tile), align=align)
        with code.when(code.compare(left, ">", 0)):
            zero = ir.Constant(column, [0.0] * (rows * element))
            code.builder.store(zero, target(whole), align=align)
            with code.loop(0, code.mul(left, element), name="element") as k:
                at = code.at(source, code.mul(whole, rows * element), k)
                code.store_scalar(code.load_scalar(at), code.at(target(whole), k))
    code.done()
    return code


def _pack_adjoints(
    frame: Frame, code: Code, job: Job, table: Value, count: Value, target: Value, register: Value, panels: Value
) -> list[Value]:
    """Bring the registers of one tile side by side; the last tile may have room for more than there are.

    Returns:
        Their sums.
    """
    words, offsets = 1 + len(job.parts), []
    for w in range(REGISTERS):
        number = code.least(code.add(register, w), code.sub(code.mul(panels, len(job.adjoints)), 1))
        gate = code.div(number, panels)
        places = [frame.extent(code, frame.layout.adjoints.before(name)) for name in job.adjoints]
        panel = code.sub(number, code.mul(gate, panels))
        offsets.append(code.add(_chosen(code, gate, places), code.mul(panel, frame.lanes)))
    sums = [code.variable(code.vector, code.zero) for _ in offsets]
    with code.loop(0, count, name="step") as step:
        source = code.word(table, code.mul(step, words), PTR)
        for w, offset in enumerate(offsets):
            value = code.load(code.at(source, offset))
            code.store(value, code.at(target, code.mul(step, REGISTERS * frame.lanes), w * frame.lanes))
            code.builder.store(code.builder.fadd(code.builder.load(sums[w], typ=code.vector), value), sums[w])
    return [code.builder.load(total, typ=code.vector) for total in sums]


def _add(code: Code, value: Value, address: Value, block: Value) -> None:
    """Add a block's part of a sum; the first begins it."""
    more = code.builder.fadd(code.load(address), value)
    code.store(code.choose(code.compare(block, "==", 0), value, more), address)


def _chosen(code: Code, number: Value, values: list[Value]) -> Value:
    """The value of this number."""
    result = values[0]
    for k, value in enumerate(values[1:], 1):
        result = code.choose(code.compare(number, "==", k), value, result)
    return result


def _write_tile(frame: Frame) -> Code:
    """Write the function that adds the outer products of one block to three registers of some columns' sums."""
    integers, pointers = ("count", "start", "stop", "block"), ("operands", "adjoints", "sums")
    code = frame.function("add_outer", *integers, pointers=pointers, inlined=False)
    a, element = code.arguments, frame.lanes if frame.nets else 1
    height = rows_of(frame.registers)
    with code.loop(a["start"], a["stop"], height, "column") as column:
        sums = code.at(a["sums"], code.mul(column, REGISTERS * frame.lanes))
        for k in range(height * REGISTERS):
            code.fetch(code.at(sums, k * frame.lanes))  # they come while the products run
        base = code.at(a["operands"], code.mul(column, a["count"], element))
        rows = [code.at(base, m * element) for m in range(height)]
        operand = Operand(rows, [a["adjoints"]], a["count"], height)
        total = accumulate(code, frame, [code.zero] * (height * REGISTERS), [operand], Tile(height, 1, REGISTERS))
        for k, value in enumerate(total):
            _add(code, value, code.at(sums, k * frame.lanes), a["block"])
    code.done()
    return code


def _unpack(
    frame: Frame, code: Code, part: Part, sums: Value, tile_size: Value, panels: Value, share: tuple[Value, Value]
) -> None:
    """Bring the sums, which lie column by column, to the gradient as the user's matrix lies."""
    group = frame.layout.definition.group(part.group)
    rows, columns = frame.units(code, group.rows), frame.units(code, str(group.columns))
    size = code.mul(rows, columns, len(group.gates))
    base, lane_step, whole, behind = gradient_of(frame, code, part.group, size, columns)
    is_only = part.group in stored_once(frame.layout)
    with code.loop(*share, name="register") as register:
        number = code.div(register, panels)
        gate = _chosen(code, number, [code.mul(gate, rows) for gate in part.gates])
        panel = code.sub(register, code.mul(number, panels))
        unit = panel if frame.nets else code.mul(panel, frame.lanes)
        left = code.sub(whole if frame.nets else rows, behind if frame.nets else unit)
        target = code.at(base, code.mul(code.add(gate, unit), columns))
        nth = code.div(register, REGISTERS)
        within = code.mul(code.sub(register, code.mul(nth, REGISTERS)), frame.lanes)
        source = code.at(sums, code.mul(nth, tile_size), within)
        squares = code.builder.and_(columns, ir.Constant(I64, -frame.lanes))
        squares = code.choose(code.compare(left, ">=", frame.lanes), squares, 0)
        column_step = code.mul(REGISTERS * frame.lanes)
        with code.loop(0, squares, frame.lanes, "column") as column:
            at = code.at(source, code.mul(column, column_step))
            square = [code.load(code.at(at, code.mul(k, column_step))) for k in range(frame.lanes)]
            for lane, value in enumerate(transposed(code, square)):
                put(code, value, code.at(target, code.mul(lane_step, lane), column), is_only)
        with code.loop(0, code.least(frame.lanes, left), name="lane") as lane:
            row = code.at(target, code.mul(lane, lane_step))
            with code.loop(squares, columns, name="column") as column:
                value = code.load_scalar(code.at(source, code.mul(column, column_step), lane))
                put(code, value, code.at(row, column), is_only)


def stored_once(layout: Layout) -> frozenset[str]:
    """Groups whose gradient is written exactly once, gate by gate; the others are added up from zero."""
    counts: dict[str, list[int]] = {}
    for job in jobs_of(layout):
        for part in job.parts:
            counts.setdefault(part.group, []).extend(part.gates)
    found = {name for name, gates in counts.items() if sorted(gates) == list(range(len(gates)))}
    complete = {g.name for g in layout.definition.groups if g.name in found and len(counts[g.name]) == len(g.gates)}
    vectors = (g for g in layout.definition.groups if not g.is_matrix)
    given = layout.program.vectors
    return frozenset(complete) | {g.name for g in vectors if all(given.get(f"{g.name}.{gate}") for gate in g.gates)}
