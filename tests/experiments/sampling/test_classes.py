"""Classes in the shares of the data."""

import numpy as np
import pytest

from experiments.sampling.classes import counts, in_shares, labels_of
from gans.data.source import InMemory, Rows, Streamed, Unpaired
from gans.data.spec import Field


@pytest.mark.parametrize(
    "weights, n, wanted",
    [
        ([88, 12], 1000, [880, 120]),
        ([88, 12], 10, [9, 1]),
        ([3, 0, 1], 8, [6, 0, 2]),
        ([1, 1, 1], 7, [3, 2, 2]),  # remainders alike: the first classes
        ([5, 3, 1], 4, [2, 1, 1]),  # 2.22, 1.33, 0.44: the last is the largest
    ],
)
def test_counts_are_the_shares_by_largest_remainder(weights, n, wanted):
    found = in_shares(weights, n)
    assert found.dtype == np.int32
    assert np.bincount(found, minlength=len(weights)).tolist() == wanted


def test_equal_shares_are_the_classes_in_turn():
    assert in_shares([143] * 10, 25).tolist() == [i % 10 for i in range(25)]
    assert in_shares([7, 0, 7], 4).tolist() == [0, 2, 0, 2]


def test_classes_are_mixed_evenly():
    found = in_shares([88, 12], 1000)
    parts = np.array([np.bincount(x, minlength=2)[1] for x in np.split(found, 10)])
    assert abs(parts - 12).max() <= 1


def test_counts_of_any_source():
    labels = np.array([0] * 88 + [2] * 12, np.int32)
    images = np.zeros((100, 8, 8, 1), np.uint8)
    spec = {"label": Field("label", (), "int32", 3)}
    held = InMemory("x", {"image": images, "label": labels}, spec)
    streamed = Streamed("x", held.take, 100, held.spec)
    for source in (held, streamed):
        assert counts(source, "label").tolist() == [88, 0, 12]
    short = InMemory("b", {"image": images[:3]})
    both = Unpaired("ab", {"a": held, "b": short})
    assert counts(both, "a/label").tolist() == [88, 0, 12]
    assert labels_of(Rows(held, np.array([99, 0])), "label").tolist() == [2, 0]
