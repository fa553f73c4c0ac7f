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
from calls import HERE, assert_as_accurate, errors, worst
from carrousel import backends, cells
from carrousel.backends.eager import groups
from carrousel.backends.llvm.target import VARIABLE
from carrousel.nn import operator
from tolerances import TOLERANCES

INPUT = 3
COMPILED = ("auto", *backends.before_reference())
OPTIONS = {
    "name": cells.names(),
    "backend": ("auto", "torch", *backends.names()),
    "isa": HERE,
    "dtype": (torch.float32, torch.float64, torch.bfloat16),
    "time": (1, 3, 17, 64),
    "batch": (1, 3, 17, 64),
    "hidden": (1, 3, 17, 64),
    "lengths": ("no", "some", "zero", "full"),
    "resets": (False, True),
    "bidirectional": (False, True),
    "nets": (0, 2, 9),
    "start": ("constant", "given", "learned"),
}
Case = dict
Results = dict[str, Tensor]


def possible(case: Case) -> bool:
    """Instruction sets and half precision are for what is compiled; torch's operator has its own cells, and no more."""
    if case["time"] * case["batch"] * max(case["nets"], 1) > 1200:  # the oracle is slow
        return False
    if case["backend"] not in COMPILED and (case["isa"] != HERE[0] or case["dtype"] == torch.bfloat16):
        return False
    own = operator.mode_of(cells.get(case["name"])) is not None
    more = case["resets"] or case["nets"] or case["lengths"] == "zero"
    return case["backend"] != "torch" or (own and not more)


def pairs_of(case: Case) -> set:
    """All pairs of options; for what is compiled every cell with every other option."""
    also = {("compiled", case["name"], item) for item in case.items()} if case["backend"] in COMPILED else set()
    return also | set(itertools.combinations(case.items(), 2))


def covering() -> list[Case]:
    """Few cases in which every possible pair of option values occurs."""
    draw = random.Random(1997)
    pool: list[Case] = []
    while len(pool) < 8000:
        case = {option: draw.choice(values) for option, values in OPTIONS.items()}
        pool += [case] if possible(case) else []
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
    assert len(cases) <= 600
    if metafunc.config.getoption("--all-agreements"):
        every = (dict(zip(OPTIONS, values, strict=True)) for values in itertools.product(*OPTIONS.values()))
        cases = [case for case in every if possible(case)]
    metafunc.parametrize("case", cases, ids=label)


# ---------------------------------------------------------------------- the call


def make(case: Case) -> carrousel.Recurrent:
    """A layer in float64 whose parameters are numbers of the case's type."""
    options = {"bidirectional": case["bidirectional"], "learn_initial_state": case["start"] == "learned"}
    if case["nets"]:
        layer = carrousel.Population(case["name"], case["nets"], INPUT, case["hidden"], **options)
    else:
        layer = carrousel.Recurrent(case["name"], INPUT, case["hidden"], **options)
    for name, parameter in layer.named_parameters():
        if name.startswith("initial_"):
            torch.nn.init.uniform_(parameter, 0.5, 1.5)
    return layer.to(case["dtype"]).double()


def arguments(case: Case, layer: carrousel.Recurrent) -> tuple[Results, Tensor | None, Tensor | None]:
    """Input (net, time, batch, input) and states (net, direction, batch, size); lengths; resets (net, time, batch)."""
    nets, time, batch, directions = max(case["nets"], 1), case["time"], case["batch"], 1 + case["bidirectional"]
    tensors = {"x": torch.randn(nets, time, batch, INPUT)}
    if case["start"] == "given":
        tensors |= {s: 0.5 + torch.rand(nets, directions, batch, case["hidden"]) for s in layer.cell.states}
    lengths = {"no": None, "zero": torch.zeros(nets, batch), "full": torch.full((nets, batch), time)}.get(
        case["lengths"], torch.randint(int(case["backend"] == "torch"), time + 1, (nets, batch))
    )
    resets = torch.rand(nets, time, batch) < 0.3 if case["resets"] else None
    tensors = {name: value.to(case["dtype"]).double() for name, value in tensors.items()}
    return tensors, None if lengths is None else lengths.long(), resets


def run(layer: carrousel.Recurrent, case: Case, given: Results, lengths, resets) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Call the layer and return output (net, time, batch, size) and states (net, direction, batch, size)."""

    def one(value: Tensor | None) -> Tensor | None:
        return value if value is None or case["nets"] else value[0]

    x, *states = (one(value) for value in given.values())
    output, after = layer(x, tuple(states) or None, lengths=one(lengths), resets=one(resets))
    after = after if isinstance(after, tuple) else (after,)
    return (output, after) if case["nets"] else (output[None], tuple(s[None] for s in after))


# ---------------------------------------------------------------------- the oracle


def walk(step, weights, x: Tensor, length: int, resets, reverse: bool, start: list[Tensor], fresh: list[Tensor]):
    """One row of one network in one direction: (time, input) -> (time, size), final states."""
    states, outputs = start, [torch.zeros_like(start[0][0])] * len(x)
    for t in reversed(range(length)) if reverse else range(length):
        boundary = t + 1 if reverse else t
        if resets is not None and boundary < length and resets[boundary]:
            states = fresh
        new = step(x[t][None], *states, **weights)
        states = list(new) if isinstance(new, tuple) else [new]
        outputs = [*outputs[:t], states[0][0], *outputs[t + 1 :]]
    return torch.stack(outputs), [s[0] for s in states]


def oracle(layer: carrousel.Recurrent, case: Case, given: Results, lengths, resets):
    x, *starts = given.values()
    nets, time, batch = x.shape[:3]
    outputs, finals = [], []
    for net in range(nets):
        rows = []
        for row, k in itertools.product(range(batch), range(1 + case["bidirectional"])):
            stacked = layer._stacked(0, bool(k))
            weights = groups(_gates(layer, {g: p[net] if case["nets"] else p for g, p in stacked.items()}))
            length = time if lengths is None else int(lengths[net, row])
            boundaries = None if resets is None else resets[net, :, row]
            fresh = _fresh(layer, case, net, k)
            start = [s[net, k, row][None] for s in starts] or fresh
            rows.append(walk(layer.cell.step(), weights, x[net, :, row], length, boundaries, bool(k), start, fresh))
        sides = [rows[k :: 1 + case["bidirectional"]] for k in range(1 + case["bidirectional"])]
        outputs.append(torch.cat([torch.stack([r[0] for r in side], 1) for side in sides], -1))
        finals.append(
            [torch.stack([torch.stack([r[1][s] for r in side]) for side in sides]) for s in range(len(rows[0][1]))]
        )
    return torch.stack(outputs), tuple(torch.stack(s) for s in zip(*finals, strict=True))


def _fresh(layer: carrousel.Recurrent, case: Case, net: int, k: int) -> list[Tensor]:
    """The states before the first step and after a reset."""
    states = []
    for state, value in layer.cell.initial.items():
        learned = getattr(layer, f"initial_{state}", None)
        constant = torch.full((1, case["hidden"]), value, dtype=torch.float64)
        states.append(constant if learned is None else (learned[net] if case["nets"] else learned)[k][None])
    return states


def _gates(layer: carrousel.Recurrent, stacked: dict[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """Cut stacked parameters into gates in their documented order."""
    return {
        group.name: dict(zip(group.gates, stacked[group.name].chunk(len(group.gates)), strict=True))
        for group in layer.cell.groups
    }


# ---------------------------------------------------------------------- the comparison


def results(function, layer: carrousel.Recurrent, case: Case, given: Results, lengths, resets) -> Results:
    """Output, states, and the gradients of all parameters and arguments for one fixed loss, in float64."""
    given = {name: value.detach().clone().requires_grad_() for name, value in given.items()}
    output, after = function(layer, case, given, lengths, resets)
    found = {"output": output, **dict(zip((f"final {s}" for s in layer.cell.states), after, strict=True))}
    finite = [v for name, v in found.items() if not math.isinf(layer.cell.initial.get(name.removeprefix("final "), 0))]
    weights = [torch.linspace(-1, 1, v.numel()).to(case["dtype"]).to(v.dtype).view_as(v) for v in finite]
    leaves = {**given, **dict(layer.named_parameters())}
    loss = sum((value * weight).sum() for value, weight in zip(finite, weights, strict=True))
    loss = loss + 0 * sum(leaf.sum() for leaf in leaves.values())  # rows of no steps read nothing
    gradients = torch.autograd.grad(loss, list(leaves.values()))
    found |= {f"gradient of {name}": gradient for name, gradient in zip(leaves, gradients, strict=True)}
    return {name: value.detach().double() for name, value in found.items()}


def compared(case: Case, seed: int) -> list[Results]:
    """What the oracle, the backend and, for float32, the reference get for numbers drawn anew."""
    torch.manual_seed(seed)
    layer = make(case)
    given, lengths, resets = arguments(case, layer)
    found = [results(oracle, layer, case, given, lengths, resets)]
    layer.to(case["dtype"])
    given = {name: value.to(case["dtype"]) for name, value in given.items()}
    for backend in (case["backend"], "eager"):
        layer.backend = backend
        found.append(results(run, layer, case, given, lengths, resets))
    return found


def test_agreement(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, case["isa"])
    if case["dtype"] == torch.float32 and case["backend"] in COMPILED:
        assert_as_accurate(lambda seed: compared(case, seed), 1.5, "as torch")  # DESIGN.md 8
        return
    truth, got, _ = compared(case, seed=0)
    for name, error in errors(got, truth).items():
        allowed = TOLERANCES[str(case["dtype"]).removeprefix("torch.")].atol
        assert worst({name: error}) <= allowed, f"{name}: {worst({name: error})}\n{got[name]}\n{truth[name]}"
