"""The stacks of parameters that a kernel gets: all gates, with equal rows; a parameter that is one is not copied."""

import pytest
import torch
from torch import Tensor

import carrousel
from carrousel import cells
from carrousel.transforms import PROJECTION
from nn.drawn import CELLS

INPUT, HIDDEN = 3, 4


def made(name: str, nets: int, **options: object) -> carrousel.Recurrent:
    torch.manual_seed(1)
    options = {"dtype": torch.float64, **options}
    if nets:
        return carrousel.Population(name, nets, INPUT, HIDDEN, **options)
    return carrousel.Recurrent(name, INPUT, HIDDEN, **options)


def stacks(layer: carrousel.Recurrent) -> dict[str, Tensor]:
    return layer._layout.kernel_parameters(layer._stacked(0, False))


@pytest.mark.parametrize("nets", [0, 2])
@pytest.mark.parametrize("name", cells.names())
def test_a_parameter_that_is_the_stack_is_passed_itself(name: str, nets: int) -> None:
    layer = made(name, nets)
    passed = stacks(layer)
    assert list(passed) == [group.name for group in layer.cell.groups]
    assert all(passed[group] is parameter for group, parameter in layer._stacked(0, False).items())
    assert len(passed) == len(list(layer.parameters()))


@pytest.mark.parametrize("nets", [0, 2])
@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("bias", [True, False, "some"])
def test_every_gate_has_the_same_number_of_rows(name: str, nets: int, bias: bool | str) -> None:
    options = dict(CELLS[name])
    biased = [gate for group in cells.get(name).groups if group.name == "b" for gate in group.gates]
    options["bias"] = (biased[-1],) if bias == "some" else bias
    layer = made(name, nets, **options)
    layout = layer._layout
    leading = (nets,) if nets else ()
    for group, (given, stack) in zip(layout.cell.groups, stacks(layer).items(), strict=True):
        assert given == group.name
        rows = layout.proj_size if group.name == PROJECTION else HIDDEN
        shape = (*leading, len(group.gates) * rows)
        assert stack.shape[: len(shape)] == shape
        assert stack.dim() == len(shape) + group.is_matrix
        assert stack.dtype == torch.float64
        if group.name in ("b", "bR") and bias is False:
            assert not stack.any()
            assert not stack.requires_grad


def test_a_bias_that_is_left_out_is_zero_in_its_place() -> None:
    layer = made("lstm", 0, bias=("f", "o"))
    stack = stacks(layer)["b"]
    i, f, z, o = stack.chunk(4)
    assert not i.any()
    assert not z.any()
    assert torch.equal(torch.cat([f, o]), layer.bias_ih_l0)
    stack.sum().backward()
    assert torch.equal(layer.bias_ih_l0.grad, torch.ones(2 * HIDDEN, dtype=torch.float64))


def test_blocks_repeat_shared_gates_and_meet_one_copy_of_a_fed_back_gate() -> None:
    layer = made("lstm_1997_full", 0, block_size=2)
    passed, own = stacks(layer), layer._stacked(0, False)
    i, o, z = own["W"].split((2, 2, 4))
    assert torch.equal(passed["W"], torch.cat([i[[0, 0, 1, 1]], o[[0, 0, 1, 1]], z]))
    i, o, z = own["S"].split((2, 2, 4))
    expected = torch.zeros(12, 4, dtype=torch.float64)
    expected[:, ::2] = torch.cat([i[[0, 0, 1, 1]], o[[0, 0, 1, 1]], z])
    assert torch.equal(passed["S"], expected)


def test_zeros_are_made_where_the_layer_is() -> None:
    layer = made("gru", 2, bias=False, dtype=torch.float16, device="meta")
    assert {(s.device.type, s.dtype) for s in stacks(layer).values()} == {("meta", torch.float16)}
    assert {name: tuple(s.shape) for name, s in stacks(layer).items() if name.startswith("b")} == {
        "b": (2, 3 * HIDDEN),
        "bR": (2, 3 * HIDDEN),
    }
