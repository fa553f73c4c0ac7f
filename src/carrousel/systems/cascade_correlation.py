"""Recurrent Cascade-Correlation: a network that grows, one frozen unit after the other."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from carrousel.systems.checks import at_least, seeded
from carrousel.systems.lesson import Lesson
from carrousel.systems.net import slope
from carrousel.systems.patience import Patience
from carrousel.systems.quickprop import quickprop
from carrousel.systems.self_recurrent import correlation, run
from carrousel.tasks.sequences import Sequences

__all__ = ["CascadeCorrelation", "CascadeNets"]


@dataclass(frozen=True)
class CascadeCorrelation:
    """Recurrent Cascade-Correlation.

    A network starts without hidden units. Its outputs see the inputs, a bias and all hidden units and are trained by
    Quickprop until the error stops falling. Then a pool of candidates, each of which sees the same as the outputs and
    its own last activation, is trained by Quickprop to correlate with the error that is left; the best one is
    installed, its weights are frozen, and the outputs are trained again.

        V(t) = f(sum_i w_i I_i(t) + w_s V(t-1))        S = sum_o |sum_p (V_p - mean V)(E_po - mean E_o)|

    p stands for the steps with a target of all sequences, E for d - y. One call of `learn` is one epoch over the set
    that it is given. Networks go through their phases side by side, each at its own pace.

    Args:
        inputs: input units or symbols.
        outputs: output units.
        hidden: the most hidden units that are installed.
        candidates: candidates in a pool.
        growth: Quickprop's limit, by how much a step may be larger than the last one.
        output_rate: of the outputs' gradient descent, for the mean over the steps with a target.
        candidate_rate: of the candidates'. S is divided by the sum of the squared errors for it.
        decay: this times a weight is added to the slopes of the outputs' weights.
        offset: added to f' of the outputs, so that units at their limits can be trained.
        patience: a phase ends after so many epochs without progress,
        output_change: progress being that the error falls by this share,
        candidate_change: or that the best S rises by this share,
        longest: or after so many epochs.
        enough: a network gets no more units if all outputs are nearer to their targets than this.
        initial: weights are drawn from [-initial, initial].
        dtype: of all weights and activations.

    Raises:
        OptionError: a number of units is below 1, or another setting below 0.
        OptionTypeError: a setting is of the wrong type.

    Example:
        >>> nets = CascadeCorrelation(inputs=7, outputs=7, hidden=2).start([1, 2])
        >>> nets.weights, nets.installed.tolist()  # weights of a network with 2 hidden units
        (89, [0, 0])

    Source:
        Fahlman (1991), The recurrent cascade-correlation architecture; the objective S and 1.75 are those of Fahlman &
        Lebiere (1990) and Fahlman (1988). All other settings are assumptions, as is that an installed unit starts with
        output weights of zero. The gradient of S is computed backward in time, which gives what the article carries
        forward.
    """

    inputs: int
    outputs: int
    hidden: int = 9
    candidates: int = 8
    growth: float = 1.75
    output_rate: float = 1.0
    candidate_rate: float = 1.0
    decay: float = 0.0
    offset: float = 0.1
    patience: int = 12
    output_change: float = 0.01
    candidate_change: float = 0.03
    longest: int = 200
    enough: float = 0.2
    initial: float = 1.0
    dtype: torch.dtype = torch.float32

    def __post_init__(self) -> None:
        for name in ("inputs", "outputs", "hidden", "candidates", "patience", "longest"):
            at_least("CascadeCorrelation", name, getattr(self, name), 1)
        for name in ("output_rate", "candidate_rate", "decay", "offset", "output_change", "candidate_change"):
            at_least("CascadeCorrelation", name, getattr(self, name), 0.0)
        for name in ("growth", "enough", "initial"):
            at_least("CascadeCorrelation", name, getattr(self, name), 0.0)

    @property
    def sources(self) -> int:
        """What the outputs see: inputs, the bias, hidden units."""
        return self.inputs + 1 + self.hidden

    def start(self, seeds: Sequence[int]) -> "CascadeNets":
        """Draw networks; see `carrousel.systems.system`."""
        return CascadeNets(self, seeds)


class CascadeNets:
    """Networks that grow.

    Attributes:
        installed: (net,), hidden units that are in use.
        growing: (net,), bool, whether candidates are trained, else the outputs.
        epochs: (net,), how often each network has seen the set.
        output: (net, source, output), the outputs' weights; zero where a unit is not installed yet.
        units: (net, source + 1, hidden), the frozen weights of the installed units, their own w_s last.
        pool: (net, source + 1, candidate), the candidates' weights.

    Raises:
        OptionError: there are no seeds.
    """

    def __init__(self, system: CascadeCorrelation, seeds: Sequence[int]) -> None:
        self.system = system
        nets, sources, dtype = seeded(seeds), system.sources, system.dtype
        self._generators = [torch.Generator() for _ in seeds]
        self.installed = torch.zeros(nets, dtype=torch.int64)
        self.growing = torch.zeros(nets, dtype=torch.bool)
        self.epochs = torch.zeros(nets, dtype=torch.int64)
        self.units = torch.zeros(nets, sources + 1, system.hidden, dtype=dtype)
        self.output, self._output_slope, self._output_step = torch.zeros(3, nets, sources, system.outputs, dtype=dtype)
        pool = (3, nets, sources + 1, system.candidates)
        self.pool, self._pool_slope, self._pool_step = torch.zeros(pool, dtype=dtype)
        self._patience = Patience(nets, system.patience, system.longest)
        for net, seed in enumerate(seeds):
            self.replace(net, seed)

    def __len__(self) -> int:
        return len(self.output)

    @property
    def weights(self) -> int:
        """The weights of a network in which all hidden units are installed."""
        first, system = self.system.inputs + 1, self.system
        return system.sources * system.outputs + sum(first + unit + 1 for unit in range(system.hidden))

    def replace(self, net: int, seed: int) -> None:
        """Put a fresh network in the place of one; see `carrousel.systems.system`."""
        self._generators[net].manual_seed(seed)
        for of_net in (self.installed, self.growing, self.epochs, self.units, self.output, self.pool):
            of_net[net] = 0
        seen = self.system.inputs + 1
        self.output[net, :seen] = self._draw(net, seen, self.system.outputs)
        self._begin_outputs(torch.tensor([net]))

    @torch.no_grad()
    def predict(self, sequences: Sequences) -> Tensor:
        """Compute the outputs; see `carrousel.systems.system`."""
        lesson = self._lesson(sequences)
        return self._answer(lesson, self._outputs(self._sources(lesson)))

    @torch.no_grad()
    def learn(self, sequences: Sequences) -> Tensor:
        """Train on the whole set for one epoch; see `carrousel.systems.system`."""
        lesson = self._lesson(sequences)
        sources = self._sources(lesson)
        y = self._outputs(sources)
        told = lesson.told.permute(1, 0, 2).unsqueeze(-1)
        miss = (lesson.target.transpose(0, 1) - y) * told
        phases = self.growing.clone()
        for growing, train in ((False, self._train_outputs), (True, self._train_candidates)):
            nets = (phases == growing).nonzero().flatten()
            if len(nets):
                kept = None if lesson.kept is None else lesson.kept.transpose(0, 1)[nets]
                train(nets, sources[nets], y[nets], miss[nets], told[nets], kept)
        self.epochs += 1
        return self._answer(lesson, y)

    def _lesson(self, sequences: Sequences) -> Lesson:
        system = self.system
        return Lesson(sequences, len(self), system.inputs, system.outputs, system.inputs, system.dtype)

    def _answer(self, lesson: Lesson, y: Tensor) -> Tensor:
        return lesson.answer(y.transpose(0, 1).contiguous())

    def _outputs(self, sources: Tensor) -> Tensor:
        y: Tensor = torch.bmm(sources.flatten(1, 2), self.output).sigmoid_().unflatten(1, sources.shape[1:3])
        return y

    def _sources(self, lesson: Lesson) -> Tensor:
        """What outputs and candidates see, (net, time, batch, source): inputs, 1, hidden units, zero if not there."""
        first = self.system.inputs + 1
        seen = torch.zeros(len(self), lesson.time, lesson.batch, self.system.sources, dtype=self.system.dtype)
        seen[..., : first - 1] = lesson.values().transpose(0, 1)
        seen[..., first - 1] = 1
        kept = None if lesson.kept is None else lesson.kept.transpose(0, 1)
        for unit in range(int(self.installed.max())):
            weight = self.units[:, : first + unit, unit : unit + 1]
            values = run(seen[..., : first + unit], weight, self.units[:, -1, unit : unit + 1], kept)
            seen[..., first + unit] = values[..., 0] * (unit < self.installed).view(-1, 1, 1)
        return seen

    def _train_outputs(
        self, nets: Tensor, sources: Tensor, y: Tensor, miss: Tensor, told: Tensor, kept: Tensor | None
    ) -> None:
        system = self.system
        patterns = told.sum((1, 2)).unsqueeze(-1)
        delta = miss * (slope(y) + system.offset)
        fall = torch.bmm(sources.flatten(1, 2).mT, delta.flatten(1, 2)) / patterns
        slopes = system.decay * self.output[nets] - fall
        step = quickprop(
            slopes, self._output_slope[nets], self._output_step[nets], growth=system.growth, rate=system.output_rate
        )
        is_over = self._patience.spent(nets, -miss.square().sum((1, 2, 3)), system.output_change)
        self.output[nets] += step
        self._output_slope[nets], self._output_step[nets] = slopes, step

        self._patience.renew(nets[is_over])
        wants = (miss.abs().amax((1, 2, 3)) >= system.enough) & (self.installed[nets] < system.hidden)
        self._begin_candidates(nets[is_over & wants])

    def _train_candidates(
        self, nets: Tensor, sources: Tensor, y: Tensor, miss: Tensor, told: Tensor, kept: Tensor | None
    ) -> None:
        system, pool = self.system, self.pool[nets]
        score, rise = correlation(sources, pool, miss, told, kept)
        is_over = self._patience.spent(nets, score.amax(1), system.candidate_change)
        self._install(nets[is_over], score[is_over].argmax(1))

        # Slopes of unseen sources are zero: what is not installed stays without weight.
        step = quickprop(
            -rise, self._pool_slope[nets], self._pool_step[nets], growth=system.growth, rate=system.candidate_rate
        )
        self.pool[nets] += step
        self._pool_slope[nets], self._pool_step[nets] = -rise, step

    def _install(self, nets: Tensor, best: Tensor) -> None:
        self.units[nets, :, self.installed[nets]] = self.pool[nets, :, best]
        self.installed[nets] += 1
        self._begin_outputs(nets)

    def _begin_outputs(self, nets: Tensor) -> None:
        self.growing[nets] = False
        self._output_slope[nets] = self._output_step[nets] = 0
        self._patience.renew(nets)

    def _begin_candidates(self, nets: Tensor) -> None:
        self.growing[nets] = True
        self._pool_slope[nets] = self._pool_step[nets] = 0
        for net in nets.tolist():
            seen = self.system.inputs + 1 + int(self.installed[net])
            drawn = self._draw(net, seen + 1, self.system.candidates)
            self.pool[net] = 0
            self.pool[net, :seen], self.pool[net, -1] = drawn[:-1], drawn[-1]

    def _draw(self, net: int, *shape: int) -> Tensor:
        drawn = torch.rand(shape, generator=self._generators[net], dtype=torch.float64)
        return ((2 * drawn - 1) * self.system.initial).to(self.system.dtype)
