"""Stages and straight-line operations: in the right order, and with the values of the equations."""

import operator
from collections.abc import Mapping

import pytest
import sympy
import torch
from hypothesis import given, settings
from torch import Tensor

from bptt import Sequence, cell_of, forward_values, sequence_of, steps_of
from carrousel import cells
from carrousel.calculus.lower import Stage, Step, backward_lines, backward_step, forward_step, kept, recomputed
from carrousel.calculus.trace import Mean
from carrousel.cell import Cell
from carrousel.functions import TABLE
from carrousel.transforms import projected
from definitions import legal_cells
from tolerances import TOLERANCES

_ARITHMETIC = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "div": operator.truediv,
    "pow": operator.pow,
    "copy": lambda a: a,
}


def kinds(step: Step) -> list[str]:
    return [stage.kind for stage in step.stages]


def run(step: Step, values: Mapping[str, object]) -> dict[str, object]:
    """Run the stages, each by its operations, on tensors."""
    values = dict(values)
    for stage in step.stages:
        for name, node in stage.nodes:
            assert node.operand in values, f"{name} is computed before its operand"
            if isinstance(node, Mean):
                values[name] = TABLE["mean"](torch.as_tensor(values[node.operand]))
            else:
                group, *path = node.group, *node.gate.split(".")
                matrix = values[group]
                for attribute in path:
                    matrix = getattr(matrix, attribute)
                values[name] = matrix @ values[node.operand]
        run_map(stage, values)
    return values


def run_map(stage: Stage, values: dict[str, object]) -> None:
    """Each operation reads what is there, and writes one name."""
    for operation in stage.operations:
        arguments = [values[a] if isinstance(a, str) else a for a in operation.arguments]
        function = _ARITHMETIC.get(operation.op) or TABLE[operation.op]
        values[operation.name] = function(*arguments)


def parameters(cell: Cell, on: Sequence) -> dict[str, Tensor]:
    """The vectors by their names in the equations."""
    return {f"{g.name}.{gate}": on.parameters[g.name][gate] for g in cell.groups if not g.is_matrix for gate in g.gates}


def first_step(cell: Cell, on: Sequence) -> tuple[dict[str, object], dict[str, object]]:
    """What the first step is given, and all values of its normal form."""
    values = {**steps_of(cell, on)[0], **parameters(cell, on)}
    given = {a: values[a] for a in cell.definition.arguments}
    return {**given, **parameters(cell, on)}, values


def close(got: object, expected: object, name: str) -> None:
    got, expected = torch.as_tensor(got, dtype=torch.float64), torch.as_tensor(expected, dtype=torch.float64)
    got = got.expand_as(expected) if got.dim() < expected.dim() else got
    finite = expected.isfinite()
    assert torch.equal(got[~finite], expected[~finite]), name
    scale = 1 + float(expected[finite].abs().max()) if finite.any() else 1
    assert float((got - expected)[finite].abs().max()) <= TOLERANCES["operations"].atol * scale, name


def assert_operations_equal_equations(cell: Cell) -> None:
    on = sequence_of(cell)
    given, expected = first_step(cell, on)
    forward = run(forward_step(cell.trace), given)
    for symbol, _ in cell.trace.equations:
        close(forward[str(symbol)], expected[str(symbol)], str(symbol))
    arriving = {f"d{s}": torch.randn_like(on.weights[s][0]) for s in cell.states}
    backward = run(backward_step(cell.adjoint), {**forward, **arriving})
    lines = {**expected, **arriving, **TABLE, "inf": float("inf")}
    for name, right in cell.adjoint.lines[: len(cell.adjoint.equations)]:  # the text, in its order
        if "." not in name:
            lines[name] = eval(right, {}, lines)
            close(backward[name], lines[name], f"{name} = {right}")


@pytest.mark.parametrize("name", cells.names())
def test_operations_equal_equations(name: str) -> None:
    assert_operations_equal_equations(cells.get(name))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(legal_cells())
def test_operations_of_random_definitions(cell: Cell) -> None:
    assert_operations_equal_equations(cell)


# ---------------------------------------------------------------------- stages


def test_most_cells_have_one_product_stage() -> None:
    for name in set(cells.names()) - {"gru_2014", "nig", "layer_norm_lstm", "layer_norm_lstm_per_gate"}:
        assert kinds(forward_step(cells.get(name).trace)) == ["product", "map"], name
        assert kinds(backward_step(cells.get(name).adjoint)) in (["map", "product", "map"], ["map"]), name


def test_a_quantity_that_waits_for_no_product_is_still_in_the_first_map() -> None:
    assert kinds(forward_step(cells.get("nig").trace)) == ["product", "map"]


def test_reset_before_the_product_makes_a_second_stage() -> None:
    first, map1, second, map2 = forward_step(cells.get("gru_2014").trace).stages
    assert [str(node) for _, node in first.nodes] == ["W.r @ x", "R.r @ h_prev", "W.z @ x", "R.z @ h_prev", "W.n @ x"]
    assert [str(s) for s, _ in map1.equations] == ["a_r", "r", "a_z", "z", "u_n"]
    assert [str(node) for _, node in second.nodes] == ["R.n @ u_n"]
    assert [str(s) for s, _ in map2.equations] == ["a_n", "n", "h"]
    assert kinds(backward_step(cells.get("gru_2014").adjoint)) == ["map", "product", "map", "product", "map"]


def test_projection_makes_a_second_stage() -> None:
    step = forward_step(projected(cells.get("lstm")).trace)
    assert kinds(step) == ["product", "map", "product", "map"]
    assert [str(s) for s, _ in step.stages[-1].equations] == ["h"]


def test_mean_is_a_stage_of_its_own() -> None:
    cell = cell_of(
        "def small(x, h_prev, W, R):\n    a = W.a @ x + R.a @ h_prev\n    h = tanh(a - mean(a))\n    return h\n"
    )
    assert kinds(forward_step(cell.trace)) == ["product", "map", "mean", "map"]
    assert kinds(backward_step(cell.adjoint)) == ["map", "mean", "map", "product", "map"]


def test_stages_hold_every_equation_once() -> None:
    for name in cells.names():
        cell = cells.get(name)
        for step, equations in (
            (forward_step(cell.trace), cell.trace.equations),
            (backward_step(cell.adjoint), cell.adjoint.equations),
        ):
            assert sorted(str(s) for stage in step.stages for s, _ in stage.equations) == sorted(
                str(s) for s, _ in equations
            )


# ---------------------------------------------------------------------- operations


def operations_of(equation: str) -> list[str]:
    text = f"def small(x, h_prev, c_prev, W):\n    c = W.c @ x\n    h = {equation}\n    return h, c\n"
    last = forward_step(cell_of(text).trace).stages[-1]
    return [str(operation) for operation in last.operations if operation.name != "c"]


@pytest.mark.parametrize(
    ("equation", "operations"),
    [
        ("h_prev", ["h = copy(h_prev)"]),
        ("h_prev + c_prev", ["h = add(c_prev, h_prev)"]),
        ("h_prev - c_prev", ["h = sub(h_prev, c_prev)"]),
        ("-h_prev", ["h = mul(-1.0, h_prev)"]),
        ("h_prev / c_prev", ["h = div(h_prev, c_prev)"]),
        ("1 / c_prev", ["h = div(1.0, c_prev)"]),
        ("c_prev**3", ["_1 = mul(c_prev, c_prev)", "h = mul(_1, c_prev)"]),
        ("c_prev**0.5", ["h = pow(c_prev, 0.5)"]),
        ("c_prev**(-2)", ["_1 = mul(c_prev, c_prev)", "h = div(1.0, _1)"]),
        ("tanh(c_prev)", ["h = tanh(c_prev)"]),
        ("tanh(c_prev) * (1 - tanh(c_prev))", ["_1 = tanh(c_prev)", "_2 = sub(1.0, _1)", "h = mul(_2, _1)"]),
        ("clip(c_prev, -1, 2)", ["h = clip(c_prev, -1.0, 2.0)"]),
        ("h_prev / 3", ["h = mul(0.3333333333333333, h_prev)"]),
    ],
)
def test_operations(equation: str, operations: list[str]) -> None:
    assert operations_of(equation) == operations


def test_what_was_computed_from_an_adjoint_before_it_is_rebound_is_stale() -> None:
    """After `dc = dc + a*b`, the expression `dc + a*b` is another one; `a*b` is not."""
    dc, a, b = sympy.symbols("dc a b")
    stage = Stage("map", equations=((dc, dc + a * b), (sympy.Symbol("y"), sympy.Mul(2, dc + a * b, evaluate=False))))
    assert [str(operation) for operation in stage.operations] == [
        "_0 = mul(a, b)",
        "dc = add(_0, dc)",
        "_2 = add(_0, dc)",
        "y = mul(2.0, _2)",
    ]


# ---------------------------------------------------------------------- kept, recomputed


@pytest.mark.parametrize(
    ("name", "saved", "again"),
    [
        ("elman", (), []),
        ("irnn", ("a_h",), []),
        ("lstm", ("i", "f", "z", "o"), []),
        ("lstm_1997", ("i", "o", "a_z"), ["z"]),
        ("cifg", ("i", "z", "o"), ["f"]),
        ("nig", ("f", "z", "o"), ["i"]),
        ("gru", ("r", "z", "R.n @ h_prev", "n"), []),
        ("gru_2014", ("r", "z", "n"), ["u_n"]),
        ("fgr", ("z",), []),
        ("slstm", ("a_log_f", "z", "o", "i", "f"), []),
    ],
)
def test_kept_and_recomputed(name: str, saved: tuple[str, ...], again: list[str]) -> None:
    adjoint = cells.get(name).adjoint
    assert kept(adjoint) == saved
    assert [str(symbol) for symbol, _ in recomputed(adjoint)] == again


@settings(max_examples=60, deadline=None, derandomize=True)
@given(legal_cells())
def test_backward_reads_nothing_that_was_not_kept(cell: Cell) -> None:
    """Its lines can be evaluated from the arguments that it names, and name no argument in vain."""
    on = sequence_of(cell)
    given, values = first_step(cell, on)
    values = {**values, **forward_values(cell, given)}
    lines, needed = backward_lines(cell.adjoint)
    assert len(set(needed)) == len(needed)
    groups = {g.name: values[g.name] for g in cell.groups}
    arriving = {f"d{s}": on.weights[s][0] for s in cell.states}
    at_hand = {**TABLE, "inf": float("inf"), "outer": lambda d, v: d.mT @ v, **groups, **arriving}
    at_hand.update({name: values[name] for name in needed})
    read = set()
    for left, right in lines:
        code = compile(right, left, "eval")
        read.update(code.co_names)
        at_hand[left] = eval(code, {}, at_hand)
    assert set(needed) <= read
