"""What the parameters' gradients go through, steps and rows in blocks that fit in the cache, and where they go."""

from collections.abc import Callable

from llvmlite import ir

from carrousel.backends.llvm.frame import Frame
from carrousel.backends.llvm.scan import is_first, is_reset, length_of, previous_row, rows_in_all
from carrousel.backends.llvm.words import I64, Code, Value

__all__ = ["BLOCK", "function_of", "gradient_of", "in_blocks", "put", "scratch", "sums_of"]

#: Steps and rows of a block.
BLOCK = 128


def function_of(frame: Frame, name: str) -> Code:
    """Begin the function of some parameters' gradients for one network and a share of the sums."""
    return frame.function(name, "net", "share", "shares", "thread", inlined=False)


def scratch(frame: Frame, code: Code, name: str, size: Value) -> Value:
    """A thread's own part of some scratch memory."""
    return code.at(frame.pointer(code, name), code.mul(code.arguments["thread"], size))


def sums_of(frame: Frame, code: Code) -> Value:
    """Where the sums are added up: a network's own if one thread has all of it, else all threads' together."""
    alone = code.compare(code.arguments["shares"], "==", 1)
    part = code.mul(code.arguments["thread"], frame.word(code, "gradient_size"))
    return code.at(frame.pointer(code, "gradient_sums"), code.choose(alone, part, 0))


def in_blocks(frame: Frame, code: Code, operands: tuple[str, ...], body: Callable[[Value, Value, Value], None]) -> None:
    """Go through steps and rows block by block; the body is given its place, a table of addresses and their number."""
    batch = frame.word(code, "batch")
    steps = code.mul(frame.word(code, "time"), batch)
    words = 1 + len(operands)
    table = code.word_at(
        frame.pointer(code, "gradient_rows"), code.mul(code.arguments["thread"], frame.word(code, "gradient_words"))
    )
    count, time, place = code.variable(I64), code.variable(I64, code.mul(0)), code.variable(I64, code.mul(0))
    with code.loop(0, steps, BLOCK, "block") as block:
        code.builder.store(code.mul(0), count)
        with code.loop(block, code.least(code.add(block, BLOCK), steps), name="step"):
            t, b = code.builder.load(time, typ=I64), code.builder.load(place, typ=I64)
            is_last = code.compare(code.add(b, 1), "==", batch)
            code.builder.store(code.choose(is_last, code.add(t, 1), t), time)
            code.builder.store(code.choose(is_last, 0, code.add(b, 1)), place)
            row = code.add(code.mul(code.arguments["net"], batch), b)
            length = length_of(frame, code, row)
            with code.when(code.compare(t, "<", length)):
                n = code.builder.load(count, typ=I64)
                line = code.word_at(table, code.mul(n, words))
                code.put_word(_stored(frame, code, "adjoints", t, row), line, 0)
                for k, operand in enumerate(operands, 1):
                    code.put_word(_operand(frame, code, operand, t, b, row, length), line, k)
                code.builder.store(code.add(n, 1), count)
        body(block, table, code.builder.load(count, typ=I64))


def _stored(frame: Frame, code: Code, field: str, t: Value, row: Value) -> Value:
    """The address of a row's record at one step."""
    at = code.add(code.mul(t, rows_in_all(frame, code)), row)
    size = frame.record_size(code, getattr(frame.layout, field))
    return code.at(frame.pointer(code, field), code.mul(at, size))


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
    if name in layout.definition.states:
        at = code.add(code.mul(t, rows_in_all(frame, code)), row)
        width = frame.width(code, layout.size(name))
        return code.at(frame.pointer(code, f"history.{name}"), code.mul(at, width))
    field = next(f for f in ("adjoints", "kept", "steps") if name in getattr(layout, f))
    return code.at(_stored(frame, code, field, t, row), frame.extent(code, getattr(layout, field).before(name)))


def gradient_of(
    frame: Frame, code: Code, group: str, size: Value, row_step: Value
) -> tuple[Value, Value, Value, Value]:
    """A network's gradient of one group, the distance of lanes in it, how many networks there are and stand before."""
    first = code.mul(code.arguments["net"], frame.lanes if frame.nets else 1)
    base = code.at(frame.pointer(code, f"gradient.{group}"), code.mul(first, size))
    return base, size if frame.nets else row_step, frame.word(code, "nets"), code.mul(first, 1)


def put(code: Code, value: Value, target: Value, is_only: bool) -> None:
    """Store a value or a register of them; or add it to what is there."""
    is_register = isinstance(value.type, ir.VectorType)
    if not is_only:
        there = code.load(target) if is_register else code.load_scalar(target)
        value = code.builder.fadd(there, value)
    (code.store if is_register else code.store_scalar)(value, target)
