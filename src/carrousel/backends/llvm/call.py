"""From tensors to a kernel's block of arguments: padding, histories, scratch memory, threads."""

import ctypes
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from carrousel.backends.llvm.gradients import BLOCK, REGISTERS, ROWS, jobs_of, stored_once
from carrousel.backends.llvm.kernel import Kernel, Variant, kernel
from carrousel.backends.llvm.layout import PANELS, UNITS, WIDTH, Layout
from carrousel.backends.llvm.target import Isa, host
from carrousel.backends.llvm.threads import available, team
from carrousel.calculus.notation import HIDDEN, INPUT, OUTPUT, Definition

__all__ = ["Problem", "backward", "forward", "saved_shapes"]

#: Multiply-adds below which a second thread costs more than it gives.
SMALL = 100_000
#: Weights of one step, in bytes, above which one sequence is worth splitting by hidden units.
LARGE = 512 * 1024
#: Rows that the input projection takes at once.
ROWS_AT_ONCE = 192


@dataclass(frozen=True)
class Problem:
    """One layer in one direction, as the operator is called.

    Attributes:
        definition: the cell's.
        x: (time, [net,] batch, input).
        states: initial states, each ([net,] batch, size).
        parameters: in the order of the groups.
        step_inputs: each (time, [net,] batch, hidden).
        fresh: the states after a reset; empty without resets.
        lengths: ([net,] batch) or None.
        resets: (time, [net,] batch) or None.
        reverse: the direction.
        traced: names of quantities.
    """

    definition: Definition
    x: Tensor
    states: Sequence[Tensor]
    parameters: Sequence[Tensor]
    step_inputs: Sequence[Tensor]
    fresh: Sequence[Tensor]
    lengths: Tensor | None
    resets: Tensor | None
    reverse: bool
    traced: tuple[str, ...]

    @property
    def rows(self) -> tuple[int, ...]:
        """The axes between time and features."""
        return tuple(self.x.shape[1:-1])

    def sizes(self) -> dict[str, int]:
        """Size -> units."""
        definition = self.definition
        units = {INPUT: self.x.shape[-1], HIDDEN: 0, OUTPUT: 0}
        for name, state in zip(definition.states, self.states, strict=True):
            units[definition.size[name]] = state.shape[-1]
        for group, parameter in zip(definition.groups, self.parameters, strict=True):
            axis = -2 if group.is_matrix else -1
            units[group.rows] = parameter.shape[axis] // len(group.gates)
        return units


class _Block:
    """The block of arguments of one call, and the memory that it points to."""

    def __init__(self, problem: Problem, direction: str, keep: bool) -> None:
        self.problem = problem
        self.units = problem.sizes()
        isa = host()
        bits = 64 if problem.x.dtype == torch.float64 else 32
        lanes = lanes_for(isa, bits, max(self.units[HIDDEN], self.units[OUTPUT]))
        name = str(problem.x.dtype).removeprefix("torch.")
        self.lanes = lanes
        self.panels = {size: -(-count // lanes) for size, count in self.units.items()}
        self.width = {size: count * lanes for size, count in self.panels.items()}
        self.time, self.nets, self.batch = len(problem.x), *_nets_and_batch(problem.x)
        wide = tuple(size for size, count in self.panels.items() if count and count % 4 == 0)
        variant = Variant(direction, keep, problem.traced, name, lanes, False, self.batch == 1, wide, isa.name)
        self.kernel: Kernel = kernel(problem.definition, variant)
        self.layout: Layout = self.kernel.layout
        self.values: dict[str, int] = {}
        self.held: list[Tensor] = []
        self._sizes()

    def _sizes(self) -> None:
        x, values = self.problem.x, self.values
        values |= {"time": self.time, "nets": self.nets, "groups": self.nets, "batch": self.batch}
        values["reverse"] = int(self.problem.reverse)
        for size in (INPUT, HIDDEN, OUTPUT):
            values[UNITS[size]], values[WIDTH[size]] = self.units[size], self.width[size]
            values[PANELS[size]] = self.panels[size]
        self.threads, values["split"] = self._threads()
        own = self.batch if values["split"] else -(-self.nets * self.batch // self.threads)
        values["block"] = self.block = max(1, min(self.time, ROWS_AT_ONCE // max(1, min(own, self.batch))))
        if x.stride(-1) != 1 and x.shape[-1] != 1:
            x = self.hold(x.contiguous())
        values["x"], values["x_time"], values["x_row"] = x.data_ptr(), x.stride(0), x.stride(-2)
        values["x_net"] = x.stride(1) if x.dim() == 4 else 0

    def _threads(self) -> tuple[int, int]:
        """How many threads, and whether they share the units of a row instead of sharing out the rows."""
        threads, rows = available(), self.nets * self.batch
        weights = sum(p.numel() for p in self.problem.parameters) // max(1, self.nets)
        if threads == 1 or weights * rows * self.time < SMALL:
            return 1, 0
        if rows > 1:
            return min(threads, rows), 0
        means = any(stage.means for stage in self.layout.program.stages)
        if means or not team().can_wait or weights * self.problem.x.element_size() < LARGE:
            return 1, 0
        return threads, 1

    # ------------------------------------------------------------------ memory

    def hold(self, tensor: Tensor) -> Tensor:
        """Keep a tensor alive until the call is over."""
        self.held.append(tensor)
        return tensor

    def give(self, name: str, tensor: Tensor | None) -> None:
        """Pass a tensor's address."""
        if tensor is not None:
            self.values[name] = self.hold(tensor).data_ptr()

    def new(self, *shape: int) -> Tensor:
        """New memory for a result."""
        return memory(shape, self.problem.x.dtype)

    def scratch(self, name: str, elements: int, dtype: torch.dtype | None = None) -> None:
        """Memory for the time of the call."""
        self.give(name, memory((elements,), dtype or self.problem.x.dtype))

    def padded(self, tensor: Tensor, size: str) -> Tensor:
        """The tensor with its last axis padded to whole registers."""
        missing = self.width[size] - tensor.shape[-1]
        return (pad(tensor, (0, missing)) if missing else tensor).contiguous()

    def cut(self, tensor: Tensor, size: str, *shape: int) -> Tensor:
        """The units of a padded tensor, in the user's shape."""
        if self.width[size] != self.units[size]:
            tensor = tensor[..., : self.units[size]]
        return tensor.reshape(*shape, self.units[size])

    def record(self, tensors: Mapping[str, Tensor], record_names: tuple[tuple[str, ...], tuple[str, ...]]) -> Tensor:
        """Tensors side by side, as a record lies."""
        parts = [self.padded(tensors[n], s) for names, s in zip(record_names, (HIDDEN, OUTPUT), strict=True) for n in names]
        return torch.cat(parts, dim=-1)

    def record_size(self, name: str) -> int:
        """Elements of a record of one row."""
        hidden, output = getattr(self.layout, name).widths
        return int(hidden * self.width[HIDDEN] + output * self.width[OUTPUT])

    # ------------------------------------------------------------------ what both directions take

    def common(self) -> None:
        """Parameters, boundaries, packed weights and tables."""
        problem, layout, values = self.problem, self.layout, self.values
        for group, parameter in zip(problem.definition.groups, problem.parameters, strict=True):
            self.give(group.name, parameter.contiguous())
        if problem.lengths is not None:
            self.give("lengths", problem.lengths.contiguous())
        if problem.resets is not None:
            self.give("resets", problem.resets.contiguous())
            for name, fresh in zip(problem.definition.states, problem.fresh, strict=True):
                padded = self.padded(fresh, problem.definition.size[name])
                self.give(f"fresh.{name}", padded)
                values[f"fresh_net.{name}"] = padded.shape[-1] if fresh.shape[0] > 1 and self.nets > 1 else 0
        for name, state in zip(problem.definition.states, problem.states, strict=True):
            self.give(f"initial.{name}", self.padded(state, problem.definition.size[name]))
        if problem.step_inputs:
            given = dict(zip(problem.definition.step_inputs, problem.step_inputs, strict=True))
            self.give("steps", self.record(given, (layout.steps.hidden, layout.steps.output)))
        for sweep in layout.packed:
            count = sum(self.units[layout.size(operand)] for operand, _ in sweep.terms)
            elements = self.panels[sweep.size] * count * len(sweep.sums) * self.lanes
            self.scratch(f"packed.{sweep.name}", self.nets * elements)
        self.scratch("vectors", self.nets * len(layout.vectors) * max(self.width[HIDDEN], self.width[OUTPUT]))
        self.scratch("biases", self.nets * 2 * self.record_size("columns"))
        values["table_size"] = self.batch * max(len(layout.fields), 2 * self.block)
        self.scratch("table", self.threads * values["table_size"], torch.int64)
        if layout.temporaries:
            self.scratch("temporaries", self.nets * self.batch * self.record_size("temporaries"))
        if layout.columns:
            parts = 1 if values["split"] else self.threads
            self.scratch("columns", parts * self.block * self.batch * self.record_size("columns"))

    def run(self) -> None:
        """Call the kernel."""
        words = team().words if self.threads > 1 else (0, 0, 0)
        self.values |= dict(zip(("thread_number", "team_size", "barrier"), words, strict=True))
        get = self.values.get
        arguments = self.kernel.block(*[get(name, 0) for name in self.layout.arguments])
        if self.threads == 1:
            self.kernel.call(ctypes.addressof(arguments), 0, 1)
        else:
            team().run(self.kernel.entry, self.kernel.team_entry, arguments, self.threads)


def memory(shape: Sequence[int], dtype: torch.dtype) -> Tensor:
    """New memory; tests fill it with NaN."""
    return torch.empty(shape, dtype=dtype)


def _nets_and_batch(x: Tensor) -> tuple[int, int]:
    return (x.shape[1], x.shape[2]) if x.dim() == 4 else (1, x.shape[1])


def lanes_for(isa: Isa, bits: int, units: int) -> int:
    """Elements of a register: narrower ones for nets that would leave half of a full one empty."""
    lanes = isa.bits // bits
    while lanes * bits > 128 and units <= lanes // 2:
        lanes //= 2
    return lanes


# ---------------------------------------------------------------------- forward


def forward(problem: Problem, keep: bool) -> tuple[Tensor, list[Tensor], list[Tensor], list[Tensor]]:
    """Run a layer in one direction over a sequence.

    Args:
        problem: what is asked for.
        keep: whether the backward will follow.

    Returns:
        The output (time, *rows, size), the final states, the traced quantities, and what the backward needs: the
        histories of the states, padded, and the record of kept quantities.
    """
    block = _Block(problem, "forward", keep)
    definition, layout = problem.definition, block.layout
    block.common()
    rows = block.nets * block.batch
    clear = problem.lengths is not None
    histories, finals = [], []
    for k, name in enumerate(definition.states):
        size = definition.size[name]
        slots = block.time if keep or k == 0 else 2
        history = block.new(slots, rows, block.width[size])
        if clear and k == 0:
            history.zero_()
        block.give(f"history.{name}", history)
        block.values[f"ring.{name}"] = -1 if slots == block.time else 1
        final = block.new(rows, block.width[size])
        block.give(f"final.{name}", final)
        histories.append(history)
        finals.append(block.cut(final, size, *problem.rows))
    kept = block.new(block.time, rows, block.record_size("kept"))
    if clear and problem.traced:
        kept.zero_()
    if layout.kept:
        block.give("kept", kept)
    block.run()
    output = block.cut(histories[0], definition.size[definition.states[0]], block.time, *problem.rows)
    traces = [_part(block, kept, name, problem) for name in problem.traced]
    return output, finals, traces, [*histories, kept] if keep else []


def saved_shapes(problem: Problem) -> list[tuple[int, ...]]:
    """Return the shapes of what a forward keeps; without padding the first history is the output itself, and empty."""
    block = _Block(problem, "forward", True)
    definition, rows = problem.definition, block.nets * block.batch
    shapes: list[tuple[int, ...]] = [(block.time, rows, block.width[definition.size[s]]) for s in definition.states]
    if block.width[definition.size[definition.states[0]]] == block.units[definition.size[definition.states[0]]]:
        shapes[0] = (0,)
    return [*shapes, (block.time, rows, block.record_size("kept"))]


def _part(block: _Block, kept: Tensor, name: str, problem: Problem) -> Tensor:
    """One quantity of the record of kept ones."""
    hidden, output = block.layout.kept.before(name)
    size = block.layout.size(name)
    start = hidden * block.width[HIDDEN] + output * block.width[OUTPUT]
    part = kept[..., start : start + block.units[size]]
    return part.reshape(block.time, *problem.rows, block.units[size]).contiguous()


# ---------------------------------------------------------------------- backward


@dataclass(frozen=True)
class Gradients:
    """What the backward returns, each in the shape of what it is the gradient of."""

    x: Tensor | None
    states: list[Tensor]
    parameters: list[Tensor]
    step_inputs: list[Tensor]
    fresh: list[Tensor]


def backward(
    problem: Problem,
    saved: Sequence[Tensor],
    output: Tensor,
    finals: Sequence[Tensor],
    traces: Sequence[Tensor],
    wants_x: bool,
) -> Gradients:
    """Run the derived adjoint over a sequence.

    Args:
        problem: as the forward had it.
        saved: what the forward kept.
        output: the loss's derivative by the output.
        finals: by the final states.
        traces: by the traced quantities.
        wants_x: whether the gradient of x is asked for.

    Returns:
        The Gradients.
    """
    block = _Block(problem, "backward", True)
    definition, layout = problem.definition, block.layout
    block.common()
    rows, states = block.nets * block.batch, definition.states
    for name, history in zip(states, saved, strict=False):
        block.give(f"history.{name}", history)
        block.values[f"ring.{name}"] = -1
    if layout.kept:
        block.give("kept", saved[-1])
    block.give("output", block.padded(output, definition.size[states[0]]))
    if layout.seeds:
        given = {f"seed_{name}": trace for name, trace in zip(problem.traced, traces, strict=True)}
        block.give("seeds", block.record(given, (layout.seeds.hidden, layout.seeds.output)))
    carries, fresh = [], []
    for name, final in zip(states, finals, strict=True):
        size = definition.size[name]
        carries.append(block.padded(final, size).reshape(rows, block.width[size]).clone())
        block.give(f"carry.{name}", carries[-1])
        if problem.resets is not None:
            fresh.append(torch.zeros(rows, block.width[size], dtype=problem.x.dtype))
            block.give(f"fresh_gradient.{name}", fresh[-1])
    adjoints = block.new(block.time, rows, block.record_size("adjoints"))
    if problem.lengths is not None and problem.step_inputs:
        adjoints.zero_()
    if layout.adjoints:
        block.give("adjoints", adjoints)
    dx = None
    if wants_x:
        dx = block.new(block.time, rows, block.width[INPUT])
        if problem.lengths is not None or not layout.projections:
            dx.zero_()
        block.give("dx", dx)
    once = stored_once(layout) if rows * block.time else set()
    parameters = [
        (torch.empty if group.name in once else torch.zeros)(p.shape, dtype=p.dtype)
        for group, p in zip(definition.groups, problem.parameters, strict=True)
    ]
    for group, gradient in zip(definition.groups, parameters, strict=True):
        block.give(f"gradient.{group.name}", gradient)
    _gradient_scratch(block)
    if rows * block.time:
        block.run()
    return Gradients(
        None if dx is None else block.cut(dx, INPUT, block.time, *problem.rows),
        [block.cut(c, definition.size[s], *problem.rows) for c, s in zip(carries, states, strict=True)],
        parameters,
        [_adjoint(block, adjoints, f"d{name}", problem) for name in definition.step_inputs],
        [
            block.cut(f, definition.size[s], *problem.rows).sum_to_size(given.shape)
            for f, s, given in zip(fresh, states, problem.fresh, strict=False)
        ],
    )


def _adjoint(block: _Block, adjoints: Tensor, name: str, problem: Problem) -> Tensor:
    """The gradient of one input per step."""
    units = block.units[HIDDEN]
    if name not in block.layout.adjoints:
        return torch.zeros(block.time, *problem.rows, units, dtype=problem.x.dtype)
    hidden, _ = block.layout.adjoints.before(name)
    start = hidden * block.width[HIDDEN]
    return adjoints[..., start : start + units].reshape(block.time, *problem.rows, units)


def _gradient_scratch(block: _Block) -> None:
    """Memory for the sums of outer products."""
    layout, values = block.layout, block.values
    jobs = jobs_of(layout)
    columns, sums = ROWS, max(block.panels.values()) * block.lanes
    for job in jobs:
        counts = (block.units[str(layout.definition.group(part.group).columns)] for part in job.parts)
        here = sum(-(-count // ROWS) * ROWS for count in counts)
        registers = len(job.adjoints) * block.panels[layout.size(job.adjoints[0])]
        columns = max(columns, here)
        sums = max(sums, here * -(-registers // REGISTERS) * REGISTERS * block.lanes)
    words = BLOCK * max((1 + len(job.parts) for job in jobs), default=1)
    values["gradient_columns"], values["gradient_size"], values["gradient_words"] = columns, sums, words
    block.scratch("gradient_rows", block.threads * words, torch.int64)
    block.scratch("gradient_operands", block.threads * BLOCK * columns)
    block.scratch("gradient_panel", block.threads * REGISTERS * BLOCK * block.lanes)
    block.scratch("gradient_sums", (block.threads if block.nets >= block.threads else 1) * sums)
