"""Any cell as a layer."""

import numbers
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from torch.nn import Module

from carrousel import cells
from carrousel.cell import Cell
from carrousel.errors import BackendError, OptionError, OptionTypeError
from carrousel.nn.checks import flag, whole_number
from carrousel.nn.init import Initialiser
from carrousel.nn.layers import Layers
from carrousel.nn.regularisers import Regularisers

__all__ = ["Recurrent"]


class Recurrent(Layers):
    """Run any cell over sequences, with the options of torch.nn.LSTM and more.

    Args:
        cell: a Cell or a name of the registry (`carrousel.cells.names()`).
        input_size: features of the input.
        hidden_size: hidden units; with blocks, all memory cells.
        num_layers: layers, each running over the output of the one below.
        bias: False for no biases, or the names of the gates that have one.
        batch_first: whether input and output are (batch, time, ...); states have `state_batch_first`.
        dropout: probability of dropout between layers.
        bidirectional: whether a second set of weights walks backwards.
        proj_size: project the output to this size (any size), 0 for none.
        device: where the parameters are made.
        dtype: their type.
        backend: "auto" takes the first that can do the call: on the CPU a compiled one of
            `carrousel.backends.names()`, then torch's own operator ("torch"), then "eager"; or one of these by name.
        init: an initialiser by name ("torch", "keras", "orthogonal", "identity", "chrono") or function; by default the
            one that the cell's paper asks for, else PyTorch's.
        forget_bias: the forget gate's bias at the start.
        learn_initial_state: whether the initial states are parameters, `initial_<state>`.
        block_size: memory cells that share the cell's shared gates (1997).
        recompute: whether the backward runs a layer's forward once more instead of keeping what happened inside it:
            less memory, more time.
        state_batch_first: whether states are (batch, layers * directions, size), given and returned.
        input_dropout: probability of dropping a feature of the first layer's input, the same at every step of a
            sequence, as Gal & Ghahramani (2016); `dropout` draws anew at every step, as torch.nn does.
        recurrent_dropout: probability of dropping a value of the previous output where matrices multiply it, the same
            at every step of a sequence; every layer and direction has its own mask.
        zoneout: probability that a unit keeps its previous value, drawn at every step: a number for all states, or
            state -> number, as `{"h": 0.05, "c": 0.5}`; evaluation has the expected mix.
        cell_clip: largest magnitude of the cell state c.
        gate_clip: largest magnitude of the pre-activations.
        proj_clip: largest magnitude of a projected output.

    Masks come from torch's generator of the input's device: a seed gives the same on every backend. A call, a single
    step too, is one sequence; resets draw no new masks. Clips are there in evaluation too. None of these changes the
    parameters.

    Calling it:
        `output, state = layer(input, hx=None, *, lengths=None, resets=None, return_trace=(), step_inputs=None)`, with
        one more result, a dict, if `return_trace` names quantities.
        One step at a time: `layer.step(x, state)`, or `layer.stream()`, which keeps the state.

    Shapes:
        - input: (time, batch, input), with batch_first (batch, time, input), unbatched (time, input), a
            PackedSequence, or a jagged nested tensor (batch, time, input)
        - hx: a tuple of one (layers * directions, batch, size) per state in the order of the signature, a bare tensor
          if there is one state; a shared gate's state has one value per block. Returned is the same, the tuple a
          `carrousel.State`: `state.c`, `state.detach()`, `state.rows([0, 2])`, `state.save(path)`
        - lengths: (batch,) steps that count; later steps give output 0 and hold the state; 0 is allowed
        - resets: as input without features; true where the states start afresh before the step (reading backwards:
          after it), with no gradient across
        - return_trace: names of quantities; each comes back as `<name>_l<layer>[_reverse]` in the input's layout
        - step_inputs: name -> (time, batch, hidden) for a cell with arguments `<name>_t`; every layer and direction
          gets the same
        - output: (time, batch, directions * size)

    Raises:
        UnknownNameError: no such cell, backend, initialiser or quantity.
        OptionError, OptionTypeError: an option can not be.
        InputShapeError, InputTypeError: a tensor has the wrong shape or type.
        BackendError: the named backend can not do the call.

    Example:
        >>> import torch, carrousel
        >>> layer = carrousel.Recurrent("peephole_lstm", input_size=3, hidden_size=5)
        >>> output, (h, c), trace = layer(torch.randn(7, 2, 3), lengths=[7, 4], return_trace=("f",))
        >>> output.shape, c.shape, trace["f_l0"].shape
        (torch.Size([7, 2, 5]), torch.Size([1, 2, 5]), torch.Size([7, 2, 5]))

    Source:
        torch.nn.LSTM for the interface; the cell's docstring for the equations.
    """

    def __init__(
        self,
        cell: Cell | str,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool | Sequence[str] = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: Any = None,
        *,
        backend: str = "auto",
        init: str | Initialiser | None = None,
        forget_bias: float | None = None,
        learn_initial_state: bool = False,
        block_size: int = 1,
        recompute: bool = False,
        state_batch_first: bool = False,
        input_dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        zoneout: float | Mapping[str, float] = 0.0,
        cell_clip: float | None = None,
        gate_clip: float | None = None,
        proj_clip: float | None = None,
    ) -> None:
        Module.__init__(self)
        where = type(self).__name__
        chosen = cells.get(cell)
        self.input_size = whole_number(where, "input_size", input_size, 1)
        self.hidden_size = whole_number(where, "hidden_size", hidden_size, 1)
        self.num_layers = whole_number(where, "num_layers", num_layers, 1)
        self.proj_size = whole_number(where, "proj_size", proj_size, 0)
        self.bias = _checked_bias(where, bias, chosen)
        self.batch_first = flag(where, "batch_first", batch_first)
        self.bidirectional = flag(where, "bidirectional", bidirectional)
        if isinstance(dropout, bool) or not isinstance(dropout, numbers.Real) or not 0 <= dropout <= 1:
            raise OptionError(
                f"{where} - dropout should be a number in range [0, 1], got {dropout!r} - "
                "it is the probability of zeroing"
            )
        if dropout and self.num_layers == 1:
            warnings.warn(f"{where}: dropout={dropout} works between layers, but num_layers=1", stacklevel=2)
        self.dropout = float(dropout)
        regularisers = Regularisers(input_dropout, recurrent_dropout, zoneout, cell_clip, gate_clip, proj_clip)
        options = backend, init, forget_bias, learn_initial_state, block_size, recompute, state_batch_first
        self._adopt(chosen, *options, regularisers)
        self._register(device, dtype)
        self.reset_parameters()

    def __prepare_scriptable__(self) -> Module:
        raise BackendError(f"{self._where} - torch.jit.script can not read it - use torch.jit.trace")

    def extra_repr(self) -> str:
        """Show the cell and the options that differ from the defaults."""
        return f"{cells.name_of(self.cell)!r}, {super().extra_repr()}"


def _checked_bias(where: str, bias: bool | Sequence[str], cell: Cell) -> bool | tuple[str, ...]:
    if isinstance(bias, bool):
        return bias
    if isinstance(bias, str) or not isinstance(bias, Sequence):
        raise OptionTypeError(
            f"{where} - bias should be of type bool, or gates' names, got: {bias!r} - True, False or ('i', 'o')"
        )
    biased = {gate for group in cell.groups if group.name in ("b", "bR") for gate in group.gates}
    for gate in bias:
        if gate not in biased:
            raise OptionError(
                f"{where} - bias names {gate!r}, the cell's biased gates are {sorted(biased)} - name some of them"
            )
    return tuple(bias)
