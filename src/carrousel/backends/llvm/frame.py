"""The frame of a kernel's module: its vector, its layout, and the arguments that every function reads."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from llvmlite import ir

from carrousel.backends.llvm.elementary import Elementary
from carrousel.backends.llvm.layout import PANELS, UNITS, WIDTH, Layout, Record, Widths
from carrousel.backends.llvm.words import I64, PTR, VOID, Code, Int, Value
from carrousel.calculus.notation import HIDDEN, OUTPUT

__all__ = ["Frame"]


@dataclass
class Frame:
    """What the functions of one module share.

    Attributes:
        layout: where everything lies.
        vector: one register.
        registers: how many the machine has.
        nets: whether the lanes hold networks instead of hidden units.
        single: whether the batch is a single row.
        wide: the sizes whose panels come in fours.
        module: what is written.
        elementary: the functions of registers.
        row: what is computed once a row: a single lane, as divisions and roots of a whole register take four times as
            long; with networks in the lanes a register of them.
        elementary_of_row: its functions.
    """

    layout: Layout
    vector: ir.VectorType
    registers: int
    nets: bool
    single: bool
    wide: tuple[str, ...]
    module: ir.Module
    elementary: Elementary = field(init=False)
    row: ir.VectorType = field(init=False)
    elementary_of_row: Elementary = field(init=False)

    def __post_init__(self) -> None:
        self.elementary = Elementary(self.module, self.vector)
        self.row = self.vector if self.nets else ir.VectorType(self.vector.element, 1)
        self.elementary_of_row = Elementary(self.module, self.row)
        self.index = {name: k for k, name in enumerate(self.layout.arguments)}

    @property
    def lanes(self) -> int:
        """Elements of a register."""
        return int(self.vector.count)

    @property
    def accumulators(self) -> int:
        """How many registers a tile may accumulate in; the others hold its operands."""
        return self.registers * 3 // 4

    def panels_at_once(self, size: str, sums: int) -> int:
        """How many panels a tile spans: four if one alone has too few registers for a tile."""
        return 4 if size in self.wide and sums == 1 else 1

    def function(
        self, name: str, *integers: str, pointers: Iterable[str] = (), inlined: bool | None = None, **options: object
    ) -> Code:
        """Begin a function; the first argument of all of them is the block of arguments."""
        arguments = {"arguments": PTR, **dict.fromkeys(pointers, PTR), **dict.fromkeys(integers, I64)}
        return Code(self.module, name, arguments, self.vector, inlined=inlined, **options)  # type: ignore[arg-type]

    # ------------------------------------------------------------------ the block of arguments

    def word(self, code: Code, name: str, type: ir.Type = I64) -> Value:
        """Load an argument, once in a function."""
        if name not in code.loaded:
            with code.builder.goto_entry_block():
                code.loaded[name] = code.word(code.arguments["arguments"], self.index[name], type, name)
        return code.loaded[name]

    def pointer(self, code: Code, name: str) -> Value:
        """Load an argument that is an address."""
        return self.word(code, name, PTR)

    def is_given(self, code: Code, name: str) -> Value:
        """Whether the call has an argument that is an address."""
        return code.builder.icmp_unsigned("!=", self.pointer(code, name), ir.Constant(PTR, None))

    def units(self, code: Code, size: str) -> Value:
        """How many units there are of a size."""
        return self.word(code, UNITS[size])

    def width(self, code: Code, size: str) -> Value:
        """Elements between one quantity and the next in a record."""
        return self.word(code, WIDTH[size])

    def panels(self, code: Code, size: str) -> Value:
        """How many registers hold a quantity."""
        return self.word(code, PANELS[size])

    def extent(self, code: Code, widths: Widths) -> Value:
        """Elements of some quantities of the hidden size, some of the output size, and some numbers of a row."""
        hidden, output, rows = widths
        parts: list[Int] = [code.mul(hidden, self.width(code, HIDDEN))] if hidden else []
        parts += [code.mul(output, self.width(code, OUTPUT))] if output else []
        parts += [rows * self.lanes] if rows else []
        return code.add(*parts)

    def record_size(self, code: Code, record: Record) -> Value:
        """Elements of a record."""
        return self.extent(code, record.widths)

    # ------------------------------------------------------------------ lines of the table

    @property
    def line(self) -> int:
        """Words in a line of the table of addresses."""
        return len(self.layout.fields)

    def field_of(self, code: Code, line: Value, field: str) -> Value:
        """Load an address from a line."""
        return code.word(line, self.layout.fields.index(field), PTR)

    def share(self, code: Code, total: Value, thread: Value, threads: Value) -> tuple[Value, Value]:
        """The part of `total` that is a thread's."""
        start = code.div(code.mul(total, thread), threads)
        return start, code.div(code.mul(total, code.add(thread, 1)), threads)

    def share_of_panels(self, code: Code, size: str, sums: int, thread: Value, threads: Value) -> tuple[Value, Value]:
        """The panels of a size that are a thread's: where a tile spans several, no tile is cut."""
        together = self.panels_at_once(size, sums)
        start, stop = self.share(code, code.div(self.panels(code, size), together), thread, threads)
        return code.mul(start, together), code.mul(stop, together)

    def is_argument(self, code: Code, name: str, sign: str, value: int) -> Value:
        """Compare an argument with a number."""
        return code.compare(self.word(code, name), sign, value)

    def call_address(self, code: Code, name: str, returns: ir.Type) -> Value:
        """Call the function without arguments whose address is an argument."""
        return code.builder.call(_Address(self.pointer(code, name), ir.FunctionType(returns, [])), [])

    def barrier(self, code: Code, threads: Value) -> None:
        """Wait for the other threads of the team."""
        with code.when(code.compare(threads, ">", 1)):
            self.call_address(code, "barrier", VOID)


class _Address(ir.Value):
    """An address as something to call: an opaque pointer does not know the function's type."""

    def __init__(self, pointer: Value, function_type: ir.FunctionType) -> None:
        self.pointer, self.function_type, self.type = pointer, function_type, pointer.type

    def get_reference(self) -> str:
        return str(self.pointer.get_reference())
