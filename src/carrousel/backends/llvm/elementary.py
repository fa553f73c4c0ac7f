"""The functions of the notation on vectors, in LLVM's instructions alone: no call of libm, on any target.

`Elementary(module, vector)(builder, "sigmoid", a)` emits a call of an internal function that is made on first use and
inlined by the optimiser. Accuracy: one to two units in the last place in float32, one to four in float64; denormals,
infinities and NaN as in PyTorch.

The formulas are in the middle of the file, in plain arithmetic on `_Lanes`. Polynomials are in Estrin's form, whose
chain of dependent operations is short; nothing but `contract` is allowed to LLVM, and rounding to an integer is the
addition of a large number, because both LLVM's `fma` and its `rint` call libm where the hardware has no instruction.
"""

import math
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from llvmlite import ir

__all__ = ["Elementary"]


@dataclass(frozen=True)
class _Format:
    """What a formula must know of float32 or float64.

    Attributes:
        name: in the names of functions.
        bits: of the whole number.
        fraction: bits of the fraction.
        bias: of the exponent.
        ln2: ln(2) as two numbers, the first so short that its product with an exponent is exact.
        range: exp(a) is 0 below the first and inf above the second.
        exp: exp(r) = 1 + r + r**2 * polynomial(r) for |r| <= ln(2) / 2.
        coth: r * coth(r / 2) = 2 + r**2 * polynomial(r**2) = E there, and exp(r) = (E + r) / (E - r).
        atanh: 2 * atanh(s) = 2 * s + s * w * polynomial(w) with w = s**2, for 0 <= w <= 1/9.
    """

    name: str
    bits: int
    fraction: int
    bias: int
    ln2: tuple[float, float]
    range: tuple[float, float]
    exp: tuple[float, ...]
    coth: tuple[float, ...]
    atanh: tuple[float, ...]

    @property
    def rounder(self) -> float:
        """A number so large that adding it rounds to an integer, which then is in the low bits; its own are the bias.

        Shifted to the left by `fraction`, the bits of n + rounder are those of 2**n.
        """
        return 1.5 * 2.0**self.fraction + self.bias

    def bits_of(self, number: float) -> int:
        """Return the bits of a number."""
        return int.from_bytes(struct.pack({32: ">f", 64: ">d"}[self.bits], number))


# All coefficients are minimax for the relative error (of exp, of the odd part of atanh, of tanh), found by the Remez
# exchange algorithm with 60 digits.
_FORMATS = {
    ir.FloatType(): _Format(
        name="f32",
        bits=32,
        fraction=23,
        bias=127,
        ln2=(0.693145751953125, 1.428606820309417e-06),
        range=(-104.0, 89.0),
        exp=(
            0.49999993442183602,
            0.16666520548116583,
            0.041668389029852050,
            0.0083687270322044224,
            0.0013814577522219510,
        ),
        coth=(0.16666625801070546, -0.0027667585524570243),
        atanh=(0.66666667331171600, 0.39999703222795282, 0.28592499112105588, 0.21704531964776652, 0.23233564532267022),
    ),
    ir.DoubleType(): _Format(
        name="f64",
        bits=64,
        fraction=52,
        bias=1023,
        ln2=(0.6931471805598903, 5.497923018708371e-14),
        range=(-746.0, 710.0),
        exp=(
            0.5000000000000010642,
            0.16666666666666412156,
            0.041666666666530004022,
            0.0083333333334946487855,
            0.0013888888943676812402,
            0.00019841269506284589698,
            0.000024801493045176116391,
            2.7557586533321962549e-6,
            2.763026922257157749e-7,
            2.5000044531900506097e-8,
        ),
        coth=(
            0.16666666666666602195,
            -0.0027777777777016120164,
            0.000066137563215885166451,
            -1.6533902344442576056e-6,
            4.1381407669975435016e-8,
        ),
        atanh=(
            0.66666666666666658402,
            0.40000000000014815474,
            0.28571428567052569209,
            0.22222222722643668075,
            0.1818178919378157189,
            0.1538557638677394236,
            0.13314047386051626558,
            0.12001936756100368196,
            0.087965826448952938264,
            0.16172373051951898806,
        ),
    ),
}

#: tanh(a) = (a + a**3 * P(a**2)) / (1 + a**2 * Q(a**2)) for a <= 9.01 in float32; above, the quotient is more than 1.
_TANH = (
    (0.13383333525581675, 0.0034982265250214466, 2.0648533373579434e-05, 1.340203534307303e-08),
    (0.46716654890601306, 0.025887282486912636, 0.00032897771536779814, 7.797482566715791e-07),
)


class _Splat(ir.Constant):
    """A number in every lane of a vector, short in the text of the module."""

    def __init__(self, vector: ir.VectorType, number: float) -> None:
        super().__init__(vector, [number] * vector.count)

    def _get_reference(self) -> str:
        return f"splat ({self.type.element} {self.constant[0].get_reference()})"


class _Lanes:
    """A vector with arithmetic, for writing formulas: `1 / (1 + a)` emits its instructions."""

    def __init__(self, builder: ir.IRBuilder, value: ir.Value) -> None:
        self.builder, self.value = builder, value
        self.format = _FORMATS[value.type.element]

    def with_value(self, value: ir.Value) -> "_Lanes":
        """Return other lanes."""
        return _Lanes(self.builder, value)

    def number(self, number: float) -> "_Lanes":
        """Return a number in every lane."""
        return self.with_value(_Splat(self.value.type, number))

    def _emit(self, operation: str, a: "_Lanes | float", b: "_Lanes | float", *flags: str) -> "_Lanes":
        a, b = (v if isinstance(v, _Lanes) else self.number(v) for v in (a, b))
        return self.with_value(getattr(self.builder, operation)(a.value, b.value, flags=flags))

    def __add__(self, other: "_Lanes | float") -> "_Lanes":
        return self._emit("fadd", self, other, "contract")

    def __sub__(self, other: "_Lanes | float") -> "_Lanes":
        return self._emit("fsub", self, other, "contract")

    def __rsub__(self, other: float) -> "_Lanes":
        return self._emit("fsub", other, self, "contract")

    def __mul__(self, other: "_Lanes | float") -> "_Lanes":
        return self._emit("fmul", self, other, "contract")

    def __truediv__(self, other: "_Lanes | float") -> "_Lanes":
        return self._emit("fdiv", self, other)  # never `arcp`: an estimate of 1 / inf becomes NaN

    def __rtruediv__(self, other: float) -> "_Lanes":
        return self._emit("fdiv", other, self)

    __radd__, __rmul__ = __add__, __mul__

    def __neg__(self) -> "_Lanes":
        return self.with_value(self.builder.fneg(self.value))

    def compare(self, how: str, other: "_Lanes | float") -> ir.Value:
        """Return the mask of a comparison; it does not hold for NaN."""
        other = other if isinstance(other, _Lanes) else self.number(other)
        return self.builder.fcmp_ordered(how, self.value, other.value)

    def where(self, mask: ir.Value, other: "_Lanes | float") -> "_Lanes":
        """Return these lanes where the mask holds, the others elsewhere."""
        other = other if isinstance(other, _Lanes) else self.number(other)
        return self.with_value(self.builder.select(mask, self.value, other.value))

    def at_most(self, bound: "_Lanes | float") -> "_Lanes":
        """Return the smaller of lanes and bound, NaN where the lanes are: in this order one instruction of x86."""
        bound = bound if isinstance(bound, _Lanes) else self.number(bound)
        return bound.where(bound.compare("<", self), self)

    def at_least(self, bound: "_Lanes | float") -> "_Lanes":
        """Return the larger of lanes and bound, NaN where the lanes are: in this order one instruction of x86."""
        bound = bound if isinstance(bound, _Lanes) else self.number(bound)
        return bound.where(bound.compare(">", self), self)

    def intrinsic(self, name: str, *others: "_Lanes", flags: Sequence[str] = ()) -> "_Lanes":
        """Return the result of an intrinsic of LLVM."""
        arguments, module = [self.value, *(other.value for other in others)], self.builder.module
        full_name = f"llvm.{name}.v{self.value.type.count}{self.format.name}"
        function = module.globals.get(full_name)
        if function is None:
            function = ir.Function(module, ir.FunctionType(self.value.type, [v.type for v in arguments]), full_name)
        return self.with_value(self.builder.call(function, arguments, fastmath=flags))

    @property
    def bits(self) -> ir.Value:
        """The bits as integers."""
        return self.builder.bitcast(self.value, ir.VectorType(ir.IntType(self.format.bits), self.value.type.count))

    def of_bits(self, bits: ir.Value) -> "_Lanes":
        """Return the numbers that some bits are."""
        return self.with_value(self.builder.bitcast(bits, self.value.type))

    def power_of_two(self) -> "_Lanes":
        """Return 2**n of n + rounder, for -bias <= n <= bias + 1: 0 at the one end and inf at the other."""
        bits = self.bits
        return self.of_bits(self.builder.shl(bits, _Splat(bits.type, self.format.fraction)))


# ---------------------------------------------------------------------- formulas


def _sigmoid(a: _Lanes) -> _Lanes:
    """Return 1 / (1 + exp(-a)) as (E + r) / (E + r + 2**n * (E - r)), in terms that do not wait for each other."""
    limit = math.log(2) * a.format.bias
    r, n = _reduced(a.at_most(limit), -1)
    power, square = n.power_of_two(), r * r
    rest = _polynomial(square, a.format.coth)
    above = (2 + r) + square * rest
    below = ((2 + r) + power * (2 - r)) + (square + square * power) * rest
    return a.number(0.0).where(a.compare("<", -limit), above / below)


def _tanh(a: _Lanes) -> _Lanes:
    size = a.intrinsic("fabs").at_most(20.0)
    if a.format.bits == 32:
        square = size * size
        above, below = (_polynomial(square, c) for c in _TANH)
        above, below = size + (size * square) * above, 1 + square * below
        quotient = above.at_most(below) / below
    else:
        r, n = _reduced(size + size)
        power, square = n.power_of_two(), r * r
        even = 2 + square * _polynomial(square, a.format.coth)
        quotient = ((power - 1) * even + (power + 1) * r) / ((power + 1) * even + (power - 1) * r)
    return quotient.intrinsic("copysign", a)


def _exp(a: _Lanes) -> _Lanes:
    low, high = a.format.range
    mantissa, n = _exp_parts(a.at_least(low).at_most(high))
    return _scaled(mantissa, n - a.format.rounder)


def _exp_parts(a: _Lanes) -> tuple[_Lanes, _Lanes]:
    """Return exp(a) / 2**n, and n + rounder."""
    r, n = _reduced(a)
    return _polynomial(r, (1.0, 1.0, *a.format.exp)), n


def _reduced(a: _Lanes, sign: int = 1) -> tuple[_Lanes, _Lanes]:
    """Return r = a - sign * n * ln(2) with the integer n that makes it small, and n + rounder."""
    form = a.format
    n = a * (sign / math.log(2)) + form.rounder
    whole = n - form.rounder
    return a - whole * (sign * form.ln2[0]) - whole * (sign * form.ln2[1]), n


def _scaled(mantissa: _Lanes, n: _Lanes) -> _Lanes:
    """Return mantissa * 2**n in two steps: the power may be out of the format where the result is not."""
    rounder = mantissa.format.rounder
    half = n * 0.5 + rounder
    rest = n - (half - rounder) + rounder
    return mantissa * half.power_of_two() * rest.power_of_two()


def _polynomial(x: _Lanes, coefficients: Sequence[float]) -> _Lanes:
    """Return c[0] + c[1] * x + c[2] * x**2 + ..., in Estrin's form: pairs, then pairs of pairs with x**2, ..."""
    terms: list[Any] = list(coefficients)
    while True:
        pairs = zip(terms[::2], terms[1::2], strict=False)
        terms = [*((x if high == 1 else x * high) + low for low, high in pairs), *terms[len(terms) & ~1 :]]
        if len(terms) == 1:
            return terms[0]
        x = x * x


def _log(a: _Lanes) -> _Lanes:
    n, rest = _decomposed(a)
    high, low = a.format.ln2
    value = n * high + (_log1p(rest) + n * low)
    special = a.where(a.compare(">", 0.0), math.nan).where(a.compare("!=", 0.0), -math.inf)
    return value.where(a.builder.and_(a.compare(">", 0.0), a.compare("<", math.inf)), special)


def _decomposed(a: _Lanes) -> tuple[_Lanes, _Lanes]:
    """Return n and m - 1 for a = 2**n * m > 0 with m between sqrt(1/2) and sqrt(2)."""
    form, build = a.format, a.builder
    up = form.fraction + 1
    denormal = a.compare("<", 2.0 ** (1 - form.bias))
    bits = (a * 2.0**up).where(denormal, a).bits
    one, root = (form.bits_of(v) for v in (1.0, math.sqrt(0.5)))

    def integer(value: int) -> ir.Constant:
        return _Splat(bits.type, value)

    bits = build.add(bits, integer(one - root))
    exponent = build.lshr(bits, integer(form.fraction))
    n = a.of_bits(build.add(exponent, integer(form.bits_of(form.rounder - form.bias)))) - (form.rounder)
    m = a.of_bits(build.add(build.and_(bits, integer(2**form.fraction - 1)), integer(root)))
    return (n - up).where(denormal, n), m - 1


def _log1p(a: _Lanes) -> _Lanes:
    """Return log(1 + a) for -0.3 <= a <= 1: it is 2 * atanh(s), and 2 * s = a - s * a."""
    s = a / (a + 2)
    w = s * s
    return a - s * (a - w * _polynomial(w, a.format.atanh))


def _softplus(a: _Lanes) -> _Lanes:
    return a.at_least(0.0) + _log1p(_exp(-a.intrinsic("fabs")))


def _log_sigmoid(a: _Lanes) -> _Lanes:
    return a.at_most(0.0) - _log1p(_exp(-a.intrinsic("fabs")))


def _pow(a: _Lanes, exponent: float) -> _Lanes:
    """Return a**exponent: by products and a root for small multiples of a half, else by logarithm."""
    if (2 * exponent).is_integer() and abs(exponent) <= 8:
        size, factors = abs(exponent), []
        if size % 1:
            factors.append(a.intrinsic("sqrt"))
        for bit in range(int(size).bit_length()):
            a = a if bit == 0 else a * a
            if int(size) >> bit & 1:
                factors.append(a)
        power = math.prod(factors[1:], start=factors[0]) if factors else a.number(1.0)
        return power if exponent >= 0 else 1 / power
    if a.format.bits == 32:  # in float64 the error of the logarithm is no matter
        wide = a.with_value(a.builder.fpext(a.value, ir.VectorType(ir.DoubleType(), a.value.type.count)))
        return a.with_value(a.builder.fptrunc(_pow(wide, exponent).value, a.value.type))
    return _pow_by_log(a, exponent)


def _pow_by_log(a: _Lanes, exponent: float) -> _Lanes:
    """Return a**c = 2**(c * n) * m**c in float64; c * n is exact in two parts, so that large exponents lose nothing."""
    rounder = a.format.rounder
    size = a.intrinsic("fabs") if exponent.is_integer() else a
    n, rest = _decomposed(size)
    high = math.ldexp(round(math.ldexp(math.frexp(exponent)[0], 32)), math.frexp(exponent)[1] - 32)
    whole = n * high + rounder - rounder
    fraction = (n * high - whole) + n * (exponent - high)
    limit = a.format.range[1]
    power = _exp_parts((fraction * math.log(2) + _log1p(rest) * exponent).at_least(-limit).at_most(limit))
    total = (whole + (power[1] - rounder)).at_least(-2000.0).at_most(2000.0)
    value = _scaled(power[0], total)
    zero, infinity = (0.0, math.inf) if exponent > 0 else (math.inf, 0.0)
    value = a.number(zero).where(size.compare("==", 0.0), value)
    value = a.number(infinity).where(size.compare("==", math.inf), value)
    value = value.where(size.compare(">=", 0.0), math.nan)
    return value.intrinsic("copysign", a) if exponent % 2 == 1 else value


def _step(a: _Lanes) -> _Lanes:
    return a.number(1.0).where(a.compare(">", 0.0), 0.0)


_FORMULAS: dict[str, Callable[..., _Lanes]] = {
    "sigmoid": _sigmoid,
    "tanh": _tanh,
    "exp": _exp,
    "log": _log,
    "softplus": _softplus,
    "log_sigmoid": _log_sigmoid,
    "pow": _pow,
}

#: So short that they are no functions of the module.
_INSTRUCTIONS: dict[str, Callable[..., _Lanes]] = {
    "sqrt": lambda a: a.intrinsic("sqrt"),
    "relu": lambda a: a.at_least(0.0),
    "step": _step,
    "maximum": lambda a, b: a.intrinsic("maximum", b, flags=("nsz",)),
    "minimum": lambda a, b: a.intrinsic("minimum", b, flags=("nsz",)),
    "clip": lambda a, low, high: a.at_least(low).at_most(high),
    "stop_gradient": lambda a: a,
}


class Elementary:
    """The functions of the notation on vectors: internal functions of a module, made on first use.

    Args:
        module: where the functions are.
        vector: float32 or float64, of any width.
    """

    def __init__(self, module: ir.Module, vector: ir.VectorType) -> None:
        self.module, self.vector = module, vector
        self._functions: dict[tuple[str, ...], ir.Function] = {}

    def __call__(self, builder: ir.IRBuilder, name: str, *arguments: ir.Value | float, result: str = "") -> ir.Value:
        """Emit the value of a function; a number as argument is in every lane, as is the constant exponent of pow."""
        values = [a if isinstance(a, ir.Value) else _Splat(self.vector, a) for a in arguments]
        if name in _INSTRUCTIONS:
            value = _INSTRUCTIONS[name](*(_Lanes(builder, v) for v in values)).value
            if result and value is not values[0]:
                value.name = result
            return value
        exponents = [_number(v) for v in values[1:]]
        return builder.call(self._function(name, *exponents), values[:1], name=result)

    def _function(self, name: str, *exponents: float) -> ir.Function:
        form = _FORMATS[self.vector.element]
        full_name = ".".join([name, *map(repr, exponents), f"v{self.vector.count}{form.name}"])
        known = self.module.globals.get(full_name)
        if known is None:
            known = ir.Function(self.module, ir.FunctionType(self.vector, [self.vector]), full_name)
            known.linkage = "internal"
            known.attributes.add("alwaysinline")
            known.attributes.add("nounwind")
            builder = ir.IRBuilder(known.append_basic_block())
            known.args[0].name = "a"
            builder.ret(_FORMULAS[name](_Lanes(builder, known.args[0]), *exponents).value)
        return known


def _number(constant: ir.Constant) -> float:
    """Return the number that every lane of a constant is."""
    (number,) = {float(lane.constant) for lane in constant.constant}
    return number
