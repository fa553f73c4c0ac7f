"""A whole sequence in one call: pack, then block by block project the input and walk; backward the other way round."""

from llvmlite import ir

from carrousel.backends.llvm.frame import Frame
from carrousel.backends.llvm.gradients import write_gradients
from carrousel.backends.llvm.layout import Sweep
from carrousel.backends.llvm.packing import packed_size, write_packing
from carrousel.backends.llvm.scan import length_of, rows_in_all, write_collect, write_cut, write_final, write_step
from carrousel.backends.llvm.tile import Rows, sweep_rows
from carrousel.backends.llvm.words import I64, PTR, Code, Value
from carrousel.calculus.notation import INPUT

__all__ = ["ENTRY", "TEAM", "write_sequence"]

#: The functions that a compiled kernel is called by: on one thread, and by each thread of a team.
ENTRY, TEAM = "sequence", "sequence_team"

_INT, _NULL = ir.IntType(32), ir.Constant(PTR, None)


def write_sequence(frame: Frame) -> None:
    """Write everything: the exported functions `sequence(arguments, thread, threads)` and `sequence_team(arguments)`."""
    layout = frame.layout
    pack = write_packing(frame)
    scan = _write_scan(frame)
    gradients = write_gradients(frame) if layout.is_backward else None
    code = frame.function(ENTRY, "thread", "threads", exported=True)
    a = code.arguments
    whole = (a["arguments"], a["thread"], a["threads"])
    code.call(pack, *whole)
    frame.barrier(code, a["threads"])
    code.call(scan, *whole)
    if gradients is not None:
        frame.barrier(code, a["threads"])
        code.call(gradients, *whole)
    code.done()
    team = frame.function(TEAM, exported=True)
    thread = team.builder.sext(frame.call_address(team, "thread_number", _INT), I64)
    threads = team.builder.sext(frame.call_address(team, "team_size", _INT), I64)
    team.call(code, team.arguments["arguments"], thread, threads)
    team.done()


def _write_scan(frame: Frame) -> Code:
    """Write the walk of one thread: its rows of all networks, or its units of all rows."""
    layout = frame.layout
    project = _write_projection(frame) if layout.projections else None
    steps = _write_steps(frame)
    final = None if layout.is_backward else write_final(frame)
    code = frame.function("scan", "thread", "threads")
    a = code.arguments
    split = frame.is_argument(code, "split", "==", 1)
    unit_share = code.choose(split, a["thread"], 0), code.choose(split, a["threads"], 1)
    row_share = code.choose(split, 0, a["thread"]), code.choose(split, 1, a["threads"])
    start, stop = frame.share(code, rows_in_all(frame, code), *row_share)
    table = code.word_at(frame.pointer(code, "table"), code.mul(a["thread"], frame.word(code, "table_size")))
    batch, time, block = (frame.word(code, n) for n in ("batch", "time", "block"))
    columns = code.at(_columns(frame, code), code.mul(row_share[0], block, _columns_size(frame, code)))
    blocks = code.div(code.add(time, code.sub(block, 1)), block)
    ahead = frame.is_argument(code, "reverse", "==", int(layout.is_backward))
    after_nets = code.div(code.add(stop, code.sub(batch, 1)), batch)
    with code.loop(code.div(start, batch), after_nets, name="net") as net:
        first = code.sub(_most(code, start, code.mul(net, batch)), code.mul(net, batch))
        last = code.sub(code.least(stop, code.mul(code.add(net, 1), batch)), code.mul(net, batch))
        common = [a["arguments"], table, columns, net, first, last]
        with code.loop(0, blocks, name="block") as number:
            t0 = code.mul(code.choose(ahead, number, code.sub(blocks, code.add(number, 1))), block)
            t1 = code.least(code.add(t0, block), time)
            if project is not None and not layout.is_backward:
                code.call(project, *common, t0, t1, *unit_share)
            code.call(steps, *common, t0, t1, *unit_share)
            if project is not None and layout.is_backward:
                wanted = code.builder.icmp_unsigned("!=", frame.pointer(code, "dx"), _NULL)
                with code.when(wanted):
                    code.call(project, *common, t0, t1, *unit_share)
        if final is not None:
            with code.when(code.compare(unit_share[0], "==", 0)):
                code.call(final, a["arguments"], net, first, last)
    code.done()
    return code


def _most(code: Code, a: Value, b: Value) -> Value:
    return code.choose(code.compare(a, ">", b), a, b)


def _columns(frame: Frame, code: Code) -> Value:
    return frame.pointer(code, "columns") if frame.layout.columns else code.arguments["arguments"]


def _columns_size(frame: Frame, code: Code) -> Value:
    """Elements of the projection of one step of all rows of a network."""
    return code.mul(frame.word(code, "batch"), frame.record_size(code, frame.layout.columns))


def _write_steps(frame: Frame) -> Code:
    """Write the walk over one block of steps."""
    layout = frame.layout
    collect, step = write_collect(frame), write_step(frame)
    cut = write_cut(frame) if layout.is_backward else None
    integers = ("net", "first_row", "last_row", "start", "stop", "thread", "threads")
    code = frame.function("steps", *integers, pointers=("table", "columns"))
    a = code.arguments
    ahead = frame.is_argument(code, "reverse", "==", int(layout.is_backward))
    with code.loop(a["start"], a["stop"], name="i") as i:
        t = code.choose(ahead, i, code.sub(code.add(a["start"], a["stop"]), code.add(i, 1)))
        rows = (a["first_row"], a["last_row"])
        n = code.call(collect, a["arguments"], a["table"], a["columns"], a["net"], t, *rows, a["start"])
        code.call(step, a["arguments"], a["table"], a["net"], t, n, a["thread"], a["threads"])
        if cut is not None:
            resets = frame.pointer(code, "resets")
            with code.when(code.builder.icmp_unsigned("!=", resets, _NULL)):
                code.call(cut, a["arguments"], a["net"], t, *rows, a["thread"], a["threads"])
                frame.barrier(code, a["threads"])
    code.done()
    return code


def _write_projection(frame: Frame) -> Code:
    """Write the products around the walk for a block of steps: W @ x before it, backward the gradient of x behind it."""
    layout = frame.layout
    integers = ("net", "first_row", "last_row", "start", "stop", "thread", "threads")
    code = frame.function("project", *integers, pointers=("table", "columns"))
    a = code.arguments
    count = code.variable(I64, code.mul(0))
    rows = code.sub(a["last_row"], a["first_row"])
    with code.loop(a["start"], a["stop"], name="t") as t, code.loop(0, rows, name="b") as b:
        row = code.add(code.mul(a["net"], frame.word(code, "batch")), b, a["first_row"])
        with code.when(code.compare(t, "<", length_of(frame, code, row))):
            n = code.builder.load(count, typ=I64)
            local = code.add(code.mul(code.sub(t, a["start"]), rows), b)
            source, target = _ends(frame, code, t, row, code.add(b, a["first_row"]), local)
            code.put_word(source, a["table"], code.mul(n, 2))
            code.put_word(target, a["table"], code.add(code.mul(n, 2), 1))
            code.builder.store(code.add(n, 1), count)
    for sweep in layout.projections:
        _project(frame, code, sweep, code.builder.load(count, typ=I64))
    code.done()
    return code


def _ends(frame: Frame, code: Code, t: Value, row: Value, b: Value, local: Value) -> tuple[Value, Value]:
    """Where the product of one step and row comes from, and where it goes."""
    layout, a = frame.layout, code.arguments
    if not layout.is_backward:
        steps = [code.mul(i, frame.word(code, n)) for i, n in ((t, "x_time"), (a["net"], "x_net"), (b, "x_row"))]
        target = code.at(a["columns"], code.mul(local, frame.record_size(code, layout.columns)))
        return code.at(frame.pointer(code, "x"), *steps), target
    step = code.add(code.mul(t, rows_in_all(frame, code)), row)
    source = code.at(frame.pointer(code, "adjoints"), code.mul(step, frame.record_size(code, layout.adjoints)))
    return source, code.at(frame.pointer(code, "dx"), code.mul(step, frame.width(code, INPUT)))


def _project(frame: Frame, code: Code, sweep: Sweep, count: Value) -> None:
    layout, a = frame.layout, code.arguments
    packed = code.at(frame.pointer(code, f"packed.{sweep.name}"), code.mul(a["net"], packed_size(frame, code, sweep)))
    record = layout.columns
    begin = code.at(frame.pointer(code, "biases"), code.mul(a["net"], 2, frame.record_size(code, record)))

    def place(name: str, panel: Value) -> Value:
        before = frame.extent(code, record.before(name)) if record else code.mul(0)
        return code.add(before, code.mul(panel, frame.lanes))

    def place_of(term: int) -> tuple[str, tuple[int, int]]:
        return ("adjoints", layout.adjoints.before(sweep.terms[term][0])) if layout.is_backward else ("", (0, 0))

    def operand(line: Value, term: int) -> Value:
        return code.at(code.word(line, 0, PTR), frame.extent(code, place_of(term)[1]))

    def start(line: Value, panel: Value) -> list[Value]:
        biased = {c.name for c in layout.program.columns if c.biases}
        return [code.load(code.at(begin, place(s, panel))) if s in biased else code.zero for s in sweep.sums]

    def finish(line: Value, panel: Value, sums: list[Value]) -> None:
        for name, value in zip(sweep.sums, sums, strict=True):
            code.store(value, code.at(code.word(line, 1, PTR), place(name, panel)))

    share = frame.share(code, frame.panels(code, sweep.size), a["thread"], a["threads"])
    sweep_rows(code, frame, sweep, packed, a["table"], count, share, Rows(operand, place_of, start, finish, 2, False))
