"""Trials side by side: nets in lanes, each with its own data; a trial that is over makes room for the next."""

import time
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.nn.functional import pad

from carrousel.experiments.trials import Counting, Criterion, Data, Row, Stoppable, Trial
from carrousel.systems.system import Nets
from carrousel.tasks.sequences import Sequences

__all__ = ["LANES", "for_all", "run", "side_by_side"]

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
    last = len(criterion.milestones)
    lanes = [_Lane(seed, row.data(seed)) for seed in seeds[: len(nets)]]
    for net, lane in enumerate(lanes):
        criterion.begin(net, lane.data)
    while any(lane.is_busy for lane in lanes):
        start = time.process_time()  # a process that waits for a core does not compute
        _present(row, nets, criterion, lanes)
        busy = [lane for lane in lanes if lane.is_busy]
        for lane in busy:
            lane.seconds += (time.process_time() - start) / len(busy)
        for net, lane in enumerate(lanes):
            if lane.is_busy and (lane.met == last or lane.presented >= limit):
                if lane.met == last:
                    lane.test |= _tested(row, nets, net, lane)
                yield lane.trial(row.key, lane.met == last, limit)
                lane.is_busy, lane.weights = False, None
                if waiting:
                    seed = waiting.pop(0)
                    lanes[net] = _Lane(seed, row.data(seed))
                    criterion.begin(net, lanes[net].data)
                # where nobody waits a fresh net is put as well: one that errs early costs less than one that does not
                nets.replace(net, lanes[net].seed)


class _Lane:
    """The trial in one place of the population."""

    def __init__(self, seed: int, data: Data) -> None:
        self.seed, self.data, self.is_busy = seed, data, True
        self.presented, self.met, self.seconds = 0, 0, 0.0
        self.milestones: dict[str, int] = {}
        self.test: dict[str, float] = {}
        self.weights: Tensor | None = None

    def trial(self, key: str, solved: bool, limit: int) -> Trial:
        """What came out of it."""
        return Trial(key, self.seed, dict(self.milestones), solved, self.presented, limit, self.test, self.seconds)


def _present(row: Row, nets: Nets, criterion: Criterion, lanes: Sequence[_Lane]) -> None:
    """Present a block of sequences to every net; look at the criterion after each, and test at the end."""
    block = side_by_side([lane.data.training(row.block) for lane in lanes])
    counting = nets if isinstance(nets, Counting) else None  # asked once: it takes as long as a hundred steps
    for sequences in [block] if block.resets is not None else _batches(block, row.batch):
        criterion.see(nets.learn(sequences), sequences)
        for net in _note(criterion, lanes, _begun(counting, sequences)):
            lane = lanes[net]
            if row.measured_at in lane.milestones and not lane.test:
                measures = _tested(row, nets, net, lane)
                lane.test = {f"{name} at {row.measured_at}": value for name, value in measures.items()}
            if lane.met == len(criterion.milestones):
                assert isinstance(nets, Stoppable), type(nets)
                lane.weights = nets.w[net].clone()
    for net, lane in enumerate(lanes):
        if lane.weights is not None:  # it went on learning until the end of the block
            assert isinstance(nets, Stoppable)
            nets.w[net] = lane.weights
    criterion.test(nets)
    _note(criterion, lanes, [0] * len(lanes))


def _note(criterion: Criterion, lanes: Sequence[_Lane], presented: Sequence[int]) -> list[int]:
    """Count, and write down the milestones that were met; return the nets that have met one now."""
    last, found = len(criterion.milestones), []
    for net, (lane, met, more) in enumerate(zip(lanes, criterion.met().tolist(), presented, strict=True)):
        if lane.met == last:
            continue
        lane.presented += more
        if lane.met < met:
            found.append(net)
        while lane.met < met:
            lane.milestones[criterion.milestones[lane.met]] = lane.presented
            lane.met += 1
    return found


def _begun(counting: Counting | None, sequences: Sequences) -> list[int]:
    """How many sequences each net has been presented; in a stream as many as begin in it."""
    if counting is not None:
        return counting.begun.tolist()
    count, batch = sequences.lengths.shape
    return [batch] * count if sequences.resets is None else sequences.resets.sum((0, 2)).tolist()


def _batches(block: Sequences, size: int) -> Iterator[Sequences]:
    """Cut (net, presentation) rows into one batch of presentations after the other."""
    for k in range(0, block.lengths.shape[1], size):
        here = slice(k, k + size)
        target = block.target[:, :, here] if block.is_per_step else block.target[:, here]
        yield Sequences(block.x[:, :, here], block.lengths[:, here], target)


def _tested(row: Row, nets: Nets, net: int, lane: _Lane) -> dict[str, float]:
    """Test a net on fresh sequences."""
    if row.measure is None:
        return {}
    sequences = for_all(lane.data.test(row.tested_on), len(nets))
    return {name: float(value[net]) for name, value in row.measure(nets.predict(sequences), sequences).items()}


def side_by_side(drawn: Sequence[Sequences]) -> Sequences:
    """Put the sequences of many nets side by side.

    Args:
        drawn: for each net as many sequences, rows (batch,).

    Returns:
        The same with rows (net, batch), padded to the longest.
    """
    first, time = drawn[0], max(len(sequences.x) for sequences in drawn)
    if all(sequences is first for sequences in drawn):
        return for_all(first, len(drawn))

    def stacked(values: Sequence[Tensor | None], missing: float) -> Tensor | None:
        if values[0] is None:
            return None
        return torch.stack([_padded(v, time, missing) for v in values if v is not None], dim=1)

    if drawn[0].is_per_step:
        target = stacked([s.target for s in drawn], 0 if drawn[0].target.is_floating_point() else -1)
    else:
        target = torch.stack([s.target for s in drawn])
    x = stacked([s.x for s in drawn], 0)
    assert x is not None
    assert target is not None
    lengths = torch.stack([s.lengths for s in drawn])
    allowed = stacked([s.allowed for s in drawn], False)
    return Sequences(x, lengths, target, allowed, stacked([s.resets for s in drawn], False))


def for_all(sequences: Sequences, nets: int) -> Sequences:
    """Give every net the same sequences, without a copy: rows (batch,) -> (net, batch)."""

    def shared(values: Tensor | None, dim: int = 1) -> Tensor | None:
        return None if values is None else values.unsqueeze(dim).expand(*values.shape[:dim], nets, *values.shape[dim:])

    x, lengths = shared(sequences.x), shared(sequences.lengths, 0)
    target = shared(sequences.target, 1 if sequences.is_per_step else 0)
    assert x is not None
    assert lengths is not None
    assert target is not None
    return Sequences(x, lengths, target, shared(sequences.allowed), shared(sequences.resets))


def _padded(values: Tensor, time: int, missing: float) -> Tensor:
    ends = (*[0, 0] * (values.dim() - 1), 0, time - len(values))
    return pad(values, ends, value=missing) if len(values) < time else values
