"""Weights in the order in which the tile reads them: by panel, for each k the registers of all sums side by side."""

from llvmlite import ir

from carrousel.backends.llvm.frame import Frame
from carrousel.backends.llvm.layout import Sweep
from carrousel.backends.llvm.words import I32, I64, Code, Value

__all__ = ["packed_size", "transposed", "write_packing"]


def packed_size(frame: Frame, code: Code, sweep: Sweep) -> Value:
    """Elements of the packed weights of one network (or of one register full of networks)."""
    counts = [frame.units(code, frame.layout.size(operand)) for operand, _ in sweep.terms]
    return code.mul(frame.panels(code, sweep.size), code.add(*counts), len(sweep.sums) * frame.lanes)


def write_packing(frame: Frame) -> Code:
    """Write the function `(arguments, thread, threads)` that packs everything; each thread its share of panels."""
    layout = frame.layout
    gather = {contiguous: _gather(frame, contiguous) for contiguous in (True, False)}
    add = _add_vector(frame)
    code = frame.function("pack", "thread", "threads")
    thread, threads = code.arguments["thread"], code.arguments["threads"]
    with code.loop(0, frame.word(code, "groups"), name="net") as net:
        for sweep in layout.packed:
            _pack_sweep(frame, code, gather, sweep, net, thread, threads)
        with code.when(code.compare(code.builder.urem(net, threads), "==", thread)):
            _pack_vectors(frame, code, gather[not frame.nets], add, net)
    code.done()
    return code


def _pack_sweep(
    frame: Frame, code: Code, gather: dict[bool, Code], sweep: Sweep, net: Value, thread: Value, threads: Value
) -> None:
    target = code.at(frame.pointer(code, f"packed.{sweep.name}"), code.mul(net, packed_size(frame, code, sweep)))
    start, stop = frame.share(code, frame.panels(code, sweep.size), thread, threads)
    counts = [frame.units(code, frame.layout.size(operand)) for operand, _ in sweep.terms]
    step = len(sweep.sums) * frame.lanes
    panel_step = code.mul(code.add(*counts), step)
    offset: Value = code.mul(0)
    for (_, matrices), count in zip(sweep.terms, counts, strict=True):
        for k, matrix in enumerate(matrices):
            at = code.at(target, code.mul(offset, step), k * frame.lanes)
            source, unit_step, k_step = matrix_source(frame, code, matrix, sweep.transposed, net)
            units = frame.units(code, sweep.size) if matrix else code.mul(0)
            lane_step, lanes, by_panel = lanes_of(frame, code, matrix, units, unit_step, net)
            arguments = [at, source, panel_step, code.mul(step, 1), by_panel, lane_step]
            arguments += [k_step, count, lanes, start, stop]
            code.call(gather[sweep.transposed and not frame.nets], code.arguments["arguments"], *arguments)
        offset = code.add(offset, count)


def matrix_source(
    frame: Frame, code: Code, matrix: str | None, transposed: bool, net: Value
) -> tuple[Value, Value, Value]:
    """The address of a matrix, and the distance between its result's units and between its k."""
    if matrix is None:
        return code.arguments["arguments"], code.mul(0), code.mul(0)
    group, gate, gates, row_size, column_size = frame.layout.matrix(matrix)
    rows, columns = frame.units(code, row_size), frame.units(code, column_size)
    size = code.mul(rows, columns)
    first_net = code.mul(net, frame.lanes if frame.nets else 1)
    source = code.at(frame.pointer(code, group), code.mul(first_net, gates, size), code.mul(gate, size))
    return (source, code.mul(1), columns) if transposed else (source, columns, code.mul(1))


def lanes_of(
    frame: Frame, code: Code, name: str | None, units: Value, unit_step: Value, net: Value
) -> tuple[Value, Value, Value]:
    """How the lanes of a panel are found: distance between lanes, how many there are in all, distance of panels."""
    if not frame.nets:
        return unit_step, units, code.mul(unit_step, frame.lanes)
    if name is None:
        return code.mul(0), code.mul(0), code.mul(0)
    left = code.sub(frame.word(code, "nets"), code.mul(net, frame.lanes))
    return parameter_size(frame, code, name), left, unit_step


def parameter_size(frame: Frame, code: Code, name: str) -> Value:
    """Elements of a network's parameters of one group, all gates."""
    group = frame.layout.definition.group(name.split(".")[0])
    rows = frame.units(code, group.rows)
    return code.mul(len(group.gates), rows, *([frame.units(code, str(group.columns))] if group.is_matrix else []))


_GATHER = ("to_panel", "to_k", "from_panel", "from_lane", "from_k", "count", "lanes", "start", "stop")


def _gather(frame: Frame, contiguous: bool) -> Code:
    """Write the function that packs one matrix for one sum; the memory is walked along the rows of the matrix."""
    name = "gather_rows" if contiguous else "gather_columns"
    code = frame.function(name, *_GATHER, pointers=("target", "source"), inlined=False)
    a = code.arguments
    if contiguous:
        with code.loop(0, a["count"], name="k") as k, code.loop(a["start"], a["stop"], name="panel") as panel:
            source, target, here = _ends(frame, code, panel)
            source, target = code.at(source, code.mul(k, a["from_k"])), code.at(target, code.mul(k, a["to_k"]))
            with code.builder.if_else(code.compare(here, ">=", frame.lanes)) as (whole, partial):
                with whole:
                    code.store(code.load(source), target)
                with partial:
                    _some_lanes(code, source, target, here)
    else:
        with code.loop(a["start"], a["stop"], name="panel") as panel:
            source, target, here = _ends(frame, code, panel)
            squares = code.builder.and_(a["count"], ir.Constant(I64, -frame.lanes))
            is_square = code.builder.and_(code.compare(here, ">=", frame.lanes), code.compare(a["from_k"], "==", 1))
            squares = code.choose(is_square, squares, 0)
            with code.loop(0, squares, frame.lanes, "k") as k:
                _square(code, code.at(source, code.mul(k, a["from_k"])), code.at(target, code.mul(k, a["to_k"])))
            with code.loop(squares, a["count"], name="k") as k:
                at, to = code.at(source, code.mul(k, a["from_k"])), code.at(target, code.mul(k, a["to_k"]))
                _some_lanes(code, at, to, code.least(here, frame.lanes))
    code.done()
    return code


def _ends(frame: Frame, code: Code, panel: Value) -> tuple[Value, Value, Value]:
    """Where a panel comes from, where it goes, and how many of its lanes there are (at most; or more)."""
    a = code.arguments
    here = a["lanes"] if frame.nets else code.sub(a["lanes"], code.mul(panel, frame.lanes))
    source = code.at(a["source"], code.mul(panel, a["from_panel"]))
    return source, code.at(a["target"], code.mul(panel, a["to_panel"])), here


def _some_lanes(code: Code, source: Value, target: Value, lanes: Value) -> None:
    """Fill some lanes one by one, the others with zero."""
    code.store(code.zero, target)
    with code.loop(0, lanes, name="lane") as lane:
        at = code.at(source, code.mul(lane, code.arguments["from_lane"]))
        code.store_scalar(code.load_scalar(at), code.at(target, lane))


def _square(code: Code, source: Value, target: Value) -> None:
    """Transpose one square: as many rows of the matrix as there are lanes, and as many k, contiguous in each row."""
    a = code.arguments
    rows = [code.load(code.at(source, code.mul(a["from_lane"], lane))) for lane in range(code.lanes)]
    for k, row in enumerate(transposed(code, rows)):
        code.store(row, code.at(target, code.mul(a["to_k"], k)))


def transposed(code: Code, rows: list[Value]) -> list[Value]:
    """Transpose a square of registers: swap the off-diagonal halves of pairs of rows, ever closer ones."""
    rows, lanes, distance = list(rows), code.lanes, code.lanes // 2
    while distance:
        low = [k if not k & distance else lanes + (k ^ distance) for k in range(lanes)]
        high = [k ^ distance if not k & distance else lanes + k for k in range(lanes)]
        masks = [ir.Constant(ir.VectorType(I32, lanes), mask) for mask in (low, high)]
        for k in range(lanes):
            if not k & distance:
                pair = rows[k], rows[k | distance]
                rows[k], rows[k | distance] = (code.builder.shuffle_vector(*pair, mask) for mask in masks)
        distance //= 2
    return rows


def _pack_vectors(frame: Frame, code: Code, gather: Code, add: Code, net: Value) -> None:
    """The vectors that the equations read, and what the input projection starts from."""
    layout = frame.layout

    def fill(base: Value, name: str, size: str) -> None:
        group = layout.definition.group(name.split(".")[0])
        units = frame.units(code, size)
        first_net = code.mul(net, frame.lanes if frame.nets else 1)
        stack = code.mul(units, len(group.gates))
        source = code.at(
            frame.pointer(code, group.name),
            code.mul(first_net, stack),
            code.mul(group.gates.index(name.split(".")[1]), units),
        )
        lane_step, lanes, by_panel = lanes_of(frame, code, name, units, code.mul(1), net)
        zero, one = code.mul(0), code.mul(1)
        arguments = [base, source, code.mul(frame.lanes, 1), zero, by_panel, lane_step, zero, one, lanes]
        code.call(gather, code.arguments["arguments"], *arguments, zero, frame.panels(code, size))

    for k, name in enumerate(layout.vectors):
        size = layout.definition.group(name.split(".")[0]).rows
        width = frame.width(code, size)
        at = code.add(code.mul(net, len(layout.vectors)), k)
        fill(code.at(frame.pointer(code, "vectors"), code.mul(at, width)), name, size)
    record = layout.columns
    base = code.at(frame.pointer(code, "biases"), code.mul(net, 2, frame.record_size(code, record)))
    spare = code.at(base, frame.record_size(code, record))
    for column in layout.program.columns:
        size = layout.size(column.name)
        target = code.at(base, frame.extent(code, record.before(column.name)))
        for k, name in enumerate(column.biases):
            fill(spare if k else target, name, size)
            if k:
                code.call(add, code.arguments["arguments"], target, spare, frame.panels(code, size))


def _add_vector(frame: Frame) -> Code:
    """Write the function `target += source` on some panels."""
    code = frame.function("add_vector", "count", pointers=("target", "source"), inlined=False)
    with code.loop(0, code.arguments["count"], name="panel") as panel:
        at = code.at(code.arguments["target"], code.mul(panel, frame.lanes))
        other = code.load(code.at(code.arguments["source"], code.mul(panel, frame.lanes)))
        code.store(code.builder.fadd(code.load(at), other), at)
    code.done()
    return code
