"""The equations, evaluated on registers: the epilogue of a tile.

Each stage of a step becomes one function whose lines are the equations' own, under their own names. It is given the
line of addresses of a row, the place of a panel in it and the accumulated sums.
"""

from collections.abc import Mapping, Sequence

from llvmlite import ir

from carrousel.backends.llvm.elementary import Elementary
from carrousel.backends.llvm.frame import Frame
from carrousel.backends.llvm.layout import HERE, Widths
from carrousel.backends.llvm.words import I64, PTR, Code, Value
from carrousel.calculus.program import ROW, Operation, Stage

__all__ = ["equations", "evaluate"]

_ARITHMETIC = {"add": "fadd", "sub": "fsub", "mul": "fmul", "div": "fdiv"}


def equations(frame: Frame, number: int) -> Code:
    """Write the equations of a stage.

    Args:
        frame: of the module.
        number: of the stage.

    Returns:
        The function `(arguments, line, net, panel, sums...)`.
    """
    stage = frame.layout.program.stages[number]
    arguments = {"arguments": PTR, "line": PTR, "net": I64, "panel": I64}
    arguments |= {f"sum_{k}": frame.vector for k in range(len(stage.sums))}
    name = f"{frame.layout.definition.name}.{frame.layout.direction}.{number}"
    # one copy for all tiles; a single row has one tile, and its latency counts
    code = Code(frame.module, name, arguments, frame.vector, inlined=frame.single or not stage.sums)
    _Equations(code, frame, stage, number).write()
    code.done()
    return code


def evaluate(code: Code, elementary: Elementary, operation: Operation, known: Mapping[str, Value]) -> Value:
    """Write one operation.

    Args:
        code: where to write.
        elementary: of the module.
        operation: what is computed.
        known: the values of the names that it reads.

    Returns:
        Its value, under its name.
    """
    values = [known[a] if isinstance(a, str) else code.splat(a) for a in operation.arguments]
    name = "" if operation.name.startswith("_") else operation.name
    if operation.op in ("copy", "stop_gradient"):
        return code.named(values[0], name)
    if operation.op in _ARITHMETIC:
        emit = getattr(code.builder, _ARITHMETIC[operation.op])
        return emit(*values, name=name, flags=("contract",))
    return elementary(code.builder, operation.op, *values, result=name)


class _Equations:
    def __init__(self, code: Code, frame: Frame, stage: Stage, number: int) -> None:
        self.code, self.frame, self.layout, self.stage, self.number = code, frame, frame.layout, stage, number
        self.offset = code.mul(code.arguments["panel"], frame.lanes)
        self.values: dict[str, Value] = {}
        self.addresses: dict[tuple[str, Widths], Value] = {}

    def write(self) -> None:
        """Load what the operations read, evaluate them, store what is wanted."""
        for k, accumulated in enumerate(self.stage.sums):
            value = self.code.arguments[f"sum_{k}"]
            value.name = accumulated.name
            self.values[accumulated.name] = value
        arriving = {name: self._read(name) for name in self.stage.read}
        for operation in self.stage.operations:
            self.values[operation.name] = self._evaluate(operation)
        for name in self.stage.defined:
            if self.layout.size(name) != ROW:
                self._store(name, self.values[name])
        for name, value in arriving.items():
            if name in self.layout._arriving and name not in self.stage.defined and name in self.layout.temporaries:
                self._put(value, "temporaries", self.layout.temporaries.before(name))

    # ------------------------------------------------------------------ values

    def _read(self, name: str) -> Value:
        if name in self.layout.vectors:
            value = self.code.load(self._vector(name), name)
        else:
            field, before = self.layout.place(name, self.number)
            value = self.code.load(self._address(field, before, self.layout.size(name) == ROW), name)
            if field.startswith("carry.") and field == f"carry.{self.layout.definition.states[0]}":
                loss = self.code.load(self._address("output", HERE), f"{name}_loss")
                value = self.code.builder.fadd(value, loss, name=name)
        self.values[name] = value
        return value

    def _vector(self, name: str) -> Value:
        """The address of a vector parameter; all are of one size."""
        code, layout = self.code, self.layout
        width = self.frame.width(code, self.stage.size)
        at = code.add(code.mul(code.arguments["net"], len(layout.vectors)), layout.vectors.index(name))
        return code.at(self.frame.pointer(code, "vectors"), code.mul(at, width), self.offset)

    def _address(self, field: str, before: Widths, is_of_row: bool = False) -> Value:
        key = (field, before)
        if key not in self.addresses:
            base = self.frame.field_of(self.code, self.code.arguments["line"], field)
            base = self.code.at(base, self.frame.extent(self.code, before))
            self.addresses[key] = base if is_of_row else self.code.at(base, self.offset)
        return self.addresses[key]

    def _evaluate(self, operation: Operation) -> Value:
        return evaluate(self.code, self.frame.elementary, operation, self.values)

    # ------------------------------------------------------------------ stores

    def _store(self, name: str, value: Value) -> None:
        layout, states = self.layout, self.layout.definition.states
        if not layout.is_backward and name in states:
            self._put(value, f"new.{name}", HERE)
        state = name.removeprefix("d").removesuffix("_prev")
        if layout.is_backward and name == f"d{state}_prev" and state in states:
            self._put(value, f"carry.{state}", HERE)
        for field in ("adjoints", "temporaries") if layout.is_backward else ("kept", "temporaries"):
            record = getattr(layout, field)
            if name in record:
                self._put(value, field, record.before(name))
        if name in layout.totals:
            place = layout.totals.before(name)
            total = self.code.load(self._address("totals", place))
            self._put(self.code.builder.fadd(total, value), "totals", place)

    def _put(self, value: Value, field: str, before: Widths) -> None:
        assert isinstance(value.type, ir.VectorType)
        self.code.store(value, self._address(field, before))


def start_of(frame: Frame, code: Code, number: int, line: Value, panel: Value) -> Sequence[Value]:
    """The accumulators that the sums of a stage begin with: their columns of the projection, or zero."""
    layout, offset = frame.layout, code.mul(panel, frame.lanes)
    values = []
    for accumulated in layout.program.stages[number].sums:
        if accumulated.name in layout.columns:
            base = frame.field_of(code, line, "columns")
            before = frame.extent(code, layout.columns.before(accumulated.name))
            values.append(code.load(code.at(base, before, offset)))
        else:
            values.append(code.zero)
    return values
