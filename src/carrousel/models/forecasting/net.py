"""The network of the forecaster: an LSTM over the known steps, and a straight line past it."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from carrousel.cell import Cell
from carrousel.data.windows import Batch
from carrousel.errors import OptionError
from carrousel.nn.recurrent import Recurrent

__all__ = ["ForecastNet"]


class ForecastNet(nn.Module):
    """Give all steps and quantiles of a forecast at once, from the last output of recurrent layers.

    The layers read the known steps in segments, the values of a segment side by side, so that a week of hours is
    fourteen steps for them. What they say is added to a linear function of the known values: it carries what is linear,
    the recurrent layers what is not. Where inputs are known ahead, each asked step adds what the last output and its
    own inputs say together. The level that was taken off the values is not seen, so that what was learned still holds
    where a series has drifted to levels that it never had in training.

    Args:
        cell: of the recurrent layers.
        context: known steps; a whole number of segments.
        horizon: asked steps.
        quantiles: their probabilities, rising.
        segment: known steps that the layers read at once.
        past, future, calendar, static: inputs of each kind.
        has_mask: whether the layers see which values are filled in.
        hidden_size, num_layers, dropout: of the layers; dropout also acts on the last output.
        has_line: whether there is the linear function.

    Shapes:
        - batch: see `Batch`
        - output: (row, horizon, quantile), rising in the last axis, scaled and relative to the level

    Example:
        >>> net = ForecastNet("lstm", context=8, horizon=2, quantiles=(0.5,), segment=4)
        >>> none = torch.zeros(3, 10, 0)
        >>> known = torch.zeros(3, 8)
        >>> batch = Batch(known, known[:, 0], known, none, none, none, torch.zeros(3, 0), known[:, :2], known[:, :2])
        >>> net(batch).shape
        torch.Size([3, 2, 1])

    Source:
        The linear part beside a recurrent one: Lai et al. (2018), LSTNet, section 3.6; segments: Lin et al. (2023),
        SegRNN. That both are put together in this way is this project's choice, measured in its benchmarks.
    """

    def __init__(
        self,
        cell: Cell | str,
        context: int,
        horizon: int,
        quantiles: Sequence[float],
        *,
        segment: int = 1,
        past: int = 0,
        future: int = 0,
        calendar: int = 0,
        static: int = 0,
        has_mask: bool = False,
        hidden_size: int = 64,
        num_layers: int = 1,
        dropout: float = 0.0,
        has_line: bool = True,
    ) -> None:
        super().__init__()
        if context % segment:
            raise OptionError(f"segment - {segment} does not divide the context, {context} - choose one that does")
        self.context, self.horizon, self.segment, self.has_mask = context, horizon, segment, has_mask
        self.quantiles: Tensor
        self.register_buffer("quantiles", torch.tensor(quantiles), persistent=False)
        size = segment * (1 + past + future + has_mask) + calendar + static
        between = dropout if num_layers > 1 else 0.0
        self.recurrent = Recurrent(cell, size, hidden_size, num_layers, dropout=between, forget_bias=_gate_bias(cell))
        self.dropout = nn.Dropout(dropout)
        self.readout = nn.Linear(hidden_size, horizon * len(quantiles))
        self.line = nn.Linear(context, horizon) if has_line else None
        ahead = future + calendar if future else 0
        self.ahead = nn.Linear(hidden_size + ahead, hidden_size // 2 + 1) if ahead else None
        self.ahead_readout = nn.Linear(hidden_size // 2 + 1, len(quantiles)) if ahead else None

    def steps(self, batch: Batch) -> Tensor:
        """Return what the recurrent layers read, (time, row, input)."""
        rows, count = batch.known.shape[0], self.context // self.segment

        def segments(values: Tensor) -> Tensor:
            return values.reshape(rows, count, -1)

        parts = [segments(batch.known)]
        if self.has_mask:
            parts.append(segments(batch.measured))
        parts += [segments(batch.past), segments(batch.future[:, : self.context])]
        parts.append(batch.calendar[:, : self.context : self.segment])
        parts.append(batch.static[:, None].expand(-1, count, -1))
        return torch.cat(parts, 2).transpose(0, 1).contiguous()

    def forward(self, batch: Batch) -> Tensor:
        """Return the forecasts of windows."""
        output, _ = self.recurrent(self.steps(batch))
        return self.read(output[-1], batch)

    def read(self, last: Tensor, batch: Batch) -> Tensor:
        """Return the forecasts from the last outputs (row, hidden)."""
        last = self.dropout(last)
        said = self.readout(last).unflatten(1, (self.horizon, -1))
        if self.line is not None:
            said = said + self.line(batch.known)[..., None]
        if self.ahead is not None and self.ahead_readout is not None:
            inputs = torch.cat([batch.future, batch.calendar], 2)[:, self.context :]
            both = torch.cat([last[:, None].expand(-1, self.horizon, -1), inputs], 2)
            said = said + self.ahead_readout(torch.tanh(self.ahead(both)))
        # the quantiles of a distribution rise: Chernozhukov, Fernández-Val & Galichon (2010)
        rising: Tensor = said.sort(-1).values
        return rising

    @torch.no_grad()
    def begin_at(self, line: Tensor, residuals: Tensor) -> None:
        """Begin with a linear forecast and the quantiles of its errors; the recurrent part adds nothing yet.

        Args:
            line: (horizon, context), the weights.
            residuals: (horizon, quantile), the quantiles.
        """
        if self.line is None:
            return
        self.line.weight.copy_(line)
        self.line.bias.zero_()
        self.readout.weight.mul_(0.1)
        self.readout.bias.copy_(residuals.flatten())


def _gate_bias(cell: Cell | str) -> float | None:
    """A forget gate that begins open, where there is one."""
    from carrousel import cells

    has_gate = any("f" in group.gates for group in cells.get(cell).groups if group.name == "b")
    return 1.0 if has_gate else None
