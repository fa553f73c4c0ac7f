"""What lengths, padding and resets mean, for any cell, any depth, both directions."""

import dataclasses
import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

import carrousel
from carrousel.functions import mean, sqrt, tanh
from nn.drawn import Call, as_tuple, calls, few, gradients, run
from nn.twins import assert_same
from tolerances import TOLERANCES

# ---------------------------------------------------------------------- the oracle: pieces, run one by one


def by_pieces(call: Call) -> list[Tensor]:
    """Each row alone, cut to its length and at its boundaries; every piece begins anew but for the given states."""
    time, batch = call.resets.shape
    outputs, finals = [], []
    for row in range(batch):
        length = int(call.lengths[row])
        given = [s[:, row : row + 1] for s in (call.hx or call.fresh(batch))]
        fresh = call.fresh(1)
        cuts = [0, *(t for t in range(1, length) if call.resets[t, row]), length]
        begins_anew = length > 0 and bool(call.resets[0, row])
        output, final = [], given
        spans = list(itertools.pairwise(cuts)) if length else []
        for k, (start, stop) in enumerate(spans):
            is_first, is_last = k == 0, k == len(spans) - 1
            ahead = given if is_first and not begins_anew else fresh
            back = given if is_last else fresh
            hx = merged(call, ahead, back)
            piece, after = call.layer(call.x[start:stop, row : row + 1], hx if len(hx) > 1 else hx[0])
            output.append(piece)
            final = merged(call, as_tuple(after) if is_last else final, as_tuple(after) if is_first else final)
        size = call.layer._layout.output_size * (2 if call.layer.bidirectional else 1)
        padding = torch.zeros(time - length, 1, size, dtype=torch.float64)
        outputs.append(torch.cat([*output, padding]))
        finals.append(final)
    return [torch.cat(outputs, dim=1), *(torch.cat(states, dim=1) for states in zip(*finals, strict=True))]


def merged(call: Call, ahead, back) -> tuple[Tensor, ...]:
    """States whose forward directions are of one source, and whose reverse directions are of the other."""
    if not call.layer.bidirectional:
        return tuple(ahead)
    is_reverse = (torch.arange(call.depth) % 2 == 1).view(-1, 1, 1)
    return tuple(torch.where(is_reverse, b, a) for a, b in zip(ahead, back, strict=True))


@few
@given(calls(batch=2) | calls(batch=1))
def test_a_row_is_its_pieces(call: Call) -> None:
    results, expected = run(call), by_pieces(call)
    assert_same(results, expected)
    assert_same(gradients(results, call.leaves()), gradients(expected, call.leaves()))


# ---------------------------------------------------------------------- padding


@few
@given(calls(), st.sampled_from([float("nan"), float("inf"), float("-inf"), 1e300]))
def test_padding_changes_nothing(call: Call, value: float) -> None:
    padding = torch.arange(len(call.x)).unsqueeze(1) >= call.lengths
    filled = dataclasses.replace(
        call, x=call.x.detach().clone().masked_fill_(padding.unsqueeze(-1), value).requires_grad_()
    )
    zeros = dataclasses.replace(
        call, x=call.x.detach().clone().masked_fill_(padding.unsqueeze(-1), 0.0).requires_grad_()
    )
    results, expected = run(filled), run(zeros)
    assert all(torch.equal(a, b) for a, b in zip(results, expected, strict=True))
    found, same = gradients(results, filled.leaves()), gradients(expected, zeros.leaves())
    assert all(g.isfinite().all() for g in found)
    assert all(torch.equal(a, b) for a, b in zip(found, same, strict=True))
    assert not found[0][padding].any()
    assert not results[0][padding].any()


@few
@given(calls())
def test_resets_in_the_padding_are_ignored(call: Call) -> None:
    inside = torch.arange(len(call.x)).unsqueeze(1) < call.lengths
    assert all(torch.equal(a, b) for a, b in zip(run(call), run(call, resets=call.resets & inside), strict=True))
    everywhere = run(call, resets=call.resets | ~inside)
    assert all(torch.equal(a, b) for a, b in zip(run(call), everywhere, strict=True))


@few
@given(calls())
def test_full_lengths_and_no_resets_are_no_arguments(call: Call) -> None:
    full = torch.full_like(call.lengths, len(call.x))
    plain = run(call, lengths=None, resets=None)
    assert_same(run(call, lengths=full, resets=torch.zeros_like(call.resets)), plain)


@few
@given(calls(time=0) | calls(batch=0))
def test_nothing_to_read_returns_the_given_states(call: Call) -> None:
    output, *states = run(call)
    assert output.shape[:2] == call.x.shape[:2]
    assert output.numel() == 0
    expected = call.hx or call.fresh(call.x.shape[1])
    assert all(torch.equal(a, b) for a, b in zip(states, expected, strict=True))


@few
@given(calls())
def test_length_0_returns_the_given_states(call: Call) -> None:
    output, *states = run(call, lengths=torch.zeros_like(call.lengths))
    expected = call.hx or call.fresh(call.x.shape[1])
    assert all(torch.equal(a, b) for a, b in zip(states, expected, strict=True))
    assert not output.any()


# ---------------------------------------------------------------------- rows of a batch


@few
@given(calls(batch=3), st.integers(0, 2), st.sampled_from([float("nan"), float("inf"), 1e200]))
def test_a_row_does_not_touch_its_neighbours(call: Call, row: int, value: float) -> None:
    others = [k for k in range(3) if k != row]
    x = call.x.detach().clone()
    x[:, row] = value
    spoilt = dataclasses.replace(call, x=x.requires_grad_())
    if call.hx is not None:
        hx = [s.detach().clone() for s in call.hx]
        for state in hx:
            state[:, row] = value
        spoilt.hx = tuple(s.requires_grad_() for s in hx)
    results, expected = run(spoilt), run(call)
    for mine, other in zip(results, expected, strict=True):
        assert torch.equal(mine[:, others], other[:, others])
    inputs = [spoilt.x, *(spoilt.hx or ())]
    found = gradients([r[:, others] for r in results], inputs)
    same = gradients([r[:, others] for r in expected], [call.x, *(call.hx or ())])
    for mine, other in zip(found, same, strict=True):
        assert torch.equal(mine[:, others], other[:, others])


@few
@given(calls(batch=3), st.sampled_from([float("nan"), float("inf")]))
def test_states_of_a_row_without_steps_reach_no_gradient(call: Call, value: float) -> None:
    lengths = call.lengths.clone()
    lengths[1] = 0
    hx = [torch.rand(call.depth, 3, f.shape[-1], dtype=torch.float64) for f in call.fresh(3)]
    found = []
    for fill in (value, 0.0):
        for state in hx:
            state[:, 1] = fill
        results = run(dataclasses.replace(call, hx=tuple(s.clone() for s in hx), lengths=lengths))
        held = torch.full((), fill, dtype=torch.float64)
        assert all(torch.isclose(s[:, 1], held, equal_nan=True).all() for s in results[1:])
        found.append(gradients([r[:, ::2] for r in results], [call.x, *call.layer.parameters()]))
    assert all(g.isfinite().all() for g in found[0])
    assert_same(found[0], found[1])


@carrousel.cell
def normalised(x, h_prev, W, R):
    """A step that has no derivative where the units are all the same, as they are at zero."""
    a = W.a @ x + R.a @ h_prev
    d = a - mean(a)
    h = tanh(d / sqrt(mean(d * d)))
    return h


@carrousel.cell
def absolute(x, h_prev, W):
    """A step that has no derivative at x = 0."""
    s = W.a @ x
    h = 0.5 * h_prev + sqrt(s * s)
    return h


@pytest.mark.parametrize("cell", [normalised, absolute], ids=lambda cell: cell.name)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_padding_of_a_step_without_a_derivative_at_zero(cell: carrousel.Cell, bidirectional: bool) -> None:
    torch.manual_seed(2)
    layer = carrousel.Recurrent(cell, 3, 4, bidirectional=bidirectional, dtype=torch.float64)
    x, lengths = torch.randn(5, 3, 3, dtype=torch.float64), [5, 3, 0]
    output, _ = layer(x, lengths=lengths)
    output.square().sum().backward()
    padded = [p.grad.clone() for p in layer.parameters()]
    layer.zero_grad()
    for row, length in enumerate(lengths[:2]):
        alone, _ = layer(x[:length, row])
        alone.square().sum().backward()  # the gradients of all rows add up
    for got, parameter in zip(padded, layer.parameters(), strict=True):
        torch.testing.assert_close(got, parameter.grad, rtol=0, atol=TOLERANCES["layers"].atol * 10)
