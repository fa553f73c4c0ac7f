"""Truncated backpropagation through time: a long sequence in pieces, the state carried, the gradient cut."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from carrousel.errors import BackendError, InputTypeError
from carrousel.nn.checks import check_input, check_lengths, check_resets, whole_number
from carrousel.nn.layers import Layers

__all__ = ["Piece", "tbptt"]


class Piece(NamedTuple):
    """What `tbptt` gives for each piece.

    Attributes:
        output: the layer's output for these steps.
        state: the state behind them, detached: what the next piece begins with.
        steps: their place on the time axis, as a slice.
    """

    output: Tensor
    state: Any
    steps: slice


def tbptt(
    layer: Layers,
    input: Tensor,
    length: int,
    hx: Any = None,
    *,
    lengths: Any = None,
    resets: Tensor | None = None,
    step_inputs: Mapping[str, Tensor] | None = None,
) -> Iterator[Piece]:
    """Walk over a long sequence piece by piece: the state goes on, the gradient does not.

    A piece is computed when it is asked for, with the weights that the layer has then: take a step of the optimiser
    between two of them. The memory is that of one piece.

    Args:
        layer: the layer, in one direction.
        input: the sequence.
        length: steps of a piece; the last may be shorter.
        hx: the state before the first step, for example that of the last piece of the sequence before.
        lengths, resets, step_inputs: as the layer's.

    Yields:
        The output of a piece, the detached state behind it, and its steps as a slice of time.

    Shapes:
        - input: (time, batch, input), with batch_first (batch, time, input), unbatched (time, input)
        - hx, lengths, resets, step_inputs: as the layer's
        - output: as the layer's, for the steps of the piece

    Raises:
        BackendError: the layer is bidirectional.
        InputTypeError: the input is no padded tensor.
        OptionTypeError, OptionError: length is no whole number of at least 1.

    Example:
        >>> import torch, carrousel
        >>> layer, readout = carrousel.Recurrent("lstm", 3, 5), torch.nn.Linear(5, 1)
        >>> optimizer = torch.optim.SGD([*layer.parameters(), *readout.parameters()], lr=0.1)
        >>> x, target = torch.randn(100, 2, 3), torch.randn(100, 2, 1)
        >>> for output, state, steps in carrousel.tbptt(layer, x, 40):
        ...     loss = (readout(output) - target[steps]).square().mean()
        ...     optimizer.zero_grad()
        ...     loss.backward()
        ...     optimizer.step()
        >>> output.shape, steps
        (torch.Size([20, 2, 5]), slice(80, 100, None))

    Source:
        Williams & Peng (1990), An efficient gradient-based algorithm for on-line training of recurrent network
        trajectories: BPTT(h; h'), here with h = h', the length of a piece.
    """
    whole_number("tbptt", "length", length, 1)
    if layer.bidirectional:
        raise BackendError(
            "tbptt - the layer is bidirectional: backwards, the first piece needs the last one - "
            "call it with the whole sequence"
        )
    if not isinstance(input, Tensor) or input.is_nested:
        raise InputTypeError(
            f"tbptt - input is a {'nested tensor' if isinstance(input, Tensor) else type(input).__name__}, expected a "
            "padded tensor - pad it and pass lengths="
        )
    unbatched = layer._rows == ("batch",) and input.dim() == 2
    axes = ("time", "input") if unbatched else layer._axes
    check_input(layer._where, input, axes, layer.input_size, layer._weight)
    if lengths is not None:
        lengths = torch.as_tensor(lengths).reshape(-1) if unbatched else lengths
        lengths = check_lengths(layer._where, lengths, layer._time_major(input, unbatched))
    if resets is not None:
        resets = check_resets(layer._where, resets, input)
    names, values = layer._layout.cell.definition.step_inputs, layer._step_inputs(step_inputs, input)
    return _pieces(layer, input, length, hx, axes.index("time"), lengths, resets, dict(zip(names, values, strict=True)))


def _pieces(
    layer: Layers,
    input: Tensor,
    length: int,
    hx: Any,
    axis: int,
    lengths: Tensor | None,
    resets: Tensor | None,
    step_inputs: Mapping[str, Tensor],
) -> Iterator[Piece]:
    """The pieces themselves; a function of its own so that mistakes are answered in the call, not in the loop."""
    time = input.shape[axis]
    for start in range(0, time, length):
        count = min(length, time - start)
        output, state = layer(
            input.narrow(axis, start, count),
            hx,
            lengths=None if lengths is None else (lengths - start).clamp(0, count),
            resets=None if resets is None else resets.narrow(axis, start, count),
            step_inputs={name: value.narrow(axis, start, count) for name, value in step_inputs.items()} or None,
        )
        hx = state.detach() if type(state) is not tuple else tuple(s.detach() for s in state)
        yield Piece(output, hx, slice(start, start + count))
