"""Numbers at the edge: NaN and infinities keep to their row, saturation, denormals, states at -inf, long sequences."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

import carrousel
from calls import Call, Shape, assert_as_accurate, assert_right, draw, results
from carrousel import cells
from carrousel.cell import Cell
from definitions import TRANSFORMED, cell_of_rule
from tolerances import TOLERANCES

#: One stage, two stages, means, inputs per step, a projection.
CELLS = {
    "lstm": cells.get("lstm"),
    "gru_2014": cells.get("gru_2014"),
    "zoneout": TRANSFORMED["lstm zoneout"](),
    "projected": TRANSFORMED["lstm projected"](),
    "means": cell_of_rule("layer normalisation of every gate"),
}
each = pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
ROW, NET = 2, 1


def changed(call: Call, **leaves: Tensor) -> Call:
    return replace(call, leaves={**call.leaves, **leaves})


def assert_same(got: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    """Bit for bit."""
    for name, value in expected.items():
        torch.testing.assert_close(got[name], value, rtol=0, atol=0, equal_nan=True, msg=lambda m, n=name: f"{n}: {m}")


@each
@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("leaf", ["x", "h_prev"])
def test_what_is_not_finite_stays_in_its_row(cell: Cell, number: float, leaf: str) -> None:
    call = draw(cell, Shape(time=4, batch=7, hidden=5))
    value = call.leaves[leaf].clone()
    value[..., ROW, 0] = number
    before, after = results(call), results(changed(call, **{leaf: value}))
    others = [k for k in range(7) if k != ROW]
    of_rows = [name for name in before if name.removeprefix("gradient of ") not in {g.name for g in cell.groups}]
    of_rows = [name for name in of_rows if "reset" not in name]
    assert_same({n: after[n][..., others, :] for n in of_rows}, {n: before[n][..., others, :] for n in of_rows})
    assert not all(after[f"gradient of {g.name}"].isfinite().all() for g in cell.groups)


@pytest.mark.parametrize("nets", [3, 9])
def test_what_is_not_finite_stays_in_its_network(nets: int) -> None:
    """Also where networks are neighbours in a register."""
    call = draw(cells.get("lstm"), Shape(time=4, batch=2, hidden=5, nets=nets))
    x, others = call.leaves["x"].clone(), [k for k in range(nets) if k != NET]
    x[:, NET] = math.nan
    before, after = results(call), results(changed(call, x=x))
    for name, value in before.items():
        axis = int(name in ("output", "gradient of x"))
        kept = (v.movedim(axis, 0)[others] for v in (after[name], value))
        torch.testing.assert_close(*kept, rtol=0, atol=0, msg=lambda m, n=name: f"{n}: {m}")
    assert after["gradient of W"][NET].isnan().any()


@each
@pytest.mark.parametrize("number", [math.nan, math.inf])
@pytest.mark.parametrize("reverse", [False, True])
def test_padding_may_hold_anything(cell: Cell, number: float, reverse: bool) -> None:
    """The input, and what the loss hands back, beyond a row's length."""
    call = draw(cell, Shape(time=6, batch=7, hidden=5, lengths="some", resets=True, reverse=reverse))
    assert call.lengths is not None
    padding = (torch.arange(6).unsqueeze(1) >= call.lengths).unsqueeze(-1)
    per_step = {n: v.masked_fill(padding, number) for n, v in call.leaves.items() if n == "x" or n.endswith("_t")}
    weights = {**call.weights, "output": call.weights["output"].masked_fill(padding, number)}
    assert_same(results(replace(changed(call, **per_step), weights=weights)), results(call))


@pytest.mark.parametrize("name", ["lstm", "gru", "slstm", "peephole_lstm", "elman"])
def test_saturated_gates(name: str) -> None:
    """Pre-activations of a hundred and more; float32 is as good as in torch."""

    def saturated(seed: int, dtype: torch.dtype) -> Call:
        call = draw(cells.get(name), Shape(time=6, batch=5, hidden=5, lengths="some"), dtype, seed)
        large = {name: (300 * value).to(dtype).double() for name, value in call.leaves.items() if name in ("W", "b")}
        start = {f"{s}_prev": call.leaves[f"{s}_prev"].abs() + 1 for s in ("c", "n") if f"{s}_prev" in call.leaves}
        return changed(call, **large, **start)

    def sides(seed: int) -> list[dict[str, Tensor]]:
        call = saturated(seed, torch.float32)
        return [results(call, "eager"), *(results(call, backend, torch.float32) for backend in ("llvm", "eager"))]

    assert_right(saturated(0, torch.float64), tolerance="kernels")
    assert_as_accurate(sides, times=10, tolerance="functions that saturate")


@pytest.mark.parametrize(("dtype", "tiny"), [(torch.float32, 1e-41), (torch.float64, 1e-310)])
def test_denormals_are_numbers(dtype: torch.dtype, tiny: float) -> None:
    call = draw(cells.get("irnn"), Shape(time=5, batch=3, hidden=17), dtype)
    small = {n: (v * tiny).to(dtype).double() for n, v in call.leaves.items() if n not in ("W", "R")}
    call = replace(changed(call, **small), read=("output",))
    got, expected = (results(call, backend, dtype)["output"] for backend in ("llvm", "eager"))
    steps = torch.finfo(dtype).smallest_normal * torch.finfo(dtype).eps * 64
    assert float(got.abs().max()) > 0
    assert float((got - expected).abs().max()) <= steps
    assert float(torch.tensor([tiny], dtype=dtype) * 0.5) != 0  # nor does torch flush them now


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("nets", [0, 2, 9])
def test_states_at_minus_infinity(reverse: bool, nets: int) -> None:
    """The stabiliser of slstm begins there, also after a reset at every step and in rows of no steps."""
    shape = Shape(time=5, batch=3, nets=nets, lengths="some" * (nets < 9), resets=nets < 9, reverse=reverse)
    call = draw(cells.get("slstm"), shape)
    zeros = {n: 0 * v for n, v in call.leaves.items() if n[0] in "cn" and ("prev" in n or "reset" in n)}
    call = changed(call, **zeros)
    assert_right(replace(call, resets=None if call.resets is None else torch.ones_like(call.resets)))


def test_seventy_thousand_steps() -> None:
    """More than 16 bits count, in one call and in ten."""
    layer = carrousel.LSTM(3, 4, dtype=torch.float64, backend="llvm")
    x, weights = torch.randn(70_000, 1, 3, dtype=torch.float64), torch.randn(70_000, 1, 4, dtype=torch.float64)

    def found(calls: int) -> list[Tensor]:
        outputs, states = [], None
        for part in x.chunk(calls):
            output, states = layer(part, states)
            outputs.append(output)
        loss = (torch.cat(outputs) * weights).sum() + states[1].sum()
        return [torch.cat(outputs), *states, *torch.autograd.grad(loss, list(layer.parameters()))]

    for got, expected in zip(found(1), found(10), strict=True):
        scale = max(1.0, float(expected.detach().abs().max()))
        torch.testing.assert_close(got, expected, rtol=0, atol=TOLERANCES["float64"].atol * scale)
