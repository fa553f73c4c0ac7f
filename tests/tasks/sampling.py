"""Statements about drawn numbers, with tolerances that follow from how many were drawn."""

import torch
from torch import Tensor

from carrousel.tasks.sequences import Sequences

DEVIATIONS = 5  # a mean is this many of its standard deviations off once in two million tests


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def assert_share(found: Tensor, expected: float) -> None:
    """The share of true entries is that of independent draws with this probability."""
    deviation = (expected * (1 - expected) / found.numel()) ** 0.5
    assert abs(found.double().mean().item() - expected) <= DEVIATIONS * deviation


def assert_uniform(found: Tensor, values: range) -> None:
    """The entries are independent draws from these values, all equally likely."""
    assert set(found.unique().tolist()) == set(values)
    for value in values:
        assert_share(found == value, 1 / len(values))


def assert_mean(found: Tensor, expected: float) -> None:
    """The mean of independent draws is the expected one; their deviation is estimated from them."""
    deviation = found.double().std().item() / found.numel() ** 0.5
    assert abs(found.double().mean().item() - expected) <= DEVIATIONS * deviation


def assert_same(one: Sequences, other: Sequences) -> None:
    for name, a, b in zip(Sequences._fields, one, other, strict=True):
        assert (a is None and b is None) or torch.equal(a, b), name


def last(values: Tensor, lengths: Tensor) -> Tensor:
    """What stands at each sequence's last step."""
    return values[lengths - 1, torch.arange(len(lengths))]


def within(batch: Sequences) -> Tensor:
    """Which steps lie within their sequence's length: (time, batch)."""
    return torch.arange(len(batch.x))[:, None] < batch.lengths


def spelled(numbers: Tensor, symbols: str) -> str:
    return "".join(symbols[number] for number in numbers.tolist())
