"""One step after the other on memory that is kept: the weights are packed once, the states stay where they are.

Packing reads every weight: for one row it takes as long as the step itself, for large nets four times as long.
"""

import functools
import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from carrousel.backends.llvm.call import arguments
from carrousel.backends.llvm.plan import plan_for
from carrousel.backends.llvm.signature import Problem, signature_of, units_of
from carrousel.backends.llvm.threads import available, team
from carrousel.calculus.notation import HIDDEN, Definition

__all__ = ["Step"]

#: Multiply-adds of one step above which a sleeping team is worth waking.
SEVERAL = 2_000_000


class Step:
    """One layer, forward, without gradients.

    Args:
        definition: the cell's.
        parameters: group -> stacked parameter, as `carrousel.backends.Backend.run` has them.
        states: of the shapes of the states, each (batch, size); their values are taken too.
        x: (batch, input), the memory that the input is read from.
        below: the layer below, if there is one: they read the same inputs per step.

    Attributes:
        x: the same.
        states: each (batch, size), read and written by every step.
        step_inputs: each (batch, hidden), to be filled in.
        output: (batch, size), written by every step.
        run: takes one step.
        is_whole: whether states and output fill whole registers, so that other, contiguous memory can take their place.
    """

    def __init__(
        self,
        definition: Definition,
        parameters: Mapping[str, Tensor],
        states: Sequence[Tensor],
        x: Tensor,
        below: "Step | None" = None,
    ) -> None:
        self.definition, self.x = definition, x
        weights = self._weights(parameters)
        hidden = units_of(definition, [t.shape for t in (x, *states, *weights)], [])[HIDDEN]
        steps = [x.new_empty(1, len(x), hidden) for _ in definition.step_inputs]
        problem = Problem(definition, x[None], states, weights, steps, [], None, None, False, (), [])
        work = sum(map(math.prod, (weight.shape for weight in weights))) * len(x)
        threads = available() if work > SEVERAL else 1
        self.plan = plan = plan_for(signature_of(problem, "forward", False)._replace(threads=threads))
        self._states = [_zeros(final) for final in plan.finals]
        self._history = _zeros(plan.histories[0])
        self._scratch = _zeros(plan.scratch)
        self.is_whole = not any(plan.missing[size] for size in plan.state_sizes)
        units = [plan.units[size] for size in plan.state_sizes]
        self.states = tuple(memory[:, :count] for memory, count in zip(self._states, units, strict=True))
        self.output = self._history[0, :, : units[0]]
        width = plan.extents.width(HIDDEN)
        own = _zeros(x.new_empty(1).expand(len(x), len(steps) * width))
        self._steps: Tensor = own if below is None else below._steps
        self.step_inputs = tuple(self._steps[:, k * width : k * width + hidden] for k in range(len(steps)))
        for memory, state in zip(self.states, states, strict=True):
            memory.copy_(state)
        self._prepare(weights)
        self.take(parameters)

    def _weights(self, parameters: Mapping[str, Tensor]) -> list[Tensor]:
        return [parameters[group.name].detach().contiguous() for group in self.definition.groups]

    def _prepare(self, weights: Sequence[Tensor]) -> None:
        """Make the block of arguments and the call. The states after a step lie where those before it lay."""
        plan, place = self.plan, self.plan.place
        tensors = [self.x, *weights, *self._states, *([self._steps] if self.step_inputs else [])]
        tensors += [self._history, *self._states]
        pieces = [self._scratch.data_ptr() + offset for offset in plan.offsets]
        self.words = arguments(plan, self.x, [tensor.data_ptr() for tensor in tensors], pieces)
        self._home = self.words[:]
        address, _ = self.words.buffer_info()
        if plan.threads == 1:
            self.run = functools.partial(plan.kernel.call, address, 0, 1)
        else:
            self.run = functools.partial(self._run_as_team, address)
        names = self.definition.states
        #: where the addresses of x, output, states before and states after stand
        self.at_x, self.at_output = place["x"], place[f"history.{names[0]}"]
        self.at_states = [(place[f"initial.{name}"], place[f"final.{name}"]) for name in names]

    def _run_as_team(self, address: int) -> None:
        threads = min(self.plan.threads, available())
        if threads == 1:
            self.plan.kernel.call(address, 0, 1)
        else:
            team().run(self.plan.kernel.entry, self.plan.kernel.team_entry, address, threads)

    def take(self, parameters: Mapping[str, Tensor]) -> None:
        """Take the weights anew; a step of which nothing is kept packs them."""
        words, place = self.words, self.plan.place
        words[:] = self._home
        weights = self._weights(parameters)
        for group, weight in zip(self.definition.groups, weights, strict=True):
            words[place[group.name]] = weight.data_ptr()
        kept = [(memory, memory.clone()) for memory in (*self._states, self._history)]
        words[place["is_packed"]] = 0
        self.run()
        words[place["is_packed"]] = 1
        for memory, before in kept:
            memory.copy_(before)


def _zeros(like: Tensor) -> Tensor:
    """Memory in the shape of a tensor; an ordinary tensor wherever it is made."""
    with torch.inference_mode(False):
        return torch.zeros(like.shape, dtype=like.dtype)
