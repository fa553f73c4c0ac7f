"""The net of the generator, and how a text is read by it: in parallel streams whose states are carried along."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import Dropout, Embedding, Linear, Module
from torch.nn.functional import cross_entropy

from carrousel.cell import Cell
from carrousel.nn.recurrent import Recurrent

__all__ = ["Carried", "Chunk", "HeldOut", "Streams", "TextNet", "nats"]

#: Chunks of an epoch at least: a short text is read several times, so that validations are not in each other's way.
_LEAST = 100
#: Symbols of an epoch at most: a longer text is read in parts, one an epoch, so that validation is never far away.
_MOST = 4_000_000

#: Symbols before a stream's first counted one: they bring its states to where one pass over the text would have them.
_WARM_UP = 256


class TextNet(Module):
    """Give every symbol a score as the next one.

    Args:
        cell: a Cell or a name of the registry.
        symbols: how many there are.
        embed: features of a symbol.
        hidden_size: hidden units of each layer.
        num_layers: recurrent layers.
        dropout: probability of dropout before, between and after the layers.

    Shapes:
        - symbols: (time, batch), whole numbers of any type
        - states: as in `carrousel.Recurrent`, None at the beginning of a text
        - output: (time, batch, symbol), the logarithm of the probabilities up to a constant, and the states

    Example:
        >>> net = TextNet("lstm", symbols=10, embed=4, hidden_size=8)
        >>> scores, states = net(torch.zeros(7, 2, dtype=torch.uint8))
        >>> scores.shape
        torch.Size([7, 2, 10])

    Source:
        Graves (2013), Generating sequences with recurrent neural networks, sections 2 and 3.
    """

    def __init__(
        self,
        cell: Cell | str,
        symbols: int,
        embed: int = 64,
        hidden_size: int = 256,
        num_layers: int = 1,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.embedding, self.dropout = Embedding(symbols, embed), Dropout(dropout)
        between = dropout if num_layers > 1 else 0.0
        self.recurrent = Recurrent(cell, embed, hidden_size, num_layers, dropout=between)
        self.scores = Linear(hidden_size, symbols)

    def forward(self, symbols: Tensor, states: Any = None) -> tuple[Tensor, Any]:
        """Return the scores of the symbol after each, and the states after the last."""
        output, states = self.recurrent(self.dropout(self.embedding(symbols.int())), states)
        return self.scores(self.dropout(output)), states


class Chunk(NamedTuple):
    """Some steps of parallel streams.

    Attributes:
        symbols: (time + 1, stream): what is read, and after it the last one that is predicted.
        is_first: whether the streams begin here; else they go on from the chunk before.
        skipped: so many steps at the start only warm the states up.
    """

    symbols: Tensor
    is_first: bool
    skipped: int = 0


class Carried:
    """The losses of chunks that follow each other: states are carried over, gradients are cut between chunks.

    One object serves one net. What it carries begins anew with the first chunk of an epoch, so nothing of it has to be
    kept to go on with training later.

    Source:
        Williams & Peng (1990), Neural Computation 2(4): BPTT(h, h') with h = h' the length of a chunk.
    """

    def __init__(self) -> None:
        self._states: Any = None

    def __call__(self, net: Module, chunk: Chunk) -> Tensor:
        """Return the loss of each counted symbol in nats, (time * stream,)."""
        scores, states = net(chunk.symbols[:-1], None if chunk.is_first else self._states)
        self._states = tuple([s.detach() for s in states]) if isinstance(states, tuple) else states.detach()
        targets = chunk.symbols[1 + chunk.skipped :]
        return cross_entropy(scores[chunk.skipped :].flatten(0, 1), targets.flatten().long(), reduction="none")


class Streams:
    """A training text, cut into streams that are read side by side from their beginnings to their ends.

    Every pass begins at another of the first symbols, so that chunks end elsewhere.

    Args:
        symbols: the text, (symbol,).
        streams: how many, over all processes together; fewer where the text is short.
        steps: of a chunk.
        seed: where the passes begin depends on it and on the epoch's number.

    Example:
        >>> chunks = list(Streams(torch.arange(300_000), streams=2, steps=10, seed=0)(epoch=0, rank=0, world=1))
        >>> chunks[0][0].symbols.shape, chunks[0][0].is_first, chunks[1][0].is_first
        (torch.Size([11, 2]), True, False)
        >>> chunks[0][0].symbols[-1].equal(chunks[1][0].symbols[0])
        True
    """

    def __init__(self, symbols: Tensor, streams: int, steps: int, seed: int) -> None:
        self.symbols, self.seed = symbols, seed
        self.parts = -(-len(symbols) // _MOST)
        self.size = len(symbols) // self.parts
        self.steps = min(steps, max(1, self.size // 8))
        self.streams = max(1, min(streams, self.size // (4 * self.steps)))
        self._length = (self.size - self.steps) // self.streams  # of a stream, wherever it begins
        self._chunks = (self._length - 1) // self.steps  # of a pass
        self.passes = -(-_LEAST // self._chunks)

    def __len__(self) -> int:
        return self.passes * self._chunks

    def __call__(self, epoch: int, rank: int, world: int) -> Iterator[tuple[Chunk, float]]:
        """Draw the streams of process `rank` of `world`, chunk by chunk."""
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + epoch)
        for _ in range(self.passes):
            start = epoch % self.parts * self.size + int(torch.randint(self.steps, (), generator=generator))
            streams = self.symbols[start : start + self.streams * self._length].view(self.streams, -1)
            part = streams[rank::world]
            # a process without a stream of its own takes one along that does not count
            part, share = (part, world / (self.streams * self.steps)) if len(part) else (streams[:1], 0.0)
            for at in range(0, self._chunks * self.steps, self.steps):
                yield Chunk(part[:, at : at + self.steps + 1].t().contiguous(), is_first=at == 0), share


class HeldOut:
    """A text that is judged: every symbol from `begin` on counts once, given all that stands before it.

    It is read in parallel streams; each has read the symbols before its first counted one, which makes it agree with a
    single pass from beginning to end as far as the net forgets what is further away than that.

    Args:
        symbols: the text, (symbol,); what stands before `begin` is only read.
        begin: the first symbol that counts, from 1.
        streams: at most so many.
        steps: of a chunk.

    Example:
        >>> chunks = [chunk for chunk, share in HeldOut(torch.arange(10_000), begin=1)(0, rank=0, world=1)]
        >>> sum((len(chunk.symbols) - 1 - chunk.skipped) * chunk.symbols.shape[1] for chunk in chunks)
        9999
    """

    def __init__(self, symbols: Tensor, begin: int, streams: int = 32, steps: int = 256) -> None:
        self.symbols, self.begin, self.steps = symbols, begin, steps
        count = len(symbols) - begin
        streams = max(1, min(streams, count // (4 * _WARM_UP)))
        # what is left over, and what has too little before it to warm up with, goes in one stream at the head
        head = min(count, max(0, _WARM_UP - begin))
        self.head = head + (count - head) % streams
        self.streams, self.length = streams, (count - self.head) // streams

    def __len__(self) -> int:
        return -(-self.head // self.steps) + -(-self.length // self.steps)

    def __call__(self, epoch: int, rank: int, world: int) -> Iterator[tuple[Chunk, float]]:
        """Draw the streams of process `rank` of `world`, chunk by chunk."""
        for chunk in self._chunks(self.begin, 1, self.head):
            yield chunk, float(rank == 0)
        ranks = min(world, self.streams)
        for chunk in self._chunks(self.begin + self.head, self.streams, self.length):
            yield chunk._replace(symbols=chunk.symbols[:, rank % ranks :: ranks]), float(rank < ranks)

    def _chunks(self, begin: int, streams: int, length: int) -> Iterator[Chunk]:
        warm = min(_WARM_UP, begin - 1)
        starts = begin + length * torch.arange(streams)
        for at in range(0, length, self.steps):
            skipped = warm if at == 0 else 0
            steps = torch.arange(at - 1 - skipped, min(at + self.steps, length))
            yield Chunk(self.symbols[starts + steps[:, None]], is_first=at == 0, skipped=skipped)


@torch.no_grad()
def nats(net: TextNet, symbols: Tensor, begin: int = 1) -> float:
    """Return the mean loss of a text's symbols from `begin` on, given all that stands before them, in nats.

    Args:
        net: on the CPU, in evaluation.
        symbols: the text, (symbol,).
        begin: the first symbol that counts, from 1.
    """
    losses, total = Carried(), 0.0
    for chunk, _ in HeldOut(symbols, begin)(0, rank=0, world=1):
        total += float(losses(net, chunk).double().sum())
    return total / (len(symbols) - begin)
