"""What is the same for every unit of a row, a mean and what follows from means alone, is computed once for the row.

Nothing is divided by such a number: a row has its inverse, and the units are multiplied by that.
"""

from collections.abc import Collection
from dataclasses import replace

from carrousel.calculus.names import fresh
from carrousel.calculus.program import ROW, Operation, Program, Stage
from carrousel.calculus.trace import Mean, Trace

__all__ = ["of_rows", "once"]


def of_rows(forward: Trace) -> set[str]:
    """Return the means of a step and the quantities that follow from them alone."""
    found = {symbol for symbol, node in forward.opaque.items() if isinstance(node, Mean)}
    for symbol, value in forward.equations:
        if value.free_symbols and value.free_symbols <= found:
            found.add(symbol)
    return {str(symbol) for symbol in found}


def once(program: Program, known: Collection[str], whole: Collection[str]) -> Program:
    """Move what is the same for all units of a row to the operations that are evaluated once.

    Args:
        program: a step.
        known: quantities that are one number for a row where the program begins.
        whole: those that have a place for every unit, whatever they follow from.

    Returns:
        The program, the sizes of such quantities being ROW.
    """
    if not known and not any(stage.means for stage in program.stages):
        return program
    mover = _Mover(program, known, whole)
    stages = tuple(mover.stage(stage) for stage in program.stages)
    return replace(program, stages=stages, sizes={**program.sizes, **dict.fromkeys(sorted(mover.rows), ROW)})


class _Mover:
    def __init__(self, program: Program, known: Collection[str], whole: Collection[str]) -> None:
        self.whole = whole
        self.rows = {*known, *(name for stage in program.stages for name, _ in stage.means)}
        self.taken = {*program.sizes, *(name for stage in program.stages for name in (*stage.defined, *stage.read))}
        #: whole quantity -> the same as one number; number -> its inverse.
        self.number: dict[str, str] = {}
        self.inverses: dict[str, str] = {}

    def stage(self, stage: Stage) -> Stage:
        """Return a stage, its operations parted."""
        self.once: list[Operation] = []
        units: list[Operation] = []
        called: dict[str, str] = {}  # names of the stage's own, as _3, that have become a row's
        for operation in stage.operations:
            arguments = tuple(called.get(a, a) if isinstance(a, str) else a for a in operation.arguments)
            numbers = tuple(self.number.get(a, a) if isinstance(a, str) else a for a in arguments)
            names = [a for a in numbers if isinstance(a, str)]
            if not names or not self.rows.issuperset(names):
                units.append(self._of_units(Operation(operation.name, operation.op, arguments)))
            elif operation.name in self.whole:
                self.number[operation.name] = self._put(f"{operation.name}_row", operation.op, numbers)
                units.append(Operation(operation.name, "copy", (self.number[operation.name],)))
            elif operation.name.startswith("_"):
                called[operation.name] = self._put("_row", operation.op, numbers)
            else:
                self._put(operation.name, operation.op, numbers, is_free=True)
        return replace(stage, once=tuple(self.once), operations=tuple(units))

    def _put(self, name: str, op: str, arguments: tuple[str | float, ...], is_free: bool = False) -> str:
        name = name if is_free else fresh(name, self.taken)
        self.taken.add(name)
        self.rows.add(name)
        self.once.append(Operation(name, op, arguments))
        return name

    def _of_units(self, operation: Operation) -> Operation:
        divisor = operation.arguments[-1]
        if operation.op != "div" or divisor not in self.rows:
            return operation
        divisor = str(divisor)
        if divisor not in self.inverses:
            self.inverses[divisor] = self._put(f"inverse_{divisor.strip('_')}", "div", (1.0, divisor))
        return Operation(operation.name, "mul", (operation.arguments[0], self.inverses[divisor]))
