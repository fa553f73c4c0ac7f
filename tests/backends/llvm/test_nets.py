"""Networks in the lanes: a population is its networks, one by one."""

import pytest
import torch
from torch import Tensor

import carrousel
from carrousel.backends.llvm import nets
from carrousel.cell import Cell
from carrousel.cells import get
from carrousel.transforms import zoneout
from tolerances import TOLERANCES

ATOL = TOLERANCES["layers"].atol
TIME, INPUT = 3, 2
#: Networks, hidden units, batch: registers full, with a rest, several; both mappings' border.
SIZES = [(8, 1, 3), (17, 4, 1), (32, 12, 3), (17, 12, 1), (8, 4, 3), (32, 1, 1)]


class Run:
    """A population, drawn at random, and what its run in both directions takes, net by net.

    Attributes:
        layer: the population.
        leaves: name -> what has a gradient, with the net axis first.
        weights: the loss's derivatives by output, final states and traces.
    """

    def __init__(self, cell: Cell, count: int, hidden: int, batch: int, traced: tuple[str, ...] = ()) -> None:
        self.layer = carrousel.Population(cell, count, INPUT, hidden, bidirectional=True, backend="llvm").double()
        self.traced = traced

        def normal(*size: int) -> Tensor:
            return torch.randn(count, *size, dtype=torch.float64)

        self.leaves = {"x": normal(TIME, batch, INPUT)}
        self.leaves |= {state: normal(2, batch, hidden) for state in cell.states}
        steps = {name: normal(TIME, batch, hidden).sigmoid() for name in cell.definition.step_inputs}
        self.leaves |= steps
        self.steps = tuple(steps)
        self.weights = [normal(TIME, batch, 2 * hidden), *(normal(2, batch, hidden) for _ in cell.states)]
        self.weights += [normal(TIME, batch, hidden) for _ in 2 * traced]

    def of(self, layer: torch.nn.Module, net: int | slice, twice: bool = False) -> dict[str, Tensor]:
        """All results and gradients of a layer, on the numbers of one net or of all."""
        leaves = {name: value[net].clone().requires_grad_() for name, value in self.leaves.items()}
        states = tuple(leaves[s] for s in layer.cell.states)
        options = {"step_inputs": {name: leaves[name] for name in self.steps}} if self.steps else {}
        options |= {"return_trace": self.traced} if self.traced else {}
        output, finals, *traces = layer(leaves["x"], states if len(states) > 1 else states[0], **options)
        results = [output, *([finals] if isinstance(finals, Tensor) else finals)]
        results += [trace for of in traces for trace in of.values()]
        wanted = {**leaves, **dict(layer.named_parameters())}
        weights = [weight[net] for weight in self.weights]
        gradients = torch.autograd.grad(results, list(wanted.values()), weights, create_graph=twice)
        if twice:
            gradients = torch.autograd.grad(
                [(g**2).sum() for g in gradients], list(wanted.values()), allow_unused=True, materialize_grads=True
            )
        found = {f"result {k}": result for k, result in enumerate(results)}
        found |= {f"gradient of {name}": g for name, g in zip(wanted, gradients, strict=True)}
        return {name: value.detach() for name, value in found.items()}

    def assert_is_its_nets(self, in_lanes: bool, monkeypatch: pytest.MonkeyPatch) -> None:
        """Compare with the reference on every net alone; the lanes hold networks, or not."""
        chosen, suits = [], nets.suits

        def noted(*arguments) -> bool:
            chosen.append(suits(*arguments))
            return chosen[-1]

        monkeypatch.setattr("carrousel.backends.llvm.suits", noted)
        together = self.of(self.layer, slice(None))
        assert chosen == [in_lanes, in_lanes]  # both directions
        alone = []
        for k in range(len(self.layer)):
            net = self.layer.net(k)
            net.backend = "eager"
            alone.append(self.of(net, k))
        assert_close(together, {name: torch.stack([one[name] for one in alone]) for name in together})


def assert_close(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=0, atol=ATOL * max(1.0, float(value.abs().max())), msg=name)


# ---------------------------------------------------------------------- side by side and back


@pytest.mark.parametrize("count", [1, 7, 8, 9, 32])
@pytest.mark.parametrize("lanes", [2, 8, 16])
@pytest.mark.parametrize("time", [(), (3,)])
def test_spread_undoes_gather(count: int, lanes: int, time: tuple[int, ...]) -> None:
    tensor = torch.randn(*time, count, 2, 5)
    gathered = nets.gather(tensor, lanes)
    groups = -(-count // lanes)
    assert gathered.shape == (*time, groups, 2, 5 * lanes)
    assert torch.equal(nets.spread(gathered, count, lanes), tensor)
    for net in (0, count // 2, count - 1):  # lane l of group g is net g * lanes + l
        assert torch.equal(gathered[..., net // lanes, :, net % lanes :: lanes], tensor[..., net, :, :])
    missing = nets.spread(gathered, groups * lanes, lanes)[..., count:, :, :]
    assert not missing.any()


@pytest.mark.parametrize(("count", "hidden", "expected"), [(8, 12, True), (7, 12, False), (8, 13, False)])
def test_which_populations_fill_the_lanes(count: int, hidden: int, expected: bool) -> None:
    x, states = torch.zeros(5, count, 3, 2), [torch.zeros(count, 3, size) for size in (hidden, 2)]
    assert nets.suits(x, states) is expected
    assert not nets.suits(x[:, 0], [state[0] for state in states])


# ---------------------------------------------------------------------- populations


@pytest.mark.parametrize(("count", "hidden", "batch"), SIZES)
def test_population_is_its_nets(count: int, hidden: int, batch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    Run(get("lstm"), count, hidden, batch).assert_is_its_nets(True, monkeypatch)


@pytest.mark.parametrize(("count", "hidden"), [(7, 4), (8, 13)])
def test_population_with_units_in_the_lanes(count: int, hidden: int, monkeypatch: pytest.MonkeyPatch) -> None:
    Run(get("gru_2014"), count, hidden, 2).assert_is_its_nets(False, monkeypatch)


def test_traces_and_step_inputs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Quantities that come back, and inputs that go in, at every step: they change places with the networks too."""
    Run(zoneout(get("gru_2014"), "h"), 17, 4, 3, ("r", "a_z")).assert_is_its_nets(True, monkeypatch)


def test_differentiated_twice() -> None:
    """A gradient of the gradient comes from the reference, that reads networks one by one."""
    run = Run(zoneout(get("gru_2014"), "h"), 17, 4, 3, ("r", "a_z"))
    found = run.of(run.layer, slice(None), twice=True)
    run.layer.backend = "eager"
    assert_close(found, run.of(run.layer, slice(None), twice=True))


def test_one_bad_net_leaves_the_others_alone() -> None:
    """A net whose numbers are not finite shares registers with others, no more."""
    run = Run(get("lstm"), 17, 4, 3)
    right = run.of(run.layer, slice(None))
    with torch.no_grad():
        for parameter in run.layer.parameters():
            parameter[5] = float("nan")
    others = torch.arange(17) != 5
    for name, value in run.of(run.layer, slice(None)).items():
        assert value[5].isnan().all(), name
        assert torch.equal(value[others], right[name][others]), name
