"""Where everything lies: records of quantities, packed weights, the arguments of a kernel.

Every vector of hidden units is padded to whole registers, so no kernel needs a mask. What a step touches of one row is
found through a table of addresses, one line per row: which state is the previous one, after a reset or at a row's
first step, is decided once, when the line is written.

The lanes of a register hold hidden units, or, for populations of tiny networks, the same unit of many networks.
"""

import functools
from collections.abc import Iterable
from dataclasses import dataclass

from carrousel.calculus.notation import HIDDEN, INPUT, OUTPUT, Definition
from carrousel.calculus.program import ROW, Program, Sum

__all__ = ["HERE", "Layout", "Record", "Sweep", "Widths"]

#: size -> the argument that holds its units, those padded to whole registers, and the number of registers.
UNITS = {INPUT: "inputs", HIDDEN: "hidden", OUTPUT: "outputs"}
WIDTH = {INPUT: "input_width", HIDDEN: "hidden_width", OUTPUT: "output_width"}
PANELS = {INPUT: "input_panels", HIDDEN: "hidden_panels", OUTPUT: "output_panels"}

#: What a layout has of each row, or of each row and step.
_RECORDS = ("kept", "steps", "columns", "seeds", "adjoints", "totals", "temporaries")

_SIZES = (
    *("time", "nets", "groups", "batch", "reverse", "split", "block"),
    *(kind[size] for kind in (UNITS, WIDTH, PANELS) for size in (INPUT, HIDDEN, OUTPUT)),
)
_RUNTIME = ("thread_number", "team_size", "barrier")
_CALL = ("x", "x_time", "x_net", "x_row", "lengths", "resets", "table", "table_size", "is_packed")


#: How many quantities there are of the hidden size, of the output size, and numbers of a row.
Widths = tuple[int, int, int]

#: None of them.
HERE: Widths = (0, 0, 0)


@dataclass(frozen=True)
class Record:
    """Quantities that lie side by side for one row: of the hidden size, of the output size, numbers of the row."""

    hidden: tuple[str, ...] = ()
    output: tuple[str, ...] = ()
    rows: tuple[str, ...] = ()

    def __contains__(self, name: str) -> bool:
        return name in self.names

    def __bool__(self) -> bool:
        return bool(self.names)

    @property
    def names(self) -> tuple[str, ...]:
        """All quantities in order."""
        return self.hidden + self.output + self.rows

    @property
    def widths(self) -> Widths:
        """How many there are of each kind."""
        return len(self.hidden), len(self.output), len(self.rows)

    def before(self, name: str) -> Widths:
        """How many of each kind stand before a quantity."""
        if name in self.hidden:
            return self.hidden.index(name), 0, 0
        if name in self.output:
            return len(self.hidden), self.output.index(name), 0
        return len(self.hidden), len(self.output), self.rows.index(name)


@dataclass(frozen=True)
class Sweep:
    """Products that are computed together: every sum over all its terms, with the weights packed for it.

    Attributes:
        name: of its packed weights.
        size: of the results.
        sums: the accumulators.
        terms: (operand, a matrix or None for each sum).
        transposed: whether the matrices are multiplied from the other side.
    """

    name: str
    size: str
    sums: tuple[str, ...]
    terms: tuple[tuple[str, tuple[str | None, ...]], ...]
    transposed: bool = False


def sweep(name: str, size: str, sums: Iterable[Sum], transposed: bool) -> Sweep:
    """Arrange sums so that each operand is walked over once; a sum without a term for it has zeros there."""
    sums = tuple(sums)
    terms: dict[tuple[str, int], dict[int, str]] = {}
    for k, accumulated in enumerate(sums):
        seen: dict[str, int] = {}
        for operand, matrix in accumulated.terms:
            terms.setdefault((operand, seen.get(operand, 0)), {})[k] = matrix
            seen[operand] = seen.get(operand, 0) + 1
    rows = ((operand, tuple(found.get(k) for k in range(len(sums)))) for (operand, _), found in terms.items())
    return Sweep(name, size, tuple(s.name for s in sums), tuple(rows), transposed)


@dataclass(frozen=True)
class Layout:
    """The layout of one kernel.

    Attributes:
        definition: the cell's.
        program: what a step computes.
        direction: "forward" or "backward".
        stored: the quantities that the forward keeps for each step.
        traced: those whose derivatives the backward receives.
    """

    definition: Definition
    program: Program
    direction: str
    stored: tuple[str, ...]
    traced: tuple[str, ...] = ()

    @property
    def is_backward(self) -> bool:
        """Whether this is the backward kernel."""
        return self.direction == "backward"

    def size(self, name: str) -> str:
        """Return the size of a quantity."""
        return INPUT if name == "x" else self.program.sizes.get(name, HIDDEN)

    def record(self, names: Iterable[str]) -> Record:
        """Arrange quantities as a record."""
        names = tuple(dict.fromkeys(names))
        output, rows = (tuple(n for n in names if self.size(n) == size) for size in (OUTPUT, ROW))
        return Record(tuple(n for n in names if n not in (*output, *rows)), output, rows)

    # ------------------------------------------------------------------ records of a row

    @functools.cached_property
    def kept(self) -> Record:
        """What the forward keeps for each step."""
        return self.record(self.stored)

    @functools.cached_property
    def steps(self) -> Record:
        """The inputs per step."""
        return self.record(self.definition.step_inputs)

    @functools.cached_property
    def columns(self) -> Record:
        """The input projection."""
        return self.record(c.name for c in self.program.columns)

    @functools.cached_property
    def seeds(self) -> Record:
        """The loss's derivatives by traced quantities."""
        sizes = {True: [], False: []}  # type: dict[bool, list[str]]
        for name in self.traced:
            sizes[self.size(name) == OUTPUT].append(f"seed_{name}")
        return Record(tuple(sizes[False]), tuple(sizes[True]))

    @functools.cached_property
    def adjoints(self) -> Record:
        """What the weights' gradients are made of, kept for each step: adjoints, and operands computed again."""
        if not self.is_backward:
            return Record()
        names = [d for outer in self.program.outers for d, _ in outer.terms]
        names += [d for _, d in self.program.input_terms]
        names += [d for d in self.program.vectors.values() if d and d not in self.totals]
        defined = {name for stage in self.program.stages for name in stage.defined}
        names += [v for outer in self.program.outers for _, v in outer.terms if v in defined and v not in self.kept]
        names += [f"d{name}" for name in self.definition.step_inputs if f"d{name}" in defined]
        return self.record(names)

    @functools.cached_property
    def totals(self) -> Record:
        """Adjoints of vector parameters that nothing reads: each row adds them up over the steps."""
        if not self.is_backward:
            return Record()
        read = {adjoint for outer in self.program.outers for term in outer.terms for adjoint in term}
        read |= {adjoint for _, adjoint in self.program.input_terms} | self._needed_after(-1)
        read |= {f"d{name}" for name in self.definition.step_inputs}
        last = {operation.name for stage in self.program.stages for operation in stage.operations}
        return self.record(d for d in self.program.vectors.values() if d in last - read)

    @functools.cached_property
    def temporaries(self) -> Record:
        """What one stage hands on to the next."""
        names: list[str] = []
        for k, stage in enumerate(self.program.stages):
            later = self._needed_after(k)
            handed = [*stage.defined, *(n for n in stage.read if n in self._arriving)]
            later.update(name for name in stage.read if self.size(name) == ROW)
            names += [n for n in handed if n in later and not self._has_a_place(n)]
        return self.record(names)

    def _needed_after(self, k: int) -> set[str]:
        names: set[str] = set()
        for stage in self.program.stages[k + 1 :]:
            names.update((*stage.read, *stage.read_once))
            names.update(operand for _, operand in stage.means)
            names.update(operand for s in stage.sums for operand, _ in s.terms)
        return names

    @property
    def _arriving(self) -> set[str]:
        """Adjoints that come from outside; a later stage can not read them again once the carry is overwritten."""
        return {f"d{s}" for s in self.definition.states} if self.is_backward else set()

    def _has_a_place(self, name: str) -> bool:
        if self.is_backward:
            return name in self.adjoints or name in self.totals
        return name in self.kept or name in self.definition.states

    # ------------------------------------------------------------------ the table of addresses

    @functools.cached_property
    def fields(self) -> tuple[str, ...]:
        """The columns of the table of addresses: what a step touches of one row."""
        states = self.definition.states
        fields = [f"prev.{s}" for s in states] + [f"new.{s}" for s in states]
        fields += [f"carry.{s}" for s in states] if self.is_backward else []
        fields += ["output"] if self.is_backward else []
        return (*fields, *(name for name in _RECORDS if getattr(self, name)))

    def place(self, name: str, stage: int) -> tuple[str, Widths]:
        """Return the field that holds what a stage reads or stores under a name, and the widths before it."""
        states, here = self.definition.states, HERE
        if name.endswith("_prev") and name.removesuffix("_prev") in states:
            return f"prev.{name.removesuffix('_prev')}", here
        if not self.is_backward and name in states:
            return f"new.{name}", here
        if self.is_backward and not self._computed_before(name, stage):
            if name in states:
                return f"new.{name}", here
            if name in self._arriving:
                return f"carry.{name[1:]}", here
        for field in ("adjoints", "temporaries", "kept", "steps", "columns", "seeds"):
            record: Record = getattr(self, field)
            if name in record:
                return field, record.before(name)
        raise AssertionError(f"{self.definition.name}: {name} has no place")

    def _computed_before(self, name: str, stage: int) -> bool:
        earlier = self.program.stages[:stage]
        return any(name in s.defined or (name in s.read and name in self._arriving) for s in earlier) and (
            name in self.adjoints or name in self.temporaries
        )

    # ------------------------------------------------------------------ products

    @functools.cached_property
    def projections(self) -> tuple[Sweep, ...]:
        """The input projection, one sweep for each size; backward, the gradient of x."""
        if self.is_backward:
            sums = [Sum("dx", tuple((d, matrix) for matrix, d in self.program.input_terms))]
            return (sweep("dx", INPUT, sums, True),) if self.program.input_terms else ()
        sweeps = []
        for size in (HIDDEN, OUTPUT):
            columns = [c for c in self.program.columns if self.size(c.name) == size]
            sums = [Sum(c.name, tuple(("x", matrix) for matrix in c.matrices)) for c in columns]
            sweeps += [sweep(f"x_{size}", size, sums, False)] if sums else []
        return tuple(sweeps)

    @functools.cached_property
    def sweeps(self) -> tuple[Sweep | None, ...]:
        """The products of each stage; None for a stage without."""
        return tuple(
            sweep(f"stage_{k}", stage.size, stage.sums, self.is_backward) if stage.sums else None
            for k, stage in enumerate(self.program.stages)
        )

    @property
    def packed(self) -> tuple[Sweep, ...]:
        """Everything that has packed weights."""
        return (*self.projections, *(s for s in self.sweeps if s))

    @functools.cached_property
    def vectors(self) -> tuple[str, ...]:
        """The vector parameters that the operations read."""
        known = {f"{g.name}.{gate}" for g in self.definition.groups if not g.is_matrix for gate in g.gates}
        return tuple(dict.fromkeys(n for stage in self.program.stages for n in stage.read if n in known))

    # ------------------------------------------------------------------ arguments

    @functools.cached_property
    def arguments(self) -> tuple[str, ...]:
        """The 64-bit words that a kernel is called with: sizes, strides and addresses."""
        states = self.definition.states
        names = [*_RUNTIME, *_SIZES, *_CALL]
        names += [f"{what}.{s}" for what in ("history", "ring", "initial", "fresh", "fresh_net") for s in states]
        if self.is_backward:
            names += [f"{what}.{s}" for what in ("carry", "fresh_gradient") for s in states]
            names += ["output", "dx", "gradient_rows", "gradient_operands", "gradient_panel", "gradient_sums"]
            names += ["gradient_size", "gradient_columns", "gradient_words"]
            names += [f"gradient.{g.name}" for g in self.definition.groups]
        else:
            names += [f"final.{s}" for s in states]
        names += [name for name in _RECORDS if getattr(self, name)]
        names += [f"packed.{s.name}" for s in self.packed] + ["vectors", "biases"]
        return (*names, *(g.name for g in self.definition.groups))

    def matrix(self, name: str) -> tuple[str, int, int, str, str]:
        """Return group, gate's number, number of gates, row size and column size of a matrix like `R.i`."""
        group = self.definition.group(name.split(".")[0])
        gate = name.split(".")[1]
        return group.name, group.gates.index(gate), len(group.gates), group.rows, str(group.columns)
