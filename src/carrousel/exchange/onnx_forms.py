"""Which cells the operators LSTM, GRU and RNN of ONNX can say, read off the cells' equations, not off their names.

`clip` is taken as ONNX Runtime computes it: it bounds the pre-activations, and not what the last activation of an LSTM
reads. `peephole_lstm` and the like need no more than that; whatever does not fit becomes a Scan.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass

from carrousel.calculus.notation import Definition
from carrousel.exchange.onnx_sums import Atom, Call, Name, Parameter, Product, Sum, TooLongError, states_as_sums

__all__ = ["Activation", "Form", "Gate", "form_of"]


@dataclass(frozen=True)
class Activation:
    """A function of the operators, with its parameters where it has some."""

    name: str
    alpha: float | None = None
    beta: float | None = None


SIGMOID, TANH, IDENTITY = Activation("Sigmoid"), Activation("Tanh"), Activation("Affine", 1.0, 0.0)

#: function of the notation -> the operators' name.
_ACTIVATIONS = {"sigmoid": "Sigmoid", "tanh": "Tanh", "relu": "Relu", "softplus": "Softplus"}

Places = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Gate:
    """What a gate is made of; every entry is (group, gate) of the definition, and what is named twice is added up.

    Attributes:
        activation: its function.
        clip: the bound of its pre-activation, None for none.
        inputs: matrices that multiply x.
        recurrent: matrices that multiply the last output (a GRU's new state: possibly the reset one).
        biases: vectors that are added.
        recurrent_biases: vectors that a GRU's reset gate multiplies.
        peepholes: vectors that multiply the cell state.
    """

    activation: Activation
    clip: float | None = None
    inputs: Places = ()
    recurrent: Places = ()
    biases: Places = ()
    recurrent_biases: Places = ()
    peepholes: Places = ()


@dataclass(frozen=True)
class Form:
    """A cell as one operator.

    Attributes:
        operator: "LSTM", "GRU" or "RNN".
        states: the cell's states in the operator's order: output, cell state.
        gates: letter -> gate, see `carrousel.exchange.gate_orders`; f is missing if it is 1 - i.
        activations: the operator's functions, in its order.
        clip: the bound of the pre-activations, None for none.
        options: input_forget or linear_before_reset, where the operator has it.
    """

    operator: str
    states: tuple[str, ...]
    gates: Mapping[str, Gate]
    activations: tuple[Activation, ...]
    clip: float | None
    options: Mapping[str, int]


class _NoFormError(Exception):
    """The equations are not those of an operator."""


@functools.lru_cache(maxsize=256)
def form_of(definition: Definition) -> Form | None:
    """Return the operator that says a cell's equations.

    Args:
        definition: the cell's definition.

    Returns:
        The operator with its options and the places of its weights; None if there is none, or if the output is
        projected or the cell takes inputs per step.

    Example:
        >>> from carrousel import cells
        >>> form_of(cells.get("cifg").definition).options
        {'input_forget': 1}
        >>> form_of(cells.get("gru_2014").definition).options
        {'linear_before_reset': 0}
        >>> form_of(cells.get("slstm").definition) is None
        True

    Source:
        The operators LSTM, GRU and RNN of ONNX; clip as ONNX Runtime computes it.
    """
    states = definition.states
    if definition.projected or definition.step_inputs or len(states) > 2:
        return None
    try:
        values = states_as_sums(definition)
        if len(states) == 2:
            return _lstm(values, *states)
        return _gru(values[states[0]], states[0]) or _rnn(values[states[0]], states[0])
    except (_NoFormError, TooLongError):
        return None


# ---------------------------------------------------------------------- the three operators


def _lstm(values: Mapping[str, Sum], h: str, c: str) -> Form:
    previous, last = Name(f"{c}_prev"), f"{h}_prev"
    o, out = _output_gate(values[h], last, c)
    carried, entering, options = _forgetting(values[c], previous)
    for i_atom, block in entering:
        i = _gate(Sum.atom(i_atom), last, previous.name)
        z = _gate(block, last, None)
        gates = {"i": i, "z": z, "o": o}
        if not options:
            gates["f"] = _gate(carried, last, previous.name)
        elif carried != Sum.atom(i_atom):
            continue
        if len({gate.activation for letter, gate in gates.items() if letter != "z"}) == 1:
            return Form("LSTM", (h, c), gates, (i.activation, z.activation, out), _clip(gates), options)
    raise _NoFormError


def _output_gate(value: Sum, last: str, c: str) -> tuple[Gate, Activation]:
    """The gate and the function of the cell state in h = o * H(c)."""
    match value.terms:
        case (((a, b), coefficient),) if coefficient == 1:
            for gate, shown in ((a, b), (b, a)):
                out, inner = _activation(Sum.atom(shown))
                if inner == Sum.atom(Name(c)) and isinstance(gate, Call):
                    return _gate(Sum.atom(gate), last, c), out
    raise _NoFormError


def _forgetting(value: Sum, previous: Name) -> tuple[Sum, list[tuple[Atom, Sum]], dict[str, int]]:
    """The forget gate (i itself if it is 1 - i), what can be i and z in `i * z`, and the option that says so."""
    carried = [(tuple(a for a in atoms if a != previous), x) for atoms, x in value.terms if previous in atoms]
    rest = [(atoms, x) for atoms, x in value.terms if previous not in atoms]
    match carried:
        case [((gate,), x)] if x == 1:
            kept, options = gate, {}
        case [((), x), ((gate,), y)] | [((gate,), y), ((), x)] if (x, y) == (1, -1):
            kept, options = gate, {"input_forget": 1}
        case _:
            raise _NoFormError
    shared = set.intersection(*(set(atoms) for atoms, _ in rest)) if rest else set()
    entering: list[tuple[Atom, Sum]] = []
    for atom in sorted(shared, key=lambda a: (a != kept, repr(a))):
        if isinstance(atom, Call):
            entering.append((atom, _quotient(rest, atom)))
    return Sum.atom(kept), entering, options


def _gru(value: Sum, h: str) -> Form | None:
    previous = Name(f"{h}_prev")
    kept = [atoms for atoms, x in value.terms if len(atoms) == 2 and previous in atoms and x == 1]
    if len(kept) != 1:
        return None
    [z_atom] = [atom for atom in kept[0] if atom != previous] or [previous]
    rest = [(atoms, x) for atoms, x in value.terms if previous not in atoms]
    new = Sum.of((atoms, x) for atoms, x in rest if z_atom not in atoms)
    if _quotient([(atoms, -x) for atoms, x in rest if z_atom in atoms], z_atom) != new:
        return None
    z = _gate(Sum.atom(z_atom), previous.name, None)
    n, reset, after = _new_state(new, previous)
    r = _gate(Sum.atom(reset), previous.name, None)
    if r.activation != z.activation:
        return None
    gates = {"z": z, "r": r, "n": n}
    options = {"linear_before_reset": int(after)}
    return Form("GRU", (h,), gates, (z.activation, n.activation), _clip(gates), options)


def _new_state(value: Sum, previous: Name) -> tuple[Gate, Atom, bool]:
    """The new state of a GRU, its reset gate, and whether that multiplies after the product."""
    activation, inner = _activation(value)
    clip, inner = _clipped(inner)
    resets: set[Atom] = set()
    plain, recurrent, recurrent_biases = [], [], []
    before = False
    for atoms, x in inner.terms:
        match atoms:
            case (Product(group, gate, operand),) if operand != Sum.atom(Name("x")) and x == 1:
                resets |= _factors_beside(operand, previous)
                recurrent.append((group, gate))
                before = True
            case (a, b) if x == 1:
                product, reset = (a, b) if isinstance(b, Call) else (b, a)
                resets.add(reset)
                match product:
                    case Product(group, gate, operand) if operand == Sum.atom(previous):
                        recurrent.append((group, gate))
                    case Parameter(group, gate):
                        recurrent_biases.append((group, gate))
                    case _:
                        raise _NoFormError
            case _:
                plain.append((atoms, x))
    if len(resets) != 1 or (before and (recurrent_biases or len(recurrent) > 1)):
        raise _NoFormError
    rest = _linear(Sum.of(plain), previous.name, None, activation, clip)
    if rest.recurrent:
        raise _NoFormError
    new = Gate(activation, clip, rest.inputs, tuple(recurrent), rest.biases, tuple(recurrent_biases))
    return new, resets.pop(), not before


def _factors_beside(operand: Sum, previous: Name) -> set[Atom]:
    """The reset gate in `r * h_prev`."""
    match operand.terms:
        case (((a, b), x),) if x == 1 and previous in (a, b):
            return {b if a == previous else a}
    raise _NoFormError


def _rnn(value: Sum, h: str) -> Form:
    gate = _gate(value, f"{h}_prev", None)
    return Form("RNN", (h,), {"h": gate}, (gate.activation,), gate.clip, {})


# ---------------------------------------------------------------------- their parts


def _gate(value: Sum, last: str, peephole: str | None) -> Gate:
    activation, inner = _activation(value)
    clip, inner = _clipped(inner)
    return _linear(inner, last, peephole, activation, clip)


def _activation(value: Sum) -> tuple[Activation, Sum]:
    """A value as a function of a sum."""
    match value.single:
        case Call(function, (inner,)) if function in _ACTIVATIONS:
            return Activation(_ACTIVATIONS[function]), inner
        case Call("clip", (inner, low, high)) if (low.number, high.number) == (0, 1):
            beta = next((x for atoms, x in inner.terms if not atoms), 0.0)
            slopes = {x for atoms, x in inner.terms if atoms}
            if len(slopes) == 1:
                [alpha] = slopes
                linear = Sum.of((atoms, 1.0) for atoms, _ in inner.terms if atoms)
                return Activation("HardSigmoid", alpha, beta), linear
    return IDENTITY, value


def _clipped(value: Sum) -> tuple[float | None, Sum]:
    """The bound of a pre-activation, and what is bounded."""
    match value.single:
        case Call("clip", (inner, low, high)):
            bound, least = high.number, low.number
            if bound is not None and least == -bound:
                return bound, inner
            raise _NoFormError
    return None, value


def _clip(gates: Mapping[str, Gate]) -> float | None:
    """The bound that all gates have."""
    bounds = {gate.clip for gate in gates.values()}
    if len(bounds) != 1:
        raise _NoFormError
    return bounds.pop()


def _linear(value: Sum, last: str, peephole: str | None, activation: Activation, clip: float | None) -> Gate:
    """A pre-activation, taken to pieces."""
    inputs, recurrent, biases, peepholes = [], [], [], []
    for atoms, x in value.terms:
        if x != 1:
            raise _NoFormError
        match atoms:
            case (Product(group, gate, operand),) if operand == Sum.atom(Name("x")):
                inputs.append((group, gate))
            case (Product(group, gate, operand),) if operand == Sum.atom(Name(last)):
                recurrent.append((group, gate))
            case (Parameter(group, gate),):
                biases.append((group, gate))
            case (Name(name), Parameter(group, gate)) | (Parameter(group, gate), Name(name)) if name == peephole:
                peepholes.append((group, gate))
            case _:
                raise _NoFormError
    if not inputs:
        raise _NoFormError
    return Gate(activation, clip, tuple(inputs), tuple(recurrent), tuple(biases), (), tuple(peepholes))


def _quotient(terms: list[tuple[tuple[Atom, ...], float]], atom: Atom) -> Sum:
    """The terms, each divided by an atom."""

    def without(atoms: tuple[Atom, ...]) -> tuple[Atom, ...]:
        at = atoms.index(atom)
        return (*atoms[:at], *atoms[at + 1 :])

    return Sum.of((without(atoms), x) for atoms, x in terms)
