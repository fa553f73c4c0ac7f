"""The net of the classifier: recurrent layers, pooled over the steps that count, and a softmax."""

import torch
from torch import Tensor
from torch.nn import Dropout, Linear, Module

from carrousel.backends.rows import within
from carrousel.cell import Cell
from carrousel.nn.recurrent import Recurrent

__all__ = ["POOLS", "ClassifyNet"]

#: How the outputs of all steps become one vector.
POOLS = ("mean", "last", "attention")


class ClassifyNet(Module):
    """Give sequences, or each of their steps, one score per class.

    Args:
        cell: a Cell or a name of the registry.
        input_size: channels of the input.
        classes: scores of the output.
        hidden_size: hidden units of each layer and direction.
        num_layers: recurrent layers.
        bidirectional: whether a second set of weights walks backwards.
        pool: what a sequence's scores are read from: "mean" of the outputs of its steps; "last", the output after all
            of its steps, in either direction; "attention", a mean weighted by a softmax over the steps; "none", each
            step has its own scores.
        dropout: probability of dropout between layers and before the scores.
        noise: standard deviation of what is added in training to each number.
        shift: standard deviation of what is added in training to all steps of a channel alike, as another sensor or
            speaker may do.

    Shapes:
        - x: (time, batch, input)
        - lengths: (batch,) steps that count, at least 1
        - output: (batch, class), with pool="none" (time, batch, class)

    Example:
        >>> net = ClassifyNet("lstm", input_size=3, classes=4, hidden_size=5)
        >>> net(torch.randn(7, 2, 3), torch.tensor([7, 4])).shape
        torch.Size([2, 4])

    Source:
        Graves & Schmidhuber (2005), Neural Networks 18(5-6), for the two directions; Bahdanau, Cho & Bengio (2015) for
        attention, here with one learned query instead of a decoder's state. Noise in training: Bishop (1995),
        Neural Computation 7(1).
    """

    def __init__(
        self,
        cell: Cell | str,
        input_size: int,
        classes: int,
        hidden_size: int = 64,
        num_layers: int = 1,
        bidirectional: bool = True,
        pool: str = "mean",
        dropout: float = 0.0,
        noise: float = 0.0,
        shift: float = 0.0,
    ) -> None:
        super().__init__()
        between = dropout if num_layers > 1 else 0.0
        self.recurrent = Recurrent(
            cell, input_size, hidden_size, num_layers, dropout=between, bidirectional=bidirectional
        )
        self.pool, size = pool, hidden_size * (2 if bidirectional else 1)
        self.query = Linear(size, 1, bias=False) if pool == "attention" else None
        self.noise, self.shift = noise, shift
        self.dropout, self.scores = Dropout(dropout), Linear(size, classes)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """Return the scores; their softmax are the probabilities."""
        if self.training:
            # padding is no step: what is added there is never read
            x = x + self.noise * torch.randn_like(x) + self.shift * torch.randn_like(x[:1])
        output, _ = self.recurrent(x, lengths=lengths)
        return self.read_out(output, lengths)

    def read_out(self, output: Tensor, lengths: Tensor) -> Tensor:
        """Return the scores from what the recurrent layers say at each step."""
        return self.scores(self.dropout(self._pooled(output, lengths)))  # type: ignore[no-any-return]

    def _pooled(self, output: Tensor, lengths: Tensor) -> Tensor:
        """(time, batch, size) -> (batch, size), or as it is if every step has its own scores."""
        if self.pool == "mean":  # steps after a sequence's end are zero
            return output.sum(0) / lengths.unsqueeze(-1)
        if self.pool == "last":
            return self._last(output, lengths)
        if self.query is not None:
            outside = ~within(lengths, output.shape[0])
            weights = self.query(output).squeeze(-1).masked_fill(outside, float("-inf")).softmax(0)
            return torch.einsum("tb,tbh->bh", weights, output)
        return output

    def _last(self, output: Tensor, lengths: Tensor) -> Tensor:
        """What each direction says after all steps: backwards that is at the first."""
        last = output[lengths - 1, torch.arange(lengths.shape[0], device=output.device)]
        if not self.recurrent.bidirectional:
            return last
        forward, _ = last.chunk(2, -1)
        _, backward = output[0].chunk(2, -1)
        return torch.cat([forward, backward], -1)
