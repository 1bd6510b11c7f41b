"""The embedded digits."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from gans.data.sets import digits


def test_all_are_scikit_learns_within_a_dark_margin():
    raw = load_digits()
    source = digits.load(resolution=10, split="all")  # 8 pixels and a margin of 1
    assert len(source) == 1797 and source.n_classes == 10
    assert source.shape == (10, 10, 1)
    image = source.arrays["image"][..., 0]
    # 0..16 to 0..255: 16 -> 255, 8 -> 127.5, rounded to the even 128.
    expected = np.round(raw.images * 255 / 16)
    np.testing.assert_array_equal(image[:, 1:-1, 1:-1], expected)
    assert image.sum() == expected.sum()
    np.testing.assert_array_equal(source.arrays["label"], raw.target)


def test_splits_are_fixed_disjoint_and_balanced():
    train, test = digits.load(split="train"), digits.load(split="test")
    assert (len(train), len(test)) == (1437, 360)
    whole = digits.load(split="all")
    parts = np.concatenate([train.arrays["image"], test.arrays["image"]])
    rows = {x.tobytes() for x in whole.arrays["image"]}
    assert {x.tobytes() for x in parts} == rows
    # 1,797 images, about 180 of a class: a fifth is 35 to 37.
    assert set(np.bincount(test.arrays["label"])) <= {35, 36, 37}
    again = digits.load(split="test")
    np.testing.assert_array_equal(test.arrays["image"], again.arrays["image"])


def test_defaults_and_colour():
    source = digits.load(resolution=None, channels=None, split="test")
    assert source.shape == (32, 32, 1)
    item = digits.load(resolution=16, channels=3, split="test")[7]
    assert item["image"].shape == (16, 16, 3) and item["image"].dtype == np.uint8
    assert item["label"].dtype == np.int32
    assert (item["image"][..., :1] == item["image"]).all() and item["image"].any()


def test_enlarged_digits_keep_their_shape():
    small = digits.load(resolution=10, split="test").arrays["image"].astype(float)
    large = digits.load(resolution=40, split="test").arrays["image"].astype(float)
    blocks = large.reshape(-1, 10, 4, 10, 4, 1).mean((2, 4))
    assert np.corrcoef(blocks.ravel(), small.ravel())[0, 1] > 0.98
    # Against the digits in another order there is nothing like it.
    assert np.corrcoef(blocks.ravel(), small[::-1].ravel())[0, 1] < 0.8


def test_unknown_split():
    with pytest.raises(ValueError, match="'val'.*train, test, all"):
        digits.load(split="val")
