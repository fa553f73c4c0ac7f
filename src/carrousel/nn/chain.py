"""The layers' compiled steps, one behind the other, on kept memory, with the weights that the layers have now."""

from collections.abc import Callable, Sequence
from operator import attrgetter, is_
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from carrousel import backends
from carrousel.nn import choice
from carrousel.nn.state import class_of

if TYPE_CHECKING:
    from carrousel.nn.layers import Layers

__all__ = ["Chain", "chain_for"]

_version = attrgetter("_version")


class Chain:
    """All layers, one step at a time, without gradients.

    Args:
        layer: the layers.
        step: the backend's compiled step.
        x: (batch, input), memory for the input.
        has_batch: whether results have a batch axis.

    Attributes:
        steps: the layers' steps; each reads the output of the one below.
        fresh: the initial states, each (layer, [batch,] size).
    """

    def __init__(self, layer: "Layers", step: Callable[..., Any], x: Tensor, has_batch: bool = True) -> None:
        self.layer, self.has_batch = layer, has_batch
        layout, self.states = layer._layout, layer._layout.cell.states
        self.steps: list[Any] = []
        for k in range(layer.num_layers):
            states = layout.to_kernel(self.states, tuple(s.detach() for s in layer._fresh(x, k, len(x))))
            below = self.steps[-1] if k else None
            self.steps.append(step(layout.cell.definition, self._weights(k), states, x, below))
            x = self.steps[-1].output
        self.runs = [step.run for step in self.steps]
        self.is_direct = layout.block_size == 1 and all(step.is_whole for step in self.steps)
        self.output, self.dtype = x if has_batch else x[0], x.dtype
        #: The class of the tuple of states that a step returns.
        self.kind = tuple if layer._as_strict_as_torch else class_of(self.states, layer.state_batch_first)
        self._note()

    def _weights(self, k: int) -> Any:
        return self.layer._layout.kernel_parameters(self.layer._stacked(k, False))

    def _note(self) -> None:
        """Note the weights as they are, to see when they are others."""
        layer, x = self.layer, self.steps[0].x
        self._own = list(layer._parameters.values())
        self._all = list(layer.parameters())
        self._counted = [p for p in self._all if not p.is_inference()]
        self._seen = self._marks()
        with torch.inference_mode(False), torch.no_grad():
            fresh = zip(*(layer._fresh(x, k, len(x)) for k in range(layer.num_layers)), strict=True)
            stacked = [torch.stack(state) for state in fresh]
            self.fresh = tuple(s if self.has_batch else s.squeeze(1) for s in stacked)
        self.shapes = [state.shape for state in self.fresh]
        #: bytes of one layer's state
        self._sizes = [s[0].numel() * s.element_size() for s in self.fresh]

    def _marks(self) -> Any:
        """What changes with the weights: how often torch has seen each being written, and where they lie."""
        return list(map(_version, self._counted)), list(map(Tensor.data_ptr, self._all))

    @property
    def is_followed(self) -> bool:
        """Whether torch counts the changes of every weight; those made in inference mode it does not count."""
        return len(self._counted) == len(self._all)

    def follow(self) -> bool:
        """Take the weights anew if they have changed; return whether they still fit."""
        own = self.layer._parameters
        if len(own) == len(self._own) and all(map(is_, own.values(), self._own)) and self._marks() == self._seen:
            return True
        return self.renew()

    def renew(self) -> bool:
        """Take the weights anew; return whether they still fit."""
        if not all(p.dtype == self.dtype and p.is_cpu for p in self.layer.parameters()):
            return False
        for k, step in enumerate(self.steps):
            step.take(self._weights(k))
        self._note()
        return True

    # ------------------------------------------------------------------ the states that are kept

    def state(self) -> tuple[Tensor, ...]:
        """Copy the states: each (layer, [batch,] size)."""
        layout = self.layer._layout
        seen = [layout.from_kernel(self.states, step.states) for step in self.steps]
        stacked = [torch.stack(state) for state in zip(*seen, strict=True)]
        return tuple(s if self.has_batch else s.squeeze(1) for s in stacked)

    def set_state(self, states: Sequence[Tensor]) -> None:
        """Begin the next step from other states, each (layer, [batch,] size)."""
        for k, step in enumerate(self.steps):
            given = self.layer._layout.to_kernel(self.states, tuple(s[k] for s in states))
            for memory, state in zip(step.states, given, strict=True):
                memory.copy_(state)

    # ------------------------------------------------------------------ a step from given states to new ones

    def takes(self, states: Sequence[Any]) -> bool:
        """Whether states are such as `step` takes."""
        for state in states:
            if type(state) is not Tensor or state.dtype is not self.dtype or not state.is_cpu or state.is_neg():
                return False
        return [state.shape for state in states] == self.shapes

    def step(self, x: Tensor, states: Sequence[Tensor]) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Take one step from states that are given.

        Args:
            x: ([batch,] input).
            states: such as it `takes`.

        Returns:
            The output ([batch,] size) and the new states.
        """
        if not x.is_contiguous():
            x = x.contiguous()
        first, last = self.steps[0], self.steps[-1]
        first.words[first.at_x] = x.data_ptr()
        if not self.is_direct:
            self.set_state(states)
            for run in self.runs:
                run()
            return self.output.clone(), self.state()
        before = [state if state.is_contiguous() else state.contiguous() for state in states]
        after = [torch.empty_like(state) for state in self.fresh]
        output = torch.empty_like(self.output)
        last.words[last.at_output] = output.data_ptr()
        starts, ends = list(map(Tensor.data_ptr, before)), list(map(Tensor.data_ptr, after))
        for step in self.steps:
            words = step.words
            for k, (at_start, at_end) in enumerate(step.at_states):
                words[at_start], words[at_end] = starts[k], ends[k]
                starts[k] += self._sizes[k]
                ends[k] += self._sizes[k]
            step.run()
        return output, tuple(after)


def chain_for(layer: "Layers", x: Tensor) -> Chain | None:
    """Return a chain for inputs like x, None if no backend has compiled steps for them.

    Args:
        layer: the layers.
        x: ([batch,] input).
    """
    name = choice.of_call(layer._where, layer.backend, layer._layout.cell.definition, x, ())
    step = getattr(backends.get(name), "Step", None) if name is not None else None
    fits = x.dim() in (1, 2) and x.shape[-1] == layer.input_size and x.numel() and x.dtype == layer._weight.dtype
    if step is None or not fits or x.dtype not in (torch.float32, torch.float64):
        return None
    with torch.inference_mode(False):
        memory = torch.zeros(x.shape if x.dim() == 2 else (1, *x.shape), dtype=x.dtype, device="cpu")
    with torch.no_grad():
        return Chain(layer, step, memory, x.dim() == 2)
