"""Trials side by side: nets in lanes, each with its own data; a trial that is over makes room for the next."""

import time
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.nn.functional import pad

from carrousel.experiments.trials import Criterion, Nets, Row, Trial
from carrousel.tasks.sequences import Sequences

__all__ = ["LANES", "run"]

#: Trials side by side: as many networks as a register holds numbers.
LANES = 16


def run(row: Row, seeds: Sequence[int], limit: int) -> Iterator[Trial]:
    """Run trials of a row.

    Args:
        row: what is trained, on what, until when.
        seeds: one for each trial, which depends on nothing else.
        limit: sequences after which a trial has failed.

    Yields:
        Trials, as they end.
    """
    waiting = list(seeds[LANES:])
    nets = row.start(seeds[:LANES])
    criterion = row.criterion(len(nets))
    lanes = [_Lane(seed) for seed in seeds[: len(nets)]]
    for net, lane in enumerate(lanes):
        criterion.begin(net, lane.seed)
    while any(lane.is_busy for lane in lanes):
        start = time.perf_counter()
        _present(row, nets, criterion, lanes)
        busy = [lane for lane in lanes if lane.is_busy]
        for lane in busy:
            lane.seconds += (time.perf_counter() - start) / len(busy)
        for net, lane in enumerate(lanes):
            if lane.is_busy and (lane.met == len(criterion.milestones) or lane.presented >= limit):
                yield _trial(row, nets, criterion, net, lane)
                lane.is_busy = False
                if waiting:
                    lanes[net] = _Lane(waiting.pop(0))
                    nets.replace(net, lanes[net].seed)
                    criterion.begin(net, lanes[net].seed)


class _Lane:
    """The trial in one place of the population."""

    def __init__(self, seed: int) -> None:
        self.seed, self.is_busy = seed, True
        self.generator = torch.Generator().manual_seed(data_seed(seed))
        self.presented, self.met, self.seconds = 0, 0, 0.0
        self.milestones: dict[str, int] = {}
        self.weights: Tensor | None = None


def data_seed(seed: int) -> int:
    """The seed of a trial's data, another one than that of its weights."""
    return seed + 2**32


def _present(row: Row, nets: Nets, criterion: Criterion, lanes: Sequence["_Lane"]) -> None:
    """Present a block of sequences to every net; look at the criterion after each, and test at the end."""
    for sequences in presentations([row.draw(row.block, lane.generator) for lane in lanes]):
        criterion.see(nets.learn(sequences), sequences)
        _note(nets, criterion, lanes, 1)
    for net, lane in enumerate(lanes):
        if lane.weights is not None:  # it went on learning until the end of the block
            nets.w[net] = lane.weights
    criterion.test(nets)
    _note(nets, criterion, lanes, 0)


def _note(nets: Nets, criterion: Criterion, lanes: Sequence["_Lane"], presented: int) -> None:
    """Count, write down the milestones that were met, and keep the weights of a net that has met them all."""
    last = len(criterion.milestones)
    for net, (lane, met) in enumerate(zip(lanes, criterion.met().tolist(), strict=True)):
        if lane.met == last:
            continue
        lane.presented += presented
        while lane.met < met:
            lane.milestones[criterion.milestones[lane.met]] = lane.presented
            lane.met += 1
        if lane.met == last:
            lane.weights = nets.w[net].clone()


def presentations(drawn: Sequence[Sequences]) -> Iterator[Sequences]:
    """Put the sequences of many nets side by side: one Sequences of rows (net, 1) for each presentation.

    Args:
        drawn: for each net as many sequences, rows (batch,).
    """
    time = max(sequences.x.shape[0] for sequences in drawn)
    x = _by_presentation([_padded(s.x, time, 0) for s in drawn], 1)
    lengths = torch.stack([s.lengths for s in drawn], dim=1).unsqueeze(-1)
    longest = lengths.amax((1, 2)).tolist()
    per_step = drawn[0].target.dim() == 3 or not drawn[0].target.is_floating_point()
    if per_step:
        missing = 0 if drawn[0].target.is_floating_point() else -1
        target = _by_presentation([_padded(s.target, time, missing) for s in drawn], 1)
    else:
        target = _by_presentation([s.target for s in drawn], 0)
    for k, steps in enumerate(longest):
        yield Sequences(x[k, :steps], lengths[k], target[k, :steps] if per_step else target[k])


def _padded(values: Tensor, time: int, value: float) -> Tensor:
    return pad(values, (*[0, 0] * (values.dim() - 1), 0, time - len(values)), value=value)


def _by_presentation(values: Sequence[Tensor], axis: int) -> Tensor:
    """([time,] presentation, ...) of each net -> (presentation, [time,] net, 1, ...)."""
    return torch.stack(tuple(values), dim=axis).movedim(axis + 1, 0).unsqueeze(axis + 2).contiguous()


def _trial(row: Row, nets: Nets, criterion: Criterion, net: int, lane: "_Lane") -> Trial:
    """Test a net that is done on fresh sequences."""
    solved, test = lane.met == len(criterion.milestones), {}
    if solved and row.tested_on:
        generator = torch.Generator().manual_seed(data_seed(data_seed(lane.seed)))
        drawn = (row.draw_test or row.draw)(row.tested_on, generator)
        sequences = for_all(drawn, len(nets))
        test = {name: float(value[net]) for name, value in row.measure(nets.predict(sequences), sequences).items()}
    return Trial(row.key, lane.seed, lane.milestones, solved, lane.presented, test, lane.seconds)


def for_all(drawn: Sequences, nets: int) -> Sequences:
    """The same sequences for every net: rows (batch,) -> (net, batch)."""

    def spread(value: Tensor | None, axis: int) -> Tensor | None:
        if value is None:
            return None
        sizes = [-1] * (value.dim() + 1)
        sizes[axis] = nets
        return value.unsqueeze(axis).expand(sizes)

    per_step = drawn.target.dim() == 3 or not drawn.target.is_floating_point()
    x, lengths = spread(drawn.x, 1), spread(drawn.lengths, 0)
    target = spread(drawn.target, int(per_step))
    assert x is not None and lengths is not None and target is not None
    return Sequences(x, lengths, target, spread(drawn.allowed, 1), spread(drawn.resets, 1))
