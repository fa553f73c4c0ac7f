"""Sequences for many networks, cut into steps: what comes in, what is to be said, who begins anew."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from carrousel.systems.checks import fitting
from carrousel.tasks.sequences import Sequences

__all__ = ["Lesson", "Step"]


class Step(NamedTuple):
    """One step of all networks.

    Attributes:
        x: values (net, batch, input), or the rows of symbols (net * batch,), `net * sources + symbol`.
        target: (net, batch, output), None where no network has one.
        told: (net, batch, 1), 0 where a network has no target; None where all have one.
        kept: (net, batch, 1), 0 where the states begin anew; None where none do.
    """

    x: Tensor
    target: Tensor | None
    told: Tensor | None
    kept: Tensor | None


class Lesson:
    """Sequences of a population, checked and cut into steps.

    Args:
        sequences: as `carrousel.tasks.sequences` has them, rows being (net, batch).
        nets: how many networks there are.
        inputs: input units or symbols.
        outputs: output units.
        sources: of the networks' layers: a symbol stands in row `net * sources + symbol` of all weights.
        dtype: of values and targets.

    Attributes:
        time, batch: the longest length, and sequences for each network.
        target: (time, net, batch, output).
        told: (time, net, batch), whether there is a target.
        kept: (time, net, batch, 1), 0 where the states begin anew, else 1; None without resets.

    Raises:
        InputShapeError: a tensor does not have the axes that it must have.
        InputTypeError: a symbol's number is out of range.
    """

    def __init__(
        self, sequences: Sequences, nets: int, inputs: int, outputs: int, sources: int, dtype: torch.dtype
    ) -> None:
        fitting(sequences, nets, inputs, outputs)
        self.nets, self.inputs, self.sources, self.dtype = nets, inputs, sources, dtype
        self.time, _, self.batch = sequences.x.shape[:3]
        self.x, self.lengths = sequences.x, sequences.lengths
        self._is_last_only = not sequences.is_per_step
        self.target, self.told = self._targets(sequences.target, outputs)
        self.kept = None if sequences.resets is None else (~sequences.resets).unsqueeze(-1).to(dtype)

    def _targets(self, target: Tensor, outputs: int) -> tuple[Tensor, Tensor]:
        steps = torch.arange(self.time).view(-1, 1, 1)
        if self._is_last_only:
            return target.to(self.dtype).expand(self.time, *target.shape), steps == self.lengths - 1
        if target.is_floating_point():
            return target.to(self.dtype), self.present
        dense = target.new_zeros((*target.shape, outputs), dtype=self.dtype)
        told = target >= 0
        return dense.scatter_(-1, target.clamp(min=0).unsqueeze(-1), 1), told

    @property
    def present(self) -> Tensor:
        """Whether a sequence has not ended, (time, net, batch)."""
        return torch.arange(self.time).view(-1, 1, 1) < self.lengths

    def values(self) -> Tensor:
        """Return the inputs as values, (time, net, batch, input); symbols are one-hot."""
        return self.x.to(self.dtype) if self.x.is_floating_point() else one_hot(self.x, self.inputs).to(self.dtype)

    def steps(self) -> list[Step]:
        """Return the steps in order."""
        if self.x.is_floating_point():
            x = self.x.to(self.dtype)
        else:
            x = (self.x + self.sources * torch.arange(self.nets).view(-1, 1)).view(self.time, -1)
        rows = self.told.view(self.time, -1)
        anyone, everyone = rows.any(1).tolist(), rows.all(1).tolist()
        told = self.told.unsqueeze(-1).to(self.dtype)
        anew = [False] * self.time if self.kept is None else (self.kept == 0).flatten(1).any(1).tolist()
        kept = told if self.kept is None else self.kept  # not looked at without resets
        return [
            Step(
                x_t,
                target_t if anyone[t] else None,
                None if everyone[t] else told_t,
                kept_t if anew[t] else None,
            )
            for t, (x_t, target_t, told_t, kept_t) in enumerate(
                zip(x.unbind(), self.target.unbind(), told.unbind(), kept.unbind(), strict=True)
            )
        ]

    def answer(self, outputs: Tensor) -> Tensor:
        """Return what a system answers.

        Args:
            outputs: (time, net, batch, output).

        Returns:
            The same with zeros from a sequence's length on, or the last steps (net, batch, output) if only they have
            targets.
        """
        if not self._is_last_only:
            return outputs.masked_fill_(~self.present.unsqueeze(-1), 0)
        last = (self.lengths - 1).view(1, self.nets, self.batch, 1).expand(1, -1, -1, outputs.shape[-1])
        return outputs.gather(0, last)[0]
