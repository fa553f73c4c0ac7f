"""Stand-ins for torch.nn.LSTM, GRU and RNN: change the import, nothing else."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from carrousel import cells
from carrousel.cell import Cell
from carrousel.nn import checks, choice, operator, plain
from carrousel.nn.init import Initialiser
from carrousel.nn.layers import Layers
from carrousel.nn.namesake import Namesake
from carrousel.nn.regularisers import Regularisers
from carrousel.nn.state import State

__all__ = ["GRU", "LSTM", "RNN"]


class _DropIn(Namesake, Layers, torch.nn.RNNBase):
    """A layer that is its torch.nn namesake, with more keyword options."""

    _as_strict_as_torch = True

    def __init__(
        self,
        *args: Any,
        cell: Cell | str | None = None,
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
        **kwargs: Any,
    ) -> None:
        self._become(
            functools.partial(self._namesake.__init__, self, *args, **kwargs),
            cell,
            forget_bias,
            backend=backend,
            init=init,
            learn_initial_state=learn_initial_state,
            block_size=block_size,
            recompute=recompute,
            state_batch_first=state_batch_first,
            regularisers=Regularisers(input_dropout, recurrent_dropout, zoneout, cell_clip, gate_clip, proj_clip),
        )
        if self._is_own:
            first = next(self.parameters())
            self._register_initial_states(first.device, first.dtype)

    def _replace_parameters(self) -> None:
        first = next(self.parameters())
        for name in self._flat_weights_names:
            del self._parameters[name]
        self._register(first.device, first.dtype)
        self._flat_weights_names = [name for names in self._all_weights for name in names]
        self._init_flat_weights()

    def _own_cell(self) -> Cell:
        return cells.get({"LSTM": "lstm", "GRU": "gru", "RNN_TANH": "elman", "RNN_RELU": "elman_relu"}[self.mode])

    def _adopt(self, cell: Cell, *args: Any, **options: Any) -> None:
        Layers._adopt(self, cell, *args, **options)
        self._is_own = cell == self._own_cell()

    def _draw(self) -> None:
        Layers.reset_parameters(self)

    def flatten_parameters(self) -> None:
        """Bring the weights into one piece of memory on a GPU, as the namesake does."""
        if self._is_own:
            self._namesake.flatten_parameters(self)

    def extra_repr(self) -> str:
        """Show the namesake's options and the added ones."""
        shown = [self._namesake.extra_repr(self)]
        if not self._is_own:
            shown.append(f"cell={cells.name_of(self.cell)!r}")
        return ", ".join([*shown, *self._added_options()])

    def forward(
        self,
        input: Tensor | PackedSequence,
        hx: Any = None,
        *,
        lengths: Any = None,
        resets: Tensor | None = None,
        return_trace: Sequence[str] = (),
        step_inputs: Mapping[str, Tensor] | None = None,
    ) -> Any:
        """Run the layers over a sequence; see the class for arguments and shapes."""
        is_bare = lengths is None and resets is None and not return_trace and not step_inputs
        if is_bare and hx is None and (found := plain.call(self, input)) is not None:
            return found
        is_bare = is_bare and not isinstance(hx, State)  # torch does not read which axis of it is the batch
        if is_bare and self._namesake_does(input):
            return self._namesake.forward(self, input, hx)
        return super().forward(
            input, hx, lengths=lengths, resets=resets, return_trace=return_trace, step_inputs=step_inputs
        )

    def check_input(self, input: Tensor, batch_sizes: Tensor | None) -> None:
        """Refuse an input of the wrong shape; the namesake's forward calls it with the batch axis in place."""
        if batch_sizes is None and input.dim() == 3:
            checks.check_input(self._where, input, self._axes, self.input_size, self._weight)
        super().check_input(input, batch_sizes)

    def _namesake_does(self, input: object) -> bool:
        """Whether the namesake's forward does a call, mistaken ones among them."""
        if not self._is_own or self.learn_initial_state or self.recompute or not operator.can_be(self.backend):
            return False
        if self.state_batch_first or self._is_regularised[self.training]:
            return False
        if isinstance(input, Tensor) and input.is_nested:
            return False
        x = input.data if isinstance(input, PackedSequence) else input
        if self.backend == "torch" or not isinstance(x, Tensor):
            return True
        return choice.compiled(self._layout.cell.definition, x, ()) is None


class LSTM(_DropIn, torch.nn.LSTM):
    """Stand in for torch.nn.LSTM, whose arguments, results, weights and errors it has.

    `torch.compile(fullgraph=True)` refuses every subclass of torch.nn.LSTM, GRU and RNN until
    `torch._dynamo.config.allow_rnn = True` is set; `carrousel.Recurrent` needs nothing.

    Args:
        *args, **kwargs: those of torch.nn.LSTM: input_size, hidden_size, num_layers=1, bias=True, batch_first=False,
            dropout=0.0, bidirectional=False, proj_size=0, device=None, dtype=None.
        cell: a Cell with states (h, c), or its registry name ("peephole_lstm"), in place of the plain LSTM.
        backend, init, forget_bias, learn_initial_state, block_size, recompute, state_batch_first, input_dropout,
            recurrent_dropout, zoneout, cell_clip, gate_clip, proj_clip: as in `carrousel.Recurrent`.

    Calling it:
        `output, (h_n, c_n) = lstm(input, hx=None)`, and the keyword arguments of `carrousel.Recurrent`: lengths,
        resets, return_trace, step_inputs.

    Shapes:
        - input: (time, batch, input), with batch_first (batch, time, input), unbatched (time, input), or PackedSequence
        - h_0, h_n: (layers * directions, batch, proj_size or hidden_size)
        - c_0, c_n: (layers * directions, batch, hidden)
        - output: (time, batch, directions * (proj_size or hidden_size))

    Raises:
        ValueError, RuntimeError, TypeError: where torch.nn.LSTM raises them.

    Example:
        >>> import torch, carrousel
        >>> lstm = carrousel.LSTM(3, 5, cell="peephole_lstm", forget_bias=1.0)
        >>> output, (h, c) = lstm(torch.randn(7, 2, 3), lengths=[7, 0])
        >>> [name for name, _ in lstm.named_parameters()]
        ['weight_ih_l0', 'weight_hh_l0', 'weight_ch_l0', 'bias_ih_l0']

    Source:
        torch.nn.LSTM; Gers, Schmidhuber & Cummins (2000).
    """

    _namesake = torch.nn.LSTM
    _states = ("h", "c")


class GRU(_DropIn, torch.nn.GRU):
    """Stand in for torch.nn.GRU, whose arguments, results, weights and errors it has.

    Args:
        *args, **kwargs: those of torch.nn.GRU.
        cell: a Cell with the one state h, or its registry name ("gru_2014"), in place of PyTorch's GRU.
        backend, init, forget_bias, learn_initial_state, block_size, recompute, state_batch_first, input_dropout,
            recurrent_dropout, zoneout, cell_clip, gate_clip, proj_clip: as in `carrousel.Recurrent`.

    Shapes:
        - input: (time, batch, input), with batch_first (batch, time, input), unbatched (time, input), or PackedSequence
        - h_0, h_n: (layers * directions, batch, hidden)
        - output: (time, batch, directions * hidden)

    Raises:
        ValueError, RuntimeError, TypeError: where torch.nn.GRU raises them.

    Example:
        >>> import torch, carrousel
        >>> output, h = carrousel.GRU(3, 5)(torch.randn(7, 2, 3))
        >>> output.shape
        torch.Size([7, 2, 5])

    Source:
        torch.nn.GRU; Cho et al. (2014).
    """

    _namesake = torch.nn.GRU
    _states = ("h",)


class RNN(_DropIn, torch.nn.RNN):
    """Stand in for torch.nn.RNN, whose arguments, results, weights and errors it has.

    Args:
        *args, **kwargs: those of torch.nn.RNN, `nonlinearity` ("tanh" or "relu") among them.
        cell: a Cell with the one state h, or its registry name ("irnn").
        backend, init, forget_bias, learn_initial_state, block_size, recompute, state_batch_first, input_dropout,
            recurrent_dropout, zoneout, cell_clip, gate_clip, proj_clip: as in `carrousel.Recurrent`.

    Shapes:
        - input: (time, batch, input), with batch_first (batch, time, input), unbatched (time, input), or PackedSequence
        - h_0, h_n: (layers * directions, batch, hidden)
        - output: (time, batch, directions * hidden)

    Raises:
        ValueError, RuntimeError, TypeError: where torch.nn.RNN raises them.

    Example:
        >>> import torch, carrousel
        >>> output, h = carrousel.RNN(3, 5, nonlinearity="relu")(torch.randn(7, 2, 3))
        >>> output.shape
        torch.Size([7, 2, 5])

    Source:
        torch.nn.RNN; Elman (1990).
    """

    _namesake = torch.nn.RNN
    _states = ("h",)
