"""Inputs per step and hidden unit (`<name>_t`): dropout masks of zoneout, time differences."""

import pytest
import torch
from torch import Tensor

import carrousel
from carrousel import cells
from carrousel.functions import exp, log, tanh
from carrousel.transforms import zoneout
from nn.twins import assert_same, ours, sequence

TIME, BATCH, INPUT, HIDDEN = 5, 3, 2, 4


@carrousel.cell
def elapsed(x, h_prev, gap_t, W, R, b):
    """Forget by the logarithm of the time that went by; undefined for a gap of 0."""
    z = tanh(W.z @ x + R.z @ h_prev + b.z)
    h = z + exp(-log(gap_t)) * h_prev / gap_t
    return h


def layer(cell: carrousel.Cell | str, **options: object) -> carrousel.Recurrent:
    torch.manual_seed(1)
    return carrousel.Recurrent(cell, INPUT, HIDDEN, dtype=torch.float64, **options)


def masks(value: float) -> dict[str, Tensor]:
    return {f"keep_{s}_t": torch.full((TIME, BATCH, HIDDEN), value, dtype=torch.float64) for s in ("h", "c")}


def test_zoneout_of_nothing_is_the_cell() -> None:
    plain, zoned = layer("lstm"), layer(zoneout(cells.get("lstm")))
    x = sequence(TIME, BATCH, INPUT)
    assert_same(zoned(x, step_inputs=masks(0.0)), plain(x))


def test_zoneout_of_everything_holds_the_states() -> None:
    zoned = layer(zoneout(cells.get("lstm")))
    hx = tuple(torch.rand(1, BATCH, HIDDEN, dtype=torch.float64) for _ in range(2))
    output, states = zoned(sequence(TIME, BATCH, INPUT), hx, step_inputs=masks(1.0))
    assert all(torch.equal(a, b) for a, b in zip(states, hx, strict=True))
    assert torch.equal(output, hx[0].expand(TIME, -1, -1))


def test_zoneout_mixes_as_the_paper_does() -> None:
    """Krueger et al. (2017): h = d h_prev + (1 - d) h_new, where h_new is of the step without zoneout."""
    zoned, plain = layer(zoneout(cells.get("gru"))), layer("gru")
    x, keep = sequence(TIME, BATCH, INPUT), torch.rand(TIME, BATCH, HIDDEN, dtype=torch.float64)
    h, outputs = torch.zeros(1, BATCH, HIDDEN, dtype=torch.float64), []
    for t in range(TIME):
        new = plain(x[t : t + 1], h)[1]
        h = keep[t] * h + (1 - keep[t]) * new
        outputs.append(h[0])
    assert_same(zoned(x, step_inputs={"keep_h_t": keep})[0], torch.stack(outputs))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 0.0])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_padding_of_step_inputs_changes_nothing(value: float, bidirectional: bool) -> None:
    made = layer(elapsed, bidirectional=bidirectional, num_layers=2)
    lengths = torch.tensor([5, 0, 3])
    padding = (torch.arange(TIME).unsqueeze(1) >= lengths).unsqueeze(-1)
    x = sequence(TIME, BATCH, INPUT)
    gaps = torch.rand(TIME, BATCH, HIDDEN, dtype=torch.float64) + 0.5
    found = []
    for filler in (value, 2.0):
        gap = gaps.masked_fill(padding, filler).requires_grad_()
        inputs = x.masked_fill(padding, filler).requires_grad_()
        output, state = made(inputs, lengths=lengths, step_inputs={"gap_t": gap})
        gradients = torch.autograd.grad(output.sin().sum() + state.sum(), [inputs, gap, *made.parameters()])
        found.append([output, state, *gradients])
    assert all(value.isfinite().all() for value in found[0])
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))
    assert not found[0][3].masked_select(padding).any()


def test_the_input_s_layout() -> None:
    made = layer(zoneout(cells.get("lstm")), bidirectional=True)
    x, keep = sequence(TIME, BATCH, INPUT), {k: torch.rand_like(v) for k, v in masks(0.0).items()}
    output, _ = made(x, step_inputs=keep)
    one = {name: value[:, 1] for name, value in keep.items()}
    assert_same(made(x[:, 1], step_inputs=one)[0], output[:, 1])
    made.batch_first = True
    across = {name: value.transpose(0, 1) for name, value in keep.items()}
    assert_same(made(x.transpose(0, 1), step_inputs=across)[0].transpose(0, 1), output)


def test_populations_have_them() -> None:
    torch.manual_seed(1)
    nets = carrousel.Population(elapsed, 2, INPUT, HIDDEN, dtype=torch.float64)
    x = sequence(2, TIME, BATCH, INPUT)
    gap = torch.rand(2, TIME, BATCH, HIDDEN, dtype=torch.float64) + 0.5
    output, state = nets(x, step_inputs={"gap_t": gap}, lengths=torch.tensor([[5, 0, 3], [1, 4, 2]]))
    for k, lengths in enumerate(([5, 0, 3], [1, 4, 2])):
        alone = nets.net(k)(x[k], step_inputs={"gap_t": gap[k]}, lengths=lengths)
        assert_same((output[k], state[k]), alone)


def test_drop_ins_have_them() -> None:
    made = ours("LSTM", INPUT, HIDDEN, cell=zoneout(cells.get("lstm"), "c"), dtype=torch.float64)
    plain = ours("LSTM", INPUT, HIDDEN, dtype=torch.float64)
    plain.load_state_dict({k: v for k, v in made.state_dict().items() if k != "gates"})
    x = sequence(TIME, BATCH, INPUT)
    assert_same(made(x, step_inputs={"keep_c_t": masks(0.0)["keep_c_t"]}), plain(x))
