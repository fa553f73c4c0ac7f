"""The gradients of vector parameters: adjoints that are theirs, summed over steps and rows.

What nothing else reads is summed over the steps by the walk itself, row by row; what products read too is summed with
them; the rest here, block by block.
"""

from collections.abc import Callable, Collection

from llvmlite import ir

from carrousel.backends.llvm.blocks import function_of, gradient_of, in_blocks, put, sums_of
from carrousel.backends.llvm.frame import Frame
from carrousel.backends.llvm.words import I64, PTR, Code, Value

__all__ = ["unpack_vector", "write_vectors"]

#: Short sums round less, and do not wait for each other.
_SUMS = 4


def write_vectors(frame: Frame, parameters: Collection[str], stored_once: Collection[str]) -> list[Code]:
    """Write the functions that add to the gradients of vector parameters.

    Args:
        frame: of the module.
        parameters: whose.
        stored_once: groups whose gradient is written once; the others are added to.
    """
    wanted: dict[str, list[str]] = {}
    for parameter, adjoint in frame.layout.program.vectors.items():
        if adjoint and parameter in parameters:
            wanted.setdefault(adjoint, []).append(parameter)
    return [_vector(frame, k, adjoint, names, stored_once) for k, (adjoint, names) in enumerate(wanted.items())]


def _vector(frame: Frame, number: int, adjoint: str, parameters: list[str], stored_once: Collection[str]) -> Code:
    size = frame.layout.size(adjoint)
    code = function_of(frame, f"gradient_vector_{number}")
    a, sums = code.arguments, sums_of(frame, code)
    share = frame.share(code, frame.panels(code, size), a["share"], a["shares"])
    (_sum_totals if adjoint in frame.layout.totals else _sum_steps)(frame, code, adjoint, sums, share)
    for name in parameters:
        unpack_vector(frame, code, name, sums, size, share, name.split(".")[0] in stored_once)
    code.done()
    return code


def _sum_totals(frame: Frame, code: Code, adjoint: str, sums: Value, share: tuple[Value, Value]) -> None:
    """Sum what the rows have added up."""
    totals, batch = frame.layout.totals, frame.word(code, "batch")
    size = frame.record_size(code, totals)
    base = code.at(frame.pointer(code, "totals"), code.mul(code.arguments["net"], batch, size))
    parts = [code.variable(code.vector) for _ in range(_SUMS)]
    with code.loop(*share, name="panel") as panel:
        offset = code.mul(panel, frame.lanes)
        first = code.at(base, frame.extent(code, totals.before(adjoint)), offset)
        value = _sum(code, parts, batch, lambda row: code.at(first, code.mul(row, size)))
        code.store(value, code.at(sums, offset))


def _sum_steps(frame: Frame, code: Code, adjoint: str, sums: Value, share: tuple[Value, Value]) -> None:
    """Sum over steps and rows, block by block."""
    with code.loop(*share, name="panel") as panel:
        code.store(code.zero, code.at(sums, code.mul(panel, frame.lanes)))
    parts = [code.variable(code.vector) for _ in range(_SUMS)]

    def body(block: Value, table: Value, count: Value) -> None:
        with code.loop(*share, name="panel") as panel:
            before = frame.extent(code, frame.layout.adjoints.before(adjoint))
            offset = code.mul(panel, frame.lanes)
            here = _sum(code, parts, count, lambda step: code.at(code.word(table, step, PTR), before, offset))
            address = code.at(sums, offset)
            code.store(code.builder.fadd(code.load(address), here), address)

    in_blocks(frame, code, (), body)


def _sum(code: Code, parts: list[Value], count: Value, address: Callable[[Value], Value]) -> Value:
    """The sum of so many registers."""

    def add(number: Value, part: Value) -> None:
        value = code.load(address(number))
        code.builder.store(code.builder.fadd(code.builder.load(part, typ=code.vector), value), part)

    for part in parts:
        code.builder.store(code.zero, part)
    whole = code.builder.and_(count, ir.Constant(I64, -len(parts)))
    with code.loop(0, whole, len(parts), "number") as number:
        for k, part in enumerate(parts):
            add(code.add(number, k), part)
    with code.loop(whole, count, name="number") as number:
        add(number, parts[0])
    a, b, c, d = (code.builder.load(part, typ=code.vector) for part in parts)
    return code.builder.fadd(code.builder.fadd(a, b), code.builder.fadd(c, d))


def unpack_vector(
    frame: Frame, code: Code, name: str, sums: Value, size: str, share: tuple[Value, Value], is_only: bool
) -> None:
    """Bring a sum to the gradient as the user's vector lies.

    Args:
        frame: of the module.
        code: where to write.
        name: of the parameter.
        sums: its registers.
        size: of the parameter.
        share: which of the registers.
        is_only: whether nothing else adds to it.
    """
    group = frame.layout.definition.group(name.split(".")[0])
    units = frame.units(code, size)
    elements = code.mul(units, len(group.gates))
    base, lane_step, whole, behind = gradient_of(frame, code, group.name, elements, code.mul(1))
    base = code.at(base, code.mul(group.gates.index(name.split(".")[1]), units))
    with code.loop(*share, name="panel") as panel:
        unit = panel if frame.nets else code.mul(panel, frame.lanes)
        left = code.sub(whole if frame.nets else units, behind if frame.nets else unit)
        with code.loop(0, code.least(frame.lanes, left), name="lane") as lane:
            target = code.at(base, unit, code.mul(lane, lane_step))
            put(code, code.load_scalar(code.at(sums, code.mul(panel, frame.lanes), lane)), target, is_only)
