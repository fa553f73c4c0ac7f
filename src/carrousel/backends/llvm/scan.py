"""The walk over time: which rows a step touches, where they lie, and what is done where they begin and end."""

from llvmlite import ir

from carrousel.backends.llvm.frame import Frame
from carrousel.backends.llvm.words import BYTE, I64, PTR, Code, Value

__all__ = ["write_advance", "write_clear", "write_collect", "write_cut", "write_final"]


def length_of(frame: Frame, code: Code, row: Value) -> Value:
    """The number of steps of a row."""
    lengths = frame.pointer(code, "lengths")
    given = frame.is_given(code, "lengths")
    every = code.word_at(code.arguments["arguments"], frame.index["time"])
    return code.word(code.choose(given, code.word_at(lengths, row), every), 0)


def is_reset(frame: Frame, code: Code, t: Value, row: Value, length: Value) -> Value:
    """Whether a boundary lies before step t of a row, in the direction of the walk."""
    resets = frame.pointer(code, "resets")
    at = code.add(t, frame.word(code, "reverse"))
    given = frame.is_given(code, "resets")
    inside = code.builder.and_(given, code.compare(at, "<", length))
    index = code.add(code.mul(at, rows_in_all(frame, code)), row)
    no = code.variable(BYTE, ir.Constant(BYTE, 0))
    address = code.choose(inside, code.builder.gep(resets, [index], source_etype=BYTE), no)
    return code.builder.icmp_unsigned("!=", code.builder.load(address, typ=BYTE), ir.Constant(BYTE, 0))


def rows_in_all(frame: Frame, code: Code) -> Value:
    """Rows of all networks."""
    return code.mul(frame.word(code, "groups"), frame.word(code, "batch"))


def history_row(frame: Frame, code: Code, state: str, t: Value, row: Value) -> Value:
    """The address of a state after step t; without a history its steps lie in a ring of two."""
    slot = code.builder.and_(t, frame.word(code, f"ring.{state}"))
    at = code.add(code.mul(slot, rows_in_all(frame, code)), row)
    width = frame.width(code, frame.layout.size(state))
    return code.at(frame.pointer(code, f"history.{state}"), code.mul(at, width))


def previous_row(
    frame: Frame, code: Code, state: str, t: Value, net: Value, row: Value, first: Value, reset: Value
) -> Value:
    """The address of a state before step t: the last step's, the initial one, or the one after a reset."""
    reverse = frame.word(code, "reverse")
    before = code.add(t, code.sub(code.mul(reverse, 2), 1))
    width = frame.width(code, frame.layout.size(state))
    initial = code.at(frame.pointer(code, f"initial.{state}"), code.mul(row, width))
    fresh = code.at(frame.pointer(code, f"fresh.{state}"), code.mul(net, frame.word(code, f"fresh_net.{state}")))
    stored = history_row(frame, code, state, before, row)
    return code.choose(reset, fresh, code.choose(first, initial, stored))


def is_first(frame: Frame, code: Code, t: Value, length: Value) -> Value:
    """Whether the walk over a row begins at step t."""
    return code.compare(t, "==", code.mul(frame.word(code, "reverse"), code.sub(length, 1)))


def write_collect(frame: Frame) -> Code:
    """Write the function that lists what step t touches of every row that is not over; returns how many there are."""
    layout = frame.layout
    integers = ("net", "t", "first_row", "last_row", "block_start")
    code = frame.function("collect", *integers, pointers=("table", "columns"), returns=I64)
    a, states = code.arguments, layout.definition.states
    count = code.variable(I64, code.mul(0))
    with code.loop(a["first_row"], a["last_row"], name="b") as b:
        row = code.add(code.mul(a["net"], frame.word(code, "batch")), b)
        length = length_of(frame, code, row)
        with code.when(code.compare(a["t"], "<", length)):
            n = code.builder.load(count, typ=I64)
            line = code.word_at(a["table"], code.mul(n, frame.line))
            code.builder.store(code.add(n, 1), count)
            first, reset = is_first(frame, code, a["t"], length), is_reset(frame, code, a["t"], row, length)
            step = code.add(code.mul(a["t"], rows_in_all(frame, code)), row)
            addresses = {}
            for state in states:
                addresses[f"prev.{state}"] = previous_row(frame, code, state, a["t"], a["net"], row, first, reset)
                addresses[f"new.{state}"] = history_row(frame, code, state, a["t"], row)
                if layout.is_backward:
                    width = frame.width(code, layout.size(state))
                    addresses[f"carry.{state}"] = code.at(frame.pointer(code, f"carry.{state}"), code.mul(row, width))
            if layout.is_backward:
                width = frame.width(code, layout.size(states[0]))
                addresses["output"] = code.at(frame.pointer(code, "output"), code.mul(step, width))
            for field in ("kept", "steps", "seeds", "adjoints"):
                if field in layout.fields:
                    size = frame.record_size(code, getattr(layout, field))
                    addresses[field] = code.at(frame.pointer(code, field), code.mul(step, size))
            if "columns" in layout.fields:
                here = code.mul(code.sub(a["t"], a["block_start"]), code.sub(a["last_row"], a["first_row"]))
                local = code.add(here, code.sub(b, a["first_row"]))
                size = frame.record_size(code, layout.columns)
                addresses["columns"] = code.at(a["columns"], code.mul(local, size))
            for field in ("totals", "temporaries"):
                if field in layout.fields:
                    size = frame.record_size(code, getattr(layout, field))
                    addresses[field] = code.at(frame.pointer(code, field), code.mul(row, size))
            for k, field in enumerate(layout.fields):
                code.put_word(addresses[field], line, k)
    code.done(code.builder.load(count, typ=I64))
    return code


def write_advance(frame: Frame) -> Code:
    """Write the function that goes on from the addresses of one step to those of step t, the next one.

    It is for steps where no row begins, ends or is reset.
    """
    layout = frame.layout
    code = frame.function("advance", "t", "count", "rows", pointers=("table",))
    a, every = code.arguments, rows_in_all(frame, code)
    backward = code.compare(frame.word(code, "reverse"), "!=", int(layout.is_backward))
    direction = code.choose(backward, -1, 1)
    strides = {}
    for state in layout.definition.states:
        size = code.mul(every, frame.width(code, layout.size(state)))
        slot = code.sub(code.mul(code.builder.and_(a["t"], ir.Constant(I64, 1)), 2), 1)  # of a ring of two
        is_ring = code.compare(frame.word(code, f"ring.{state}"), "==", 1)
        strides[f"new.{state}"] = code.mul(size, code.choose(is_ring, slot, direction))
        strides[f"prev.{state}"] = code.mul(size, code.choose(is_ring, code.sub(0, slot), direction))
        if layout.is_backward and state == layout.definition.states[0]:
            strides["output"] = code.mul(size, direction)
    for field in ("kept", "steps", "seeds", "adjoints", "columns"):
        if field in layout.fields:
            rows = a["rows"] if field == "columns" else every
            strides[field] = code.mul(rows, frame.record_size(code, getattr(layout, field)), direction)
    with code.loop(0, a["count"], name="row") as row:
        line = code.word_at(a["table"], code.mul(row, frame.line))
        for field, stride in strides.items():
            place = layout.fields.index(field)
            code.put_word(code.at(code.word(line, place, PTR), stride), line, place)
    code.done()
    return code


# ---------------------------------------------------------------------- ends and boundaries


def write_clear(frame: Frame) -> Code:
    """Write the function that begins every row's totals."""
    code = frame.function("clear", "net", "first_row", "last_row", "thread", "threads")
    a, batch = code.arguments, frame.word(code, "batch")
    size = frame.record_size(code, frame.layout.totals)
    before = code.mul(code.add(code.mul(a["net"], batch), a["first_row"]), size)
    target = code.at(frame.pointer(code, "totals"), before)
    every = code.mul(code.sub(a["last_row"], a["first_row"]), size)
    share = frame.share(code, code.div(every, frame.lanes), a["thread"], a["threads"])
    with code.loop(*share, name="register") as register:
        code.store(code.zero, code.at(target, code.mul(register, frame.lanes)))
    frame.barrier(code, a["threads"])
    code.done()
    return code


def write_final(frame: Frame) -> Code:
    """Write the function that copies every row's states after its last step."""
    code = frame.function("final", "net", "first_row", "last_row")
    a = code.arguments
    with code.loop(a["first_row"], a["last_row"], name="b") as b:
        row = code.add(code.mul(a["net"], frame.word(code, "batch")), b)
        length = length_of(frame, code, row)
        last = code.choose(frame.is_argument(code, "reverse", "==", 1), 0, code.sub(length, 1))
        for state in frame.layout.definition.states:
            size = frame.layout.size(state)
            width = frame.width(code, size)
            initial = code.at(frame.pointer(code, f"initial.{state}"), code.mul(row, width))
            stored = history_row(frame, code, state, last, row)
            source = code.choose(code.compare(length, ">", 0), stored, initial)
            target = code.at(frame.pointer(code, f"final.{state}"), code.mul(row, width))
            with code.loop(0, frame.panels(code, size), name="panel") as panel:
                offset = code.mul(panel, frame.lanes)
                code.store(code.load(code.at(source, offset)), code.at(target, offset))
    code.done()
    return code


def write_cut(frame: Frame) -> Code:
    """Write the function that, behind step t of the backward, hands what crosses a reset to the fresh state."""
    code = frame.function("cut", "net", "t", "first_row", "last_row", "thread", "threads")
    a = code.arguments
    with code.loop(a["first_row"], a["last_row"], name="b") as b:
        row = code.add(code.mul(a["net"], frame.word(code, "batch")), b)
        length = length_of(frame, code, row)
        reset = is_reset(frame, code, a["t"], row, length)
        with code.when(code.builder.and_(reset, code.compare(a["t"], "<", length))):
            for state in frame.layout.definition.states:
                size = frame.layout.size(state)
                width = frame.width(code, size)
                carry = code.at(frame.pointer(code, f"carry.{state}"), code.mul(row, width))
                fresh = code.at(frame.pointer(code, f"fresh_gradient.{state}"), code.mul(row, width))
                share = frame.share(code, frame.panels(code, size), a["thread"], a["threads"])
                with code.loop(*share, name="panel") as panel:
                    offset = code.mul(panel, frame.lanes)
                    source, target = code.at(carry, offset), code.at(fresh, offset)
                    code.store(code.builder.fadd(code.load(target), code.load(source)), target)
                    code.store(code.zero, source)
    code.done()
    return code
