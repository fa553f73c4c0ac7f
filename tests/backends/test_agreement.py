"""Every cell on every backend against one oracle, in every combination of the options that share a kernel.

The oracle knows no masks, no batch and no direction: it walks the steps of one row of one network in float64, cut to
its length and into pieces at its resets. Outputs, final states and all gradients must agree. A new cell or backend is
covered without a new test. `--all-agreements` runs the full product instead of a covering of all pairs.
"""

import itertools
import math
import random

import pytest
import torch
from torch import Tensor

import carrousel
from carrousel import backends, cells
from carrousel.backends.eager import groups
from carrousel.nn import operator
from tolerances import TOLERANCES

INPUT = 3
OPTIONS = {
    "name": cells.names(),
    "backend": ("auto", "torch", *backends.names()),
    "dtype": (torch.float32, torch.float64),
    "time": (1, 3, 17, 64),
    "batch": (1, 3, 17),
    "hidden": (1, 3, 17, 64),
    "lengths": (False, True),
    "resets": (False, True),
    "bidirectional": (False, True),
    "nets": (0, 2),
}
Case = dict


def possible(case: Case) -> bool:
    """torch's operator has its own cells only, and neither resets nor populations."""
    own = operator.mode_of(cells.get(case["name"])) is not None
    return case["backend"] != "torch" or (own and not case["resets"] and not case["nets"])


def pairs_of(case: Case) -> set:
    return set(itertools.combinations(case.items(), 2))


def covering() -> list[Case]:
    """Few cases in which every possible pair of option values occurs."""
    draw = random.Random(1997)
    everything = (dict(zip(OPTIONS, values, strict=True)) for values in itertools.product(*OPTIONS.values()))
    pool = draw.sample([case for case in everything if possible(case)], 6000)
    left = set().union(*map(pairs_of, pool))
    chosen: list[Case] = []
    while left:
        best = max(draw.sample(pool, 300), key=lambda case: len(left & pairs_of(case)))
        if left & pairs_of(best):
            chosen.append(best)
            left -= pairs_of(best)
    return chosen


def label(case: Case) -> str:
    return "-".join(str(v).removeprefix("torch.") for v in case.values())


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "case" not in metafunc.fixturenames:
        return
    cases = covering()
    if metafunc.config.getoption("--all-agreements"):
        every = (dict(zip(OPTIONS, values, strict=True)) for values in itertools.product(*OPTIONS.values()))
        cases = [case for case in every if possible(case)]
    assert len(cases) <= 600 or metafunc.config.getoption("--all-agreements")
    metafunc.parametrize("case", cases, ids=label)


# ---------------------------------------------------------------------- the call


def make(case: Case) -> carrousel.Recurrent:
    torch.manual_seed(case["time"] * 100 + case["hidden"])
    options = {"bidirectional": case["bidirectional"], "dtype": torch.float64, "backend": case["backend"]}
    if case["nets"]:
        return carrousel.Population(case["name"], case["nets"], INPUT, case["hidden"], **options)
    return carrousel.Recurrent(case["name"], INPUT, case["hidden"], **options)


def arguments(case: Case) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """Input (net, time, batch, input), lengths (net, batch), resets (net, time, batch)."""
    nets, time, batch = max(case["nets"], 1), case["time"], case["batch"]
    x = torch.randn(nets, time, batch, INPUT, dtype=torch.float64)
    lengths = torch.randint(0, time + 1, (nets, batch)) if case["lengths"] else None
    if lengths is not None:
        lengths[0, 0] = time
        if case["backend"] == "torch":
            lengths.clamp_(min=1)
    resets = torch.rand(nets, time, batch) < 0.3 if case["resets"] else None
    return x, lengths, resets


def run(layer: carrousel.Recurrent, case: Case, x: Tensor, lengths, resets):
    """Call the layer and return output (net, time, batch, size) and states (net, direction, batch, size)."""
    if case["nets"]:
        output, states = layer(x, lengths=lengths, resets=resets)
    else:
        one = lambda v: None if v is None else v[0]  # noqa: E731
        output, states = layer(x[0], lengths=one(lengths), resets=one(resets))
    states = states if isinstance(states, tuple) else (states,)
    return (output, states) if case["nets"] else (output[None], tuple(s[None] for s in states))


# ---------------------------------------------------------------------- the oracle


def walk(layer: carrousel.Recurrent, weights, x: Tensor, length: int, resets, reverse: bool):
    """One row of one network in one direction: (time, input) -> (time, size), final states."""
    cell = layer.cell
    fresh = [torch.full((1, layer.hidden_size), cell.initial[s], dtype=torch.float64) for s in cell.states]
    states, outputs = fresh, [torch.zeros(layer.hidden_size, dtype=torch.float64)] * len(x)
    for t in reversed(range(length)) if reverse else range(length):
        boundary = t + 1 if reverse else t
        if resets is not None and boundary < length and resets[boundary]:
            states = fresh
        new = cell.step()(x[t][None], *states, **weights)
        states = list(new) if isinstance(new, tuple) else [new]
        outputs = [*outputs[:t], states[0][0], *outputs[t + 1 :]]
    return torch.stack(outputs), [s[0] for s in states]


def oracle(layer: carrousel.Recurrent, case: Case, x: Tensor, lengths, resets):
    nets, time, batch = x.shape[:3]
    outputs, finals = [], []
    for net in range(nets):
        rows = []
        for row, reverse in itertools.product(range(batch), (False, True) if case["bidirectional"] else (False,)):
            stacked = layer._stacked(0, reverse)
            weights = groups(_gates(layer, {g: p[net] if case["nets"] else p for g, p in stacked.items()}))
            length = time if lengths is None else int(lengths[net, row])
            boundaries = None if resets is None else resets[net, :, row]
            rows.append(walk(layer, weights, x[net, :, row], length, boundaries, reverse))
        directions = 2 if case["bidirectional"] else 1
        sides = [rows[k::directions] for k in range(directions)]
        outputs.append(torch.cat([torch.stack([r[0] for r in side], 1) for side in sides], -1))
        finals.append(
            [torch.stack([torch.stack([r[1][s] for r in side]) for side in sides]) for s in range(len(rows[0][1]))]
        )
    return torch.stack(outputs), tuple(torch.stack(s) for s in zip(*finals, strict=True))


def _gates(layer: carrousel.Recurrent, stacked: dict[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """Cut stacked parameters into gates in their documented order."""
    return {
        group.name: dict(zip(group.gates, stacked[group.name].chunk(len(group.gates)), strict=True))
        for group in layer.cell.groups
    }


# ---------------------------------------------------------------------- the comparison


def results(function, layer, case, x, lengths, resets):
    """Output, states, and the gradients of all parameters and the input for one fixed loss."""
    x = x.clone().requires_grad_()
    layer.zero_grad()
    output, states = function(layer, case, x, lengths, resets)
    finite = [
        s for s, state in zip(states, layer.cell.states, strict=True) if not math.isinf(layer.cell.initial[state])
    ]
    loss = sum(
        (v.double() * torch.linspace(-1, 1, v.numel(), dtype=torch.float64).view_as(v)).sum() for v in (output, *finite)
    )
    loss.backward()
    gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in (x, *layer.parameters())]
    return [v.detach().double() for v in (output, *states, *gradients)]


def test_agreement(case: Case) -> None:
    layer = make(case)
    x, lengths, resets = arguments(case)
    expected = results(oracle, layer, case, x, lengths, resets)
    got = results(run, layer.to(case["dtype"]), case, x.to(case["dtype"]), lengths, resets)
    tolerance = TOLERANCES["float64" if case["dtype"] == torch.float64 else "float32"]
    for a, b in zip(got, expected, strict=True):
        scale = max(1.0, float(b[b.isfinite()].abs().max())) if b.isfinite().any() else 1.0
        torch.testing.assert_close(a, b, rtol=0, atol=tolerance.atol * scale)
