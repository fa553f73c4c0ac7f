"""Real-time recurrent learning as one kernel: many nets in the lanes, their weights changed at every step.

A step of one net computes its net inputs, evaluates the equations and their Jacobian, carries the influence of every
weight on every state forward, says its outputs and changes its weights:

    P(t) = J(t) P(t-1) + D(t)        w += rate * sum_j e_j P_j [+ momentum * the last change]

with P a row for each state of each hidden unit and a column for each weight, J the derivatives of the new states by the
old ones and D those by the weights themselves. Which weight stands where is in tables: one kernel serves every net of a
cell, whatever its wiring. Everything is an array of rows, `stride` numbers each, one for every net; a kernel runs over
as many nets as a register holds.

On a stream that goes on until a mistake the kernel judges every step itself, and ends behind the first one at which a
net errs, or at which the last one does.

Source:
    Williams & Zipser (1989), Neural Computation 1(2), 270-280.
"""

import ctypes
import functools
from collections.abc import Callable

from llvmlite import ir

from carrousel.backends.llvm.kernel import SCALARS, entries
from carrousel.backends.llvm.real_time_step import RealTimeSteps, stored
from carrousel.backends.llvm.target import ISAS, machine
from carrousel.backends.llvm.words import PTR, Code
from carrousel.backends.store import issue
from carrousel.calculus.jacobian import jacobian
from carrousel.calculus.notation import Definition
from carrousel.calculus.tangent import tangent
from carrousel.calculus.trace import trace

__all__ = ["RealTimeKernel", "real_time_kernel"]

_ENTRY = "learn"


class RealTimeKernel:
    """A compiled kernel.

    Attributes:
        lanes: nets that it runs over.
        derivatives: rows for each hidden unit that its Jacobian takes.
        call: runs it; takes the address of the block of arguments.
    """

    def __init__(self, definition: Definition, isa: str, dtype: str, linear: bool, judgement: str | None) -> None:
        vector = ir.VectorType(SCALARS[dtype], ISAS[isa].bits // (64 if dtype == "float64" else 32))
        derived = jacobian(tangent(trace(definition)))

        def text() -> str:
            module = ir.Module(definition.name)
            module.triple = machine(ISAS[isa]).triple
            code = Code(module, _ENTRY, {"arguments": PTR}, vector, exported=True)
            RealTimeSteps(code, definition, derived, linear, judgement).write()
            return issue(str(module))

        key = f"real time {dtype} {linear} {judgement} {definition.identity}"
        (entry,) = entries(key, text, ISAS[isa], [_ENTRY])
        self.lanes = vector.count
        self.derivatives = len(stored(derived))
        self.call: Callable[[int], None] = ctypes.CFUNCTYPE(None, ctypes.c_size_t)(entry)


@functools.lru_cache(maxsize=128)
def real_time_kernel(
    definition: Definition, isa: str, dtype: str, linear: bool, judgement: str | None = None
) -> RealTimeKernel:
    """Return the kernel for nets of a cell; compiled once.

    Args:
        definition: the cell's.
        isa: the instruction set's name.
        dtype: "float32" or "float64".
        linear: whether the output units are; else they are logistic.
        judgement: of `carrousel.backends.llvm.judgement.JUDGEMENTS`; None where nobody judges.
    """
    return RealTimeKernel(definition, isa, dtype, linear, judgement)
