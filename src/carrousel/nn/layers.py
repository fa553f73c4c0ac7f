"""What all recurrent layers have in common: parameters, states, and the way of a call to its backend."""

import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter
from torch.nn.utils.rnn import PackedSequence

from carrousel import backends
from carrousel.cell import Cell
from carrousel.errors import InputShapeError, InputTypeError
from carrousel.nn import checks, choice, jagged, operator, packed, plain
from carrousel.nn import init as initialisers
from carrousel.nn.regularisers import Regularisers
from carrousel.nn.saving import GatesBesideWeights
from carrousel.nn.sequence import Call, run_layers
from carrousel.nn.state import State, class_of
from carrousel.nn.stepping import Stepping
from carrousel.nn.torch_layout import Layout, parameter_name, suffix

__all__ = ["Layers"]


class Layers(Stepping, GatesBesideWeights):
    """Layers of one cell; the part that `Recurrent`, its namesakes of torch.nn and `Population` share."""

    input_size: int
    hidden_size: int
    num_layers: int
    bias: Any
    batch_first: bool
    dropout: float
    bidirectional: bool
    proj_size: int
    backend: str
    recompute = False
    state_batch_first = False
    regularisers = Regularisers()
    #: In evaluation, in training.
    _is_regularised = False, False

    #: Axes of the input besides time and features.
    _rows: tuple[str, ...] = ("batch",)
    #: Leading axis of every parameter: the number of nets of a population.
    _nets: tuple[int, ...] = ()
    #: The namesakes refuse what torch.nn refuses: an empty sequence, a single state in a tuple.
    _as_strict_as_torch = False

    # ------------------------------------------------------------------ construction

    def _adopt(
        self,
        cell: Cell,
        backend: str = "auto",
        init: "str | initialisers.Initialiser | None" = None,
        forget_bias: float | None = None,
        learn_initial_state: bool = False,
        block_size: int = 1,
        recompute: bool = False,
        state_batch_first: bool = False,
        regularisers: Regularisers = regularisers,
    ) -> None:
        """Take the options that torch.nn does not have; sizes and the like are attributes already."""
        where = type(self).__name__
        checks.check_backend(where, backend)
        checks.check_forget_bias(where, forget_bias)
        self.cell, self.backend = cell, backend
        self.block_size = checks.whole_number(where, "block_size", block_size, 1)
        self.init, self.forget_bias = init, forget_bias
        initialisers.get(init or cell.init or "torch")
        self.learn_initial_state = checks.flag(where, "learn_initial_state", learn_initial_state)
        self.recompute = checks.flag(where, "recompute", recompute)
        self.state_batch_first = checks.flag(where, "state_batch_first", state_batch_first)
        self.regularisers = regularisers.checked(where, cell, self.proj_size)
        self._make_layout()
        if backend == "torch":
            choice.refuse(where, "torch", operator.refusals(self))

    def _make_layout(self) -> None:
        bias = self.bias if isinstance(self.bias, bool) else tuple(self.bias)
        sizes = self.hidden_size, self.proj_size, self.block_size, bias, bool(self._nets)
        self._is_regularised = self.regularisers.at_work(False), self.regularisers.at_work(True)
        cell, training_cell = self.regularisers.cells(self.cell, self.proj_size)
        self._layout = self._training_layout = Layout(cell, *sizes)
        if training_cell is not cell:
            self._training_layout = Layout(training_cell, *sizes)
        self._names = {
            (layer, reverse): [(g.name, parameter_name(g.name) + suffix(layer, reverse)) for g in cell.groups]
            for layer in range(self.num_layers)
            for reverse in self._each_direction
        }
        self._is_plain = plain.is_plain(self)
        choice.prepare(cell, training_cell)

    def _register(self, device: Any, dtype: Any) -> None:
        """Make the parameters, named and ordered as PyTorch does, and the learned initial states."""
        self._all_weights: list[list[str]] = []
        for layer in range(self.num_layers):
            size = self.input_size if layer == 0 else self._layout.output_size * self._directions
            for reverse in self._each_direction:
                names = []
                for group, shape in self._layout.shapes(size).items():
                    name = parameter_name(group) + suffix(layer, reverse)
                    value = torch.empty(*self._nets, *shape, device=device, dtype=dtype)
                    self.register_parameter(name, Parameter(value))
                    names.append(name)
                self._all_weights.append(names)
        self._register_initial_states(device, dtype)

    def _register_initial_states(self, device: Any, dtype: Any) -> None:
        if not self.learn_initial_state:
            return
        for state, value in self._layout.cell.initial.items():
            if abs(value) != float("inf"):  # a state that begins at -inf stays a constant
                shape = (*self._nets, self._depth, self._layout.state_size(state))
                learned = torch.full(shape, value, device=device, dtype=dtype)
                self.register_parameter(f"initial_{state}", Parameter(learned))

    @property
    def _directions(self) -> int:
        return 2 if self.bidirectional else 1

    @property
    def _each_direction(self) -> tuple[bool, ...]:
        return (False, True) if self.bidirectional else (False,)

    @property
    def _depth(self) -> int:
        return self.num_layers * self._directions

    def reset_parameters(self) -> None:
        """Draw the weights anew, with the initialiser of the constructor."""
        initialiser = initialisers.get(self.init or self.cell.init or "torch")
        for stack in self._stacks():
            initialisers.draw(stack, initialiser, self.forget_bias)
        with torch.no_grad():
            for state, value in self._layout.cell.initial.items():
                if (learned := getattr(self, f"initial_{state}", None)) is not None:
                    learned.fill_(value)

    def _stacks(self) -> Iterator[initialisers.Stack]:
        """The parameters as the initialisers see them: net by net, layer by layer, direction by direction."""
        for net in range(self._nets[0]) if self._nets else (None,):
            for layer in range(self.num_layers):
                for reverse in self._each_direction:
                    stacked = {group: p.detach() for group, p in self._stacked(layer, reverse).items()}
                    if net is not None:
                        stacked = {group: p[net] for group, p in stacked.items()}
                    yield initialisers.Stack(self._layout, stacked)

    def _stacked(self, layer: int, reverse: bool) -> dict[str, Tensor]:
        """Group -> stacked parameter of one layer and direction."""
        found = {}
        for group, name in self._names[layer, reverse]:
            parameter = self._parameter(name)
            if parameter is not None:
                found[group] = parameter
        return found

    def _parameter(self, name: str) -> Tensor | None:
        """A parameter, or what took its place, as parametrizations do; None for one that is left out."""
        found = self._parameters.get(name)
        if found is not None:
            return found
        try:  # Dynamo looks twice for an attribute with a default, and a parametrization may draw at each look
            taken: Tensor | None = getattr(self, name)
        except AttributeError:
            return None
        return taken

    @property
    def all_weights(self) -> list[list[Parameter]]:
        """The parameters, one list per layer and direction."""
        return [[getattr(self, name) for name in names] for names in self._all_weights]

    def flatten_parameters(self) -> None:
        """Do nothing: the parameters need no common memory. Here for code written for torch.nn."""

    def extra_repr(self) -> str:
        """Show the options that differ from the defaults."""
        shown = [f"{self.input_size}, {self.hidden_size}"]
        defaults = {"proj_size": 0, "num_layers": 1, "bias": True, "batch_first": False}
        defaults |= {"dropout": 0, "bidirectional": False}
        shown += [f"{n}={getattr(self, n)}" for n, default in defaults.items() if getattr(self, n) != default]
        return ", ".join([*shown, *self._added_options()])

    def _added_options(self) -> list[str]:
        defaults: dict[str, Any] = {"backend": "auto", "init": None, "forget_bias": None, "learn_initial_state": False}
        defaults |= {"block_size": 1, "recompute": False, "state_batch_first": False}
        chosen = {n: getattr(self, n) for n, default in defaults.items() if getattr(self, n) != default}
        shown = [f"{n}={getattr(value, '__name__', repr(value))}" for n, value in chosen.items()]
        return [*shown, *self.regularisers.shown()]

    # ------------------------------------------------------------------ the call

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
        is_bare = hx is None and lengths is None and resets is None and not return_trace and not step_inputs
        if is_bare and (found := plain.call(self, input)) is not None:
            return found
        if isinstance(input, PackedSequence):
            if lengths is not None:
                raise InputShapeError(f"{self._where}: a PackedSequence has its lengths inside - leave lengths= out")
            return packed.run(self, input, hx, resets, return_trace, step_inputs)
        if isinstance(input, Tensor) and input.is_nested:
            others = {"lengths": lengths, "resets": resets, "return_trace": return_trace, "step_inputs": step_inputs}
            return jagged.run(self, input, hx, others)
        if not isinstance(input, Tensor):
            raise InputTypeError(
                f"{self._where}: input is a {type(input).__name__}, expected a tensor or a PackedSequence - "
                "convert it with torch.as_tensor"
            )
        unbatched = self._rows == ("batch",) and input.dim() == 2
        axes = ("time", "input") if unbatched else self._axes
        checks.check_input(self._where, input, axes, self.input_size, self._weight)
        if self._nets and len(input) != self._nets[0]:
            raise InputShapeError(
                f"{self._where}: input has {len(input)} nets (first axis), expected {self._nets[0]}; got shape "
                f"{tuple(input.shape)} = ({', '.join(axes)}) - to give every net the same, expand it"
            )
        x = self._time_major(input, unbatched)
        if self._as_strict_as_torch and lengths is None and x.shape[0] == 0:
            raise InputShapeError(
                f"{self._where}: Expected sequence length to be larger than 0; got shape {tuple(input.shape)} - "
                "pass lengths= to allow empty sequences"
            )
        if lengths is not None:
            lengths = torch.as_tensor(lengths).reshape(-1) if unbatched else lengths
            lengths = checks.check_lengths(self._where, lengths, x)
        if resets is not None:
            resets = self._time_major(checks.check_resets(self._where, resets, input), unbatched)
        per_step = [self._time_major(value, unbatched) for value in self._step_inputs(step_inputs, input)]
        given = None if hx is None else self._given(hx, x, unbatched)
        output, states, trace = self._run(self._call(x, given, lengths, resets, return_trace, per_step))
        output, states = self._back(output, unbatched), self._states_back(states, unbatched)
        if not return_trace:
            return output, states
        return output, states, {name: self._back(value, unbatched) for name, value in trace.items()}

    @property
    def _where(self) -> str:
        return type(self).__name__

    @property
    def _weight(self) -> Tensor:
        """The first weight: all have its dtype and device."""
        first = self._parameter(self._all_weights[0][0])
        assert first is not None
        return first

    @property
    def _time_axis(self) -> int:
        return len(self._rows) - 1 + self.batch_first

    @property
    def _axes(self) -> tuple[str, ...]:
        """The names of the input's axes."""
        return checks.axes(self._rows, self._time_axis)

    def _time_major(self, value: Tensor, unbatched: bool) -> Tensor:
        """The user's layout -> (time, *rows, ...)."""
        if unbatched:
            return value.unsqueeze(1)
        return value.movedim(self._time_axis, 0) if self._time_axis else value

    def _back(self, value: Tensor, unbatched: bool) -> Tensor:
        """(time, *rows, ...) -> the user's layout."""
        if unbatched:
            return value.squeeze(1)
        return value.movedim(0, self._time_axis) if self._time_axis else value

    def _states_back(self, states: tuple[Tensor, ...], unbatched: bool) -> Any:
        """Each (layer, *rows, size) -> the user's order, a population has its net axis first."""
        if unbatched:
            states = tuple([state.squeeze(1) for state in states])
        elif place := self._layer_axis:
            states = tuple([state.movedim(0, place) for state in states])
        return self._named(states)

    @property
    def _layer_axis(self) -> int:
        """The place of layers and directions among the axes of the user's states."""
        return len(self._rows) - 1 + self.state_batch_first

    def _named(self, states: tuple[Tensor, ...]) -> Any:
        """One state is no tuple; several have names, but torch.nn's stand-ins have torch's own tuple."""
        if len(states) == 1:
            return states[0]
        if self._as_strict_as_torch:
            return states
        return tuple.__new__(class_of(self._layout.cell.states, self.state_batch_first), states)

    def _given(self, hx: Any, x: Tensor, unbatched: bool) -> tuple[Tensor, ...]:
        """The user's initial states as a tuple of (layer, *rows, size)."""
        names = self._layout.cell.states
        if isinstance(hx, State) and not unbatched:
            hx = hx.turned(self.state_batch_first)
        states = checks.states_of(self._where, names, hx, not self._as_strict_as_torch)
        rows = [("layers * directions", self._depth)]
        if not unbatched:
            rows.insert(0 if self.state_batch_first else 1, ("batch", x.shape[-2]))
        rows = [*zip(self._rows, self._nets, strict=False), *rows]
        checks.check_states(self._where, names, states, rows, self._layout.state_size, x)
        return tuple(s.unsqueeze(1) if unbatched else s.movedim(self._layer_axis, 0) for s in states)

    def _step_inputs(self, given: Mapping[str, Tensor] | None, input: Tensor) -> list[Tensor]:
        names = self._layout.cell.definition.step_inputs
        taken = names or given
        return checks.check_step_inputs(self._where, names, given or {}, input, self.hidden_size) if taken else []

    def _call(
        self,
        x: Tensor,
        given: tuple[Tensor, ...] | None,
        lengths: Tensor | None,
        resets: Tensor | None,
        return_trace: Sequence[str] | None,
        step_inputs: Sequence[Tensor],
    ) -> Call:
        traced = checks.check_trace(self._where, return_trace, self._layout.cell.traceable) if return_trace else ()
        return Call(x, given, functools.partial(self._fresh, x), lengths, resets, step_inputs, traced)

    def _fresh(self, x: Tensor, k: int, *rows: int) -> tuple[Tensor, ...]:
        """The states before the first step of one layer and direction, each (*rows, size)."""
        made: dict[tuple[float, int], Tensor] = {}
        states = []
        for state, value in self._layout.cell.initial.items():
            size = self._layout.state_size(state)
            learned: Tensor | None = getattr(self, f"initial_{state}", None) if self.learn_initial_state else None
            if learned is not None:  # ([net,] layer, size)
                states.append(learned.select(-2, k).unsqueeze(-2).expand(*rows, size))
                continue
            if (value, size) not in made:
                made[value, size] = plain.constant(x, (*rows, size), value)
            states.append(made[value, size])
        return tuple(states)

    # ------------------------------------------------------------------ backends

    def _backend_of(self, call: Call, layout: Layout) -> str:
        """The backend that does a call; the user's, or the best that can."""
        found = choice.of_call(self._where, self.backend, layout.cell.definition, call.x, call.traced)
        if found is not None:
            return found
        reasons = operator.refusals(self, call, layout is self._training_layout)
        if self.backend == "torch":
            choice.refuse(self._where, "torch", reasons)
        elif reasons and call.x.is_cuda:
            choice.warn_once(f"{self._where}: {', '.join(reasons)} on a GPU runs step by step (backend 'eager')")
        return backends.REFERENCE if reasons else "torch"

    def _run(self, call: Call, training: bool | None = None) -> tuple[Tensor, tuple[Tensor, ...], dict[str, Tensor]]:
        """Run all layers; `training` in place of the module's own says whether dropout is on."""
        training, layout, masks = self.training if training is None else training, self._layout, None
        if training and operator.transforms_active():
            operator.check_draws(self)
        if training:
            call, layout = call._replace(x=self.regularisers.dropped(call.x)), self._training_layout
        if layout is not self._layout:
            masks = functools.partial(self.regularisers.step_inputs, layout.cell, call.step_inputs, self.hidden_size)
        backend = self._backend_of(call, layout)
        if backend == "torch":
            every = [call.fresh(k, *call.x.shape[1:-1]) for k in range(self._depth)] if call.states is None else ()
            states = call.states or tuple(map(torch.stack, zip(*every, strict=True)))
            output, states = operator.run(
                operator.mode_of(self.cell) or "",
                call.x,
                tuple(state.contiguous() for state in states),
                [w for names in self._all_weights for w in (getattr(self, n) for n in names)],
                bias=self.bias,
                num_layers=self.num_layers,
                dropout=self.dropout,
                training=training,
                bidirectional=self.bidirectional,
                lengths=call.lengths,
            )
            return output, states, {}
        return run_layers(
            layout,
            self._stacked,
            call,
            masks,
            backend=backend,
            num_layers=self.num_layers,
            bidirectional=self.bidirectional,
            between=self.dropout if training else 0.0,
            recompute=self.recompute,
        )
