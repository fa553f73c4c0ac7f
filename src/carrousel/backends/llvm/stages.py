"""One step: its stages, for all rows that are not over.

A stage with products walks over the panels of their weights and takes all rows at each. Through the stages between two
such a few rows go at a time: what these stages hand on to each other stays in the cache.
"""

from itertools import groupby

from carrousel.backends.llvm.epilogue import equations, evaluate, start_of
from carrousel.backends.llvm.frame import Frame
from carrousel.backends.llvm.layout import Sweep, Widths
from carrousel.backends.llvm.packing import packed_size
from carrousel.backends.llvm.tile import Rows, sweep_rows
from carrousel.backends.llvm.words import BIT, Code, Value
from carrousel.calculus.program import Stage

__all__ = ["write_step"]

#: Rows that go through the stages together: fewer wait for their own means, more leave the cache.
_ROWS = 8

_INTEGERS = ("net", "t", "count", "thread", "threads")


def write_step(frame: Frame) -> Code:
    """Write the function that computes all stages of one step for the lines of a table."""
    layout = frame.layout
    parts: list[tuple[int, Sweep | None]] = []
    for number, (stage, sweep) in enumerate(zip(layout.program.stages, layout.sweeps, strict=True)):
        parts += [(number, None)] if stage.means or stage.once or sweep is None else []
        parts += [(number, sweep)] if sweep is not None else []
    functions = []
    for _, group in groupby(parts, lambda part: part[1] is None):
        members = list(group)
        products = [_products(frame, number, sweep) for number, sweep in members if sweep is not None]
        functions += products or [_rows(frame, [number for number, _ in members])]
    code = frame.function("step", *_INTEGERS, pointers=("table",))
    for function in functions:
        code.call(function, *(code.arguments[name] for name in ("arguments", "table", *_INTEGERS)))
        frame.barrier(code, code.arguments["threads"])  # threads may share the units of a row
    code.done()
    return code


def _products(frame: Frame, number: int, sweep: Sweep) -> Code:
    """Write the products of a stage, with its equations behind them."""
    layout, evaluated = frame.layout, equations(frame, number)
    code = frame.function(f"stage_{number}", *_INTEGERS, pointers=("table",))
    a = code.arguments
    packed = code.at(frame.pointer(code, f"packed.{sweep.name}"), code.mul(a["net"], packed_size(frame, code, sweep)))

    def place(term: int) -> tuple[str, Widths]:
        return layout.place(sweep.terms[term][0], number)

    def operand_of(line: Value, term: int) -> Value:
        field, before = place(term)
        return code.at(frame.field_of(code, line, field), frame.extent(code, before))

    def start(line: Value, panel: Value) -> list[Value]:
        return list(start_of(frame, code, number, line, panel))

    def finish(line: Value, panel: Value, sums: list[Value]) -> None:
        code.call(evaluated, a["arguments"], line, a["net"], panel, *sums)

    odd = code.builder.trunc(a["t"], BIT)
    share = frame.share_of_panels(code, sweep.size, len(sweep.sums), a["thread"], a["threads"])
    rows = Rows(operand_of, place, start, finish, frame.line, frame.single, odd)
    sweep_rows(code, frame, sweep, packed, a["table"], a["count"], share, rows)
    code.done()
    return code


def _rows(frame: Frame, numbers: list[int]) -> Code:
    """Write stages without products, or what comes before those of one, for a few rows at a time."""
    stages, sweeps = frame.layout.program.stages, frame.layout.sweeps
    evaluated = {number: equations(frame, number) for number in numbers if sweeps[number] is None}
    code = frame.function(f"rows_{numbers[0]}", *_INTEGERS, pointers=("table",))
    a = code.arguments
    sizes = {stages[number].size for number in evaluated}
    shares = {size: frame.share_of_panels(code, size, 0, a["thread"], a["threads"]) for size in sorted(sizes)}
    with code.loop(0, a["count"], _ROWS, "group") as group:
        end = code.least(code.add(group, _ROWS), a["count"])
        for number in numbers:
            if stages[number].means and number != numbers[0]:
                frame.barrier(code, a["threads"])  # a mean reads the units of all threads
            with code.loop(group, end, name="row") as row:
                line = code.word_at(a["table"], code.mul(row, frame.line))
                if stages[number].means or stages[number].once:
                    _once(frame, code, number, line)
                if number in evaluated:
                    with code.loop(*shares[stages[number].size], name="panel") as panel:
                        code.call(evaluated[number], a["arguments"], line, a["net"], panel)
    code.done()
    return code


def _once(frame: Frame, code: Code, number: int, line: Value) -> None:
    """What is the same for all units of a row: the means over them, and what follows from these."""
    layout, stage = frame.layout, frame.layout.program.stages[number]

    def address(name: str) -> Value:
        field, before = layout.place(name, number)
        return code.at(frame.field_of(code, line, field), frame.extent(code, before))

    means = _means(frame, code, stage, [address(operand) for _, operand in stage.means])
    with code.vectors_of(frame.row):
        values = {name: code.load(address(name), name) for name in stage.read_once} | means
        for operation in stage.once:
            values[operation.name] = evaluate(code, frame.elementary_of_row, operation, values)
    for name, value in values.items():
        if name not in stage.read_once and (name in layout.kept or name in layout.temporaries):
            code.store(code.resized(value, code.vector), address(name))


def _means(frame: Frame, code: Code, stage: Stage, operands: list[Value]) -> dict[str, Value]:
    """The means over the units of a row."""
    if not operands:
        return {}
    units = frame.units(code, stage.size)
    totals = [code.variable(code.vector, code.zero) for _ in operands]
    with code.loop(0, frame.panels(code, stage.size), name="panel") as panel:
        first = code.mul(panel, frame.lanes)
        for operand, total in zip(operands, totals, strict=True):
            value = code.load(code.at(operand, first))
            if not frame.nets:  # what fills the last register up may be anything
                value = code.first_lanes(value, code.sub(units, first))
            code.builder.store(code.builder.fadd(code.builder.load(total, typ=code.vector), value), total)
    with code.vectors_of(frame.row):
        count = code.splat(code.builder.sitofp(units, code.scalar))
    values = {}
    for (name, _), total in zip(stage.means, totals, strict=True):
        result = code.builder.load(total, typ=code.vector)
        result = result if frame.nets else code.sum_of_lanes(result)
        values[name] = code.builder.fdiv(code.resized(result, frame.row), count, name=name)
    return values
