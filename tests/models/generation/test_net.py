"""Streams, carried states, and the judgement of a text."""

import pytest
import torch
from torch.nn.functional import cross_entropy

from carrousel.models.generation.net import Carried, Chunk, HeldOut, Streams, TextNet, nats

CELLS = ("lstm", "gru")


def net(cell: str = "lstm", **options: float) -> TextNet:
    return TextNet(cell, symbols=20, embed=4, hidden_size=8, **options).eval()


def text(length: int) -> torch.Tensor:
    return torch.randint(20, (length,), generator=torch.Generator().manual_seed(0)).to(torch.uint8)


# ---------------------------------------------------------------------- streams


def test_chunks_of_an_epoch_follow_each_other_through_the_text() -> None:
    symbols = torch.arange(250_000)
    streams = Streams(symbols, streams=4, steps=50, seed=0)
    chunks = [chunk for chunk, _ in streams(0, 0, 1)]
    assert len(chunks) == len(streams)
    assert [chunk.is_first for chunk in chunks] == [True] + [False] * (len(chunks) - 1)
    read = torch.cat([chunk.symbols[:-1] for chunk in chunks])
    assert (read[1:] - read[:-1] == 1).all()
    assert all((chunk.symbols[1:] - chunk.symbols[:-1] == 1).all() for chunk in chunks)
    assert len(read.flatten().unique()) == read.numel() > 0.99 * len(symbols)


def test_epochs_begin_elsewhere_and_are_drawn_alike() -> None:
    def first(epoch: int, seed: int = 0) -> list[int]:
        return next(iter(Streams(torch.arange(250_000), 4, 50, seed)(epoch, 0, 1)))[0].symbols[0].tolist()

    assert first(1) == first(1)
    assert len({first(epoch)[0] for epoch in range(5)}) > 1
    assert [first(epoch, seed=1) for epoch in range(5)] != [first(epoch) for epoch in range(5)]


def test_processes_share_the_streams() -> None:
    symbols = torch.arange(250_000)
    alone = list(Streams(symbols, 5, 50, 0)(2, 0, 1))
    parts = [list(Streams(symbols, 5, 50, 0)(2, rank, 2)) for rank in (0, 1)]
    for (whole, share), (even, even_share), (odd, odd_share) in zip(alone, *parts, strict=True):
        assert even.symbols.equal(whole.symbols[:, ::2])
        assert odd.symbols.equal(whole.symbols[:, 1::2])
        # a sum times its share, averaged over processes, is the mean of the whole chunk
        assert share == pytest.approx(1 / (50 * 5))
        assert even_share == odd_share == pytest.approx(2 * share)


def test_a_process_too_many_does_not_count() -> None:
    chunk, share = next(iter(Streams(torch.arange(250_000), 2, 50, 0)(0, 2, 3)))
    assert chunk.symbols.shape == (51, 1)
    assert share == 0


@pytest.mark.parametrize("length", [8, 100, 900, 5000])
def test_short_texts_are_read_several_times(length: int) -> None:
    streams = Streams(torch.arange(length), 64, 64, 0)
    chunks = [chunk for chunk, _ in streams(0, 0, 1)]
    assert len(chunks) == len(streams) > 0
    assert sum(chunk.is_first for chunk in chunks) == streams.passes
    assert len(chunks) >= 100
    assert max(int(chunk.symbols.max()) for chunk in chunks) < length


def test_long_texts_are_read_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("carrousel.models.generation.net._MOST", 100_000)
    streams = Streams(torch.arange(300_001), 4, 50, 0)
    seen = [torch.cat([chunk.symbols.flatten() for chunk, _ in streams(epoch, 0, 1)]) for epoch in range(5)]
    starts = [int(part.min()) for part in seen]
    size = 300_001 // streams.parts
    assert streams.parts == 4
    assert [start // size for start in starts] == [0, 1, 2, 3, 0]
    assert all(size - 100 < int(part.max()) - start < size for part, start in zip(seen, starts, strict=True))


# ---------------------------------------------------------------------- carried states


@pytest.mark.parametrize("cell", CELLS)
def test_states_are_carried_from_chunk_to_chunk_and_gradients_are_not(cell: str) -> None:
    judge, losses, symbols = net(cell), Carried(), text(41)[:, None]
    first = losses(judge, Chunk(symbols[:21], is_first=True))
    second = losses(judge, Chunk(symbols[20:], is_first=False))
    scores, _ = judge(symbols[:-1])
    whole = cross_entropy(scores[:, 0], symbols[1:, 0].long(), reduction="none")
    torch.testing.assert_close(torch.cat([first, second]), whole)
    second.sum().backward()  # would ask for the graph of the first chunk twice
    first.sum().backward()
    torch.testing.assert_close(losses(judge, Chunk(symbols[:21], is_first=True)), first)


# ---------------------------------------------------------------------- judging


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(
    ("length", "begin"), [(2, 1), (3, 2), (200, 1), (258, 1), (3000, 1), (3000, 100), (3001, 2500), (9000, 3000)]
)
def test_streams_judge_as_one_pass_does(cell: str, length: int, begin: int) -> None:
    judge, symbols = net(cell), text(length)
    with torch.no_grad():
        scores, _ = judge(symbols[:-1, None])
        one = cross_entropy(scores[:, 0], symbols[1:].long(), reduction="none")[begin - 1 :].mean()
    assert nats(judge, symbols, begin) == pytest.approx(float(one), abs=1e-5)


@pytest.mark.parametrize(("length", "begin", "world"), [(9000, 3000, 2), (9000, 1, 3), (300, 100, 2)])
def test_processes_judge_together_what_one_does(length: int, begin: int, world: int) -> None:
    judge, symbols, total, count = net(), text(length), 0.0, 0
    for rank in range(world):
        losses = Carried()
        for chunk, share in HeldOut(symbols, begin)(0, rank, world):
            found = losses(judge, chunk).detach()
            if share:
                total, count = total + float(found.sum()), count + len(found)
    assert count == length - begin
    assert total / count == pytest.approx(nats(judge, symbols, begin), abs=1e-6)


def test_the_length_of_an_epoch_is_known() -> None:
    for length, begin in ((300, 1), (9000, 3000), (50_000, 40_001)):
        judged = HeldOut(text(length), begin)
        assert len(list(judged(0, 0, 1))) == len(judged)
