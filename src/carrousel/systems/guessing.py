"""Random weight guessing: draw weights until they happen to solve the task."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from carrousel.systems.checks import at_least, seeded
from carrousel.systems.net import RecurrentNets
from carrousel.systems.readout import misses
from carrousel.systems.wiring import Wiring
from carrousel.tasks.sequences import Sequences

__all__ = ["GuessedLatches", "GuessedNets", "Guessing"]


@dataclass(frozen=True)
class Guessing:
    """Random weight guessing with fully recurrent networks, uniform in [-initial, initial].

    All weights are drawn anew as long as some training sequence is answered wrongly. A1, `sparse=False`: every unit
    sees the inputs and the last activations of all units. A2, `sparse=True`: a hidden unit sees the inputs, the
    outputs and itself. Hidden units have biases, outputs have none.

    Args:
        inputs, hidden, outputs: units.
        sparse: A2 instead of A1.
        tolerance: an answer is right if all outputs are nearer to their targets than this.
        initial: weights are drawn from [-initial, initial].
        dtype: of all weights and activations.

    Raises:
        OptionError: a number of units is below 1, or another setting below 0.
        OptionTypeError: a setting is of the wrong type.

    Example:
        >>> Guessing(inputs=1, hidden=2, outputs=1).start([1]).weights
        14
        >>> Guessing(inputs=1, hidden=2, outputs=1, sparse=True).start([1]).weights
        12

    Source:
        Schmidhuber, Hochreiter & Bengio (2001), Evaluating benchmark problems by random guessing: range, inputs +-1,
        targets 0 and 1, A1 and A2. That the outputs see all units in A2 too, and the tolerance, are assumptions.
    """

    inputs: int
    hidden: int
    outputs: int
    sparse: bool = False
    tolerance: float = 0.2
    initial: float = 100.0
    dtype: torch.dtype = torch.float32

    def __post_init__(self) -> None:
        at_least("Guessing", "tolerance", self.tolerance, 0.0)
        _ = self.wiring  # checks the rest

    @property
    def wiring(self) -> Wiring:
        """The wiring with all connections; those that are not there have weight zero."""
        units = self.inputs, self.hidden, self.outputs
        return Wiring(*units, fully_recurrent=True, bias=True, initial=self.initial, dtype=self.dtype)

    def connections(self) -> Tensor:
        """Return which connections there are, (source, unit), bool."""
        there = torch.ones(self.wiring.recurrent_shape, dtype=torch.bool)
        there[-1, : self.outputs] = False
        if self.sparse:
            units = self.inputs + self.outputs
            there[units:-1, self.outputs :] = torch.eye(self.hidden, dtype=torch.bool)
        return there

    def start(self, seeds: Sequence[int]) -> "GuessedNets":
        """Draw networks; see `carrousel.systems.system`."""
        return GuessedNets(self, seeds)


class GuessedNets(RecurrentNets):
    """Networks that are guessed.

    Attributes:
        guesses: (net,), how many times each network's weights have been drawn.
    """

    def __init__(self, system: Guessing, seeds: Sequence[int]) -> None:
        self.system = system
        self._there = system.connections()
        self._generators = [torch.Generator() for _ in seeds]
        self.guesses = torch.zeros(len(seeds), dtype=torch.int64)
        super().__init__(system.wiring, seeds)

    @property
    def weights(self) -> int:
        """The weights of one network."""
        return int(self._there.sum())

    def replace(self, net: int, seed: int) -> None:
        """Put a fresh network in the place of one; see `carrousel.systems.system`."""
        self._generators[net].manual_seed(seed)
        self.guesses[net] = 0
        self._guess(net)

    def _guess(self, net: int) -> None:
        self.recurrent.weight[net] = self.wiring.draw(self._generators[net])[0] * self._there
        self.guesses[net] += 1

    @torch.no_grad()
    def learn(self, sequences: Sequences) -> Tensor:
        """Guess again where a network got any of its sequences wrong; see `carrousel.systems.system`."""
        lesson = self.lesson(sequences)
        outputs = self.run(lesson)[1]
        wrong = misses((lesson.target - outputs).abs().amax(-1), self.system.tolerance)
        for net in (wrong & lesson.told).any(2).any(0).nonzero().flatten().tolist():
            self._guess(net)
        return lesson.answer(outputs)


class GuessedLatches:
    """Single tanh units of three weights that are guessed, uniform in [-initial, initial]; presentations are guesses.

    With the weights w, u and b, y(t) = tanh(w y(t-1) + u x(t) + b), y(0) = 0. With free inputs, y(t) = tanh(w y(t-1) +
    x(t)), where two weights stand in for the first inputs 1 and -1 of the two classes.

    Args:
        seeds: one for each unit.
        has_free_inputs: latch variant I instead of II.
        tolerance: an answer is right if it is nearer to its target than this (an assumption).
        initial: weights are drawn from [-initial, initial].

    Attributes:
        w: the weights, (net, 3).
        begun: guesses that were judged in the last `learn`, (net,).

    Example:
        >>> from carrousel.tasks.latch import latch
        >>> x, lengths, target, _, _ = latch(100)
        >>> units = GuessedLatches([1])
        >>> units.learn(Sequences(x.unsqueeze(1), lengths.unsqueeze(0), target.unsqueeze(0))).shape
        torch.Size([1, 100, 1])

    Source:
        Schmidhuber, Hochreiter & Bengio (2001), Evaluating benchmark problems by random guessing: latch variants I, II.
    """

    weights = 3

    def __init__(
        self, seeds: Sequence[int], has_free_inputs: bool = False, tolerance: float = 0.5, initial: float = 100.0
    ) -> None:
        self.has_free_inputs, self.tolerance, self.initial = has_free_inputs, tolerance, initial
        self._generators = [torch.Generator() for _ in range(seeded(seeds))]
        self.w = torch.zeros(len(seeds), self.weights)
        self.begun = torch.ones(len(seeds), dtype=torch.int64)
        for net, seed in enumerate(seeds):
            self.replace(net, seed)

    def __len__(self) -> int:
        return len(self.w)

    def replace(self, net: int, seed: int) -> None:
        """Put a fresh unit in the place of one; see `carrousel.systems.system`."""
        self._generators[net].manual_seed(seed)
        self._guess(net)

    def _guess(self, net: int) -> None:
        self.w[net] = self.initial * (2 * torch.rand(self.weights, generator=self._generators[net]) - 1)

    def predict(self, sequences: Sequences) -> Tensor:
        """Compute the outputs at the last steps; see `carrousel.systems.system`."""
        recurrent, first, second = self.w.unsqueeze(-1).unbind(1)  # each (net, 1)
        driven = sequences.x.squeeze(-1)
        if self.has_free_inputs:
            driven = torch.cat([torch.where(driven[:1] > 0, first, second), driven[1:]])
        else:
            driven = first * driven + second
        y, answers = torch.zeros_like(driven[0]), torch.zeros_like(driven[0])
        for t, here in enumerate(driven):
            y = torch.addcmul(here, recurrent, y).tanh_()
            answers = torch.where(sequences.lengths == t + 1, y, answers)
        return answers.unsqueeze(-1)

    def learn(self, sequences: Sequences) -> Tensor:
        """Guess again where a unit got any of its sequences wrong; see `carrousel.systems.system`."""
        y = self.predict(sequences)
        wrong = misses((y - sequences.target).abs(), self.tolerance)
        for net in wrong.flatten(1).any(1).nonzero().flatten().tolist():
            self._guess(net)
        return y
