"""When a step's outputs are wrong: one number of all their errors is not below a bound, or is no number."""

from collections.abc import Callable

from llvmlite import ir

from carrousel.backends.llvm.words import BIT, Code, Value

__all__ = ["JUDGEMENTS", "are_wrong"]

#: What of the errors stays below the bound.
JUDGEMENTS = ("sum of squares", "largest")


def are_wrong(code: Code, judgement: str, outputs: Value, error: Callable[[Value], Value], within: Value) -> Value:
    """Write the judgement of many nets.

    Args:
        code: where to write.
        judgement: of JUDGEMENTS.
        outputs: how many there are.
        error: number of an output -> its error, of every net.
        within: the bound.

    Returns:
        For every net whether it is wrong.
    """
    builder, bits = code.builder, ir.VectorType(BIT, code.lanes)
    if judgement == "sum of squares":
        total = code.variable(code.vector, code.zero)
        with code.loop(0, outputs, name="output") as output:
            value = error(output)
            builder.store(code.multiply_add(value, value, builder.load(total, typ=code.vector)), total)
        return builder.fcmp_unordered(">=", builder.load(total, typ=code.vector), within)
    found = code.variable(bits, ir.Constant(bits, [0] * code.lanes))
    with code.loop(0, outputs, name="output") as output:
        value, below = error(output), builder.fneg(within)
        for is_far in (builder.fcmp_unordered(">=", value, within), builder.fcmp_unordered("<=", value, below)):
            builder.store(builder.or_(builder.load(found, typ=bits), is_far), found)
    return builder.load(found, typ=bits)
