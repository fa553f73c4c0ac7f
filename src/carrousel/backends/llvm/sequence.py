"""A whole sequence in one call: pack, then block by block project the input and walk; backward the other way round.

A caller that keeps the memory between calls says when the weights in it are packed already.
"""

from llvmlite import ir

from carrousel.backends.llvm.frame import Frame
from carrousel.backends.llvm.gradients import write_gradients
from carrousel.backends.llvm.layout import HERE, Sweep, Widths
from carrousel.backends.llvm.packing import packed_size, write_packing
from carrousel.backends.llvm.scan import (
    length_of,
    rows_in_all,
    write_advance,
    write_clear,
    write_collect,
    write_cut,
    write_final,
)
from carrousel.backends.llvm.stages import write_step
from carrousel.backends.llvm.tile import Rows, sweep_rows
from carrousel.backends.llvm.words import BIT, I64, PTR, Code, Int, Value, constant
from carrousel.calculus.notation import INPUT

__all__ = ["ENTRY", "TEAM", "write_sequence"]

#: The functions that a compiled kernel is called by: on one thread, and by each thread of a team.
ENTRY, TEAM = "sequence", "sequence_team"

_INT = ir.IntType(32)


def write_sequence(frame: Frame) -> None:
    """Write everything; what is called is `sequence(arguments, thread, threads)` or `sequence_team(arguments)`."""
    layout = frame.layout
    pack = write_packing(frame)
    scan = _write_scan(frame)
    gradients = write_gradients(frame) if layout.is_backward else None
    code = frame.function(ENTRY, "thread", "threads", exported=True)
    a = code.arguments
    whole = (a["arguments"], a["thread"], a["threads"])
    with code.when(frame.is_argument(code, "is_packed", "==", 0)):
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
    final = None if layout.is_backward else write_final(frame)
    clear = write_clear(frame) if layout.totals else None
    walk = _Walk(frame)
    code = walk.code = frame.function("scan", "thread", "threads")
    a = code.arguments
    split = frame.is_argument(code, "split", "==", 1)
    units = code.choose(split, a["thread"], 0), code.choose(split, a["threads"], 1)
    row_share = code.choose(split, 0, a["thread"]), code.choose(split, 1, a["threads"])
    start, stop = frame.share(code, rows_in_all(frame, code), *row_share)
    batch = frame.word(code, "batch")
    own_columns = code.mul(row_share[0], walk.columns_size())
    if walk.can_be_ahead:
        with code.when(walk.is_ahead()):
            walk.ahead()
    with code.loop(code.div(start, batch), code.div(code.add(stop, code.sub(batch, 1)), batch), name="net") as net:
        first = code.sub(code.most(start, code.mul(net, batch)), code.mul(net, batch))
        last = code.sub(code.least(stop, code.mul(code.add(net, 1), batch)), code.mul(net, batch))
        rows = (net, first, last)
        if clear is not None:
            code.call(clear, a["arguments"], *rows, *units)
        with code.when(code.builder.not_(walk.is_ahead())), code.loop(0, walk.blocks(), name="block") as number:
            if not layout.is_backward:
                walk.project(number, own_columns, rows, units)
            walk.steps(number, own_columns, rows, units)
            if layout.is_backward:
                walk.project(number, own_columns, rows, units)
        if final is not None:
            with code.when(code.compare(units[0], "==", 0)):
                code.call(final, a["arguments"], *rows)
    code.done()
    return code


Rows3 = tuple[Value, Value, Value]
Share = tuple[Int, Int]


class _Walk:
    """Block by block: the input projection, the steps, and backward the gradient of x."""

    code: Code

    def __init__(self, frame: Frame) -> None:
        self.frame, self.layout = frame, frame.layout
        self._project = _write_projection(frame) if frame.layout.projections else None
        self._steps = _write_steps(frame)
        #: One sequence alone: a second thread can project the next block while the first walks over this one.
        self.can_be_ahead = frame.single and self._project is not None and not frame.layout.is_backward

    def is_ahead(self) -> Value:
        """Whether other threads project ahead of the only one that has a row."""
        frame, code = self.frame, self.code
        if not self.can_be_ahead:
            return ir.Constant(BIT, 0)
        several = code.compare(code.arguments["threads"], ">", 1)
        alone = code.compare(rows_in_all(frame, code), "==", 1)
        whole = frame.is_argument(code, "split", "==", 0)
        return code.builder.and_(code.builder.and_(several, alone), whole)

    def blocks(self) -> Value:
        """How many blocks there are."""
        time, block = self.frame.word(self.code, "time"), self.frame.word(self.code, "block")
        return self.code.div(self.code.add(time, self.code.sub(block, 1)), block)

    def columns_size(self) -> Value:
        """Elements of the projection of one block."""
        frame, code = self.frame, self.code
        size = frame.record_size(code, self.layout.columns)
        return code.mul(frame.word(code, "block"), frame.word(code, "batch"), size)

    def project(self, number: Value, columns: Value, rows: Rows3, share: Share) -> None:
        """Compute the products around the walk for one block."""
        if self._project is not None and self.layout.is_backward:
            with self.code.when(self.frame.is_given(self.code, "dx")):
                self._call(self._project, number, columns, rows, share)
        elif self._project is not None:
            self._call(self._project, number, columns, rows, share)

    def steps(self, number: Value, columns: Value, rows: Rows3, share: Share) -> None:
        """Walk over one block."""
        self._call(self._steps, number, columns, rows, share)

    def _call(self, function: Code, number: Value, columns: Value, rows: Rows3, share: Share) -> None:
        frame, code = self.frame, self.code
        a, block = code.arguments, frame.word(code, "block")
        ahead = frame.is_argument(code, "reverse", "==", int(self.layout.is_backward))
        place = code.choose(ahead, number, code.sub(self.blocks(), code.add(number, 1)))
        start = code.mul(place, block)
        stop = code.least(code.add(start, block), frame.word(code, "time"))
        table = code.word_at(frame.pointer(code, "table"), code.mul(a["thread"], frame.word(code, "table_size")))
        base = frame.pointer(code, "columns") if self.layout.columns else a["arguments"]
        thread, threads = (constant(n) for n in share)
        code.call(function, a["arguments"], table, code.at(base, columns), *rows, start, stop, thread, threads)

    def ahead(self) -> None:
        """The thread of the only row walks; the others project the block behind it, in another part of the memory."""
        frame, code = self.frame, self.code
        a, zero, one = code.arguments, constant(0), constant(1)
        walker = code.compare(code.add(a["thread"], 1), "==", a["threads"])
        blocks, rows = self.blocks(), (zero, zero, one)
        with code.loop(0, code.add(blocks, 1), name="ahead") as number:
            even = code.mul(code.builder.and_(number, one), self.columns_size())
            odd = code.sub(self.columns_size(), even)
            with code.builder.if_else(walker) as (walks, projects):
                with walks, code.when(code.compare(number, ">", 0)):
                    self.steps(code.sub(number, 1), odd, rows, (0, 1))
                with projects, code.when(code.compare(number, "<", blocks)):
                    self.project(number, even, rows, (a["thread"], code.sub(a["threads"], 1)))
            frame.barrier(code, a["threads"])


def _write_steps(frame: Frame) -> Code:
    """Write the walk over one block of steps."""
    layout = frame.layout
    collect, advance, step = write_collect(frame), write_advance(frame), write_step(frame)
    cut = write_cut(frame) if layout.is_backward else None
    integers = ("net", "first_row", "last_row", "start", "stop", "thread", "threads")
    code = frame.function("steps", *integers, pointers=("table", "columns"))
    a = code.arguments
    ahead = frame.is_argument(code, "reverse", "==", int(layout.is_backward))
    rows, count = (a["first_row"], a["last_row"]), code.variable(I64)
    with code.loop(a["start"], a["stop"], name="i") as i:
        t = code.choose(ahead, i, code.sub(code.add(a["start"], a["stop"]), code.add(i, 1)))
        with code.builder.if_else(_is_next(frame, code, i, t)) as (is_next, is_new):
            with is_next:
                own = code.sub(a["last_row"], a["first_row"])
                code.call(advance, a["arguments"], a["table"], t, code.builder.load(count, typ=I64), own)
            with is_new:
                found = code.call(collect, a["arguments"], a["table"], a["columns"], a["net"], t, *rows, a["start"])
                code.builder.store(found, count)
        n = code.builder.load(count, typ=I64)
        code.call(step, a["arguments"], a["table"], a["net"], t, n, a["thread"], a["threads"])
        if cut is not None:
            with code.when(frame.is_given(code, "resets")):
                code.call(cut, a["arguments"], a["net"], t, *rows, a["thread"], a["threads"])
                frame.barrier(code, a["threads"])
    code.done()
    return code


def _is_next(frame: Frame, code: Code, i: Value, t: Value) -> Value:
    """Whether a step's addresses follow from the last one's: no row begins, ends or is reset, no block begins."""
    ragged = code.builder.or_(frame.is_given(code, "lengths"), frame.is_given(code, "resets"))
    begin = code.mul(frame.word(code, "reverse"), code.sub(frame.word(code, "time"), 1))
    inside = [code.compare(i, ">", code.add(code.arguments["start"], 1)), code.compare(t, "!=", begin)]
    return code.builder.and_(code.builder.not_(ragged), code.builder.and_(*inside))


def _write_projection(frame: Frame) -> Code:
    """Write the products around the walk for a block of steps: W @ x before it; backward, the gradient of x behind."""
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

    def place_of(term: int) -> tuple[str, Widths]:
        return ("adjoints", layout.adjoints.before(sweep.terms[term][0])) if layout.is_backward else ("", HERE)

    def operand(line: Value, term: int) -> Value:
        return code.at(code.word(line, 0, PTR), frame.extent(code, place_of(term)[1]))

    def start(line: Value, panel: Value) -> list[Value]:
        biased = {c.name for c in layout.program.columns if c.biases}
        return [code.load(code.at(begin, place(s, panel))) if s in biased else code.zero for s in sweep.sums]

    def finish(line: Value, panel: Value, sums: list[Value]) -> None:
        for name, value in zip(sweep.sums, sums, strict=True):
            code.store(value, code.at(code.word(line, 1, PTR), place(name, panel)))

    share = frame.share_of_panels(code, sweep.size, len(sweep.sums), a["thread"], a["threads"])
    sweep_rows(code, frame, sweep, packed, a["table"], count, share, Rows(operand, place_of, start, finish, 2, False))
