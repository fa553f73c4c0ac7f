"""When a trial is over: the stopping criteria of the 1997 paper, for many nets at once."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from carrousel.experiments.training import data_seed, for_all
from carrousel.experiments.trials import Draw, Nets
from carrousel.tasks.sequences import Sequences

__all__ = ["AllOfMany", "Recent", "TestSet", "largest_error"]


def largest_error(outputs: Tensor, sequences: Sequences) -> np.ndarray:
    """Return the largest absolute error of any output at each sequence's end: (net, batch)."""
    found: np.ndarray = (outputs - sequences.target).abs().amax(-1).numpy()
    return found


class Recent:
    """Count the errors among the most recent training sequences.

    Args:
        nets: how many nets there are.
        within: a sequence is processed correctly if no output errs by more.
        allowed: milestone -> how many of the recent sequences may be wrong; the first must allow the most.
        mean: the mean absolute error of the recent sequences must be below this; None for any.
        window: how many are recent.

    Source:
        Hochreiter & Schmidhuber (1997), sections 5.4 to 5.6: "average training error below 0.01 and the 2000 most
        recent sequences were processed correctly"; fewer than n_seq of them wrong.
    """

    def __init__(
        self,
        nets: int,
        within: float,
        allowed: dict[str, int] | None = None,
        mean: float | None = None,
        window: int = 2000,
    ) -> None:
        self.within, self.mean, self.window = within, mean, window
        allowed = {"solved": 0} if allowed is None else allowed
        self.milestones = tuple(allowed)
        self._allowed = np.array(list(allowed.values()))
        self._nets = np.arange(nets)
        self._wrong = np.ones((nets, window), dtype=bool)
        self._error = np.ones((nets, window))
        self._count = np.full(nets, window)
        self._sum = np.full(nets, float(window))
        self._place = np.zeros(nets, dtype=int)

    def begin(self, net: int, seed: int) -> None:
        """Count all sequences before the first as wrong."""
        self._wrong[net], self._error[net] = True, 1.0
        self._count[net], self._sum[net], self._place[net] = self.window, self.window, 0

    def see(self, outputs: Tensor, sequences: Sequences) -> None:
        """Let the sequence take the place of the oldest."""
        difference = (outputs - sequences.target).abs()[:, 0].numpy()
        wrong, error = difference.max(-1) > self.within, difference.mean(-1)
        at = self._nets, self._place
        self._count += wrong.astype(int) - self._wrong[at]
        self._sum += error - self._error[at]
        self._wrong[at], self._error[at] = wrong, error
        self._place = (self._place + 1) % self.window

    def test(self, nets: Nets) -> None:
        """Test nothing: the training sequences decide."""

    def met(self) -> np.ndarray:
        """How many milestones each net has met."""
        met = self._count[:, None] <= self._allowed
        if self.mean is not None:
            met &= (self._sum < self.mean * self.window)[:, None]
        return np.logical_and.accumulate(met, axis=1).sum(1)


class TestSet:
    """Test each net with its weights frozen on a set of random sequences, after every block of presentations.

    Args:
        nets: how many nets there are.
        draw: draws the test set, for each trial its own.
        wrong: (outputs, sequences) -> which sequences are misclassified, (net, batch).
        allowed: milestone -> (how many may be wrong, the mean absolute error must be below this).
        size: how many sequences there are.

    Source:
        Hochreiter & Schmidhuber (1997), section 5.3, ST1 and ST2.
    """

    __test__ = False  # it is no test of pytest

    def __init__(
        self,
        nets: int,
        draw: Draw,
        wrong: Callable[[Tensor, Sequences], np.ndarray],
        allowed: dict[str, tuple[int, float]],
        size: int = 256,
    ) -> None:
        self.milestones, self._allowed = tuple(allowed), list(allowed.values())
        self._draw, self._wrong, self._size = draw, wrong, size
        self._sets: list[Sequences | None] = [None] * nets
        self._met = np.zeros(nets, dtype=int)

    def begin(self, net: int, seed: int) -> None:
        """Draw the trial's test set."""
        self._sets[net] = self._draw(self._size, torch.Generator().manual_seed(data_seed(seed) + 1))
        self._met[net] = 0

    def see(self, outputs: Tensor, sequences: Sequences) -> None:
        """Look at nothing: the test set decides."""

    def test(self, nets: Nets) -> None:
        """Test all nets on their own sets."""
        sequences = side_by_side([s for s in self._sets if s is not None])
        outputs = nets.predict(sequences)
        wrong = self._wrong(outputs, sequences).sum(1)
        error = (outputs - sequences.target).abs().mean((1, 2)).numpy()
        for net in range(len(wrong)):
            while self._met[net] < len(self._allowed):
                most, mean = self._allowed[self._met[net]]
                if wrong[net] > most or not error[net] < mean:
                    break
                self._met[net] += 1

    def met(self) -> np.ndarray:
        """How many milestones each net has met."""
        return self._met
