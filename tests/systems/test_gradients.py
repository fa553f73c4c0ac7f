"""What RTRL, BPTT and the Elman net do to their weights is what autograd says, for every wiring."""

from itertools import product

import pytest
import torch
from torch import Tensor

from carrousel.systems.bptt import BPTT
from carrousel.systems.elman import Elman
from carrousel.systems.rtrl import RTRL
from carrousel.systems.wiring import Wiring
from carrousel.tasks.sequences import Sequences
from systems.drawn import INPUTS, KINDS, OUTPUTS, Twin, drawn, targets, values, weights_of

SEEDS = (1, 2, 3)
RATE = 0.5

WIRINGS = [
    Wiring(INPUTS, hidden, OUTPUTS, fully, shortcuts, bias, initial=2.0, dtype=torch.float64)
    for hidden, fully, shortcuts, bias in [
        (2, True, True, False),
        (3, True, True, True),
        (1, False, True, False),
        (3, False, True, True),
        (4, False, False, False),
        (2, False, False, True),
    ]
]

every_wiring = pytest.mark.parametrize("wiring", WIRINGS, ids=lambda w: f"{w.hidden}-{w.fully_recurrent}-{w.bias}")
every_kind = pytest.mark.parametrize(("kind", "has_resets"), list(product(KINDS, (False, True))))


def assert_close(found: list[Tensor], expected: list[Tensor], within: float) -> None:
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, atol=within, rtol=0)


def changes(system: BPTT | RTRL, sequences: Sequences) -> tuple[list[Tensor], list[Tensor]]:
    """What one call of learn adds to the weights for a rate of 1, and what autograd says."""
    nets = system.start(SEEDS)
    before, expected = weights_of(nets), Twin(nets).descent(sequences)
    nets.learn(sequences)
    return [(after - w) / system.rate for after, w in zip(weights_of(nets), before, strict=True)], expected


@every_wiring
@every_kind
def test_bptt_is_the_gradient_of_the_sequence(wiring: Wiring, kind: str, has_resets: bool) -> None:
    assert_close(*changes(BPTT(wiring, RATE), drawn(kind, has_resets=has_resets)), 1e-12)


@every_wiring
@every_kind
def test_rtrl_with_frozen_weights_sums_up_to_bptt(wiring: Wiring, kind: str, has_resets: bool) -> None:
    assert_close(*changes(RTRL(wiring, RATE, online=False), drawn(kind, has_resets=has_resets)), 1e-10)


@every_wiring
def test_rtrl_on_line_is_bptt_where_the_only_target_is_the_last(wiring: Wiring) -> None:
    sequences = drawn("last", is_ragged=False)
    assert_close(*changes(RTRL(wiring, RATE), sequences), 1e-10)


def rtrl_by_its_formulas(twin: Twin, sequences: Sequences) -> None:
    """Change the twin's weights step by step, with p^k_ij as an array of the formula's letters, batch 1."""
    wiring = twin.wiring
    x, (target, told) = values(sequences), targets(sequences)
    W, units = twin.W.detach().mT.clone(), wiring.units  # (net, unit i, source j)
    h = twin.zeros(x)
    p = W.new_zeros(len(W), units, *W.shape[1:])
    for t in range(len(x)):
        z = torch.cat([x[t], h] + ([h.new_ones(*h.shape[:2], 1)] if wiring.bias else []), -1)[:, 0]
        twin.W = W.mT.clone().requires_grad_()
        h, y = (each.detach() for each in twin.step(x[t], h))
        miss = (told[t] * (target[t] - y))[:, 0]
        inner = torch.einsum("nkl,nlij->nkij", W[:, :, INPUTS : INPUTS + units], p)
        inner += torch.einsum("ki,nj->nkij", torch.eye(units, dtype=W.dtype), z)
        p = torch.einsum("nk,nkij->nkij", h[:, 0] * (1 - h[:, 0]), inner)
        if twin.V is None:
            e = torch.nn.functional.pad(miss, (0, wiring.hidden))
        else:
            V, delta = twin.V.detach(), miss * y[:, 0] * (1 - y[:, 0])
            first = INPUTS * wiring.shortcuts
            e = torch.einsum("njk,nk->nj", V[:, first : first + units], delta)
            seen = torch.cat([x[t][..., :first], h] + ([h.new_ones(*h.shape[:2], 1)] if wiring.bias else []), -1)
            twin.V = V + RATE * torch.einsum("nj,nk->njk", seen[:, 0], delta)
        W = W + RATE * torch.einsum("nk,nkij->nij", e, p)
    twin.W = W.mT


@every_wiring
@pytest.mark.parametrize("kind", KINDS)
def test_rtrl_on_line_follows_its_formulas(wiring: Wiring, kind: str) -> None:
    nets, sequences = RTRL(wiring, RATE).start(SEEDS), drawn(kind, batch=1)
    twin = Twin(nets)
    nets.learn(sequences)
    rtrl_by_its_formulas(twin, sequences)
    assert_close(weights_of(nets), twin.weights, 1e-12)


@every_wiring
@every_kind
def test_elman_takes_the_last_activations_as_inputs(wiring: Wiring, kind: str, has_resets: bool) -> None:
    nets, sequences = Elman(wiring, RATE).start(SEEDS), drawn(kind, has_resets=has_resets)
    twin = Twin(nets)
    nets.learn(sequences)
    x, (target, told) = values(sequences), targets(sequences)
    h = twin.zeros(x)
    for t in range(len(x)):
        if sequences.resets is not None:
            h = torch.where(sequences.resets[t].unsqueeze(-1), 0, h)
        h, y = twin.step(x[t], h.detach())
        loss = -(told[t] * (target[t] - y) ** 2).sum() / 2
        with torch.no_grad():
            for w, change in zip(twin.weights, torch.autograd.grad(loss, twin.weights), strict=True):
                w += RATE * change
    assert_close(weights_of(nets), [w.detach() for w in twin.weights], 1e-12)
