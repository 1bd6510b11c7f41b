"""Grey digits, and other digits of petals."""

import numpy as np
import pytest

from gans import data
from gans.data.sets import NoSplit, digits2flowers


def test_sides_are_of_different_digits():
    source = data.load("digits2flowers")
    assert source.lengths == (719, 718) and source.groups == (("a",), ("b",))
    assert source.spec["a"].shape == source.spec["b"].shape == (32, 32, 3)
    a, b = (source.sources[k].arrays["image"] for k in "ab")
    digits = data.load("digits", resolution=32).arrays["image"]
    np.testing.assert_array_equal(a, digits[::2].repeat(3, -1))
    # B is orange where its digit is white, and greenish where it is black.
    mask = digits[1::2, ..., 0]
    inside, outside = b[mask > 250].mean(0), b[mask < 5].mean(0)
    assert inside[0] > inside[1] + 40 > inside[2] + 60
    assert outside[0] < 40 and outside[1] > outside[0] + 20


def test_the_test_split_is_of_other_digits_and_other_parts():
    train, test = (data.load("digits2flowers", split=x) for x in ("train", "test"))
    assert test.lengths == (180, 180)
    known = {x.tobytes() for x in train.sources["a"].arrays["image"]}
    doubles = sum(x.tobytes() in known for x in test.sources["a"].arrays["image"])
    assert doubles == 0
    for one, other in zip(*digits2flowers.SPLITS.values(), strict=True):
        assert other[2] <= one[0] or one[2] <= other[0]
    with pytest.raises(NoSplit, match="no split 'all'; it has train, test"):
        data.load("digits2flowers", split="all")
    again = data.load("digits2flowers", split="test", seed=5)
    for key, x in again.take(np.arange(180)).items():
        np.testing.assert_array_equal(x, test.take(np.arange(180))[key])


def test_other_sizes():
    source = data.load("digits2flowers", resolution=16, channels=1, split="test")
    assert source.spec["a"].shape == source.spec["b"].shape == (16, 16, 1)
