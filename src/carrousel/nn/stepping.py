"""One step of a layer: from a state that is given, or as a stream that keeps it."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor
from torch.nn import Module

from carrousel.errors import BackendError, InputTypeError
from carrousel.nn.chain import Chain, chain_for
from carrousel.nn.quick import is_watched, kinds_of
from carrousel.nn.state import State
from carrousel.nn.stream import Stream

if TYPE_CHECKING:
    from carrousel.nn.layers import Layers

__all__ = ["Stepping"]


class Stepping(Module):
    """A layer that can take its steps one by one."""

    def step(
        self,
        x: Tensor,
        state: Any = None,
        *,
        resets: Tensor | None = None,
        step_inputs: Mapping[str, Tensor] | None = None,
    ) -> tuple[Tensor, Any]:
        """Take one step: what the layer gives for a sequence of one, in less time.

        In eval mode without gradients it runs on kept memory, with weights that are packed when they change as torch
        counts changes (a write through `.data` is none). Else it is the layer's call, hooks and gradients included.

        Args:
            x: the input of one step.
            state: as the layer's hx; None to begin anew.
            resets: true where the states start afresh before the step.
            step_inputs: name -> input of a cell with arguments `<name>_t`.

        Returns:
            The output and the new state, which is the next step's `state`.

        Shapes:
            - x: (batch, input) or (input,); in a population (net, batch, input)
            - state: each (layers, [batch,] size), as the layer's hx
            - resets: (batch,)
            - step_inputs: each ([batch,] hidden)
            - output: ([batch,] size)

        Raises:
            BackendError: the layer is bidirectional.
            InputShapeError, InputTypeError, DtypeError: as the layer's call.

        Example:
            >>> import torch, carrousel
            >>> layer = carrousel.LSTM(3, 5).eval()
            >>> with torch.no_grad():
            ...     output, state = layer.step(torch.randn(2, 3))
            ...     output, state = layer.step(torch.randn(2, 3), state, resets=torch.tensor([False, True]))
            >>> output.shape, state[0].shape
            (torch.Size([2, 5]), torch.Size([1, 2, 5]))
        """
        layer = cast("Layers", self)
        _refuse_two_directions(layer, "step")
        if not (self.training or torch.is_grad_enabled() or step_inputs) and type(x) is Tensor:
            found = _quick(layer, x, state, resets)
            if found is not None:
                return found
        return _by_call(layer, x, state, resets, step_inputs)

    def stream(self, batch_size: int | None = None) -> Stream:
        """Return a stream: steps on memory that is made once, the states kept inside; the fastest way to walk.

        Args:
            batch_size: rows that walk side by side; None for one row without a batch axis.

        Returns:
            A `carrousel.nn.stream.Stream`, at the initial states.

        Raises:
            BackendError: the layer is bidirectional, a population, or has hooks.
            OptionTypeError, OptionError: batch_size is no whole number of at least 1.

        Example:
            >>> import torch, carrousel
            >>> stream = carrousel.GRU(3, 5).stream(batch_size=2)
            >>> stream.step(torch.randn(2, 3)).shape
            torch.Size([2, 5])
            >>> stream.reset(torch.tensor([True, False]))
        """
        layer = cast("Layers", self)
        _refuse_two_directions(layer, "stream")
        return Stream(layer, batch_size)


def _refuse_two_directions(layer: "Layers", how: str) -> None:
    if layer.bidirectional:
        raise BackendError(
            f"{layer._where}.{how} - the layer is bidirectional: backwards, the first step needs the last one - "
            "call it with the whole sequence"
        )


def _quick(layer: "Layers", x: Tensor, state: Any, resets: Tensor | None) -> tuple[Tensor, Any] | None:
    """A step on kept memory; None for a call that needs more, or that is mistaken."""
    is_special = layer._modules or layer._forward_pre_hooks or layer._forward_hooks or layer._nets  # parametrizations
    if is_watched() or is_special or not x.is_cpu or x.is_neg():
        return None
    chains = _chains_of(layer, x)
    chain = chains.pop() if chains else chain_for(layer, x)  # another thread may be using one: each takes its own
    if chain is None or not chain.is_followed or not chain.follow():
        return None
    states = chain.fresh if state is None else _states_of(layer, state, x)
    if not chain.takes(states) or not (resets is None or _are_resets(resets, x)):
        return None
    if resets is not None:
        reset, pairs = resets.unsqueeze(-1), zip(chain.fresh, states, strict=True)
        states = tuple(torch.where(reset, fresh, given) for fresh, given in pairs)
    output, new = chain.step(x, states)
    chains.append(chain)
    if layer.state_batch_first and x.dim() == 2:
        new = tuple([after.movedim(0, 1) for after in new])
    return output, tuple.__new__(chain.kind, new) if len(new) > 1 else new[0]


def _states_of(layer: "Layers", state: Any, x: Tensor) -> tuple[Any, ...]:
    """The state that is given as a chain takes it; none for one of other names, which the layer's call refuses."""
    if isinstance(state, State):
        if state._fields != layer._layout.cell.states:
            return ()
        return state if x.dim() == 1 else state.turned(False)
    states = state if isinstance(state, tuple) else (state,)
    if layer.state_batch_first and x.dim() == 2:
        return tuple([s.movedim(0, 1) if type(s) is Tensor and s.dim() == 3 else s for s in states])
    return states


def _chains_of(layer: "Layers", x: Tensor) -> list[Chain]:
    kept, kind = kinds_of(layer, "_chains"), (x.shape, x.dtype, layer.backend, layer.state_batch_first)
    chains: list[Chain] | None = kept.get(kind)
    return kept.begin(kind, []) if chains is None else chains


def _are_resets(resets: Any, x: Tensor) -> bool:
    return type(resets) is Tensor and resets.dtype == torch.bool and resets.shape == x.shape[:-1] and resets.is_cpu


def _by_call(
    layer: "Layers", x: Tensor, state: Any, resets: Tensor | None, step_inputs: Mapping[str, Tensor] | None
) -> tuple[Tensor, Any]:
    """A step as a sequence of one."""
    least = len(layer._rows)
    if not isinstance(x, Tensor) or (x.dim() != least + 1 and not (x.dim() == 1 and not layer._nets)):
        got = tuple(x.shape) if isinstance(x, Tensor) else type(x).__name__
        raise InputTypeError(
            f"{layer._where}.step: x is {got}, expected a tensor ({', '.join((*layer._rows, 'input'))}) - "
            "a step takes one vector per row; give a sequence to the layer itself"
        )
    axis = 0 if x.dim() == 1 else layer._time_axis
    output, new = layer(
        x.unsqueeze(axis),
        state,
        resets=None if resets is None else torch.as_tensor(resets).unsqueeze(axis),
        step_inputs=step_inputs and {name: value.unsqueeze(axis) for name, value in step_inputs.items()},
    )
    return output.squeeze(axis), new
