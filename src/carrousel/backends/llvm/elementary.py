"""The functions of the notation on vectors, in LLVM's instructions alone: no call of libm, on any target.

`Elementary(module, vector)(builder, "sigmoid", a)` emits a call of an internal function, which is made on first use
and which the optimiser inlines. Infinities and NaN are PyTorch's; accuracy is one to five units in the last place.

The formulas are in the middle of the file, in plain arithmetic on `_Lanes`. LLVM may contract a * b + c and no more.
Its `fma` and `rint` would call libm where the hardware has no instruction for them: rounding is the addition of a large
number here. Polynomials are in Estrin's form, whose chain of dependent operations is short.
"""

import math
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from llvmlite import ir

__all__ = ["NAMES", "Elementary"]


@dataclass(frozen=True)
class _Format:
    """What the formulas must know of float32 or float64.

    Attributes:
        name: in the names of functions.
        bits: of a number.
        fraction: bits of its fraction.
        bias: of its exponent.
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
        """A number so large that adding it to n rounds n to an integer, and leaves n + bias in the low bits."""
        return 1.5 * 2.0**self.fraction + self.bias

    def bits_of(self, number: float) -> int:
        """Return the bits of a number."""
        return int.from_bytes(struct.pack({32: ">f", 64: ">d"}[self.bits], number))


# Coefficients are minimax for the relative error of the function that is named, by the Remez algorithm in 60 digits.
# fmt: off
_FORMATS = {
    ir.FloatType(): _Format(
        name="f32", bits=32, fraction=23, bias=127,
        ln2=(0.693145751953125, 1.428606820309417e-06),
        range=(-104.0, 89.0),
        exp=(0.499999934421836, 0.166665205481166, 0.0416683890298521, 0.00836872703220442, 0.00138145775222195),
        coth=(0.166666258010705, -0.00276675855245702),
        atanh=(0.666666673311716, 0.399997032227953, 0.285924991121056, 0.217045319647767, 0.23233564532267),
    ),
    ir.DoubleType(): _Format(
        name="f64", bits=64, fraction=52, bias=1023,
        ln2=(0.6931471805598903, 5.497923018708371e-14),
        range=(-746.0, 710.0),
        exp=(0.5000000000000010642, 0.16666666666666412156, 0.041666666666530004022, 0.0083333333334946487855,
             0.0013888888943676812402, 0.00019841269506284589698, 2.4801493045176116391e-5, 2.7557586533321962549e-6,
             2.763026922257157749e-7, 2.5000044531900506097e-8),
        coth=(0.16666666666666602195, -0.0027777777777016120164, 6.6137563215885166451e-5, -1.6533902344442576056e-6,
              4.1381407669975435016e-8),
        atanh=(0.66666666666666658402, 0.40000000000014815474, 0.28571428567052569209, 0.22222222722643668075,
               0.1818178919378157189, 0.1538557638677394236, 0.13314047386051626558, 0.12001936756100368196,
               0.087965826448952938264, 0.16172373051951898806),
    ),
}

# tanh(a / 2) = a / 2 * (1 + u * P(u)) / Q(u) with u = a**2, in float32, by Lawson's algorithm for the error of tanh(a);
# and from where on tanh(a) is taken to be 1.
_TANH = (
    (0.0297986125, 0.000114795942),
    (1.0, 0.113131915, 0.00120915457, 1.24058912e-6),
    8.6,
)
# fmt: on


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

    def lanes(self, value: "ir.Value | _Lanes | float") -> "_Lanes":
        """Return a value as lanes; a number is in every lane."""
        if isinstance(value, _Lanes):
            return value
        return _Lanes(self.builder, value if isinstance(value, ir.Value) else _Splat(self.value.type, value))

    def _emit(self, operation: str, a: "_Lanes | float", b: "_Lanes | float", *flags: str) -> "_Lanes":
        emit = getattr(self.builder, operation)
        return self.lanes(emit(self.lanes(a).value, self.lanes(b).value, flags=flags))

    def __add__(self, other: "_Lanes | float") -> "_Lanes":
        return self._emit("fadd", self, other, "contract")

    def __sub__(self, other: "_Lanes | float") -> "_Lanes":
        return self._emit("fsub", self, other, "contract")

    def __rsub__(self, other: float) -> "_Lanes":
        return self._emit("fsub", other, self, "contract")

    def __mul__(self, other: "_Lanes | float") -> "_Lanes":
        return self._emit("fmul", self, other, "contract")

    def __truediv__(self, other: "_Lanes | float") -> "_Lanes":
        return self._emit("fdiv", self, other)  # never `arcp`: its estimate of 1 / inf is NaN

    def __rtruediv__(self, other: float) -> "_Lanes":
        return self._emit("fdiv", other, self)

    __radd__, __rmul__ = __add__, __mul__

    def __neg__(self) -> "_Lanes":
        return self.lanes(self.builder.fneg(self.value))

    def compare(self, how: str, other: "_Lanes | float") -> ir.Value:
        """Return the mask of a comparison; it does not hold for NaN."""
        return self.builder.fcmp_ordered(how, self.value, self.lanes(other).value)

    def where(self, mask: ir.Value, other: "_Lanes | float") -> "_Lanes":
        """Return these lanes where the mask holds, the others elsewhere."""
        return self.lanes(self.builder.select(mask, self.value, self.lanes(other).value))

    def at_most(self, bound: "_Lanes | float") -> "_Lanes":
        """Return the smaller of lanes and bound, NaN where the lanes are: in this order one instruction of x86."""
        return self.lanes(bound).where(self.lanes(bound).compare("<", self), self)

    def at_least(self, bound: "_Lanes | float") -> "_Lanes":
        """Return the larger of lanes and bound, NaN where the lanes are: in this order one instruction of x86."""
        return self.lanes(bound).where(self.lanes(bound).compare(">", self), self)

    def intrinsic(self, name: str, *others: "_Lanes", flags: Sequence[str] = ()) -> "_Lanes":
        """Return the result of an intrinsic of LLVM."""
        arguments, vector = [self.value, *(other.value for other in others)], self.value.type
        full_name = f"llvm.{name}.v{vector.count}{self.format.name}"
        function = self.builder.module.globals.get(full_name)
        if function is None:
            kind = ir.FunctionType(vector, [vector] * len(arguments))
            function = ir.Function(self.builder.module, kind, full_name)
        return self.lanes(self.builder.call(function, arguments, fastmath=flags))

    @property
    def bits(self) -> ir.Value:
        """The bits as integers."""
        return self.builder.bitcast(self.value, ir.VectorType(ir.IntType(self.format.bits), self.value.type.count))

    def of_bits(self, bits: ir.Value) -> "_Lanes":
        """Return the numbers that some bits are."""
        return self.lanes(self.builder.bitcast(bits, self.value.type))

    def power_of_two(self) -> "_Lanes":
        """Return 2**n of n + rounder, for -bias <= n <= bias + 1: 0 at the one end and inf at the other."""
        bits = self.bits
        return self.of_bits(self.builder.shl(bits, _Splat(bits.type, self.format.fraction)))


# ---------------------------------------------------------------------- formulas


def _sigmoid(a: _Lanes) -> _Lanes:
    """Return 1 / (1 + exp(-a)) as (E + r) / (E + r + 2**n * (E - r)), in sums of terms that are early."""
    limit = math.log(2) * a.format.bias
    r, n = _reduced(a.at_most(limit), -1)
    power, square = n.power_of_two(), r * r
    even = _polynomial(square, a.format.coth)
    above = (2 + r) + square * even
    below = ((2 + r) + power * (2 - r)) + (square + square * power) * even
    return a.lanes(0.0).where(a.compare("<", -limit), above / below)


def _tanh(a: _Lanes) -> _Lanes:
    return _tanh_by_halves(a) if a.format.bits == 32 else _tanh_by_exp(a)


def _tanh_by_halves(a: _Lanes) -> _Lanes:
    """Return 2 * t / (1 + t**2) with the rational t = tanh(a / 2) = m / (2 * d): roundings in t matter the less near 1.

    It is the faster one, but float64 would need long polynomials.
    """
    p, q, one = _TANH
    square = a * a
    m = a + (a * square) * _polynomial(square, p)
    d = _polynomial(square, q)
    value = (m * d) / (d * d + m * (m * 0.25))
    return a.lanes(1.0).intrinsic("copysign", a).where(square.compare(">", one**2), value)


def _tanh_by_exp(a: _Lanes) -> _Lanes:
    """Return (exp(2 * a) - 1) / (exp(2 * a) + 1) for exp(2 * a) = 2**n * (E + r) / (E - r)."""
    size = a.intrinsic("fabs").at_most(20.0)  # 1 from there
    r, n = _reduced(size + size)
    power, square = n.power_of_two(), r * r
    less, more, even = power - 1, power + 1, _polynomial(square, a.format.coth)
    above = (2 * less + more * r) + (less * square) * even
    below = (2 * more + less * r) + (more * square) * even
    return (above.at_most(below) / below).intrinsic("copysign", a)


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
    rounder, (high, low) = a.format.rounder, a.format.ln2
    n = a * (sign / math.log(2)) + rounder
    whole = n - rounder
    return a - whole * (sign * high) - whole * (sign * low), n


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
            return x.lanes(terms[0])
        x = x * x


def _log(a: _Lanes) -> _Lanes:
    n, rest = _decomposed(a)
    high, low = a.format.ln2
    value = n * high + (_log1p(rest) + n * low)
    special = a.lanes(-math.inf).where(a.compare("==", 0.0), a.where(a.compare(">", 0.0), math.nan))
    return value.where(a.builder.and_(a.compare(">", 0.0), a.compare("<", math.inf)), special)


def _decomposed(a: _Lanes) -> tuple[_Lanes, _Lanes]:
    """Return n and m - 1 for a = 2**n * m > 0 with m between sqrt(1/2) and sqrt(2)."""
    form, build = a.format, a.builder
    lift = form.fraction + 1
    denormal = a.compare("<", 2.0 ** (1 - form.bias))
    bits = (a * 2.0**lift).where(denormal, a).bits
    one, root, rounder = (_Splat(bits.type, form.bits_of(v)) for v in (1.0, math.sqrt(0.5), form.rounder - form.bias))
    bits = build.add(build.sub(bits, root), one)  # now the exponent changes at the root
    exponent = build.lshr(bits, _Splat(bits.type, form.fraction))
    fraction = build.and_(bits, _Splat(bits.type, 2**form.fraction - 1))
    n = a.of_bits(build.add(exponent, rounder)) - form.rounder
    return (n - lift).where(denormal, n), a.of_bits(build.add(fraction, root)) - 1


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
    """Return a**exponent: by products and a root for a small multiple of a half, else by the logarithm."""
    if (2 * exponent).is_integer() and abs(exponent) <= 4:
        size = abs(exponent)
        power = a.intrinsic("sqrt") if size % 1 else a.lanes(1.0)
        for _ in range(int(size)):
            power = power * a
        return power if exponent >= 0 else 1 / power
    if a.format.bits == 64:
        return _pow_by_log(a, exponent)
    wide = a.builder.fpext(a.value, ir.VectorType(ir.DoubleType(), a.value.type.count))
    return a.lanes(a.builder.fptrunc(_pow_by_log(_Lanes(a.builder, wide), exponent).value, a.value.type))


def _pow_by_log(a: _Lanes, exponent: float) -> _Lanes:
    """Return a**c = 2**(c * n) * m**c in float64, with c in two parts to have c * n exact."""
    rounder, limit = a.format.rounder, a.format.range[1]
    base = a.intrinsic("fabs") if exponent.is_integer() else a
    n, rest = _decomposed(base)
    scale = 2.0 ** (32 - math.frexp(exponent)[1])
    high = round(exponent * scale) / scale
    whole = n * high + rounder - rounder
    fraction = (n * high - whole) + n * (exponent - high)
    logarithm = fraction * math.log(2) + _log1p(rest) * exponent
    mantissa, more = _exp_parts(logarithm.at_least(-limit).at_most(limit))
    value = _scaled(mantissa, (whole + (more - rounder)).at_least(-2000.0).at_most(2000.0))
    at_zero, at_infinity = (0.0, math.inf) if exponent > 0 else (math.inf, 0.0)
    value = a.lanes(at_zero).where(base.compare("==", 0.0), value)
    value = a.lanes(at_infinity).where(base.compare("==", math.inf), value)
    value = value.where(base.compare(">=", 0.0), math.nan)
    return value.intrinsic("copysign", a) if exponent % 2 == 1 else value


_FORMULAS: dict[str, Callable[..., _Lanes]] = {
    "sigmoid": _sigmoid,
    "tanh": _tanh,
    "exp": _exp,
    "log": _log,
    "softplus": _softplus,
    "log_sigmoid": _log_sigmoid,
    "pow": _pow,
}

#: Too short for functions.
_INSTRUCTIONS: dict[str, Callable[..., _Lanes]] = {
    "sqrt": lambda a: a.intrinsic("sqrt"),
    "relu": lambda a: a.at_least(0.0),
    "step": lambda a: a.lanes(1.0).where(a.compare(">", 0.0), 0.0),
    "maximum": lambda a, b: a.intrinsic("maximum", b, flags=["nsz"]),
    "minimum": lambda a, b: a.intrinsic("minimum", b, flags=["nsz"]),
    "clip": lambda a, low, high: a.at_least(low).at_most(high),
    "stop_gradient": lambda a: a,
}
NAMES = frozenset({*_FORMULAS, *_INSTRUCTIONS})


class Elementary:
    """The functions of the notation on vectors: internal functions of a module, made on first use.

    Args:
        module: where the functions are.
        vector: float32 or float64, of any width.
    """

    def __init__(self, module: ir.Module, vector: ir.VectorType) -> None:
        self.module, self.vector = module, vector

    def __call__(self, builder: ir.IRBuilder, name: str, *arguments: ir.Value | float, result: str = "") -> ir.Value:
        """Emit the value of a function; a number is in every lane. The exponent of `pow` must be constant."""
        values = [a if isinstance(a, ir.Value) else _Splat(self.vector, a) for a in arguments]
        if name in _FORMULAS:
            return builder.call(self._function(name, *map(_number, values[1:])), values[:1], name=result)
        value = _INSTRUCTIONS[name](*(_Lanes(builder, v) for v in values)).value
        if result and value is not values[0]:
            value.name = result
        return value

    def _function(self, name: str, *exponents: float) -> ir.Function:
        vector = f"v{self.vector.count}{_FORMATS[self.vector.element].name}"
        full_name = ".".join([name, *map(repr, exponents), vector])
        function = self.module.globals.get(full_name)
        if function is None:
            function = ir.Function(self.module, ir.FunctionType(self.vector, [self.vector]), full_name)
            function.linkage = "internal"
            function.attributes.add("alwaysinline")
            function.attributes.add("nounwind")
            (a,) = function.args
            a.name = "a"
            builder = ir.IRBuilder(function.append_basic_block())
            builder.ret(_FORMULAS[name](_Lanes(builder, a), *exponents).value)
        return function


def _number(constant: ir.Constant) -> float:
    """Return the number that is in every lane of a constant."""
    (number,) = {float(lane.constant) for lane in constant.constant}
    return number
