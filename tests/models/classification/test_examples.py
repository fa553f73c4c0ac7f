"""Batches of sequences."""

import numpy as np
import torch

from carrousel.data.ragged import Ragged
from carrousel.models.classification.examples import Bucketed, Examples, of_similar_length

LENGTHS = np.random.default_rng(0).integers(1, 100, 203)
EXAMPLES = Examples(Ragged(np.arange(LENGTHS.sum(), dtype=float)[:, None], LENGTHS))


def test_a_batch_has_its_sequences_and_zeros():
    x, lengths, _ = EXAMPLES.batch(torch.tensor([3, 0]))
    assert lengths.tolist() == LENGTHS[[3, 0]].tolist()
    assert x.shape == (max(lengths), 2, 1)
    start = LENGTHS[:3].sum()
    assert x[: LENGTHS[3], 0, 0].tolist() == list(range(start, start + LENGTHS[3]))
    assert x[LENGTHS[0] :, 1].abs().sum() == 0


def test_an_epoch_has_each_sequence_once_in_batches_of_similar_length():
    source = Bucketed(EXAMPLES, 8, seed=0)
    order = source.order(3)
    assert sorted(order.tolist()) == list(range(203))
    assert torch.equal(order, Bucketed(EXAMPLES, 8, seed=0).order(3))
    assert not torch.equal(order, source.order(4))
    spread = np.mean([np.ptp(LENGTHS[batch]) for batch in order.split(8)])
    assert spread < 15  # of 99
    longest = [LENGTHS[batch].max() for batch in order.split(8)]
    assert longest != sorted(longest)


def test_one_batch_is_enough():
    assert sorted(Bucketed(EXAMPLES, 1000, seed=0).order(0).tolist()) == list(range(203))


def test_what_is_classified_at_once_is_limited_by_memory():
    lengths = np.array([5, 100_000, 7, 200_000, 6])
    parts = [part.tolist() for part in of_similar_length(lengths)]
    assert parts == [[0, 4, 2], [1], [3]]
