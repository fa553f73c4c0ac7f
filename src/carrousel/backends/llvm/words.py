"""The words that kernels are written in: integers, pointers, loops and vectors, on top of llvmlite's builder."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

from llvmlite import ir

__all__ = ["BIT", "BYTE", "I32", "I64", "PTR", "VOID", "Code", "Int", "Value", "constant"]

BIT = ir.IntType(1)
BYTE = ir.IntType(8)
I32 = ir.IntType(32)
I64 = ir.IntType(64)
PTR = ir.PointerType()
VOID = ir.VoidType()

#: An llvmlite value, which has no types that a checker knows; and one that may still be a plain number.
Value: TypeAlias = Any
Int: TypeAlias = Any


def constant(value: Int) -> Value:
    """Return a 64-bit integer."""
    return ir.Constant(I64, value) if isinstance(value, int) else value


class Code:
    """Writes one function of a module.

    Args:
        module: where the function stands.
        name: its name.
        arguments: name -> type.
        returns: the type of its result.
        vector: the vector that one register holds.
        inlined: True for always, False for never, None to leave it to LLVM.
    """

    def __init__(
        self,
        module: ir.Module,
        name: str,
        arguments: dict[str, ir.Type],
        vector: ir.VectorType,
        returns: ir.Type = VOID,
        inlined: bool | None = None,
        exported: bool = False,
    ) -> None:
        self.module, self.vector, self.scalar = module, vector, vector.element
        self.lanes: int = vector.count
        self.function = ir.Function(module, ir.FunctionType(returns, list(arguments.values())), name)
        if not exported:
            self.function.linkage = "internal"
        self.function.attributes.add("nounwind")
        if inlined is not None:
            self.function.attributes.add("alwaysinline" if inlined else "noinline")
        self.arguments = dict(zip(arguments, self.function.args, strict=True))
        for argument, value in self.arguments.items():
            value.name = argument
        self.builder = ir.IRBuilder(self.function.append_basic_block("entry"))
        self.loaded: dict[str, Value] = {}

    # ------------------------------------------------------------------ integers

    def add(self, *terms: Int, name: str = "") -> Value:
        """Add integers."""
        return self._fold(self.builder.add, sum, 0, terms, name)

    def mul(self, *factors: Int, name: str = "") -> Value:
        """Multiply integers."""
        return self._fold(self.builder.mul, _product, 1, factors, name)

    def _fold(
        self, emit: Callable[..., Value], of: Callable[[list[int]], int], neutral: int, parts: Sequence[Int], name: str
    ) -> Value:
        known = of([p for p in parts if isinstance(p, int)])
        values = [p for p in parts if not isinstance(p, int)]
        if not values or (known == 0 and neutral == 1):
            return constant(known)
        if known != neutral:
            values.append(constant(known))
        total = values[0]
        for value in values[1:]:
            total = emit(total, value, name=name, flags=("nsw",))
        return total

    def sub(self, a: Int, b: Int) -> Value:
        """Subtract integers."""
        return self.builder.sub(constant(a), constant(b), flags=("nsw",))

    def div(self, a: Int, b: Int) -> Value:
        """Divide integers that are not negative."""
        return self.builder.udiv(constant(a), constant(b))

    def compare(self, a: Int, sign: str, b: Int) -> Value:
        """Compare integers."""
        return self.builder.icmp_signed(sign, constant(a), constant(b))

    def least(self, a: Int, b: Int) -> Value:
        """Return the smaller integer."""
        return self.builder.select(self.compare(a, "<", b), constant(a), constant(b))

    def most(self, a: Int, b: Int) -> Value:
        """Return the larger integer."""
        return self.builder.select(self.compare(a, ">", b), constant(a), constant(b))

    def choose(self, condition: Value, yes: Int, no: Int) -> Value:
        """Return one of two values."""
        yes, no = (constant(v) if isinstance(v, int) else v for v in (yes, no))
        return self.builder.select(condition, yes, no)

    # ------------------------------------------------------------------ memory

    def at(self, base: Value, *offsets: Int, name: str = "") -> Value:
        """Return the address of an element, `offsets` elements behind `base`."""
        offset = self.add(*offsets)
        if isinstance(offset, ir.Constant) and offset.constant == 0:
            return base
        return self.builder.gep(base, [offset], inbounds=True, source_etype=self.scalar, name=name)

    def word_at(self, base: Value, index: Int) -> Value:
        """Return the address of a 64-bit word."""
        return self.builder.gep(base, [constant(index)], inbounds=True, source_etype=I64)

    def word(self, base: Value, index: Int, type: ir.Type = I64, name: str = "") -> Value:
        """Load a 64-bit word, an integer or a pointer."""
        return self.builder.load(self.word_at(base, index), typ=type, name=name, align=8)

    def put_word(self, value: Value, base: Value, index: Int) -> None:
        """Store a 64-bit word."""
        self.builder.store(value, self.word_at(base, index), align=8)

    def byte(self, base: Value, index: Int) -> Value:
        """Load a byte."""
        return self.builder.load(self.builder.gep(base, [constant(index)], source_etype=BYTE), typ=BYTE)

    def load(self, address: Value, name: str = "") -> Value:
        """Load a vector."""
        return self.builder.load(address, typ=self.vector, align=self._align, name=name)

    def store(self, value: Value, address: Value) -> None:
        """Store a vector."""
        self.builder.store(value, address, align=self._align)

    def load_scalar(self, address: Value) -> Value:
        """Load one element."""
        return self.builder.load(address, typ=self.scalar, align=self._align)

    def store_scalar(self, value: Value, address: Value) -> None:
        """Store one element."""
        self.builder.store(value, address, align=self._align)

    @property
    def _align(self) -> int:
        return 4 if isinstance(self.scalar, ir.FloatType) else 8

    # ------------------------------------------------------------------ vectors

    def splat(self, value: Value | float) -> Value:
        """Return a vector whose lanes are all the same."""
        if not isinstance(value, ir.Value):
            return ir.Constant(self.vector, [value] * self.lanes)
        return self._in_every_lane(value, self.vector)

    def _in_every_lane(self, value: Value, vector: ir.VectorType) -> Value:
        empty = ir.Constant(vector, ir.Undefined)
        first = self.builder.insert_element(empty, value, ir.Constant(I32, 0))
        return self.builder.shuffle_vector(first, empty, ir.Constant(ir.VectorType(I32, self.lanes), None))

    @property
    def zero(self) -> Value:
        """The vector of zeros."""
        return self.splat(0.0)

    @contextlib.contextmanager
    def vectors_of(self, vector: ir.VectorType) -> Iterator[None]:
        """Load, store and compute in vectors of another width."""
        before, self.vector, self.lanes = self.vector, vector, vector.count
        yield
        self.vector, self.lanes = before, before.count

    def resized(self, value: Value, vector: ir.VectorType) -> Value:
        """Return a vector of another width, with the first lane in every one."""
        if value.type == vector:
            return value
        lanes = ir.Constant(ir.VectorType(I32, vector.count), None)
        return self.builder.shuffle_vector(value, ir.Constant(value.type, ir.Undefined), lanes)

    def first_lanes(self, value: Value, count: Value) -> Value:
        """Return a vector with zeros in all but so many lanes."""
        numbers = ir.VectorType(I32, self.lanes)
        every = ir.Constant(numbers, list(range(self.lanes)))
        counts = self._in_every_lane(self.builder.trunc(count, I32), numbers)
        return self.builder.select(self.builder.icmp_signed("<", every, counts), value, self.zero)

    def sum_of_lanes(self, value: Value) -> Value:
        """Return the sum of a vector's lanes, in every lane."""
        distance = self.lanes // 2
        while distance:
            partners = ir.Constant(ir.VectorType(I32, self.lanes), [k ^ distance for k in range(self.lanes)])
            value = self.builder.fadd(value, self.builder.shuffle_vector(value, value, partners))
            distance //= 2
        return value

    def multiply_add(self, a: Value, b: Value, c: Value) -> Value:
        """Return a * b + c, fused where the machine can."""
        return self.builder.fadd(self.builder.fmul(a, b, flags=("contract",)), c, flags=("contract",))

    def fetch(self, address: Value) -> None:
        """Have memory that will be changed brought to the cache meanwhile."""
        intrinsic = self.builder.module.declare_intrinsic(
            "llvm.prefetch", (PTR,), ir.FunctionType(ir.VoidType(), (PTR, I32, I32, I32))
        )
        self.builder.call(intrinsic, (address, I32(1), I32(3), I32(1)))

    def named(self, value: Value, name: str) -> Value:
        """Return the same value under another name, if one is given."""
        return self.builder.select(ir.Constant(BIT, 1), value, value, name=name) if name else value

    # ------------------------------------------------------------------ control

    @contextlib.contextmanager
    def loop(self, start: Int, stop: Int, step: int = 1, name: str = "i") -> Iterator[Value]:
        """Run the body for start, start + step, ... below stop."""
        start, stop = constant(start), constant(stop)
        before = self.builder.block
        body, after = self.function.append_basic_block(name), self.function.append_basic_block(f"{name}_done")
        self.builder.cbranch(self.builder.icmp_signed("<", start, stop), body, after)
        self.builder.position_at_end(body)
        index = self.builder.phi(I64, name=name)
        index.add_incoming(start, before)
        yield index
        following = self.builder.add(index, constant(step), flags=("nsw",))
        index.add_incoming(following, self.builder.block)
        self.builder.cbranch(self.builder.icmp_signed("<", following, stop), body, after)
        self.builder.position_at_end(after)

    @contextlib.contextmanager
    def when(self, condition: Value) -> Iterator[None]:
        """Run the body if the condition holds."""
        with self.builder.if_then(condition):
            yield

    def variable(self, type: ir.Type, start: Value | None = None) -> Value:
        """Return the address of a local variable; LLVM makes a register of it."""
        with self.builder.goto_entry_block():
            address = self.builder.alloca(type)
        if start is not None:
            self.builder.store(start, address)
        return address

    def call(self, callee: "Code", *arguments: Value, name: str = "", inlined: bool = False) -> Value:
        """Call another function of the module."""
        return self.builder.call(callee.function, arguments, name=name, attrs=("alwaysinline",) if inlined else ())

    def done(self, result: Value | None = None) -> None:
        """Return from the function."""
        self.builder.ret_void() if result is None else self.builder.ret(result)


def _product(factors: list[int]) -> int:
    result = 1
    for factor in factors:
        result *= factor
    return result
