"""From a definition to machine code: program, layout, text, object, each kept on disk."""

import functools
import hashlib
import json
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir

from carrousel import calculus, functions
from carrousel.backends.llvm.frame import Frame
from carrousel.backends.llvm.layout import Layout
from carrousel.backends.llvm.sequence import ENTRY, TEAM, write_sequence
from carrousel.backends.llvm.target import ISAS, Isa, description, machine
from carrousel.backends.llvm.threads import ENTRY as ENTRY_TYPE
from carrousel.backends.store import fetch, issue, was_issued
from carrousel.calculus.notation import Definition
from carrousel.calculus.program import Column, Operation, Outer, Program, Stage, Sum
from carrousel.errors import BackendError

__all__ = ["SCALARS", "Kernel", "Variant", "entries", "kernel", "layout_of", "text_of"]

SCALARS = {"float32": ir.FloatType(), "float64": ir.DoubleType()}


@dataclass(frozen=True)
class Variant:
    """What a kernel is compiled for, besides the definition.

    Attributes:
        direction: "forward" or "backward".
        keep: whether the forward keeps what the backward needs.
        traced: quantities that come back besides the states; backward, those whose derivatives come in.
        dtype: "float32" or "float64".
        lanes: elements of a register.
        nets: whether the lanes hold networks.
        single: whether the batch is a single row.
        wide: the sizes whose panels come in fours.
        isa: the instruction set's name.
    """

    direction: str
    keep: bool
    traced: tuple[str, ...]
    dtype: str
    lanes: int
    nets: bool
    single: bool
    wide: tuple[str, ...]
    isa: str


@dataclass(frozen=True)
class Kernel:
    """A compiled kernel.

    Attributes:
        layout: where it expects everything.
        variant: what it was compiled for.
        entry: the address of `sequence(arguments, thread, threads)`.
        team_entry: the address of `sequence_team(arguments)`.
        call: `entry` as a function.
    """

    layout: Layout
    variant: Variant
    entry: int
    team_entry: int
    call: Callable[[int, int, int], None]


#: Modules of this package that call kernels; the others write them.
_CALLERS = ("__init__", "again", "call", "operator", "plan", "ready", "signature", "step", "threads", "transformed")


def _hash() -> str:
    folders = (Path(calculus.__path__[0]), Path(__file__).parent)
    writers = [Path(functions.__file__), *(path for folder in folders for path in sorted(folder.glob("*.py")))]
    return hashlib.sha256(b"".join(p.read_bytes() for p in writers if p.stem not in _CALLERS)).hexdigest()


#: A hash of the code that writes kernels, taken when it is read: what it writes is not for code that is changed later.
_GENERATOR = _hash()


@functools.cache
def layout_of(definition: Definition, direction: str, keep: bool, traced: tuple[str, ...]) -> Layout:
    """Return the layout of a kernel; the program behind it is derived once and kept on disk."""
    key = f"llvm program {_GENERATOR} {direction} {traced} {definition.identity}"
    program = _program_from(json.loads(fetch(key, lambda: json.dumps(_derive(definition, direction, traced)).encode())))
    stored = (*program.kept, *(t for t in traced if t not in program.kept)) if keep else traced
    return Layout(definition, program, direction, stored, traced)


def _derive(definition: Definition, direction: str, traced: tuple[str, ...]) -> dict[str, Any]:
    from carrousel.calculus.adjoint import adjoint
    from carrousel.calculus.fusion import backward_program, forward_program
    from carrousel.calculus.trace import trace

    make = forward_program if direction == "forward" else backward_program
    return asdict(make(adjoint(trace(definition), traced), traced))


def _program_from(data: dict[str, Any]) -> Program:
    """A Program as it comes back from JSON."""

    def fixed(value: Any) -> Any:
        return tuple(map(fixed, value)) if isinstance(value, list | tuple) else value

    def of(kind: Any, items: list[dict[str, Any]]) -> tuple[Any, ...]:
        return tuple(kind(**{k: fixed(v) for k, v in item.items()}) for item in items)

    def stage(found: dict[str, Any]) -> Stage:
        once, operations = (of(Operation, found[name]) for name in ("once", "operations"))
        return Stage(found["size"], fixed(found["means"]), once, of(Sum, found["sums"]), operations)

    return Program(
        tuple(map(stage, data["stages"])),
        data["sizes"],
        of(Column, data["columns"]),
        fixed(data["kept"]),
        of(Outer, data["outers"]),
        data["vectors"],
        fixed(data["input_terms"]),
    )


# ---------------------------------------------------------------------- text


def text_of(definition: Definition, variant: Variant) -> str:
    """Return a kernel as LLVM IR: what is compiled, with the equations under their own names."""
    layout = layout_of(definition, variant.direction, variant.keep, variant.traced)
    isa = ISAS[variant.isa]
    module = ir.Module(definition.name)
    module.triple = machine(isa).triple
    vector = ir.VectorType(SCALARS[variant.dtype], variant.lanes)
    write_sequence(Frame(layout, vector, isa.registers, variant.nets, variant.single, variant.wide, module))
    return issue(str(module))


def compile_text(text: str, isa: Isa) -> bytes:
    """Turn the text of a kernel into an object file.

    Raises:
        BackendError: the text is not one that this backend wrote.
    """
    _check_issued(text)
    return bytes(machine(isa).emit_object(_optimised(text, isa)))


def assembly_of(text: str, isa: Isa) -> str:
    """Return the assembly of a kernel's text."""
    _check_issued(text)
    return str(machine(isa).emit_assembly(_optimised(text, isa)))


def _check_issued(text: str) -> None:
    if not (was_issued(text) and text.startswith("; ModuleID")):  # another backend's text is not a module
        raise BackendError(
            "backend 'llvm' - got a kernel text that it did not write - pass what cell.source('llvm') returned, "
            "unchanged; to change a kernel change the cell's definition"
        )


def _optimised(text: str, isa: Isa) -> llvm.ModuleRef:
    module = llvm.parse_assembly(text)
    module.verify()
    # the kernels are vectors already, and their loops as wide as they should be: LLVM's own pipelines find nothing more
    # and take ten times as long
    passes = llvm.create_new_module_pass_manager()
    passes.add_always_inliner_pass()
    passes.add_sroa_pass()
    passes.add_simplify_cfg_pass()
    passes.add_instruction_combine_pass()
    passes.add_dead_code_elimination_pass()
    passes.run(module, llvm.create_pass_builder(machine(isa), llvm.create_pipeline_tuning_options()))
    return module


# ---------------------------------------------------------------------- machine code

_lock = threading.Lock()


def _renew_lock() -> None:
    """In a forked child nobody is left to release a lock that another thread held."""
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)

_kernels: dict[tuple[Definition, Variant], Kernel] = {}
_engines: list[llvm.ExecutionEngine] = []


def kernel(definition: Definition, variant: Variant) -> Kernel:
    """Return a compiled kernel: from memory, from disk, or made now."""
    found = _kernels.get((definition, variant))
    if found is None:
        with _lock:
            found = _kernels.get((definition, variant)) or _load(definition, variant)
            _kernels[definition, variant] = found
    return found


def _load(definition: Definition, variant: Variant) -> Kernel:
    key, isa = f"{variant} {definition.identity}", ISAS[variant.isa]
    entry, team_entry = entries(key, lambda: text_of(definition, variant), isa, (ENTRY, TEAM))
    layout = layout_of(definition, variant.direction, variant.keep, variant.traced)
    return Kernel(layout, variant, entry, team_entry, ENTRY_TYPE(entry))


def entries(key: str, write: Callable[[], str], isa: Isa, names: Sequence[str]) -> list[int]:
    """Return the addresses of functions in the machine code of a text: from disk, or made now.

    Args:
        key: what the text depends on besides this code.
        write: writes the text.
        isa: what it is compiled for.
        names: of the functions.
    """
    code = fetch(f"llvm object {_GENERATOR} {description(isa)} {key}", lambda: compile_text(write(), isa))
    empty = llvm.parse_assembly("")
    empty.triple = machine(isa).triple
    engine = llvm.create_mcjit_compiler(empty, _fresh_machine(isa), use_lmm=True)  # all sections close together
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    _engines.append(engine)  # the code lives as long as its engine
    return [engine.get_function_address(name) for name in names]


def _fresh_machine(isa: Isa) -> llvm.TargetMachine:
    """An engine takes its machine for itself."""
    return machine.__wrapped__(isa)
