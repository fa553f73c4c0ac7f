"""The gradients of the parameters, after the walk: sums of outer products over all steps and rows.

Steps and rows are gone through in blocks that fit in the cache; what lies beyond a row's length is never read. The
operands of a block are packed eight by eight, the adjoints three registers wide, and a tile of eight rows adds up one
block after the other. Work is shared out by output, never over time: the sums do not depend on the number of threads.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from llvmlite import ir

from carrousel.backends.llvm.frame import Frame
from carrousel.backends.llvm.layout import Layout
from carrousel.backends.llvm.scan import is_first, is_reset, length_of, previous_row, rows_in_all
from carrousel.backends.llvm.tile import Operand, Tile, accumulate
from carrousel.backends.llvm.words import I64, PTR, Code, Value

__all__ = ["BLOCK", "REGISTERS", "ROWS", "jobs_of", "write_gradients"]

#: Steps and rows of a block; the rows and registers of a tile.
BLOCK, ROWS, REGISTERS = 256, 8, 3


@dataclass(frozen=True)
class Job:
    """The gradients of one group's matrices by one operand: `outer(adjoint, operand)` for each gate."""

    group: str
    operand: str
    adjoints: tuple[tuple[int, str], ...]


def jobs_of(layout: Layout) -> list[Job]:
    """Sort the outer products by what they have in common."""
    found: dict[tuple[str, str, int], list[tuple[int, str]]] = {}
    for outer in layout.program.outers:
        group, gate, *_ = layout.matrix(outer.matrix)
        for number, (adjoint, operand) in enumerate(outer.terms):
            found.setdefault((group, operand, number), []).append((gate, adjoint))
    return [Job(group, operand, tuple(gates)) for (group, operand, _), gates in found.items()]


def write_gradients(frame: Frame) -> Code:
    """Write the function `(arguments, thread, threads)` that adds to the parameters' gradients."""
    parts = _pack_operands(frame), _write_tile(frame)
    written = [_write_job(frame, k, job, *parts) for k, job in enumerate(jobs_of(frame.layout))]
    sums = _write_vectors(frame)
    code = frame.function("gradients", "thread", "threads")
    a, groups = code.arguments, frame.word(code, "groups")
    alone = code.compare(groups, ">=", a["threads"])  # networks enough: each thread takes some of them
    own, all_threads = code.choose(alone, 0, a["thread"]), code.choose(alone, 1, a["threads"])
    net_share = code.choose(alone, a["thread"], 0), code.choose(alone, a["threads"], 1)
    with code.loop(*frame.share(code, groups, *net_share), name="net") as net:
        for function in (*written, *sums):
            code.call(function, a["arguments"], net, own, all_threads, a["thread"])
    code.done()
    return code


def _function(frame: Frame, name: str) -> Code:
    return frame.function(name, "net", "share", "shares", "thread", inlined=False)


def _scratch(frame: Frame, code: Code, name: str, size: Value) -> Value:
    """A thread's own part of some scratch memory."""
    return code.at(frame.pointer(code, name), code.mul(code.arguments["thread"], size))


def _rows(frame: Frame, code: Code, operand: str | None, start: Value, stop: Value) -> tuple[Value, Value]:
    """List the adjoints and the operand of the steps start to stop of all rows that are not over."""
    layout, a = frame.layout, code.arguments
    table = code.word_at(frame.pointer(code, "gradient_rows"), code.mul(a["thread"], 2 * BLOCK))
    count, batch = code.variable(I64), frame.word(code, "batch")
    code.builder.store(code.mul(0), count)
    with code.loop(start, stop, name="step") as step:
        t = code.div(step, batch)
        b = code.sub(step, code.mul(t, batch))
        row = code.add(code.mul(a["net"], batch), b)
        length = length_of(frame, code, row)
        with code.when(code.compare(t, "<", length)):
            n = code.builder.load(count, typ=I64)
            at = code.add(code.mul(t, rows_in_all(frame, code)), row)
            adjoints = code.at(frame.pointer(code, "adjoints"), code.mul(at, frame.record_size(code, layout.adjoints)))
            code.put_word(adjoints, table, code.mul(n, 2))
            if operand is not None:
                code.put_word(_operand(frame, code, operand, t, b, row, length), table, code.add(code.mul(n, 2), 1))
            code.builder.store(code.add(n, 1), count)
    return table, code.builder.load(count, typ=I64)


def _operand(frame: Frame, code: Code, name: str, t: Value, b: Value, row: Value, length: Value) -> Value:
    """The address of what a matrix was multiplied with at one step and row."""
    layout, net = frame.layout, code.arguments["net"]
    if name == "x":
        steps = [code.mul(i, frame.word(code, n)) for i, n in ((t, "x_time"), (net, "x_net"), (b, "x_row"))]
        return code.at(frame.pointer(code, "x"), *steps)
    state = name.removesuffix("_prev")
    if name != state and state in layout.definition.states:
        first, reset = is_first(frame, code, t, length), is_reset(frame, code, t, row, length)
        return previous_row(frame, code, state, t, net, row, first, reset)
    at = code.add(code.mul(t, rows_in_all(frame, code)), row)
    if name in layout.definition.states:
        width = frame.width(code, layout.size(name))
        return code.at(frame.pointer(code, f"history.{name}"), code.mul(at, width))
    field = next(f for f in ("adjoints", "kept", "steps") if name in getattr(layout, f))
    record = getattr(layout, field)
    base = code.at(frame.pointer(code, field), code.mul(at, frame.record_size(code, record)))
    return code.at(base, frame.extent(code, record.before(name)))


# ---------------------------------------------------------------------- outer products


def _write_job(frame: Frame, number: int, job: Job, pack: Code, add: Code) -> Code:
    """Write the gradients of one job for one network and a share of the registers."""
    layout = frame.layout
    code = _function(frame, f"gradient_{number}_{job.group}")
    a = code.arguments
    rows, columns = _shape(frame, code, job)
    element = frame.lanes if frame.nets else 1
    panels = frame.panels(code, layout.size(job.adjoints[0][1]))
    padded = code.mul(code.div(code.add(columns, ROWS - 1), ROWS), ROWS)
    tiles = code.div(code.add(code.mul(panels, len(job.adjoints)), REGISTERS - 1), REGISTERS)
    first, last = frame.share(code, tiles, a["share"], a["shares"])
    start, stop, all_registers = (code.mul(n, REGISTERS) for n in (first, last, tiles))
    alone = code.compare(a["shares"], "==", 1)
    sums = code.at(
        frame.pointer(code, "gradient_sums"),
        code.choose(alone, code.mul(a["thread"], frame.word(code, "gradient_size")), 0),
    )
    _clear(frame, code, sums, padded, all_registers, start, stop)
    operands = _scratch(frame, code, "gradient_operands", code.mul(frame.word(code, "gradient_columns"), BLOCK * element))
    panel = _scratch(frame, code, "gradient_panel", code.mul(REGISTERS * BLOCK * frame.lanes))
    steps = code.mul(frame.word(code, "time"), frame.word(code, "batch"))
    with code.loop(0, steps, BLOCK, "block") as block:
        table, count = _rows(frame, code, job.operand, block, code.least(code.add(block, BLOCK), steps))
        code.call(pack, a["arguments"], table, operands, count, columns)
        with code.loop(start, stop, REGISTERS, "register") as register:
            _pack_adjoints(frame, code, job, table, count, panel, register, panels)
            at = code.at(sums, code.mul(register, frame.lanes))
            code.call(add, a["arguments"], operands, panel, at, count, padded, all_registers)
    stop = code.least(stop, code.mul(panels, len(job.adjoints)))
    _unpack(frame, code, job, sums, (rows, columns), all_registers, panels, (start, stop))
    code.done()
    return code


def _shape(frame: Frame, code: Code, job: Job) -> tuple[Value, Value]:
    group = frame.layout.definition.group(job.group)
    return frame.units(code, group.rows), frame.units(code, str(group.columns))


def _clear(frame: Frame, code: Code, sums: Value, padded: Value, registers: Value, start: Value, stop: Value) -> None:
    with code.loop(0, padded, name="row") as row, code.loop(start, stop, name="register") as register:
        code.store(code.zero, code.at(sums, code.mul(code.add(code.mul(row, registers), register), frame.lanes)))


def _pack_operands(frame: Frame) -> Code:
    """Write the function that packs a block's operands as [rows of the tile][step][8]."""
    code = frame.function("pack_operands", "count", "columns", pointers=("table", "target"), inlined=False)
    a = code.arguments
    eight = ir.VectorType(code.scalar, ROWS)
    element = frame.lanes if frame.nets else 1
    whole = code.div(a["columns"], ROWS)
    left = code.sub(a["columns"], code.mul(whole, ROWS))
    with code.loop(0, a["count"], name="step") as step:
        source = code.word(a["table"], code.add(code.mul(step, 2), 1), PTR)
        with code.loop(0, whole, name="tile") as tile:
            target = _packed_at(code, a["target"], tile, a["count"], step, element)
            if frame.nets:
                for m in range(ROWS):
                    value = code.load(code.at(source, code.mul(code.add(code.mul(tile, ROWS), m), element)))
                    code.store(value, code.at(target, m * element))
            else:
                value = code.builder.load(code.at(source, code.mul(tile, ROWS)), typ=eight, align=4)
                code.builder.store(value, target, align=4)
        with code.when(code.compare(left, ">", 0)):
            target = _packed_at(code, a["target"], whole, a["count"], step, element)
            for m in range(ROWS * element // (element if frame.nets else 1)):
                zero = code.zero if frame.nets else ir.Constant(code.scalar, 0.0)
                (code.store if frame.nets else code.store_scalar)(zero, code.at(target, m * element))
            with code.loop(0, left, name="column") as column:
                at = code.mul(code.add(code.mul(whole, ROWS), column), element)
                to = code.at(target, code.mul(column, element))
                if frame.nets:
                    code.store(code.load(code.at(source, at)), to)
                else:
                    code.store_scalar(code.load_scalar(code.at(source, at)), to)
    code.done()
    return code


def _packed_at(code: Code, target: Value, tile: Value, count: Value, step: Value, element: int) -> Value:
    return code.at(target, code.mul(code.add(code.mul(tile, count), step), ROWS * element))


def _adjoint_at(frame: Frame, code: Code, job: Job, register: Value, panels: Value) -> Value:
    """The elements that stand before a register of the job's adjoints in their record."""
    register = code.least(register, code.sub(code.mul(panels, len(job.adjoints)), 1))  # the last tile may have room
    gate = code.div(register, panels)
    offset: Value = code.mul(0)
    for k, (_, name) in enumerate(job.adjoints):
        here = frame.extent(code, frame.layout.adjoints.before(name))
        offset = code.choose(code.compare(gate, "==", k), here, offset)
    return code.add(offset, code.mul(code.sub(register, code.mul(gate, panels)), frame.lanes))


def _pack_adjoints(
    frame: Frame, code: Code, job: Job, table: Value, count: Value, target: Value, register: Value, panels: Value
) -> None:
    """Bring some registers of a block's adjoints side by side."""
    offsets = [_adjoint_at(frame, code, job, code.add(register, w), panels) for w in range(REGISTERS)]
    with code.loop(0, count, name="step") as step:
        source = code.word(table, code.mul(step, 2), PTR)
        for w, offset in enumerate(offsets):
            value = code.load(code.at(source, offset))
            code.store(value, code.at(target, code.mul(step, REGISTERS * frame.lanes), w * frame.lanes))


def _write_tile(frame: Frame) -> Code:
    """Write the function that adds the outer products of one block to three registers of every column's sums."""
    integers, pointers = ("count", "columns", "registers"), ("operands", "panel", "sums")
    code = frame.function("add_outer", *integers, pointers=pointers, inlined=False)
    a, element = code.arguments, frame.lanes if frame.nets else 1
    with code.loop(0, a["columns"], ROWS, "column") as column:
        base = code.at(a["operands"], code.mul(column, a["count"], element))
        rows = [code.at(base, m * element) for m in range(ROWS)]
        start = [code.zero] * (ROWS * REGISTERS)
        operand = Operand(rows, [a["panel"]], a["count"], ROWS)
        total = accumulate(code, frame, start, [operand], Tile(ROWS, 1, REGISTERS))
        for m in range(ROWS):
            for w in range(REGISTERS):
                at = code.add(code.mul(code.add(column, m), a["registers"]), w)
                address = code.at(a["sums"], code.mul(at, frame.lanes))
                code.store(code.builder.fadd(code.load(address), total[m * REGISTERS + w]), address)
    code.done()
    return code


def _unpack(
    frame: Frame,
    code: Code,
    job: Job,
    sums: Value,
    shape: tuple[Value, Value],
    registers: Value,
    panels: Value,
    share: tuple[Value, Value],
) -> None:
    """Add the sums, which lie column by column, to the gradient as the user's matrix lies."""
    rows, columns = shape
    group = frame.layout.definition.group(job.group)
    size = code.mul(rows, columns, len(group.gates))
    first_net = code.mul(code.arguments["net"], frame.lanes if frame.nets else 1)
    base = code.at(frame.pointer(code, f"gradient.{job.group}"), code.mul(first_net, size))
    with code.loop(*share, name="register") as register:
        number = code.div(register, panels)
        gate: Value = code.mul(0)
        for k, (row, _) in enumerate(job.adjoints):
            gate = code.choose(code.compare(number, "==", k), row, gate)
        panel = code.sub(register, code.mul(number, panels))
        unit = panel if frame.nets else code.mul(panel, frame.lanes)
        whole = frame.word(code, "nets") if frame.nets else rows
        behind = code.mul(first_net, 1) if frame.nets else unit
        lanes = code.least(frame.lanes, code.sub(whole, behind))
        with code.loop(0, lanes, name="lane") as lane:
            own = code.mul(lane, size if frame.nets else columns)
            target = code.at(base, code.mul(code.add(code.mul(gate, rows), unit), columns), own)
            with code.loop(0, columns, name="column") as column:
                at = code.mul(code.add(code.mul(column, registers), register), frame.lanes)
                address = code.at(target, column)
                value = code.load_scalar(code.at(sums, at, lane))
                code.store_scalar(code.builder.fadd(code.load_scalar(address), value), address)


# ---------------------------------------------------------------------- vectors


def _write_vectors(frame: Frame) -> list[Code]:
    """Write the gradients of vector parameters: the adjoints that are theirs, summed over steps and rows."""
    wanted: dict[str, list[str]] = {}
    for parameter, adjoint in frame.layout.program.vectors.items():
        if adjoint:
            wanted.setdefault(adjoint, []).append(parameter)
    return [_write_vector(frame, k, adjoint, names) for k, (adjoint, names) in enumerate(wanted.items())]


def _write_vector(frame: Frame, number: int, adjoint: str, parameters: list[str]) -> Code:
    layout, size = frame.layout, frame.layout.size(adjoint)
    code = _function(frame, f"gradient_vector_{number}")
    a = code.arguments
    start, stop = frame.share(code, frame.panels(code, size), a["share"], a["shares"])
    steps = code.mul(frame.word(code, "time"), frame.word(code, "batch"))
    alone = code.compare(a["shares"], "==", 1)
    sums = code.at(
        frame.pointer(code, "gradient_sums"),
        code.choose(alone, code.mul(a["thread"], frame.word(code, "gradient_size")), 0),
    )
    with code.loop(start, stop, name="panel") as panel:
        code.store(code.zero, code.at(sums, code.mul(panel, frame.lanes)))
    with code.loop(0, steps, BLOCK, "block") as block:
        table, count = _rows(frame, code, None, block, code.least(code.add(block, BLOCK), steps))
        with code.loop(start, stop, name="panel") as panel:
            offset = code.add(
                frame.extent(code, layout.adjoints.before(adjoint)), code.mul(panel, frame.lanes)
            )
            total = code.variable(code.vector)
            code.builder.store(code.zero, total)
            with code.loop(0, count, name="step") as step:
                value = code.load(code.at(code.word(table, code.mul(step, 2), PTR), offset))
                code.builder.store(code.builder.fadd(code.builder.load(total, typ=code.vector), value), total)
            address = code.at(sums, code.mul(panel, frame.lanes))
            block_sum = code.builder.load(total, typ=code.vector)
            code.store(code.builder.fadd(code.load(address), block_sum), address)
    for name in parameters:
        _unpack_vector(frame, code, name, sums, size, start, stop)
    code.done()
    return code


def _unpack_vector(frame: Frame, code: Code, name: str, sums: Value, size: str, start: Value, stop: Value) -> None:
    group = frame.layout.definition.group(name.split(".")[0])
    units = frame.units(code, size)
    stack = code.mul(units, len(group.gates))
    first_net = code.mul(code.arguments["net"], frame.lanes if frame.nets else 1)
    gate = code.mul(group.gates.index(name.split(".")[1]), units)
    base = code.at(frame.pointer(code, f"gradient.{group.name}"), code.mul(first_net, stack), gate)
    with code.loop(start, stop, name="panel") as panel:
        unit = panel if frame.nets else code.mul(panel, frame.lanes)
        whole, behind = (frame.word(code, "nets"), first_net) if frame.nets else (units, unit)
        with code.loop(0, code.least(frame.lanes, code.sub(whole, behind)), name="lane") as lane:
            own = code.mul(lane, stack) if frame.nets else lane
            value = code.load_scalar(code.at(sums, code.mul(panel, frame.lanes), lane))
            code.store_scalar(value, code.at(base, unit, own))


