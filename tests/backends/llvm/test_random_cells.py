"""Definitions drawn at random, generated and compared with the reference. `--random-cells 1000` draws a thousand."""

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from calls import HERE, Shape, assert_as_accurate_as_torch, assert_right, draw
from carrousel.backends.llvm.target import VARIABLE
from carrousel.cell import Cell
from definitions import legal_cells

#: So that two processes share them out.
PARTS = 6

shapes = st.builds(
    Shape,
    time=st.sampled_from([0, 1, 2, 5, 17]),
    batch=st.sampled_from([1, 2, 3, 17]),
    hidden=st.sampled_from([1, 3, 5, 17, 64]),
    input=st.sampled_from([1, 3, 9]),
    output=st.sampled_from([1, 2, 19]),
    nets=st.sampled_from([0, 0, 1, 3]),
    lengths=st.sampled_from(["", "some", "some", "zero", "full"]),
    resets=st.booleans(),
    reverse=st.booleans(),
)


@pytest.mark.parametrize("part", range(PARTS))
def test_random_cells(part: int, pytestconfig: pytest.Config, monkeypatch: pytest.MonkeyPatch) -> None:
    count = pytestconfig.getoption("--random-cells")

    @seed(part)
    @settings(
        max_examples=-(-count // PARTS),
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],  # a smaller cell would have to be compiled too, hundreds of times
    )
    @given(legal_cells(), shapes, st.data())
    def compare(cell: Cell, shape: Shape, data: st.DataObject) -> None:
        monkeypatch.setenv(VARIABLE, data.draw(st.sampled_from(HERE)))
        if data.draw(st.integers(0, 3)) == 0:
            assert_as_accurate_as_torch(cell, shape, times=10, tolerance="functions that saturate")
        else:
            traced = data.draw(st.sampled_from([(), cell.traceable[-2:]]))
            assert_right(draw(cell, replace(shape, traced=traced)), tolerance="kernels")

    compare()
