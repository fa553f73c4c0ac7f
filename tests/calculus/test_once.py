"""What follows from means alone is computed once for a row: where it stands, its name, and what is divided by it."""

import pytest

from bptt import cell_of
from carrousel import cells
from carrousel.backends.llvm.kernel import layout_of
from carrousel.calculus.adjoint import adjoint
from carrousel.calculus.fusion import backward_program, forward_program
from carrousel.calculus.once import of_rows
from carrousel.calculus.program import ROW, Program
from carrousel.calculus.trace import trace
from carrousel.cell import Cell

NORMALISED = cell_of(
    """
def cell(x, h_prev, W, R):
    a = W.a @ x + R.a @ h_prev
    m = mean(a)
    s = sqrt(mean((a - m) ** 2) + 0.001)
    h = tanh((a - m) / s)
    return h
"""
)
CARRIED = cell_of(
    """
def cell(x, h_prev, c_prev, W):
    c = 0.5 * mean(c_prev)
    h = tanh(W.a @ x) + c
    return h, c
"""
)
MULTIPLIED = cell_of(
    """
def cell(x, h_prev, W, R):
    m = mean(h_prev) * 2
    h = tanh(W.a @ x + R.a @ m)
    return h
"""
)


def programs(cell: Cell, *traced: str) -> tuple[Program, Program]:
    derived = adjoint(trace(cell.definition), traced)
    return forward_program(derived, traced), backward_program(derived, traced)


def once(program: Program) -> list[str]:
    return [str(operation) for stage in program.stages for operation in stage.once]


def of_units(program: Program) -> list[str]:
    return [str(operation) for stage in program.stages for operation in stage.operations]


def test_what_follows_from_means_is_computed_once() -> None:
    forward, _ = programs(NORMALISED)
    assert once(forward) == [
        "m = copy(mean_a)",
        "_row = add(0.001, mean_u_s2)",
        "s = sqrt(_row)",
        "inverse_s = div(1.0, s)",
    ]
    rows = {name for name, size in forward.sizes.items() if size == ROW}
    assert rows == {"m", "s", "_row", "inverse_s", "mean_a", "mean_u_s2"}


@pytest.mark.parametrize("name", ["layer_norm_lstm", "layer_norm_lstm_per_gate"])
def test_no_unit_is_divided_by_a_number_of_its_row(name: str) -> None:
    for program in programs(cells.get(name)):
        assert not [line for line in of_units(program) if "= div(" in line]
        assert [line for line in once(program) if "= div(" in line]


def test_the_backward_reads_what_the_forward_keeps_as_it_lies() -> None:
    forward, backward = programs(cells.get("layer_norm_lstm"))
    kept = {name for name in forward.kept if forward.sizes[name] == ROW}
    assert kept == {"mx", "sx", "mh", "sh", "mc", "sc"}
    assert {name for name in backward.kept if backward.sizes[name] == ROW} == kept


def test_what_somebody_reads_whole_has_a_place_for_every_unit() -> None:
    forward, backward = programs(NORMALISED, "s")
    assert forward.sizes["s"] != ROW
    assert backward.sizes["s"] != ROW
    assert "s = copy(s_row)" in of_units(forward)
    forward, _ = programs(CARRIED)
    assert "c = copy(c_row)" in of_units(forward)
    forward, _ = programs(MULTIPLIED)
    assert "m = copy(m_row)" in of_units(forward)


def test_a_cell_without_means_has_nothing_to_compute_once() -> None:
    for program in programs(cells.get("lstm")):
        assert not once(program)
    assert not of_rows(trace(cells.get("lstm").definition))


def test_a_number_takes_one_register_of_what_is_kept() -> None:
    layout = layout_of(cells.get("layer_norm_lstm").definition, "forward", True, ())
    assert layout.kept.widths == (8, 0, 6)
    assert layout.kept.before("mx") == (8, 0, 0)
    assert layout.kept.before("sc") == (8, 0, 5)


def test_gradients_of_vectors_that_nothing_reads_are_summed_by_the_walk() -> None:
    layout = layout_of(cells.get("peephole_lstm").definition, "backward", True, ())
    assert set(layout.totals.names) == {"dp.i", "dp.f", "dp.o"}
    assert set(layout.adjoints.names) == {"da_i", "da_f", "da_z", "da_o"}
    normalised = layout_of(cells.get("layer_norm_lstm").definition, "backward", True, ())
    assert len(normalised.totals.names) == 14
    assert len(normalised.adjoints.names) == 8
    assert not layout_of(cells.get("lstm").definition, "backward", True, ()).totals
