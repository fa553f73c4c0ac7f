"""Stopping criteria, against counts by hand."""

from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor

from carrousel.experiments.criteria import AllRight, Below, Faultless, Grammar, Recent, TestSet
from carrousel.experiments.hochreiter_1997.setting import errors
from carrousel.experiments.streams import Unbroken
from carrousel.experiments.tables import tables
from carrousel.experiments.training import for_all
from carrousel.experiments.trials import Drawn, Row
from carrousel.tasks.reber import reber
from carrousel.tasks.sequences import Sequences


def presented(errors: Tensor) -> tuple[Tensor, Sequences]:
    """Outputs that err by so much: (net, output)."""
    target = torch.full((len(errors), 1, errors.shape[1]), 0.5)
    x = torch.zeros(1, len(errors), 1, 1)
    return target + errors.unsqueeze(1), Sequences(x, torch.ones(len(errors), 1, dtype=torch.long), target)


def test_recent_counts_the_window() -> None:
    generator = torch.Generator().manual_seed(0)
    criterion = Recent(3, within=0.1, allowed={"few": 4, "fewer": 2}, window=20)
    history: list[Tensor] = []
    for _ in range(200):
        errors = 0.105 * torch.rand(3, 2, generator=generator) * torch.tensor([[1.0], [-1.02], [0.9]])
        history.append(errors)
        criterion.see(*presented(errors))
        recent = torch.stack(history[-20:])
        wrong = (recent.abs().amax(-1) > 0.1).sum(0) + (20 - len(recent))
        expected = torch.where(wrong <= 2, 2, torch.where(wrong <= 4, 1, 0))
        assert criterion.met().tolist() == expected.tolist()
    assert {0, 1, 2} <= set(expected.tolist()) | {2, 1, 0}
    criterion.begin(2, None)
    assert criterion.met()[2] == 0


def test_recent_asks_for_the_mean_error_as_well() -> None:
    criterion = Recent(2, within=0.1, mean=0.05, window=10)
    for _ in range(10):
        criterion.see(*presented(torch.tensor([[0.04, 0.05], [0.04, 0.08]])))
    assert criterion.met().tolist() == [1, 0]


class Answers:
    """Nets that say what they are told to: one number for all sequences, or the target."""

    weights = 1

    def __init__(self, off: list[float]) -> None:
        self.off = torch.tensor(off)

    def __len__(self) -> int:
        return len(self.off)

    def predict(self, sequences: Sequences) -> Tensor:
        return sequences.target + self.off.view(-1, *[1] * (sequences.target.dim() - 1))


def draw(count: int, *, generator: torch.Generator) -> Sequences:
    target = torch.rand(count, 1, generator=generator)
    return Sequences(torch.zeros(1, count, 1), torch.ones(count, dtype=torch.long), target)


def wrong(outputs: Tensor, sequences: Sequences) -> np.ndarray:
    return ((outputs - sequences.target).abs().amax(-1) > 0.2).numpy()


def test_test_set() -> None:
    criterion = TestSet(3, wrong, {"ST1": (0, float("inf")), "ST2": (0, 0.01)}, size=16)
    for net in range(3):
        criterion.begin(net, Drawn(draw, net))
    criterion.test(Answers([0.3, 0.1, 0.005]))
    assert criterion.met().tolist() == [0, 1, 2]
    criterion.test(Answers([0.1, 0.3, 0.3]))  # what was met stays met
    assert criterion.met().tolist() == [1, 1, 2]
    criterion.begin(2, Drawn(draw, 9))
    assert criterion.met().tolist() == [1, 1, 0]


def test_faultless_tests_those_that_were_right() -> None:
    criterion = Faultless(3, wrong, size=40, piece=10, recent=5)
    for net in range(3):
        criterion.begin(net, Drawn(draw, net))
    for _ in range(5):
        criterion.see(*presented(torch.tensor([[0.1], [0.1], [0.3]])))
    criterion.test(Answers([0.0, 0.3, 0.0]))
    assert criterion.met().tolist() == [1, 0, 0]  # the second fails the test, the third is not tested
    criterion.test(Answers([0.0, 0.0, 0.0]))
    assert criterion.met().tolist() == [1, 0, 0]  # the second has to be right anew
    for _ in range(5):
        criterion.see(*presented(torch.tensor([[0.3], [0.1], [0.1]])))
    criterion.test(Answers([0.0, 0.0, 0.0]))
    assert criterion.met().tolist() == [1, 1, 1]


def test_faultless_sees_one_fault_among_many() -> None:
    class OnceWrong(Answers):
        tested = 0

        def predict(self, sequences: Sequences) -> Tensor:
            y = super().predict(sequences)
            if self.tested == 3:
                y[0, 7] += 1
            self.tested += 1
            return y

    criterion = Faultless(2, wrong, size=40, piece=10, recent=1)
    for net in range(2):
        criterion.begin(net, Drawn(draw, net))
    criterion.see(*presented(torch.zeros(2, 1)))
    nets = OnceWrong([0.0, 0.0])
    criterion.test(nets)
    assert criterion.met().tolist() == [0, 1]
    assert nets.tested == 4


def test_grammar_wants_every_legal_symbol_above_every_other() -> None:
    class Strings:
        def training(self, count: int) -> Sequences:
            raise AssertionError

        def test(self, count: int) -> Sequences:
            return reber(count, generator=torch.Generator().manual_seed(count))

    class Knowing(Answers):
        def predict(self, sequences: Sequences) -> Tensor:
            y = sequences.allowed.float() * 0.1 + 0.3
            for net, off in enumerate(self.off):
                y[4, net, 11, sequences.x[4, net, 11]] += off  # at one place of one string
            y[sequences.target < 0] = 0.7  # behind the end nobody looks
            return y

    criterion = Grammar(3, size=20)
    for net in range(3):
        criterion.begin(net, Strings())
    criterion.test(Knowing([0.0, 0.05, -0.2]))
    few = reber(40, generator=torch.Generator().manual_seed(40))
    is_legal = bool(few.allowed[4, 11, few.x[4, 11]])
    assert criterion.met().tolist() == ([1, 1, 0] if is_legal else [1, 1, 1])
    criterion.begin(0, Strings())
    criterion.test(Knowing([0.2 if not is_legal else -0.2, 0.0, 0.0]))
    assert criterion.met()[0] == 0


def test_all_right_looks_at_every_sequence_of_a_batch() -> None:
    criterion = AllRight(2, within=0.2)
    x = torch.zeros(1, 2, 3, 1)
    sequences = Sequences(x, torch.ones(2, 3, dtype=torch.long), torch.zeros(2, 3, 1))
    outputs = torch.tensor([[0.1, -0.1, 0.15], [0.1, 0.1, -0.2]]).unsqueeze(-1)
    criterion.see(outputs, sequences)
    assert criterion.met().tolist() == [1, 0]
    criterion.begin(0, None)
    assert criterion.met().tolist() == [0, 0]


def test_below_tests_what_is_measured() -> None:
    def measure(outputs: Tensor, sequences: Sequences) -> dict[str, np.ndarray]:
        difference = (outputs - sequences.target).abs().mean((1, 2)).numpy()
        return {"error": difference, "its tenth": difference / 10}

    criterion = Below(3, measure, {"error": 0.2, "its tenth": 0.005}, size=8)
    for net in range(3):
        criterion.begin(net, Drawn(draw, net))
    criterion.test(Answers([0.3, 0.1, 0.04]))
    assert criterion.met().tolist() == [0, 0, 1]
    criterion.test(Answers([0.01, 0.1, 0.4]))  # what was met stays met
    assert criterion.met().tolist() == [1, 0, 1]
    criterion.begin(2, Drawn(draw, 9))
    assert criterion.met().tolist() == [1, 0, 0]


def judges(row: Row) -> bool:
    """Whether the row's criterion is told what is wrong."""
    return isinstance(row.criterion, partial) and "wrong" in row.criterion.keywords


NAN = float("nan")
ROWS = {row.key: row for table in tables().values() for row in table.rows if not row.needs}
KINDS = {(row.criterion.func, str(row.criterion.keywords["wrong"])): key for key, row in ROWS.items() if judges(row)}


@pytest.mark.parametrize("key", sorted(KINDS.values()))
def test_what_is_no_number_is_wrong(key: str) -> None:
    row = ROWS[key]
    wrong = row.criterion.keywords["wrong"]
    if row.criterion.func is Unbroken:
        drawn = row.data(0).test(200)
        target = drawn.target if drawn.target.is_floating_point() else drawn.target[drawn.target >= 0]
        size = target.shape[-1] if target.is_floating_point() else 8
        assert wrong(torch.full((*target.shape[: target.dim() - target.is_floating_point()], size), NAN), target).all()
        return
    drawn = for_all(row.data(0).test(2), 2)
    outputs = row.start([0, 1]).predict(drawn)
    assert wrong(outputs * NAN, drawn).all()


def test_nets_that_have_gone_astray_do_not_succeed() -> None:
    recent = Recent(2, within=0.1, window=10)
    for _ in range(10):
        recent.see(*presented(torch.tensor([[0.04, 0.05], [0.04, NAN]])))
    assert recent.met().tolist() == [1, 0]
    measured = errors(0.1)(torch.full((2, 5, 1), NAN), Sequences(torch.zeros(1), torch.ones(2), torch.zeros(2, 5, 1)))
    assert measured["wrong"].tolist() == [1, 1]
    whole = Answers([0.0, NAN])
    tested = TestSet(2, lambda y, s: ~((y - s.target).abs().amax(-1) < 0.2).numpy(), {"ST": (0, 0.1)}, size=10)
    below = Below(2, errors(0.1), {"wrong": 0.5}, size=10)
    for criterion in (tested, below):
        for net in range(2):
            criterion.begin(net, Drawn(draw, net))
        criterion.test(whole)
        assert criterion.met().tolist() == [1, 0]
