"""Ragged: sequences of different lengths, in every form."""

import numpy as np
import pandas
import pytest
import scipy.sparse

from carrousel.data.ragged import Ragged, complete, ragged
from carrousel.errors import DataError

X = [np.arange(6.0).reshape(3, 2), np.arange(2.0).reshape(1, 2), np.arange(4.0).reshape(2, 2)]


def test_sequences_are_found_again():
    x = ragged(X)
    assert len(x) == 3
    assert all((x[k] == X[k]).all() for k in range(3))
    assert x.owners.tolist() == [0, 0, 0, 1, 2, 2]
    taken = x.take([2, 0])
    assert (taken[0] == X[2]).all()
    assert (taken[1] == X[0]).all()
    assert x.steps_of([2, 1]).tolist() == [4, 5, 3]


def test_arrays_of_objects_are_lists():
    held = np.empty(3, object)
    held[:] = X
    assert ragged(held).lengths.tolist() == [3, 1, 2]


def test_layout():
    array = np.zeros((4, 6, 100))
    with pytest.raises(
        DataError, match=r"shape \(4, 6, 100\) .* pass --layout NCT \(layout='NCT'\) for 6 channels and 100"
    ):
        ragged(array)
    assert ragged(array, "NCT").lengths.tolist() == [100] * 4
    assert ragged(array, "NTC").lengths.tolist() == [6] * 4
    assert ragged(np.zeros((4, 1, 100))).lengths.tolist() == [100] * 4
    assert ragged(np.zeros((4, 100, 6))).channels == 6
    turned = [x.T for x in (np.zeros((5, 2)), np.zeros((7, 2)), np.zeros((5, 2)))]
    with pytest.raises(
        DataError, match=r"shapes \(2, 5\), \(2, 7\).*pass --layout NCT \(layout='NCT'\) for 2 channels"
    ):
        ragged(turned)
    assert ragged(turned, "NCT").lengths.tolist() == [5, 7, 5]


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (np.zeros(5), "1D array instead"),
        (np.zeros((2, 2, 2, 2)), r"expected \(N, T, C\)"),
        (np.zeros((0, 3)), "0 sequences"),
        (np.zeros((3, 0)), "0 steps"),
        (np.zeros((3, 4, 0)), "without steps or channels"),
        ([], r"X - |expected"),
        ([np.zeros((2, 2, 2))], r"sequence 0 - has shape \(2, 2, 2\)"),
        ([[["a"]]], "sequence 0 - holds 'a', not numbers"),
        ([[1, 2], ["x", 3]], "sequence 1 - holds 'x', not numbers"),
        ([np.array([1j])], "Complex data not supported"),
        (np.zeros((2, 3), "M8[D]"), r"X - holds times \(datetime64\[D\]\), not numbers"),
        (
            [pandas.DataFrame({"u": [1], "v": [2]}), pandas.DataFrame({"v": [1], "u": [2]})],
            "sequence 1 - its columns are",
        ),
        (scipy.sparse.eye(3).tocsr(), "sparse"),
        (Ragged(np.empty((0, 1)), np.empty(0, int)), "0 sequences"),
        (Ragged(np.empty((2, 0)), np.array([2])), "0 channels"),
    ],
)
def test_what_is_no_sequence(data, match):
    with pytest.raises(DataError, match=match):
        ragged(data)


def test_missing_numbers_are_filled_within_a_sequence():
    x = ragged([[1.0, np.nan, 3.0], [np.nan, 8.0]])
    assert complete(x, "ffill", np.array([False])).steps[:, 0].tolist() == [1, 1, 3, 8, 8]
    assert complete(x, "interpolate", np.array([False])).steps[:, 0].tolist() == [1, 2, 3, 8, 8]
    assert complete(x, "mask", np.array([True])).steps[:, 1].tolist() == [0, 1, 0, 1, 0]
    with pytest.raises(
        DataError, match=r"sequence 0 step 1 channel 'x' - is missing \(NaN\) - choose --missing \(missing=\) ffill"
    ):
        complete(x, "error", np.array([False]), ["x"])
    with pytest.raises(DataError, match=r"sequence 0 step 1 channel 0 - is 1e\+200 \(above 1e\+150\) - replace"):
        complete(ragged([[1.0, 1e200]]), "error", np.array([False]))


def test_what_is_masked_is_missing():
    steps = np.ma.masked_array([[1, 2], [3, 4]], mask=[[False, True], [False, False]])
    for data in (steps, list(steps)):
        np.testing.assert_array_equal(ragged(data).steps[:, 0], [1, np.nan, 3, 4])
