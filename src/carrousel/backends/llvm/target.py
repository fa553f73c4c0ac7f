"""The machine that kernels are written for: its instruction set, registers and LLVM target."""

import functools
import os
import platform
from dataclasses import dataclass

import llvmlite.binding as llvm

from carrousel.errors import OptionError

__all__ = ["ISAS", "Isa", "description", "host", "machine"]

#: The environment variable that overrides the choice, for tests.
VARIABLE = "CARROUSEL_ISA"


@dataclass(frozen=True)
class Isa:
    """An instruction set.

    Attributes:
        name: what CARROUSEL_ISA calls it.
        bits: of one register.
        registers: how many vector registers there are.
        cpu: LLVM's name of a plain CPU that has it.
        triple: of that CPU.
        needs: the host's features that it takes.
        features: what LLVM is told besides.
    """

    name: str
    bits: int
    registers: int
    cpu: str
    triple: str
    needs: tuple[str, ...]
    features: str = ""


_X86, _ARM = "x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"

#: The best first.
ISAS = {
    isa.name: isa
    for isa in (
        # LLVM is told not to halve wide registers, as it does for CPUs that slow down when they are used
        Isa("avx512", 512, 32, "x86-64-v4", _X86, ("avx512f", "avx512vl", "avx512dq", "avx512bw"), "-prefer-256-bit"),
        Isa("avx2", 256, 16, "x86-64-v3", _X86, ("avx2", "fma")),
        Isa("neon", 128, 32, "generic", _ARM, ("neon",), "+neon"),
        Isa("sse2", 128, 16, "x86-64", _X86, ("sse2",)),
    )
}


@functools.cache
def _initialise() -> None:
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()


@functools.cache
def _host_features() -> frozenset[str]:
    _initialise()
    found = {name for name, has in llvm.get_host_cpu_features().items() if has}
    return frozenset(found | ({"neon"} if platform.machine().lower() in ("arm64", "aarch64") else set()))


def host() -> Isa:
    """Return the instruction set that kernels use here: the host's best, or the one that CARROUSEL_ISA names.

    Raises:
        OptionError: the variable names one that does not exist, or that this CPU does not have.
    """
    return _chosen(os.environ.get(VARIABLE, ""))


@functools.cache
def _chosen(name: str) -> Isa:
    able = [isa for isa in ISAS.values() if _host_features().issuperset(isa.needs)]
    if not name and able:
        return able[0]
    chosen = next((isa for isa in able if isa.name == name), None)
    if chosen is None:
        raise OptionError(
            f"{VARIABLE} - is {name!r}, this CPU has {', '.join(isa.name for isa in able) or 'none that is known'} - "
            "name one of them, or leave the variable out"
        )
    return chosen


@functools.cache
def machine(isa: Isa) -> llvm.TargetMachine:
    """Return LLVM's target machine for an instruction set; for the host's own the host's own CPU."""
    _initialise()
    is_host = _chosen("") is isa if _host_features().issuperset(isa.needs) else False
    triple = llvm.get_process_triple() if _host_features().issuperset(isa.needs) else isa.triple
    cpu, features = isa.cpu, isa.features
    if is_host:
        cpu = llvm.get_host_cpu_name()
        features = ",".join(filter(None, (llvm.get_host_cpu_features().flatten(), isa.features)))
    target = llvm.Target.from_triple(triple)
    return target.create_target_machine(cpu=cpu, features=features, opt=2, reloc="pic", codemodel="default", jit=True)


def description(isa: Isa) -> str:
    """Return what machine code for an instruction set depends on: LLVM, the CPU and its features."""
    parts = (isa.name, machine(isa).triple, llvm.llvm_version_info, llvm.get_host_cpu_name(), sorted(_host_features()))
    return " ".join(map(str, parts))
