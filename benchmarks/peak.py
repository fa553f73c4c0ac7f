"""The machine's limits, measured with small generated loops: multiply-adds in registers, reads from each cache."""

import ctypes
import threading
import time
from collections.abc import Callable
from functools import partial

import numpy as np
from llvmlite import binding

from benchmarks.machine import cache_sizes
from benchmarks.measurements import Roofs, Transfer
from benchmarks.plan import Plan

__all__ = ["measure"]

#: Chains of multiply-adds (a core needs latency times units of them, and may have as many as registers), and loads.
_CHAINS, _LOADS = {16: 24, 8: 12, 4: 12}, 8
_MOST_BYTES = 256 * 2**20

_FMA = """
declare {v} @llvm.fma.v{lanes}f32({v}, {v}, {v})
define float @chains(i64 %count, float %start) #0 {{
entry:
  %one = insertelement {v} undef, float %start, i32 0
  %x = shufflevector {v} %one, {v} undef, <{lanes} x i32> zeroinitializer
  br label %loop
loop:
  %k = phi i64 [0, %entry], [%next, %loop]
{phis}
{steps}
  %next = add i64 %k, 1
  %more = icmp ult i64 %next, %count
  br i1 %more, label %loop, label %exit
exit:
{sums}
  %result = extractelement {v} %{last}, i32 0
  ret float %result
}}
{attributes}
"""

_READ = """
define i32 @read(ptr %buffer, i64 %vectors, i64 %passes) #0 {{
entry:
  br label %pass
pass:
  %p = phi i64 [0, %entry], [%p_next, %end]
{outer}
  br label %loop
loop:
  %k = phi i64 [0, %pass], [%next, %loop]
{phis}
{steps}
  %next = add i64 %k, {loads}
  %more = icmp ult i64 %next, %vectors
  br i1 %more, label %loop, label %end
end:
  %p_next = add i64 %p, 1
  %again = icmp ult i64 %p_next, %passes
  br i1 %again, label %pass, label %exit
exit:
{sums}
  %result = extractelement {v} %{last}, i32 0
  ret i32 %result
}}
{attributes}
"""


def measure(plan: Plan) -> Roofs:
    """Measure the roofs of one thread and of all threads at once."""
    lanes = _widest()
    engine = _compile(_fma_text(lanes) + _read_text(lanes))
    fma = {str(n): _fma_peak(engine, lanes, n, plan) for n in sorted({1, plan.threads})}
    read = [
        _read_rate(engine, level, size, n, plan)
        for level, size in _buffers(plan).items()
        for n in sorted({1, plan.threads})
    ]
    return Roofs(lanes, fma, tuple(read))


def _widest() -> int:
    features = binding.get_host_cpu_features()
    return 16 if features.get("avx512f") else 8 if features.get("avx2") and features.get("fma") else 4


def _attributes(lanes: int) -> str:
    width = 32 * lanes
    return f'attributes #0 = {{ nounwind "prefer-vector-width"="{width}" "min-legal-vector-width"="{width}" }}'


def _folded(names: list[str], operation: str) -> tuple[str, str]:
    """Lines that combine vectors into one, and its name."""
    lines, total = [], names[0]
    for number, name in enumerate(names[1:]):
        lines.append(f"  %t{number} = {operation} %{total}, %{name}")
        total = f"t{number}"
    return "\n".join(lines), total


def _fma_text(lanes: int) -> str:
    v, chains = f"<{lanes} x float>", range(_CHAINS[lanes])
    sums, last = _folded([f"n{i}" for i in chains], f"fadd {v}")
    return _FMA.format(
        v=v,
        lanes=lanes,
        phis="\n".join(f"  %a{i} = phi {v} [%x, %entry], [%n{i}, %loop]" for i in chains),
        steps="\n".join(f"  %n{i} = call {v} @llvm.fma.v{lanes}f32({v} %a{i}, {v} %x, {v} %x)" for i in chains),
        sums=sums,
        last=last,
        attributes="",
    )


def _read_text(lanes: int) -> str:
    v, loads = f"<{lanes} x i32>", range(_LOADS)
    sums, last = _folded([f"n{i}" for i in loads], f"xor {v}")
    steps = [
        f"  %i{i} = add i64 %k, {i}\n"
        f"  %p{i} = getelementptr {v}, ptr %buffer, i64 %i{i}\n"
        f"  %v{i} = load {v}, ptr %p{i}, align {4 * lanes}\n"
        f"  %n{i} = xor {v} %a{i}, %v{i}"
        for i in loads
    ]
    return _READ.format(
        v=v,
        loads=_LOADS,
        outer="\n".join(f"  %o{i} = phi {v} [zeroinitializer, %entry], [%n{i}, %end]" for i in loads),
        phis="\n".join(f"  %a{i} = phi {v} [%o{i}, %pass], [%n{i}, %loop]" for i in loads),
        steps="\n".join(steps),
        sums=sums,
        last=last,
        attributes=_attributes(lanes),
    )


def _compile(text: str) -> binding.ExecutionEngine:
    """Code for this host; no pass runs over the text, so what is written is what is measured."""
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    module = binding.parse_assembly(text)
    module.verify()
    features = binding.get_host_cpu_features().flatten()
    machine = binding.Target.from_default_triple().create_target_machine(
        cpu=binding.get_host_cpu_name(), features=features, opt=2
    )
    engine = binding.create_mcjit_compiler(module, machine, use_lmm=True)  # all sections side by side
    engine.finalize_object()
    return engine


def _fma_peak(engine: binding.ExecutionEngine, lanes: int, threads: int, plan: Plan) -> float:
    function = ctypes.CFUNCTYPE(ctypes.c_float, ctypes.c_int64, ctypes.c_float)(engine.get_function_address("chains"))
    count = 1_000 if plan.quick else 1_000_000
    seconds = _best([lambda: function(count, 0.5)] * threads, plan)
    return 2 * lanes * _CHAINS[lanes] * count * threads / seconds / 1e9


def _buffers(plan: Plan) -> dict[str, int]:
    """Level -> bytes that each thread reads: half of what its caches hold."""
    caches = cache_sizes()
    memory = min(_MOST_BYTES, 4 * caches["L3"])
    sizes = {"L1": caches["L1"] // 2, "L2": caches["L2"] // 2, "L3": caches["L3"] // (2 * plan.threads)}
    return {"L1": sizes["L1"]} if plan.quick else {**sizes, "memory": memory}


def _read_rate(engine: binding.ExecutionEngine, level: str, size: int, threads: int, plan: Plan) -> Transfer:
    kind = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)
    function = kind(engine.get_function_address("read"))
    step = 64 * _LOADS
    size = size // step * step
    vectors = size // (4 * _widest())
    passes = 1 if plan.quick else max(2, (2**31 if level in ("L1", "L2") else 2**30) // size)
    buffers = [_aligned(size) for _ in range(threads)]
    seconds = _best([partial(function, b.ctypes.data, vectors, passes) for b in buffers], plan)
    return Transfer(level, size, threads, size * passes * threads / seconds / 1e9)


def _aligned(size: int) -> np.ndarray:
    raw = np.ones(size + 64, np.uint8)
    start = -raw.ctypes.data % 64
    return raw[start : start + size]


def _best(tasks: list[Callable[[], object]], plan: Plan) -> float:
    """Seconds from the moment when all threads start until the last one ends; the best of some attempts."""
    return min(_together(tasks) for _ in range(1 if plan.quick else 25))


def _together(tasks: list[Callable[[], object]]) -> float:
    if len(tasks) == 1:
        start = time.perf_counter()
        tasks[0]()
        return time.perf_counter() - start
    ready = threading.Barrier(len(tasks))
    spans: list[tuple[float, float]] = []

    def work(task: Callable[[], object]) -> None:
        ready.wait()
        start = time.perf_counter()
        task()
        spans.append((start, time.perf_counter()))

    threads = [threading.Thread(target=work, args=(task,)) for task in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return max(end for _, end in spans) - min(start for start, _ in spans)
