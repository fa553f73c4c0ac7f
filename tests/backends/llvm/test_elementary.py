"""The functions on vectors: accuracy, corners, every lane alone, and no call of libm on any target."""

import ctypes
import functools
import math
import re
from collections.abc import Callable

import mpmath
import numpy as np
import pytest
import torch
from llvmlite import binding, ir

from carrousel.backends.llvm.elementary import Elementary
from carrousel.functions import TABLE

SCALARS = {"float32": ir.FloatType(), "float64": ir.DoubleType()}
#: The vectors that machines have, and odd ones.
WIDTHS = [("float32", 1), ("float32", 3), ("float32", 4), ("float32", 8), ("float32", 16)]
WIDTHS += [("float64", 1), ("float64", 2), ("float64", 4), ("float64", 8)]
EXPONENTS = [0.5, 1.5, -0.5, 2.5, 0.7, -1.3, 1 / 3, 7.3, 3.0, -2.0, 11.0, -12.0]
CURVES = ["sigmoid", "tanh", "exp", "log", "softplus", "log_sigmoid"]
#: name -> (function of the table, the numbers it is called with after its vectors, how many vectors).
CALLS: dict[str, tuple[str, tuple[float, ...], int]] = {
    **{name: (name, (), 1) for name in [*CURVES, "sqrt", "relu", "step", "stop_gradient"]},
    **{f"pow {c}": ("pow", (c,), 1) for c in EXPONENTS},
    "clip": ("clip", (-0.75, 0.5), 1),
    "clip crossed": ("clip", (0.5, -0.75), 1),
    "maximum": ("maximum", (), 2),
    "minimum": ("minimum", (), 2),
    "maximum with a number": ("maximum", (0.25,), 1),
}
LOWEST = {"float32": 2.0**-126, "float64": 2.0**-1022}
#: The largest relative error: more than all the numbers of float32 have for tanh and sigmoid.
ERRORS = {
    "float32": {"sigmoid": 2.8e-7, "tanh": 3.6e-7, "exp": 1.8e-7, "log": 1e-7, "softplus": 2e-7, "log_sigmoid": 2e-7},
    "float64": {"sigmoid": 6e-16, "tanh": 6e-16, "exp": 4e-16, "log": 2.3e-16, "softplus": 5e-16, "log_sigmoid": 5e-16},
}
TARGETS = {
    "AVX-512": ("x86_64-unknown-linux-gnu", "skylake-avx512", "zmm"),
    "AVX2": ("x86_64-unknown-linux-gnu", "haswell", "vfmadd"),
    "SSE2": ("x86_64-unknown-linux-gnu", "x86-64", "mulps"),
    "NEON": ("aarch64-unknown-linux-gnu", "generic", "fmla"),
}

curve = pytest.mark.parametrize("name", CURVES)
dtypes = pytest.mark.parametrize("dtype", SCALARS)
widths = pytest.mark.parametrize(("dtype", "lanes"), WIDTHS)


def module_of(dtype: str, lanes: int) -> ir.Module:
    """A module with a function for each call, `call(a, b, y)` on addresses of one vector."""
    module, vector = ir.Module(), ir.VectorType(SCALARS[dtype], lanes)
    elementary, align = Elementary(module, vector), np.dtype(dtype).itemsize
    for label, (name, numbers, vectors) in CALLS.items():
        caller = ir.Function(module, ir.FunctionType(ir.VoidType(), [ir.PointerType()] * 3), f"call {label}")
        builder = ir.IRBuilder(caller.append_basic_block())
        arguments = [builder.load(p, typ=vector, align=align) for p in caller.args[:vectors]]
        constants = [ir.Constant(vector, [number] * lanes) for number in numbers]
        value = elementary(builder, name, *arguments, *constants, result="y")
        builder.store(value, caller.args[2], align=align)
        builder.ret_void()
    return module


def compiled(module: ir.Module, machine: binding.TargetMachine) -> binding.ModuleRef:
    """The module, optimised for a machine."""
    parsed = binding.parse_assembly(str(module))
    parsed.triple, parsed.data_layout = machine.triple, str(machine.target_data)
    parsed.verify()
    builder = binding.create_pass_builder(machine, binding.create_pipeline_tuning_options(speed_level=2))
    builder.getModulePassManager().run(parsed, builder)
    return parsed


@functools.cache
def engine(dtype: str, lanes: int, plain: bool) -> binding.ExecutionEngine:
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    cpu, features = ("", "") if plain else (binding.get_host_cpu_name(), binding.get_host_cpu_features().flatten())
    machine = binding.Target.from_default_triple().create_target_machine(cpu=cpu, features=features, opt=2)
    ready = binding.create_mcjit_compiler(compiled(module_of(dtype, lanes), machine), machine)
    ready.finalize_object()
    return ready


def run(
    label: str, a: np.ndarray, b: np.ndarray | None = None, lanes: int | None = None, plain: bool = False
) -> np.ndarray:
    """Evaluate a call on arrays, vector by vector; `plain` is without the machine's own instructions."""
    lanes = lanes or 64 // a.itemsize
    address = engine(a.dtype.name, lanes, plain).get_function_address(f"call {label}")
    call = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 3)(address)
    rows = -(-len(a) // lanes)
    a, b = (np.resize(v, rows * lanes) for v in (a, a if b is None else b))
    y, stride = np.empty_like(a), lanes * a.itemsize
    addresses = a.ctypes.data, b.ctypes.data, y.ctypes.data
    for offset in range(0, rows * stride, stride):
        call(*(address + offset for address in addresses))
    return y


def grid(name: str, dtype: str, count: int) -> np.ndarray:
    """Numbers where the function has something to say, dense where it bends, and very small ones."""
    generator = np.random.default_rng(7)
    top = math.log(np.finfo(dtype).max)
    if name == "log":
        wide = np.exp(generator.uniform(-top, top, count))
        return np.concatenate([wide, generator.uniform(0.4, 2.0, count)]).astype(dtype)
    wide = generator.uniform(-0.98 * top, 0.98 * top, count)
    small = generator.normal(size=count) * 10.0 ** generator.uniform(-30, 0, count)
    return np.concatenate([wide, np.linspace(-20, 20, 2 * count), small]).astype(dtype)


def truth(name: str, a: np.ndarray) -> np.ndarray:
    """The value for float32, computed by torch in float64."""
    wide = torch.from_numpy(a.astype(np.float64))
    return TABLE[name](wide).numpy()


EXACT: dict[str, Callable] = {
    "sigmoid": lambda a: 1 / (1 + mpmath.exp(-a)),
    "tanh": mpmath.tanh,
    "exp": mpmath.exp,
    "log": mpmath.log,
    "softplus": lambda a: max(a, 0) + mpmath.log1p(mpmath.exp(-abs(a))),
    "log_sigmoid": lambda a: min(a, 0) - mpmath.log1p(mpmath.exp(-abs(a))),
}


def worst(got: np.ndarray, exact: list, lowest: float) -> float:
    """The largest relative error among normal numbers."""
    with mpmath.workdps(40):
        return max(
            float(abs(mpmath.mpf(float(g)) / e - 1)) for g, e in zip(got, exact, strict=False) if abs(e) > lowest
        )


# ---------------------------------------------------------------------- accuracy


@pytest.mark.parametrize("plain", [False, True], ids=["host", "plain"])
@curve
def test_float32(name: str, plain: bool) -> None:
    a = grid(name, "float32", 20_000)
    expected = truth(name, a)
    got = run(name, a, plain=plain)[: len(a)]
    normal = np.abs(expected) > LOWEST["float32"]
    assert np.abs(got[normal] / expected[normal] - 1).max() < ERRORS["float32"][name]
    assert np.abs(got[~normal] - expected[~normal]).max(initial=0) <= LOWEST["float32"]


@pytest.mark.parametrize("plain", [False, True], ids=["host", "plain"])
@curve
def test_float64(name: str, plain: bool) -> None:
    a = grid(name, "float64", 400)
    with mpmath.workdps(40):
        expected = [EXACT[name](mpmath.mpf(float(v))) for v in a]
    assert worst(run(name, a, plain=plain), expected, LOWEST["float64"]) < ERRORS["float64"][name]


@curve
def test_not_further_than_torch(name: str) -> None:
    a = torch.randn(20_000, generator=torch.Generator().manual_seed(3)) * 3
    a = a.abs() if name == "log" else a
    expected = TABLE[name](a.double())
    allowed = 1.5 * (TABLE[name](a) - expected).abs().max() + 2e-7 * expected.abs().max()
    assert (torch.from_numpy(run(name, a.numpy())) - expected).abs().max() <= allowed


@pytest.mark.parametrize("exponent", EXPONENTS)
@dtypes
def test_pow(exponent: float, dtype: str) -> None:
    a = np.exp(np.random.default_rng(5).uniform(-7, 7, 1000)).astype(dtype)
    with mpmath.workdps(40):
        expected = [mpmath.mpf(float(v)) ** mpmath.mpf(exponent) for v in a]
    bound = {"float32": 3e-7, "float64": 4e-16 * max(2, abs(exponent))}[dtype]
    assert worst(run(f"pow {exponent}", a), expected, LOWEST[dtype]) < bound


@dtypes
def test_tanh_of_small_and_large(dtype: str) -> None:
    tiny = np.finfo(dtype).smallest_subnormal
    small = np.array([0.0, tiny, 5 * tiny, 1e-40, 1e-8, 1e-5], dtype)
    small = np.concatenate([small, -small])
    np.testing.assert_array_equal(run("tanh", small)[: len(small)], np.tanh(small))
    large = np.array([9.1, 20.0, 45.0, 1e4, np.finfo(dtype).max, np.inf], dtype)
    large = large[1 if dtype == "float64" else 0 :]
    np.testing.assert_array_equal(run("tanh", large)[: len(large)], np.ones_like(large))
    np.testing.assert_array_equal(run("tanh", -large)[: len(large)], -np.ones_like(large))


@pytest.mark.parametrize("plain", [False, True], ids=["host", "plain"])
@pytest.mark.parametrize("name", ["sigmoid", "tanh"])
@dtypes
def test_never_above_one(name: str, dtype: str, plain: bool) -> None:
    a = np.linspace(7.5, 40, 40_000).astype(dtype)
    assert run(name, a, plain=plain).max() == 1


# ---------------------------------------------------------------------- corners


CORNERS = [0.0, -0.0, 1.0, -1.0, 1e-8, 100.0, -100.0, 1e30, -1e30, 3e38, -3e38, math.inf, -math.inf, math.nan]


@pytest.mark.parametrize("name", [*CURVES, "sqrt", "relu", "step", "stop_gradient"])
@dtypes
def test_corners(name: str, dtype: str) -> None:
    a = torch.tensor([*CORNERS, 87.5, 88.5, 88.73, -87.5, -103.5, -104.5, 709.5, 709.79, 710.0, -708.5, -744.0, -746.0])
    a = a.to(getattr(torch, dtype))
    got, expected = torch.from_numpy(run(name, a.numpy())[: len(a)]), TABLE[name](a)
    torch.testing.assert_close(got, expected, rtol=4e-7, atol=LOWEST[dtype], equal_nan=True)


@pytest.mark.parametrize("name", ["exp", "softplus", "log_sigmoid"])
@dtypes
def test_denormal_results(name: str, dtype: str) -> None:
    a = -np.linspace(*{"float32": (88, 103), "float64": (709, 744)}[dtype], 500).astype(dtype)
    a = -a if name == "log_sigmoid" else a
    with mpmath.workdps(40):
        expected = np.array([float(EXACT[name](mpmath.mpf(float(v)))) for v in a])
    assert np.abs(run(name, a)[: len(a)] - expected).max() <= np.finfo(dtype).smallest_subnormal


@dtypes
def test_log_of_denormals(dtype: str) -> None:
    a = np.finfo(dtype).smallest_subnormal * np.array([1, 2, 3, 77, 1000, 2**20 + 1], dtype)
    np.testing.assert_allclose(run("log", a)[: len(a)], np.log(a), rtol=1e-7)


@pytest.mark.parametrize("exponent", EXPONENTS)
@dtypes
def test_pow_corners(exponent: float, dtype: str) -> None:
    a = torch.tensor([0.0, 1.0, math.inf, math.nan, -1.0, -2.0, -0.3], dtype=getattr(torch, dtype))
    got = torch.from_numpy(run(f"pow {exponent}", a.numpy())[: len(a)])
    torch.testing.assert_close(got, a**exponent, equal_nan=True)


@pytest.mark.parametrize("name", ["maximum", "minimum"])
@dtypes
def test_pairs(name: str, dtype: str) -> None:
    a, b = (v.flatten().numpy().astype(dtype) for v in torch.meshgrid(*[torch.tensor(CORNERS)] * 2, indexing="ij"))
    expected = TABLE[name](torch.from_numpy(a), torch.from_numpy(b)).numpy()
    np.testing.assert_array_equal(run(name, a, b)[: len(a)], expected)


@dtypes
def test_numbers(dtype: str) -> None:
    a = torch.tensor([*CORNERS, 0.6, -0.8, 0.3], dtype=getattr(torch, dtype))
    for label, expected in {
        "clip": a.clamp(-0.75, 0.5),
        "clip crossed": a.clamp(0.5, -0.75),
        "maximum with a number": TABLE["maximum"](a, 0.25),
    }.items():
        np.testing.assert_array_equal(run(label, a.numpy())[: len(a)], expected.numpy())


# ---------------------------------------------------------------------- lanes


@widths
def test_lanes_are_alike_and_alone(dtype: str, lanes: int) -> None:
    """A number has the same value in every lane and at every width, whatever is beside it; NaN stays in its lane."""
    a = np.array([0.3, 4.0, 0.9, 17.0, 1e-3], dtype)
    for label, (_, _, vectors) in CALLS.items():
        alike = run(label, np.repeat(a, lanes), lanes=lanes).reshape(len(a), lanes)
        np.testing.assert_array_equal(alike, np.broadcast_to(alike[:, :1], alike.shape), label)
        np.testing.assert_array_equal(alike[:, 0], run(label, a)[: len(a)], label)
        if vectors == 1:
            for lane in range(lanes):
                beside = np.full(lanes, a[0])
                beside[lane] = math.nan
                got = run(label, beside, lanes=lanes)
                assert math.isnan(got[lane]) or label == "step", label
                assert (np.delete(got, lane) == alike[0, 0]).all(), label


# ---------------------------------------------------------------------- text


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(("dtype", "lanes"), [("float32", 3), ("float32", 16), ("float64", 8)])
def test_no_libm(dtype: str, lanes: int, target: str) -> None:
    binding.initialize_all_targets()
    binding.initialize_all_asmprinters()
    triple, cpu, instruction = TARGETS[target]
    machine = binding.Target.from_triple(triple).create_target_machine(cpu=cpu, opt=2)
    assembly = machine.emit_assembly(compiled(module_of(dtype, lanes), machine))
    assert re.findall(r"^\s+(?:call|jmp|bl|b|br|blr)[ql]?\s+[^.\s]\S*", assembly, re.MULTILINE) == []
    if (dtype, lanes) == ("float32", 16):
        assert instruction in assembly


def test_text() -> None:
    vector = ir.VectorType(ir.FloatType(), 16)
    module = ir.Module()
    elementary = Elementary(module, vector)
    caller = ir.Function(module, ir.FunctionType(vector, [vector]), "caller")
    builder = ir.IRBuilder(caller.append_basic_block())
    (a,) = caller.args
    a.name = "a_i"
    i = elementary(builder, "sigmoid", a, result="i")
    h = elementary(builder, "sigmoid", i, result="h")
    assert elementary(builder, "stop_gradient", h, result="same") is h
    builder.ret(elementary(builder, "clip", h, -1.0, 1.0, result="y"))
    text = str(module)
    assert '%"i" = call <16 x float> @"sigmoid.v16f32"(<16 x float> %"a_i")' in text
    assert text.count("define internal <16 x float>") == 1
    assert re.search(r'@"sigmoid.v16f32"\(<16 x float> %"a"\) alwaysinline nounwind', text)
    assert 'ret <16 x float> %"y"' in text
    assert not re.search(r"\b(fast|nnan|ninf|reassoc|arcp|afn)\b", text)


def test_two_vectors_in_one_module() -> None:
    module = ir.Module()
    for scalar, lanes in ((ir.FloatType(), 8), (ir.DoubleType(), 4)):
        vector = ir.VectorType(scalar, lanes)
        caller = ir.Function(module, ir.FunctionType(vector, [vector]), f"on_{scalar}")
        builder = ir.IRBuilder(caller.append_basic_block())
        builder.ret(Elementary(module, vector)(builder, "pow", caller.args[0], 0.7))
    binding.parse_assembly(str(module)).verify()
    assert {"pow.0.7.v8f32", "pow.0.7.v4f64"} <= module.globals.keys()
