"""The truncated gradient, against the paper's own recursions written out step by step, in floats and loops."""

import math

import pytest
import torch
from torch import Tensor

from carrousel.experiments.hochreiter_1997.setting import lstm
from carrousel.systems.network import Network
from carrousel.systems.real_time import RealTime
from carrousel.systems.sweep import Sweep
from carrousel.systems.through_time import ThroughTime
from carrousel.tasks.sequences import Sequences

BLOCKS, SIZE, INPUTS, OUTPUTS, TIME = 3, 2, 3, 2, 9


def f(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def g(x: float) -> float:
    return 4 * f(x) - 2


def h(x: float) -> float:
    return 2 * f(x) - 1


class Written:
    """One net of the paper: equations (3)-(9) forward, (19)-(28) for the changes; z is what every hidden unit sees."""

    def __init__(self, network: Network, w: Tensor) -> None:
        part = {name: network.part(w.unsqueeze(0), name)[0].tolist() for name in network.places}
        cells, gates = BLOCKS * SIZE, 2 * BLOCKS
        rows = [
            [*part["W"][r], *part["R"][r], *part["S"][r], *part["U"][r], part["b"][r]] for r in range(gates + cells)
        ]
        self.w_in, self.w_out, self.w_c = rows[:BLOCKS], rows[BLOCKS:gates], rows[gates:]
        self.w_k = [[*part["output"][k], part["output bias"][k]] for k in range(OUTPUTS)]
        self.width = INPUTS + cells + 2 * BLOCKS + 1
        self.y_in, self.y_out, self.y_c = [0.0] * BLOCKS, [0.0] * BLOCKS, [0.0] * cells
        self.s = [0.0] * cells
        self.ds_in = [[0.0] * self.width for _ in range(cells)]
        self.ds_c = [[0.0] * self.width for _ in range(cells)]
        self.change = {
            name: torch.zeros(len(m), len(m[0]), dtype=torch.float64) for name, m in self._matrices().items()
        }

    def _matrices(self) -> dict[str, list[list[float]]]:
        return {"in": self.w_in, "out": self.w_out, "c": self.w_c, "k": self.w_k}

    def step(self, x: list[float], target: list[float] | None) -> list[float]:
        z = [*x, *self.y_c, *self.y_in, *self.y_out, 1.0]
        net = {
            name: [sum(w * v for w, v in zip(row, z, strict=True)) for row in m]
            for name, m in self._matrices().items()
            if name != "k"
        }
        self.y_in, self.y_out = [f(v) for v in net["in"]], [f(v) for v in net["out"]]
        for v in range(BLOCKS * SIZE):
            j = v // SIZE
            self.s[v] += self.y_in[j] * g(net["c"][v])
            slope = f(net["c"][v]) * (1 - f(net["c"][v])) * 4
            for m, value in enumerate(z):
                self.ds_in[v][m] += g(net["c"][v]) * self.y_in[j] * (1 - self.y_in[j]) * value  # (25)
                self.ds_c[v][m] += slope * self.y_in[j] * value  # (27)
        self.y_c = [self.y_out[v // SIZE] * h(s) for v, s in enumerate(self.s)]
        y = [f(sum(w * v for w, v in zip(row, [*self.y_c, 1.0], strict=True))) for row in self.w_k]
        if target is not None:
            self._learn(z, y, target)
        return y

    def _learn(self, z: list[float], y: list[float], target: list[float]) -> None:
        e_k = [v * (1 - v) * (t - v) for v, t in zip(y, target, strict=True)]  # (19)
        for k, e in enumerate(e_k):
            for m, value in enumerate([*self.y_c, 1.0]):
                self.change["k"][k, m] += e * value  # (22)
        for v in range(BLOCKS * SIZE):
            j, back = v // SIZE, sum(self.w_k[k][v] * e for k, e in enumerate(e_k))
            e_out = self.y_out[j] * (1 - self.y_out[j]) * h(self.s[v]) * back  # (21), a summand
            e_s = self.y_out[j] * 2 * f(self.s[v]) * (1 - f(self.s[v])) * back  # (23)
            for m, value in enumerate(z):
                self.change["out"][j, m] += e_out * value  # (22)
                self.change["in"][j, m] += e_s * self.ds_in[v][m]  # (26)
                self.change["c"][v, m] += e_s * self.ds_c[v][m]  # (28)

    def row(self, network: Network) -> Tensor:
        """The changes in the places of a row of weights."""
        found = torch.zeros(1, network.weights, dtype=torch.float64)
        hidden = torch.cat([self.change["in"], self.change["out"], self.change["c"]])
        start = 0
        for name, columns in (("W", INPUTS), ("R", BLOCKS * SIZE), ("S", BLOCKS), ("U", BLOCKS)):
            network.part(found, name)[0] = hidden[:, start : start + columns]
            start += columns
        network.part(found, "b")[0] = hidden[:, start]
        network.part(found, "output")[0] = self.change["k"][:, :-1]
        network.part(found, "output bias")[0] = self.change["k"][:, -1]
        return found[0]


def nets(**options) -> ThroughTime | RealTime:
    made = lstm(INPUTS, OUTPUTS, BLOCKS, SIZE, 1.0, scale=0.8, **options)([3, 4])
    kind = type(made)
    return kind(made.network, [3, 4], 1.0, dtype=torch.float64)


def sequences(per_step: bool) -> Sequences:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(TIME, 2, 1, INPUTS, dtype=torch.float64, generator=generator)
    shape = (TIME, 2, 1, OUTPUTS) if per_step else (2, 1, OUTPUTS)
    target = torch.rand(shape, dtype=torch.float64, generator=generator)
    return Sequences(x, torch.full((2, 1), TIME), target)


@pytest.mark.parametrize("per_step", [False, True])
def test_change_of_a_sequence_is_that_of_the_papers_recursions(per_step: bool) -> None:
    learner, drawn = nets(), sequences(per_step)
    before = learner.w.clone()
    y = learner.learn(drawn)
    for net in range(2):
        written = Written(learner.network, before[net])
        for t in range(TIME):
            target = drawn.target[t, net, 0] if per_step else drawn.target[net, 0] if t == TIME - 1 else None
            said = written.step(drawn.x[t, net, 0].tolist(), None if target is None else target.tolist())
            if target is not None:
                torch.testing.assert_close(y[t, net, 0] if per_step else y[net, 0], torch.tensor(said).double())
        torch.testing.assert_close(learner.w[net] - before[net], written.row(learner.network), atol=1e-10, rtol=0)


def test_first_change_in_real_time_is_that_of_the_papers_recursions() -> None:
    """Later steps see other weights."""
    learner, drawn = nets(every_step=True), sequences(True)
    quiet = drawn.target.clone()
    before = learner.w.clone()
    for t in range(TIME - 1):  # nothing is to be learned before the last step
        quiet[t] = learner.predict(drawn)[t]
    learner.learn(drawn._replace(target=quiet))
    for net in range(2):
        written = Written(learner.network, before[net])
        for t in range(TIME):
            written.step(drawn.x[t, net, 0].tolist(), drawn.target[t, net, 0].tolist() if t == TIME - 1 else None)
        torch.testing.assert_close(learner.w[net] - before[net], written.row(learner.network), atol=1e-10, rtol=0)


def test_full_gradient_is_another_one() -> None:
    drawn = sequences(False)
    changes = []
    for full in (False, True):
        learner = nets(full_gradient=full)
        before = learner.w.clone()
        learner.learn(drawn)
        changes.append(learner.w - before)
    assert (changes[0] - changes[1]).abs().max() > 1e-3


def test_memory_of_a_sweep_is_its_own() -> None:
    """A second population does not write into the first one's memory."""
    network = nets().network
    one, other = Sweep(network, 2, torch.float64), Sweep(network, 2, torch.float64)
    drawn = sequences(False)
    w = torch.stack([network.draw(torch.Generator().manual_seed(k), torch.float64) for k in range(2)])
    first = one.forward(w, drawn.x, keep=True)
    kept = first.clone()
    other.forward(w, 2 * drawn.x, keep=True)
    assert torch.equal(first, kept)
