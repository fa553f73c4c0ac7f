"""The neural sequence chunker: one network learns what can be foreseen, another is shown only the rest."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from carrousel.systems.checks import at_least, seeded
from carrousel.systems.lesson import Lesson
from carrousel.systems.net import slope
from carrousel.systems.truncated import TruncatedNets
from carrousel.systems.wiring import Wiring
from carrousel.tasks.sequences import Sequences

__all__ = ["Chunker", "ChunkerNets"]


@dataclass(frozen=True)
class Chunker:
    """The automatizer A and the chunker C, two layered recurrent networks trained on line at the same time.

    At each step A sees the input and is trained to emit

        [target] [next input] [C's state]

    with e_k = f'(net_k) (d_k - y_k). If and only if one of its outputs for target or next input is wrong by more than
    `threshold`, what came is unexpected: C is trained to emit it from its state and the last thing that it was shown,
    which may be many steps ago, and then is shown it. The first input of a sequence is unexpected. So C works on a
    sequence that gets shorter the more A foresees, and A, by predicting C's state, learns to keep what C keeps.
    Both are trained by back-propagation through time that goes back `reach` steps. The system's outputs are A's.

    With `targets=0` the task is to predict the next input itself: there is one group of outputs for both.

    Args:
        inputs: input units or symbols.
        hidden: hidden units of each network.
        targets: output units besides the prediction of the next input.
        rate: the learning rate of both.
        threshold: an output that is wrong by more than this has not foreseen what came.
        reach: how many steps error goes back.
        time_code: units that show C the binary digits of the number of the step.
        whole_state: whether A predicts C's outputs too, else its hidden units only.
        shortcuts: whether C's outputs see C's inputs.
        bias: whether all units have a bias.
        initial: weights are drawn from [-initial, initial].
        dtype: of all weights and activations.

    Raises:
        OptionError: a number of units is below 1, or another setting below 0.
        OptionTypeError: a setting is of the wrong type.

    Example:
        >>> nets = Chunker(inputs=101, hidden=1, rate=1.0).start([1, 2])
        >>> nets.weights  # A's only, as in Table 2 of the 1997 paper
        10506

    Source:
        Schmidhuber (1992), Learning complex, extended sequences using the principle of history compression; there
        `whole_state` and `shortcuts` are on, and error goes back three steps. The net of experiment 2a in Hochreiter
        & Schmidhuber (1997) has one output for C's only hidden unit. Assumptions: the threshold (that of success in
        2a), the form of the time code, that A does not see the targets of earlier steps, and C without shortcuts:
        with them its outputs learn from its inputs alone, its hidden unit ends up the same for both sequences of 2a,
        and A has nothing to keep.
    """

    inputs: int
    hidden: int
    targets: int = 0
    rate: float = 1.0
    threshold: float = 0.25
    reach: int = 3
    time_code: int = 0
    whole_state: bool = False
    shortcuts: bool = False
    bias: bool = False
    initial: float = 0.2
    dtype: torch.dtype = torch.float32

    def __post_init__(self) -> None:
        for name, least in (("inputs", 1), ("hidden", 1), ("targets", 0), ("reach", 0), ("time_code", 0)):
            at_least("Chunker", name, getattr(self, name), least)
        for name in ("rate", "threshold", "initial"):
            at_least("Chunker", name, getattr(self, name), 0.0)

    @property
    def foreseen(self) -> int:
        """A's outputs for target and next input, and all of C's."""
        return self.targets + self.inputs

    @property
    def automatizer(self) -> Wiring:
        """A."""
        outputs = self.foreseen + self.hidden + self.foreseen * self.whole_state
        return Wiring(self.inputs, self.hidden, outputs, **self._alike)

    @property
    def chunker(self) -> Wiring:
        """C, whose inputs are what A should have foreseen, and the time."""
        inputs = self.foreseen + self.time_code
        return Wiring(inputs, self.hidden, self.foreseen, shortcuts=self.shortcuts, **self._alike)

    @property
    def _alike(self) -> dict[str, Any]:
        return {"bias": self.bias, "initial": self.initial, "dtype": self.dtype}

    def start(self, seeds: Sequence[int]) -> "ChunkerNets":
        """Draw networks; see `carrousel.systems.system`."""
        return ChunkerNets(self, seeds)


class ChunkerNets:
    """Pairs of automatizer and chunker.

    Attributes:
        automatizer, chunker: the networks.
        unexpected: (time, net, batch), whether what came after each step of the last sequences that were learned was
            shown to C; None before.

    Raises:
        OptionError: there are no seeds.
    """

    def __init__(self, system: Chunker, seeds: Sequence[int]) -> None:
        self.system, self._nets = system, seeded(seeds)
        self.automatizer = TruncatedNets(system.automatizer, self._nets, system.reach)
        self.chunker = TruncatedNets(system.chunker, self._nets, system.reach)
        self.unexpected: Tensor | None = None
        for net, seed in enumerate(seeds):
            self.replace(net, seed)

    def __len__(self) -> int:
        return self._nets

    @property
    def weights(self) -> int:
        """The weights of the automatizer, which is what the 1997 paper counts."""
        return self.system.automatizer.weights

    def replace(self, net: int, seed: int) -> None:
        """Put a fresh network in the place of one; see `carrousel.systems.system`."""
        generator = torch.Generator().manual_seed(seed)
        self.automatizer.draw(net, generator)
        self.chunker.draw(net, generator)

    @torch.no_grad()
    def predict(self, sequences: Sequences) -> Tensor:
        """Compute A's outputs for the targets; see `carrousel.systems.system`."""
        lesson, said = self._lesson(sequences), []
        self.automatizer.begin(lesson.batch)
        for step, x in zip(lesson.steps(), lesson.values(), strict=True):
            if step.kept is not None:
                self.automatizer.begin_anew(step.kept)
            self.automatizer.advance(x)
            said.append(self.automatizer.say(step.x))
        return self._answer(lesson, torch.stack(said))

    @torch.no_grad()
    def learn(self, sequences: Sequences) -> Tensor:
        """Change the weights of A at every step, and those of C where A failed; see `carrousel.systems.system`."""
        lesson, system = self._lesson(sequences), self.system
        values = lesson.values()
        coming, known = self._coming(lesson, values)
        present, code = lesson.present.unsqueeze(-1).to(system.dtype), self._time_code(lesson)
        first = torch.nn.functional.pad(values, (system.targets, 0))
        self.unexpected = torch.zeros(lesson.time, len(self), lesson.batch, dtype=torch.bool)
        self.automatizer.begin(lesson.batch)
        self.chunker.begin(lesson.batch)
        said = []
        for t, step in enumerate(lesson.steps()):
            if t == 0 or step.kept is not None:
                self._begin_anew(step.kept if t else None, torch.cat([first[t], code[t]], -1))
            self.automatizer.advance(values[t])
            said.append(self.automatizer.say(step.x))
            failed = self._teach_automatizer(step.x, said[-1], coming[t], known[t], present[t])
            self.unexpected[t] = failed[..., 0]
            self._teach_chunker(coming[t], known[t], failed, code[t + 1])
        return self._answer(lesson, torch.stack(said))

    def _begin_anew(self, kept: Tensor | None, first: Tensor) -> None:
        """Sequences begin: nothing is remembered, and C is shown the first input."""
        if kept is not None:
            self.automatizer.begin_anew(kept)
            self.chunker.begin_anew(kept)
        self.chunker.advance(first, None if kept is None else kept == 0)

    def _teach_automatizer(self, x: Tensor, y: Tensor, coming: Tensor, known: Tensor, present: Tensor) -> Tensor:
        """Train A on one step; say where it failed to foresee what came, (net, batch, 1)."""
        foreseen, state = self.system.foreseen, [self.chunker.h[0]]
        if self.system.whole_state:
            state.append(self.chunker.say())
        miss = torch.cat([coming, *state], -1).sub_(y)
        miss[..., :foreseen] *= known
        miss[..., foreseen:] *= present
        failed = (miss[..., :foreseen].abs() > self.system.threshold).any(-1, keepdim=True)
        self.automatizer.learn(miss.mul_(slope(y)), self.system.rate, x)
        return failed

    def _teach_chunker(self, coming: Tensor, known: Tensor, failed: Tensor, code: Tensor) -> None:
        """Train C to emit what A failed to foresee, then show it to C."""
        if failed.any():
            y = self.chunker.say()
            self.chunker.learn((coming - y) * slope(y) * known * failed, self.system.rate)
            self.chunker.advance(torch.cat([coming * known, code], -1), failed)

    def _lesson(self, sequences: Sequences) -> Lesson:
        system, sources = self.system, self.system.automatizer.recurrent_shape[0]
        return Lesson(sequences, len(self), system.inputs, system.targets or system.inputs, sources, system.dtype)

    def _coming(self, lesson: Lesson, values: Tensor) -> tuple[Tensor, Tensor]:
        """What A should foresee at each step, (time, net, batch, target + input), and 1 where that is known, else 0."""
        told = lesson.told.unsqueeze(-1).to(self.system.dtype)
        if not self.system.targets:
            return lesson.target, told.expand_as(lesson.target)
        following = torch.zeros_like(values)
        following[:-1] = values[1:]
        follows = torch.zeros_like(told)
        follows[:-1] = lesson.present[1:].unsqueeze(-1)
        if lesson.kept is not None:
            follows[:-1] *= lesson.kept[1:]
        known = torch.cat([told.expand_as(lesson.target), follows.expand_as(values)], -1)
        return torch.cat([lesson.target, following], -1), known

    def _time_code(self, lesson: Lesson) -> Tensor:
        """The binary digits of each step's number, (time + 1, net, batch, digit)."""
        steps = torch.arange(lesson.time + 1).unsqueeze(-1) >> torch.arange(self.system.time_code)
        digits = (steps & 1).to(self.system.dtype)
        return digits.view(lesson.time + 1, 1, 1, -1).expand(-1, len(self), lesson.batch, -1)

    def _answer(self, lesson: Lesson, y: Tensor) -> Tensor:
        return lesson.answer(y[..., : self.system.targets or self.system.inputs].contiguous())
