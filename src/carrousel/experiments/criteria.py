"""When a trial is over: the stopping criteria of the 1997 paper, for many nets at once."""

from collections.abc import Callable, Mapping
from functools import cached_property

import numpy as np
from torch import Tensor

from carrousel.experiments.training import side_by_side
from carrousel.experiments.trials import Data, Nets
from carrousel.tasks.sequences import Sequences

__all__ = ["AllRight", "Below", "Faultless", "Grammar", "Recent", "TestSet"]

#: Strings that `Grammar` looks at before it looks at all.
FEW = 16


class AllRight:
    """All sequences that were presented together are right.

    Args:
        nets: how many nets there are.
        within: a sequence is right if no output errs by as much.

    Source:
        Schmidhuber, Hochreiter & Bengio (2001), Evaluating benchmark problems by random guessing.
    """

    milestones = ("solved",)

    def __init__(self, nets: int, within: float) -> None:
        self._within, self._met = within, np.zeros(nets, dtype=int)

    def begin(self, net: int, data: Data) -> None:
        """Forget the net that was here."""
        self._met[net] = 0

    def see(self, outputs: Tensor, sequences: Sequences) -> None:
        """Look whether all are right."""
        self._met |= ((outputs - sequences.target).abs() < self._within).flatten(1).all(1).numpy()

    def test(self, nets: Nets) -> None:
        """Test nothing: the training sequences decide."""

    def met(self) -> np.ndarray:
        """How many milestones each net has met."""
        return self._met


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

    def begin(self, net: int, data: Data) -> None:
        """Count all sequences before the first as wrong."""
        self._wrong[net], self._error[net] = True, 1.0
        self._count[net], self._sum[net], self._place[net] = self.window, self.window, 0

    def see(self, outputs: Tensor, sequences: Sequences) -> None:
        """Let the sequence take the place of the oldest."""
        difference = (outputs - sequences.target).abs()[:, 0].numpy()
        wrong, error = ~(difference.max(-1) <= self.within), difference.mean(-1)  # not a number is wrong
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
        count: np.ndarray = np.logical_and.accumulate(met, axis=1).sum(1)
        return count


class TestSet:
    """Test each net with its weights frozen on a set of random sequences, after every block of presentations.

    Args:
        nets: how many nets there are.
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
        wrong: Callable[[Tensor, Sequences], np.ndarray],
        allowed: dict[str, tuple[int, float]],
        size: int = 256,
    ) -> None:
        self.milestones, self._allowed = tuple(allowed), list(allowed.values())
        self._wrong, self._size = wrong, size
        self._sets: list[Sequences | None] = [None] * nets
        self._met = np.zeros(nets, dtype=int)

    def begin(self, net: int, data: Data) -> None:
        """Draw the trial's test set."""
        self._sets[net] = data.test(self._size)
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


class Below:
    """Test each net with its weights frozen on a set of its own; what is measured there must fall below a bound.

    Args:
        nets: how many nets there are.
        measure: (outputs, sequences) -> name -> its value for each net, (net,).
        bound: name -> what it must be below.
        size: how many sequences there are.
    """

    milestones = ("solved",)

    def __init__(
        self,
        nets: int,
        measure: Callable[[Tensor, Sequences], Mapping[str, np.ndarray]],
        bound: Mapping[str, float],
        size: int = 256,
    ) -> None:
        self._measure, self._bound, self._size = measure, bound, size
        self._sets: list[Sequences | None] = [None] * nets
        self._met = np.zeros(nets, dtype=int)

    def begin(self, net: int, data: Data) -> None:
        """Draw the trial's test set."""
        self._sets[net], self._met[net] = data.test(self._size), 0

    def see(self, outputs: Tensor, sequences: Sequences) -> None:
        """Look at nothing: the test set decides."""

    def test(self, nets: Nets) -> None:
        """Test all nets on their own sets."""
        sequences = side_by_side([s for s in self._sets if s is not None])
        found = self._measure(nets.predict(sequences), sequences)
        self._met |= np.logical_and.reduce([found[name] < bound for name, bound in self._bound.items()])

    def met(self) -> np.ndarray:
        """How many milestones each net has met."""
        return self._met


class Faultless:
    """Test a net with its weights frozen on many sequences, none of which may be wrong.

    The test is tried once the most recent training sequences were right, and ends with the first wrong sequence.

    Args:
        nets: how many nets there are.
        wrong: (outputs, sequences) -> which sequences are wrong, (net, batch).
        size: how many sequences are tested.
        piece: how many at a time.
        recent: how many training sequences must have been right.

    Source:
        Hochreiter & Schmidhuber (1997), section 5.2: "during 10,000 successive, randomly chosen input sequences".
    """

    milestones = ("solved",)

    def __init__(
        self,
        nets: int,
        wrong: Callable[[Tensor, Sequences], np.ndarray],
        size: int = 10_000,
        piece: int = 100,
        recent: int = 500,
    ) -> None:
        self._wrong, self._pieces, self._piece, self._recent = wrong, size // piece, piece, recent
        self._data: list[Data | None] = [None] * nets
        self._run = np.zeros(nets, dtype=int)
        self._met = np.zeros(nets, dtype=int)

    def begin(self, net: int, data: Data) -> None:
        """Forget the net that was here."""
        self._data[net], self._run[net], self._met[net] = data, 0, 0

    def see(self, outputs: Tensor, sequences: Sequences) -> None:
        """Count the training sequences that were right in a row."""
        self._run = np.where(self._wrong(outputs, sequences)[:, 0], 0, self._run + 1)

    def test(self, nets: Nets) -> None:
        """Test the nets that seem to be right."""
        alive = (self._run >= self._recent) & (self._met == 0)
        asked = alive.copy()
        for _ in range(self._pieces):
            if not alive.any():
                break
            anyone = self._data[int(alive.argmax())]
            drawn = [data if a else anyone for data, a in zip(self._data, alive, strict=True)]
            sequences = side_by_side([data.test(self._piece) for data in drawn if data is not None])
            alive &= ~self._wrong(nets.predict(sequences), sequences).any(1)
        self._met |= alive
        self._run[asked & ~alive] = 0

    def met(self) -> np.ndarray:
        """How many milestones each net has met."""
        return self._met


class Grammar:
    """Test each net on its strings: at every symbol all that may come next are above all that may not.

    Args:
        nets: how many nets there are.
        size: strings of the training and of the test set.

    Source:
        Hochreiter & Schmidhuber (1997), section 5.1: "all string symbols in the training and in the test set".
    """

    milestones = ("solved",)

    def __init__(self, nets: int, size: int = 256) -> None:
        self._sets: list[Sequences | None] = [None] * nets
        self._size = size
        self._met = np.zeros(nets, dtype=int)

    def begin(self, net: int, data: Data) -> None:
        """Take the trial's strings."""
        self._sets[net], self._met[net] = data.test(2 * self._size), 0
        self.__dict__.pop("_strings", None)

    def see(self, outputs: Tensor, sequences: Sequences) -> None:
        """Look at nothing: the strings decide."""

    @cached_property
    def _strings(self) -> tuple[Sequences, Sequences]:
        """All strings, and a few of them to look at first: most nets miss one of these."""
        whole = side_by_side([s for s in self._sets if s is not None])
        few = slice(None, None, len(whole.lengths[0]) // FEW or 1)
        assert whole.allowed is not None
        x, lengths, target, allowed = whole.x[:, :, few], whole.lengths[:, few], whole.target[:, :, few], whole.allowed
        return Sequences(x, lengths, target, allowed[:, :, few]), whole

    def test(self, nets: Nets) -> None:
        """Test all nets on their own strings."""
        for strings in self._strings:
            right = grammatical(nets.predict(strings), strings).all(1)
            if not (right & (self._met == 0)).any():
                return
        self._met |= right

    def met(self) -> np.ndarray:
        """How many milestones each net has met."""
        return self._met


def grammatical(outputs: Tensor, sequences: Sequences) -> np.ndarray:
    """Return which strings are predicted without fault, (net, batch)."""
    allowed, asked = sequences.allowed, sequences.target >= 0
    assert allowed is not None
    least = outputs.masked_fill(~allowed, float("inf")).amin(-1)
    most = outputs.masked_fill(allowed, float("-inf")).amax(-1)
    right: np.ndarray = ((least > most) | ~asked).all(0).numpy()
    return right
