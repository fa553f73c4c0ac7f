"""A layer that walks with its data: one step after the other, the states kept inside."""

from typing import TYPE_CHECKING, Any, NoReturn

import torch
from torch import Tensor

from carrousel.errors import BackendError, DtypeError, InputShapeError, InputTypeError
from carrousel.nn.chain import chain_for
from carrousel.nn.checks import whole_number

if TYPE_CHECKING:
    from carrousel.nn.layers import Layers

__all__ = ["Stream"]


class Stream:
    """Take one step after the other with a layer's weights, on memory that is made once; `layer.stream()` makes it.

    There are no gradients and no dropout. The weights are the layer's: when they change the next step takes them anew.
    It sees the changes that torch counts; after a write through `.data`, or to weights that were made in inference
    mode, call `renew()`.

    Attributes:
        x: ([batch,] input), the memory that a step reads; fill it in, or pass x to `step`.
        output: ([batch,] size), the memory that a step writes.
        step_inputs: name -> ([batch,] hidden) of a cell with arguments `<name>_t`; all layers get the same.

    Example:
        >>> import torch, carrousel
        >>> stream = carrousel.LSTM(1, 8, num_layers=2).stream()
        >>> for value in (0.1, 0.2, 0.3):
        ...     stream.x[0] = value
        ...     output = stream.step()
        >>> output.shape, [state.shape for state in stream.state]
        (torch.Size([8]), [torch.Size([2, 8]), torch.Size([2, 8])])

    Source:
        carrousel's own.
    """

    def __init__(self, layer: "Layers", batch_size: int | None = None) -> None:
        self.layer, self.batch_size = layer, batch_size
        self._where = where = f"{type(layer).__name__}.stream"
        rows = () if batch_size is None else (whole_number(where, "batch_size", batch_size, 1),)
        if layer._nets:
            raise BackendError(f"{where} - a population has no streams - take one of its nets: `nets.net(k).stream()`")
        if layer._forward_hooks or layer._forward_pre_hooks:
            raise BackendError(
                f"{where} - the layer has hooks, which a stream would not call - remove them, or use layer.step"
            )
        first = layer._parameter(layer._all_weights[0][0])
        assert first is not None
        names = layer._layout.cell.definition.step_inputs
        with torch.inference_mode(False):
            like = torch.zeros((*rows, layer.input_size), dtype=first.dtype, device=first.device)
        self._chain = chain_for(layer, like)
        if self._chain is not None:
            memory = self._chain.steps[0].x
            self.x, self.output = memory.view_as(like), self._chain.output
            inputs = self._chain.steps[0].step_inputs
            self.step_inputs = {name: t if rows else t[0] for name, t in zip(names, inputs, strict=True)}
            self._runs = self._chain.runs
        else:
            self._walk_by_calls(like, names)
        self._version = [self.output]

    # ------------------------------------------------------------------ steps

    def step(self, x: Tensor | None = None) -> Tensor:
        """Take one step.

        Args:
            x: ([batch,] input); None if it stands in `stream.x` already.

        Returns:
            ([batch,] size): `stream.output`, which the next step overwrites; `.clone()` it to keep it.

        Raises:
            InputShapeError, DtypeError: x is not like `stream.x`.
            InputTypeError: x is no tensor, has no values, or asks for gradients.
        """
        if x is not None:
            is_tensor = isinstance(x, Tensor) and not x.is_meta
            if not is_tensor or x.shape != self.x.shape or x.dtype != self.x.dtype or x.requires_grad:
                self._check(x)
            self.x.copy_(x)
        if self._chain is not None and not self._chain.follow():
            self._moved()
        for run in self._runs:
            run()
        torch._C._increment_version(self._version)  # autograd notices if it still needs the last output
        return self.output

    def _check(self, x: Any) -> None:
        where = self._where.replace(".stream", " stream")
        if not isinstance(x, Tensor):
            raise InputTypeError(f"{where}: x is a {type(x).__name__}, expected a tensor - use torch.as_tensor")
        if x.is_meta:
            raise InputTypeError(f"{where}: x is on the device meta and has no values - pass a tensor with values")
        if x.shape != self.x.shape:
            axes = "(input)" if self.batch_size is None else "(batch, input)"
            raise InputShapeError(
                f"{where}: x has shape {tuple(x.shape)}, expected {tuple(self.x.shape)} = {axes} - "
                "a step takes one vector per row"
            )
        if x.dtype != self.x.dtype:
            raise DtypeError(f"{where}: x is {x.dtype}, the weights {self.x.dtype} - convert it with .to()")
        if torch.is_grad_enabled():
            raise InputTypeError(
                f"{where}: x asks for gradients, a stream has none - pass x.detach(), or use layer.step"
            )

    def renew(self) -> None:
        """Take the layer's weights anew, also where torch does not count their changes."""
        if self._chain is not None and not self._chain.renew():
            self._moved()

    def _moved(self) -> NoReturn:
        first = next(self.layer.parameters())
        raise BackendError(
            f"{self._where} - the layer's weights are {first.dtype} on {first.device} now, the stream was made for "
            f"{self.x.dtype} on {self.x.device} - make a new stream"
        )

    # ------------------------------------------------------------------ states

    @property
    def state(self) -> Any:
        """The states, copied; in the layer's form: a tuple of (layers, [batch,] size), a tensor if there is one.

        Setting it begins the next step from other states.
        """
        states = self._states if self._chain is None else self._chain.state()
        copied = tuple(s.clone() for s in states)
        return self.layer._named(copied) if self.batch_size is None else self.layer._states_back(copied, False)

    @state.setter
    def state(self, value: Any) -> None:
        states = self.layer._given(value, self.x, self.batch_size is None)
        self._set(tuple(s.squeeze(1) for s in states) if self.batch_size is None else states)

    def reset(self, rows: Any = None) -> None:
        """Begin anew from the initial states.

        Args:
            rows: (batch,) booleans, true for the rows that begin anew; all if None.

        Raises:
            InputShapeError: there is not one for each row.
        """
        with torch.no_grad():
            fresh = self._fresh()
            if rows is None:
                return self._set(fresh)
            mask = torch.as_tensor(rows, device=self.x.device)
            if mask.dtype != torch.bool or self.batch_size is None or mask.shape != (self.batch_size,):
                raise InputShapeError(
                    f"{self._where.replace('.stream', ' stream')}: reset got {mask.dtype} of shape "
                    f"{tuple(mask.shape)}, expected booleans of shape ({self.batch_size or ''}) - one for each row; "
                    "leave it out to reset all"
                )
            before = self._states if self._chain is None else self._chain.state()
            where = mask[:, None]
            return self._set(tuple(torch.where(where, f, s) for f, s in zip(fresh, before, strict=True)))

    def _fresh(self) -> tuple[Tensor, ...]:
        if self._chain is not None:
            if not self._chain.follow():
                self._moved()
            return self._chain.fresh
        x = self.x if self.batch_size is not None else self.x[None]
        layers = (self.layer._fresh(x, k, len(x)) for k in range(self.layer.num_layers))
        stacked = [torch.stack(state).detach() for state in zip(*layers, strict=True)]
        return tuple(s if self.batch_size is not None else s.squeeze(1) for s in stacked)

    def _set(self, states: tuple[Tensor, ...]) -> None:
        with torch.no_grad():
            if self._chain is not None:
                self._chain.set_state(states)
            else:
                self._states = tuple(s.detach().clone() for s in states)

    # ------------------------------------------------------------------ where there is no compiled step

    def _walk_by_calls(self, x: Tensor, names: tuple[str, ...]) -> None:
        """Keep the states here and call the layers for every step."""
        layer, rows = self.layer, x.shape[:-1]
        self.x, self.output = x, x.new_zeros(*rows, layer._layout.output_size)
        self.step_inputs = {name: x.new_zeros(*rows, layer.hidden_size) for name in names}
        self._states = self._fresh()
        self._runs = [self._by_call]

    def _by_call(self) -> None:
        layer, has_batch = self.layer, self.batch_size is not None

        def rows(value: Tensor, axis: int) -> Tensor:
            return value if has_batch else value.unsqueeze(axis)

        with torch.no_grad():
            states = tuple(rows(s, 1) for s in self._states)
            steps = [rows(s, 0)[None] for s in self.step_inputs.values()]
            call = layer._call(rows(self.x, 0)[None], states, None, None, (), steps)
            output, after, _ = layer._run(call, training=False)
            self._states = tuple(s if has_batch else s.squeeze(1) for s in after)
            self.output.copy_(output[0] if has_batch else output[0, 0])

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy has memory of its own, and begins where this one stands."""
        return _continued, (self.layer, self.batch_size, self.state)

    def __repr__(self) -> str:
        return f"<stream of {self.layer}, batch_size={self.batch_size}>"


def _continued(layer: "Layers", batch_size: int | None, state: Any) -> Stream:
    stream = Stream(layer, batch_size)
    stream.state = state
    return stream
