"""What the kernel of real-time recurrent learning does at a step, and in which block of arguments it finds its nets.

A step of a net computes its net inputs, evaluates the equations and their Jacobian, carries the influence of every
weight on every state forward, says its outputs and changes its weights. Which weight stands where is in tables.
"""

from collections.abc import Callable

from llvmlite import ir

from carrousel.backends.llvm.elementary import Elementary
from carrousel.backends.llvm.epilogue import evaluate
from carrousel.backends.llvm.judgement import are_wrong
from carrousel.backends.llvm.words import BIT, BYTE, I64, PTR, Code, Int, Value
from carrousel.calculus.jacobian import Jacobian
from carrousel.calculus.notation import Definition

__all__ = ["ARGUMENTS", "COLUMNS", "RealTimeSteps", "stored"]

#: Columns of P that are computed at once; there are a multiple of them.
COLUMNS = 8

#: The words of the block of arguments. Sizes; what comes in at every step and goes out; what the nets are; what a step
#: leaves to the next; what it needs for itself; the tables; how streams end.
ARGUMENTS = (
    *("first", "last", "inputs", "hidden", "outputs", "weights", "columns", "fed", "sources", "states_at"),
    *("stride", "together"),
    *("x", "target", "asked", "is_asked", "anew", "is_anew", "y", "rate"),
    *("w", "learns", "velocity", "momentum", "initial"),
    *("now", "influence", "old_influence"),
    *("net_inputs", "states", "derivatives", "jacobian", "deltas", "gradient"),
    *("starts", "places", "operands", "own_columns", "fed_rows", "fed_places"),
    *("factor_places", "factor_columns", "gradient_places", "output_places", "output_sources"),
    *("goes_on", "survived", "first_rate", "within", "decay", "end"),
)


def stored(derived: Jacobian) -> dict[tuple[str, str], int]:
    """The derivatives that lie in memory, (state, what moves it) -> its number; the others are plain numbers."""
    pairs = [(state, by) for state, moved in derived.derivatives.items() for by in moved if isinstance(moved[by], str)]
    return {pair: k for k, pair in enumerate(pairs)}


class RealTimeSteps:
    """Writes the walk over time."""

    def __init__(
        self, code: Code, definition: Definition, derived: Jacobian, linear: bool, judgement: str | None
    ) -> None:
        self.code, self.elementary = code, Elementary(code.module, code.vector)
        self.jacobian, self.linear, self.judgement = derived, linear, judgement
        self.states, self.stored = definition.states, stored(derived)
        count, given = len(self.states), derived.given
        gates = len({gate for group in definition.groups for gate in group.gates})
        self.gates, self.factors, self.before = given[:gates], given[gates:-count], given[-count:]
        address, integers = code.arguments["arguments"], ARGUMENTS.index("x")
        self.size = {name: code.word(address, k, name=name) for k, name in enumerate(ARGUMENTS[:integers])}
        arrays = enumerate(ARGUMENTS[integers:], integers)
        self.array = {name: code.word(address, k, PTR, name) for k, name in arrays}
        self.hidden, self.columns = self.size["hidden"], self.size["columns"]

    def write(self) -> None:
        """Write the walk over time."""
        code = self.code
        self.end = code.variable(I64, self.size["last"])
        with (
            code.loop(self.size["first"], self.size["last"], name="t") as t,
            code.when(code.compare(t, "<", code.builder.load(self.end, typ=I64))),
        ):
            self._step(t)
        code.put_word(code.builder.load(self.end, typ=I64), self.array["end"], 0)
        code.done()

    def _step(self, t: Value) -> None:
        self.new, self.old = self._influences(t)
        self._begin_anew(t)
        self._take_inputs(t)
        self._sum_net_inputs()
        self._evaluate()
        self._multiply_derivatives()
        self._carry_influences()
        self._add_own_influences()
        self._keep_states()
        self._say(t)
        with self.code.when(self._flag("is_asked", t)):
            self._learn(t)
        if self.judgement is not None:
            self._judge(self.judgement, t)

    # ------------------------------------------------------------------ words

    def _row(self, name: str, *index: Int) -> Value:
        """The address of a row of an array."""
        return self.code.at(self.array[name], self.code.mul(self.code.add(*index), self.size["stride"]))

    def _load(self, name: str, *index: Int) -> Value:
        return self.code.load(self._row(name, *index))

    def _store(self, value: Value, name: str, *index: Int) -> None:
        self.code.store(value, self._row(name, *index))

    def _entry(self, table: str, index: Int) -> Value:
        return self.code.word(self.array[table], index)

    def _flag(self, name: str, t: Value) -> Value:
        return self.code.builder.icmp_unsigned("!=", self.code.byte(self.array[name], t), ir.Constant(BYTE, 0))

    def _in_all(self, rows: Int, unit: Value) -> Value:
        """The number of a unit's row in the `rows`-th of several arrays that are one behind the other."""
        return self.code.add(self.code.mul(rows, self.hidden), unit)

    def _total(self, start: Value, stop: Int, factors: Callable[[Value], tuple[Value, Value]], first: Int = 0) -> Value:
        """`start` and the sum of products of two factors."""
        code = self.code
        total = code.variable(code.vector)
        code.builder.store(start, total)
        with code.loop(first, stop, name="k") as k:
            code.builder.store(code.multiply_add(*factors(k), code.builder.load(total, typ=code.vector)), total)
        return code.builder.load(total, typ=code.vector)

    def _derivative(self, state: str, moved: str, unit: Value) -> Value | None:
        """The derivative of a unit's new state by what moves it; None if that is zero."""
        value = self.jacobian.derivatives[state].get(moved)
        if value is None or isinstance(value, float):
            return value if value is None else self.code.splat(value)
        return self._load("derivatives", self._in_all(self.stored[state, moved], unit))

    def _influences(self, t: Value) -> tuple[Value, Value]:
        """The addresses of P after and before a step, which take turns."""
        is_odd = self.code.builder.trunc(t, BIT)
        one, other = self.array["influence"], self.array["old_influence"]
        return self.code.choose(is_odd, one, other), self.code.choose(is_odd, other, one)

    def _influence(self, of: Value, row: Int, column: Int) -> Value:
        code = self.code
        return code.at(of, code.mul(code.add(code.mul(row, self.columns), column), self.size["stride"]))

    # ------------------------------------------------------------------ what comes in

    def _begin_anew(self, t: Value) -> None:
        """Put the states of the nets that begin anew at their beginning, where no weight has done anything yet."""
        code = self.code
        with code.when(self._flag("is_anew", t)):
            kept = code.builder.fcmp_unordered("==", self._load("anew", t), code.zero)
            with code.loop(0, self.hidden, name="unit") as unit:
                for number in range(len(self.states)):
                    place = code.add(self.size["states_at"], self._in_all(number, unit))
                    initial = code.splat(code.load_scalar(code.at(self.array["initial"], number)))
                    self._store(code.builder.select(kept, self._load("now", place), initial), "now", place)
            rows = code.mul(len(self.states), self.hidden)
            with code.loop(0, code.mul(rows, self.columns), name="place") as place:
                address = self._influence(self.old, 0, place)
                code.store(code.builder.select(kept, code.load(address), code.zero), address)
            if self.judgement is not None:
                with code.when(self._are_together()):
                    self._begin_streams(kept)

    def _are_together(self) -> Value:
        return self.code.builder.icmp_unsigned("!=", self.size["together"], ir.Constant(I64, 0))

    def _begin_streams(self, kept: Value) -> None:
        """The streams of the nets that begin anew go on from here, and learn at the first rate."""
        code = self.code
        first_rate = code.splat(code.load_scalar(self.array["first_rate"]))
        for name, value in (("goes_on", code.splat(1.0)), ("rate", first_rate), ("survived", code.zero)):
            self._store(code.builder.select(kept, self._load(name, 0), value), name, 0)

    def _take_inputs(self, t: Value) -> None:
        with self.code.loop(0, self.size["inputs"], name="input") as k:
            self._store(self._load("x", self.code.mul(t, self.size["inputs"]), k), "now", k)

    # ------------------------------------------------------------------ a step

    def _sum_net_inputs(self) -> None:
        """Net input = sum of weights times what they multiply."""
        code = self.code
        with code.loop(0, code.mul(len(self.gates), self.hidden), name="row") as row:
            ends = self._entry("starts", row), self._entry("starts", code.add(row, 1))

            def factors(k: Value) -> tuple[Value, Value]:
                return self._load("w", self._entry("places", k)), self._load("now", self._entry("operands", k))

            self._store(self._total(code.zero, ends[1], factors, ends[0]), "net_inputs", row)

    def _evaluate(self) -> None:
        """The cell's equations, and the derivatives of its new states."""
        code = self.code
        with code.loop(0, self.hidden, name="unit") as unit:
            values = {gate: self._load("net_inputs", self._in_all(k, unit)) for k, gate in enumerate(self.gates)}
            for k, factor in enumerate(self.factors):
                values[factor] = self._load("w", self._entry("factor_places", self._in_all(k, unit)))
            for k, state in enumerate(self.before):
                values[state] = self._load("now", self.size["states_at"], self._in_all(k, unit))
            for operation in self.jacobian.operations:
                values[operation.name] = evaluate(code, self.elementary, operation, values)
            for k, state in enumerate(self.states):
                self._store(values[state], "states", self._in_all(k, unit))
            for (state, moved), k in self.stored.items():
                derivative = values[str(self.jacobian.derivatives[state][moved])]
                self._store(derivative, "derivatives", self._in_all(k, unit))

    def _multiply_derivatives(self) -> None:
        """J, as far as it goes through products: derivatives by net inputs times the weights of what is fed back."""
        code, fed = self.code, self.size["fed"]
        with code.loop(0, self.hidden, name="unit") as unit, code.loop(0, fed, name="source") as source:
            for number, state in enumerate(self.states):
                total = code.zero
                for gate, name in enumerate(self.gates):
                    derivative = self._derivative(state, name, unit)
                    if derivative is not None:
                        place = self._entry("fed_places", code.add(code.mul(self._in_all(gate, unit), fed), source))
                        total = code.multiply_add(derivative, self._load("w", place), total)
                self._store(total, "jacobian", code.mul(self._in_all(number, unit), fed), source)

    def _carry_influences(self) -> None:
        """P(t) = J(t) P(t-1), some columns at once."""
        code = self.code
        with (
            code.loop(0, self.columns, COLUMNS, name="column") as column,
            code.loop(0, self.hidden, name="unit") as unit,
        ):
            for number, state in enumerate(self.states):
                row = self._in_all(number, unit)
                totals = [code.variable(code.vector) for _ in range(COLUMNS)]
                for k, total in enumerate(totals):
                    code.builder.store(self._through_itself(state, unit, code.add(column, k)), total)
                with code.loop(0, self.size["fed"], name="source") as source:
                    factor = self._load("jacobian", code.mul(row, self.size["fed"]), source)
                    before = self._entry("fed_rows", source)
                    for k, total in enumerate(totals):
                        influence = code.load(self._influence(self.old, before, code.add(column, k)))
                        known = code.builder.load(total, typ=code.vector)
                        code.builder.store(code.multiply_add(factor, influence, known), total)
                for k, total in enumerate(totals):
                    value = code.builder.load(total, typ=code.vector)
                    code.store(value, self._influence(self.new, row, code.add(column, k)))

    def _through_itself(self, state: str, unit: Value, column: Value) -> Value:
        """What reaches a unit's state through its own last states, by equations and not by products."""
        total = self.code.zero
        for number, before in enumerate(self.before):
            derivative = self._derivative(state, before, unit)
            if derivative is not None:
                influence = self.code.load(self._influence(self.old, self._in_all(number, unit), column))
                total = self.code.multiply_add(derivative, influence, total)
        return total

    def _add_own_influences(self) -> None:
        """P(t) += D(t): what weights do to the states of their own unit at once."""
        code = self.code
        for state_number, state in enumerate(self.states):
            with code.loop(0, self.hidden, name="unit") as unit:
                row = self._in_all(state_number, unit)
                for gate, name in enumerate(self.gates):
                    derivative = self._derivative(state, name, unit)
                    if derivative is not None:
                        at = self._in_all(gate, unit)
                        with code.loop(
                            self._entry("starts", at), self._entry("starts", code.add(at, 1)), name="k"
                        ) as k:
                            operand = self._load("now", self._entry("operands", k))
                            self._add(row, self._entry("own_columns", k), derivative, operand)
                for k, name in enumerate(self.factors):
                    derivative = self._derivative(state, name, unit)
                    if derivative is not None:
                        column = self._entry("factor_columns", self._in_all(k, unit))
                        self._add(row, column, derivative, code.splat(1.0))

    def _add(self, row: Value, column: Value, derivative: Value, operand: Value) -> None:
        address = self._influence(self.new, row, column)
        self.code.store(self.code.multiply_add(derivative, operand, self.code.load(address)), address)

    def _keep_states(self) -> None:
        with self.code.loop(0, self.code.mul(len(self.states), self.hidden), name="row") as row:
            self._store(self._load("states", row), "now", self.size["states_at"], row)

    # ------------------------------------------------------------------ outputs and learning

    def _output_place(self, output: Value, source: Value) -> Value:
        return self._entry("output_places", self.code.add(self.code.mul(output, self.size["sources"]), source))

    def _say(self, t: Value) -> None:
        """The output units."""
        code = self.code
        with code.loop(0, self.size["outputs"], name="output") as output:

            def factors(k: Value) -> tuple[Value, Value]:
                value = self._load("now", self._entry("output_sources", k))
                return self._load("w", self._output_place(output, k)), value

            y = self._total(code.zero, self.size["sources"], factors)
            if not self.linear:
                y = self.elementary(code.builder, "sigmoid", y)
            self._store(y, "y", code.mul(t, self.size["outputs"]), output)

    def _learn(self, t: Value) -> None:
        """Change the weights: those of the output units by the delta rule, all others by their influence."""
        code, outputs = self.code, self.size["outputs"]
        rate, builder = self._load("rate", 0), code.builder
        is_asked = builder.fcmp_ordered(">", self._load("asked", t), code.zero)
        with code.loop(0, outputs, name="output") as output:
            y = self._load("y", code.mul(t, outputs), output)
            delta = builder.fsub(self._load("target", code.mul(t, outputs), output), y)
            if not self.linear:
                delta = builder.fmul(delta, builder.fmul(y, builder.fsub(code.splat(1.0), y)))
            self._store(builder.select(is_asked, delta, code.zero), "deltas", output)
        with code.loop(0, self.size["weights"], name="weight") as weight:
            self._store(code.zero, "gradient", weight)
        with code.loop(0, self.hidden, name="unit") as unit:

            def factors(k: Value) -> tuple[Value, Value]:
                return self._load("w", self._output_place(k, unit)), self._load("deltas", k)

            adjoint = self._total(code.zero, outputs, factors)
            with code.loop(0, self.columns, name="column") as column:
                influence = code.load(self._influence(self.new, unit, column))
                place = self._entry("gradient_places", code.add(code.mul(unit, self.columns), column))
                self._store(code.multiply_add(adjoint, influence, self._load("gradient", place)), "gradient", place)
        with (
            code.loop(0, outputs, name="output") as output,
            code.loop(0, self.size["sources"], name="source") as source,
        ):
            value = builder.fmul(self._load("deltas", output), self._load("now", self._entry("output_sources", source)))
            self._store(value, "gradient", self._output_place(output, source))
        self._change_weights(builder.and_(is_asked, builder.fcmp_ordered("!=", rate, code.zero)))

    def _change_weights(self, moves: Value) -> None:
        """w += velocity, of the nets that move; velocity = rate * gradient + momentum * velocity."""
        code, builder, rate = self.code, self.code.builder, self._load("rate", 0)
        momentum = code.splat(code.load_scalar(self.array["momentum"]))
        with code.loop(0, self.size["weights"], name="weight") as weight:
            before = self._load("velocity", weight)
            change = builder.fmul(builder.fmul(rate, self._load("learns", weight)), self._load("gradient", weight))
            velocity = code.multiply_add(momentum, before, change)
            self._store(builder.select(moves, velocity, before), "velocity", weight)
            self._store(builder.fadd(self._load("w", weight), builder.select(moves, velocity, code.zero)), "w", weight)

    def _judge(self, judgement: str, t: Value) -> None:
        """End the streams that have come to a mistake or to their end, and the walk with them, or with the last one."""
        code, builder, outputs = self.code, self.code.builder, self.size["outputs"]

        def error(output: Value) -> Value:
            place = code.mul(t, outputs), output
            return builder.fsub(self._load("target", *place), self._load("y", *place))

        within, decay = (code.splat(code.load_scalar(self.array[name])) for name in ("within", "decay"))
        asked, goes_on, rate = self._load("asked", t), self._load("goes_on", 0), self._load("rate", 0)
        was_on = builder.fcmp_ordered("!=", goes_on, code.zero)
        is_through = builder.and_(was_on, builder.fcmp_ordered("<", asked, code.zero))
        is_wrong = are_wrong(code, judgement, outputs, error, within)
        is_wrong = builder.and_(builder.and_(is_wrong, was_on), builder.fcmp_ordered(">", asked, code.zero))
        is_over = builder.or_(is_wrong, is_through)
        goes_on = builder.select(is_over, code.zero, goes_on)
        self._store(goes_on, "goes_on", 0)
        self._store(builder.select(is_over, code.zero, builder.fmul(rate, decay)), "rate", 0)
        self._store(builder.select(is_through, code.splat(1.0), self._load("survived", 0)), "survived", 0)
        is_any_left = self._any(builder.fcmp_ordered("!=", goes_on, code.zero))
        waits = builder.and_(is_any_left, self._are_together())
        with code.when(builder.and_(self._any(is_over), builder.not_(waits))):
            builder.store(code.add(t, 1), self.end)

    def _any(self, bits: Value) -> Value:
        mask = self.code.builder.bitcast(bits, ir.IntType(self.code.lanes))
        return self.code.builder.icmp_unsigned("!=", mask, ir.Constant(mask.type, 0))
