"""What calls of the same shapes have in common: the kernel, its sizes, its threads, where scratch memory lies.

A plan is made once and kept; a call fills in addresses.
"""

import functools
import math
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from carrousel.backends.llvm.blocks import BLOCK
from carrousel.backends.llvm.gradients import REGISTERS, jobs_of, rows_of, stored_once
from carrousel.backends.llvm.kernel import Kernel, Variant, kernel, layout_of
from carrousel.backends.llvm.layout import PANELS, UNITS, WIDTH, Record, Widths
from carrousel.backends.llvm.signature import Shape, Signature, check, units_of
from carrousel.backends.llvm.target import Isa, host
from carrousel.backends.llvm.threads import team
from carrousel.calculus.notation import HIDDEN, INPUT, OUTPUT, Definition

__all__ = ["Extents", "Plan", "extents_of", "lanes_for", "plan_for"]

#: Multiply-adds below which a second thread costs more than it gives.
SMALL = 100_000
#: Weights of one step, in bytes, above which threads share the units of all rows: each keeps its part of the weights
#: near, where every thread would read all of them at every step for its own rows...
LARGE = 512 * 1024
#: ...and so many bytes for each row: with more rows, reading them is little of the work.
LARGE_FOR_ROW = 256 * 1024
#: Multiply-adds above which other threads help a single row: they project its input ahead of the walk.
AHEAD = 2_000_000
#: Rows that the input projection takes at once.
ROWS_AT_ONCE = 192
#: Bytes that pieces of scratch memory begin at a multiple of: a line of the cache.
LINE = 64

# ---------------------------------------------------------------------- sizes


@dataclass(frozen=True)
class Extents:
    """How many units there are of every size, and how they fill registers.

    Attributes:
        units: size -> units.
        lanes: elements of a register.
        nets: whether the lanes hold networks.
    """

    units: Mapping[str, int]
    lanes: int
    nets: bool = False

    def panels(self, size: str) -> int:
        """Return how many registers hold a quantity."""
        return self.units[size] if self.nets else -(-self.units[size] // self.lanes)

    def width(self, size: str) -> int:
        """Return the units of a size, padded to whole registers."""
        return self.panels(size) * self.lanes

    def before(self, widths: Widths) -> int:
        """Return the elements of some quantities of the hidden size, some of the output size, some numbers of a row."""
        hidden, output, rows = widths
        return hidden * self.width(HIDDEN) + output * self.width(OUTPUT) + rows * self.lanes

    def record(self, record: Record) -> int:
        """Return the elements of a record of one row."""
        return self.before(record.widths)


def extents_of(
    definition: Definition, shapes: Sequence[Shape], nets: Sequence[int], dtype: torch.dtype, isa: Isa
) -> Extents:
    """Read the sizes off the shapes of x, states and parameters."""
    units = units_of(definition, shapes, nets)
    if nets:
        return Extents(units, nets[1], True)
    return Extents(units, lanes_for(isa, 8 * dtype.itemsize, max(units[HIDDEN], units[OUTPUT])))


def lanes_for(isa: Isa, bits: int, units: int) -> int:
    """Return the elements of a register: narrower ones for nets that would leave half of a full one empty."""
    lanes = isa.bits // bits
    while lanes * bits > 128 and units <= lanes // 2:
        lanes //= 2
    return lanes


# ---------------------------------------------------------------------- the plan


@functools.lru_cache(maxsize=128)
def plan_for(signature: Signature) -> "Plan":
    """Return the plan for calls of some shapes.

    Raises:
        InputShapeError, DtypeError, BackendError: the tensors do not fit together.
    """
    check(signature)
    return Plan(signature)


class Plan:
    """What calls of the same shapes have in common.

    Attributes:
        signature: what was asked for.
        extents: the sizes.
        time: steps.
        rows: the axes between time and features.
        is_empty: whether there is nothing to compute.
        layout: where it expects everything.
        threads: how many work on it.
        words: its block of arguments, without addresses.
        split: whether they share the units of all rows instead of sharing out the rows.
        wide: the sizes whose panels come in fours.
        place: argument -> its place in the block.
        addresses: the places of the tensors that a call gives, in the order in which it gives them.
        pieces: the places of what lies in scratch memory.
        offsets: where it lies there, in bytes.
        scratch: a tensor of its size.
    """

    def __init__(self, signature: Signature) -> None:
        definition, dtype = signature.definition, signature.dtypes[0]
        isa = host()
        self.signature, self.definition, self.dtype = signature, definition, dtype
        self.extents = extents_of(definition, signature.shapes, signature.nets, dtype, isa)
        self.time, *rows, _ = signature.shapes[0]
        self.rows = tuple(rows)
        self.groups, self.batch = (1, *rows)[-2:]
        self.is_empty = not self.time * self.groups * self.batch
        self.layout = layout_of(definition, signature.direction, signature.keep, signature.traced)
        self._isa = isa
        self.place = {name: k for k, name in enumerate(self.layout.arguments)}
        self._shapes()
        alone = {sweep.size for sweep in self.layout.packed if len(sweep.sums) == 1}
        panels = {size: self.extents.panels(size) for size in sorted(alone)}
        self.wide = tuple(size for size, n in panels.items() if n and n % 4 == 0)
        self.threads, self.split = self._threads()
        own = self.batch if self.split else -(-self.groups * self.batch // self.threads)
        self.block = max(1, min(self.time, ROWS_AT_ONCE // max(1, min(own, self.batch))))
        self.addresses = [self.place[name] for name in self._given()]
        self._lay_out_scratch()
        self.words = self._words()

    @functools.cached_property
    def kernel(self) -> Kernel:
        """What is called; a plan for no steps or rows needs none."""
        signature, extents = self.signature, self.extents
        variant = Variant(
            signature.direction,
            signature.keep,
            signature.traced,
            str(self.dtype).removeprefix("torch."),
            extents.lanes,
            extents.nets,
            self.batch == 1,
            self.wide,
            self._isa.name,
        )
        return kernel(self.definition, variant)

    def _shapes(self) -> None:
        """What a call allocates, as tensors of these shapes without memory, and what it pads."""
        extents, layout, steps = self.extents, self.layout, (self.time, *self.rows)
        self.units = {size: units * (extents.lanes if extents.nets else 1) for size, units in extents.units.items()}
        self.missing = {size: extents.width(size) - units for size, units in self.units.items()}
        self.pads = any(self.missing.values())
        self.state_sizes = [self.definition.size[state] for state in self.definition.states]
        widths = [extents.width(size) for size in self.state_sizes]
        kept = widths if self.signature.keep else widths[:1]
        self.histories = [self._like(*steps, width) for width in kept]
        self.finals = [self._like(*self.rows, width) for width in widths]
        self.kept = self._like(*steps, extents.record(layout.kept))
        self.adjoints = self._like(*steps, extents.record(layout.adjoints))
        self.dx = self._like(*steps, extents.width(INPUT))
        self.parameters = [self._like(*shape) for shape in self.signature.parameters]
        self.nothing = self._like(0)
        self.keeps_adjoints = bool(layout.adjoints and self.definition.step_inputs)
        once = stored_once(layout) if layout.is_backward and not self.is_empty else ()
        self.is_stored_once = [group.name in once for group in self.definition.groups]

    def _like(self, *shape: int) -> Tensor:
        """A tensor of one element in every place."""
        with torch.inference_mode(False):
            one = torch.empty(min(1, *shape), dtype=self.dtype, device="cpu")
            return one.expand(shape) if one.numel() else one.new_empty(shape)

    def _threads(self) -> tuple[int, bool]:
        """How many threads, and whether they share the units of all rows instead of sharing out the rows."""
        threads, rows = self.signature.threads, self.groups * self.batch
        weights = sum(map(math.prod, self.signature.parameters)) // max(1, self.groups)
        if threads == 1 or weights * rows * self.time < SMALL:
            return 1, False
        size = weights * self.dtype.itemsize
        can_wait = team().can_wait and weights * self.time >= AHEAD
        is_even = rows == 1 or all(self.extents.panels(s) % (4 * threads) == 0 for s in self.wide)
        if can_wait and is_even and self.groups == 1 and size >= max(LARGE, rows * LARGE_FOR_ROW):
            return threads, True
        if rows > 1:
            return min(threads, rows), False
        return (threads, False) if can_wait else (1, False)

    def _given(self) -> list[str]:
        """The arguments that are tensors of the call, in the order in which `call` passes them."""
        signature, layout, states = self.signature, self.layout, self.definition.states
        groups = [group.name for group in self.definition.groups]
        names = ["x", *groups, *(f"initial.{s}" for s in states)]
        names += ["lengths"] if signature.has_lengths else []
        names += ["resets", *(f"fresh.{s}" for s in states)] if signature.has_resets else []
        names += ["steps"] if layout.steps else []
        if not layout.is_backward:
            names += [f"history.{s}" for s in (states if signature.keep else states[:1])]
            names += [f"final.{s}" for s in states]
            return names + (["kept"] if layout.kept else [])
        names += [f"history.{s}" for s in states]
        names += [name for name in ("kept", "seeds") if getattr(layout, name)]
        names += ["output", *(f"carry.{s}" for s in states)]
        names += [f"fresh_gradient.{s}" for s in states] if signature.has_resets else []
        names += [f"gradient.{group}" for group in groups]
        return [*names, *(["adjoints"] if self.keeps_adjoints else []), "dx"]

    def _words(self) -> "array[int]":
        """The sizes, and what else is the same in every call."""
        signature, extents, place = self.signature, self.extents, self.place
        nets = signature.nets[0] if signature.nets else self.groups
        values = {"time": self.time, "nets": nets, "groups": self.groups, "batch": self.batch, "block": self.block}
        values |= {"reverse": int(signature.reverse), "split": int(self.split), "table_size": self._table}
        for size in (INPUT, HIDDEN, OUTPUT):
            values |= {UNITS[size]: extents.units[size], WIDTH[size]: extents.width(size)}
            values[PANELS[size]] = extents.panels(size)
        for k, state in enumerate(self.definition.states):
            values[f"ring.{state}"] = -1 if signature.keep or k == 0 else 1
            if signature.has_resets:
                own = signature.fresh[k][0] > 1 and self.groups > 1
                values[f"fresh_net.{state}"] = extents.width(self.definition.size[state]) if own else 0
        if self.layout.is_backward:
            values |= self._gradient_sizes()
        if self.threads > 1:
            values |= dict(zip(("thread_number", "team_size", "barrier"), team().words, strict=True))
        words = array("q", bytes(8 * len(place)))
        for name, value in values.items():
            words[place[name]] = value
        return words

    # ------------------------------------------------------------------ memory

    @property
    def _table(self) -> int:
        """Words of a thread's table of addresses."""
        return self.batch * max(len(self.layout.fields), 2 * self.block)

    def _gradient_sizes(self) -> dict[str, int]:
        """Columns of the widest job, elements of the largest sum of outer products, words of a table of addresses."""
        layout, extents, jobs = self.layout, self.extents, jobs_of(self.layout)
        height = rows_of(self._isa.registers)
        columns, sums = height, max(map(extents.width, extents.units))
        for job in jobs:
            sizes = (str(layout.definition.group(part.group).columns) for part in job.parts)
            here = sum(-(-extents.units[size] // height) * height for size in sizes)
            registers = len(job.adjoints) * extents.panels(layout.size(job.adjoints[0]))
            columns = max(columns, here)
            sums = max(sums, (here + 1) * -(-registers // REGISTERS) * REGISTERS * extents.lanes)
        words = BLOCK * max((1 + len(job.parts) for job in jobs), default=1)
        return {"gradient_columns": columns, "gradient_size": sums, "gradient_words": words}

    def _lay_out_scratch(self) -> None:
        """Lay out the scratch memory, one piece behind the other."""
        self.pieces, self.offsets, end = [], [], 0
        for name, elements in self._scratch().items():
            is_table = name in ("table", "gradient_rows")
            self.pieces.append(self.place[name])
            self.offsets.append(end)
            end += -(-elements * (8 if is_table else self.dtype.itemsize) // LINE) * LINE
        self.scratch = self._like(end // self.dtype.itemsize)

    def _scratch(self) -> dict[str, int]:
        """Argument -> elements that it needs for the time of the call."""
        layout, extents, rows = self.layout, self.extents, self.groups * self.batch
        sizes = {}
        for sweep in layout.packed:
            count = sum(extents.units[layout.size(operand)] for operand, _ in sweep.terms)
            sizes[f"packed.{sweep.name}"] = self.groups * extents.width(sweep.size) * count * len(sweep.sums)
        widest = max(extents.width(HIDDEN), extents.width(OUTPUT))
        sizes["vectors"] = self.groups * len(layout.vectors) * widest
        sizes["biases"] = self.groups * 2 * extents.record(layout.columns)
        sizes["table"] = self.threads * self._table
        if layout.temporaries:
            sizes["temporaries"] = rows * extents.record(layout.temporaries)
        if layout.totals:
            sizes["totals"] = rows * extents.record(layout.totals)
        if layout.columns:
            parts = 1 if self.split else self.threads
            sizes["columns"] = parts * self.block * self.batch * extents.record(layout.columns)
        if layout.is_backward:
            needed = self._gradient_sizes()
            sizes["gradient_rows"] = self.threads * needed["gradient_words"]
            sizes["gradient_operands"] = (
                self.threads * BLOCK * needed["gradient_columns"] * (extents.lanes if extents.nets else 1)
            )
            sizes["gradient_panel"] = self.threads * REGISTERS * BLOCK * extents.lanes
            sizes["gradient_sums"] = (self.threads if self.groups >= self.threads else 1) * needed["gradient_size"]
            if layout.adjoints and not self.keeps_adjoints:
                sizes["adjoints"] = self.adjoints.numel()
        elif not self.signature.keep:
            for state in self.definition.states[1:]:
                sizes[f"history.{state}"] = 2 * rows * extents.width(self.definition.size[state])
        return sizes
