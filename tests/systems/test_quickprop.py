"""Quickprop's four cases, and how patience runs out."""

import pytest
import torch

from carrousel.systems.patience import Patience
from carrousel.systems.quickprop import quickprop

GROWTH, RATE = 1.75, 0.1


@pytest.mark.parametrize(
    ("slope", "last_slope", "last_step", "expected"),
    [
        (2.0, 0.0, 0.0, -0.2),  # stood still: gradient descent
        (-1.0, -4.0, 0.3, 0.3 / 3 + 0.1),  # parabola, and descent while the slope goes on
        (1.0, 4.0, -0.3, -0.3 / 3 - 0.1),  # the same the other way
        (-3.9, -4.0, 0.3, 0.3 * 1.75 + 0.39),  # the slope has hardly fallen: limit
        (-5.0, -4.0, 0.3, 0.3 * 1.75 + 0.5),  # it has risen: limit
        (2.0, -4.0, 0.3, -0.3 / 3),  # beyond the bottom: back, no descent
        (0.0, 0.0, 0.0, 0.0),
    ],
)
def test_steps(slope: float, last_slope: float, last_step: float, expected: float) -> None:
    found = quickprop(*(torch.tensor([v]) for v in (slope, last_slope, last_step)), growth=GROWTH, rate=RATE)
    torch.testing.assert_close(found, torch.tensor([expected]))


def test_a_parabola_is_solved_by_one_jump() -> None:
    bottom = torch.tensor([1.0, -2.0, 0.5])
    w, step = torch.zeros(3), torch.tensor([0.4, -0.7, 0.3])
    last, slope = 3 * (w - bottom), 3 * (w + step - bottom)
    w = w + step + quickprop(slope, last, step, growth=5.0, rate=0.0)
    torch.testing.assert_close(w, bottom)


def test_patience_runs_out_without_progress() -> None:
    patience, nets = Patience(3, epochs=2, longest=100), torch.tensor([0, 2])
    scores = [(-1.0, -1.0), (-0.99, -0.5), (-0.98, -0.25), (-0.9, -0.24), (-0.9, -0.24)]
    spent = [patience.spent(nets, torch.tensor(score), change=0.05).tolist() for score in scores]
    assert spent == [[False, False], [False, False], [True, False], [False, False], [False, True]]
    patience.renew(torch.tensor([2]))
    assert patience.spent(nets, torch.tensor([-0.9, -5.0]), change=0.05).tolist() == [True, False]


def test_a_phase_has_a_longest_time() -> None:
    patience, nets = Patience(1, epochs=100, longest=3), torch.tensor([0])
    assert [bool(patience.spent(nets, torch.tensor([float(n)]), 0.0)) for n in range(3)] == [False, False, True]
