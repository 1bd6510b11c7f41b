"""Three pictures as the channels of one."""

import numpy as np
import pytest

from gans import data
from gans.data import pipeline
from gans.data.sets import stacked
from gans.data.source import InMemory


@pytest.fixture
def base(monkeypatch):
    """A set of 30 flat pictures, i of value i and class i % 10, for `other`."""
    value = np.arange(30, dtype=np.uint8)
    arrays = {
        "image": np.broadcast_to(value[:, None, None, None], (30, 8, 6, 1)),
        "label": (value % 10).astype(np.int32),
    }
    asked = []

    def load(name, **options):
        asked.append((name, options))
        return InMemory(name, arrays)

    monkeypatch.setattr(stacked.data, "load", load)
    return asked


def test_channels_and_label_are_those_of_three_elements(base):
    source = stacked.load("other", split="train")
    assert source.shape == (8, 6, 3) and source.n_classes == 1000
    taken = source.take(np.arange(5000))
    assert taken["image"].shape == (5000, 8, 6, 3) and taken["image"].dtype == np.uint8
    assert taken["label"].dtype == np.int32
    values = taken["image"][:, 0, 0].astype(int)  # [N, 3], the elements' numbers
    np.testing.assert_array_equal(
        taken["image"], np.broadcast_to(values[:, None, None], taken["image"].shape)
    )
    a, b, c = values.T % 10
    np.testing.assert_array_equal(taken["label"], 100 * a + 10 * b + c)
    assert (taken["label"] != 100 * c + 10 * b + a).any()  # the order matters


def test_the_three_are_drawn_evenly_and_apart(base):
    values = stacked.load("other").take(np.arange(128_000))["image"]
    values = values[:, 0, 0].astype(int)
    # Of each of 30 in 128,000: 4,267 +- 64; of each pair 142 +- 12, chi-squared of
    # 900 cells 899 +- 42.
    for i, j in ((0, 1), (0, 2), (1, 2)):
        pairs = np.bincount(values[:, i] * 30 + values[:, j], minlength=900)
        chi = np.sum((pairs - 128_000 / 900) ** 2) / (128_000 / 900)
        assert abs(chi - 899) < 5 * 42
        # Channels that are the same picture would be far off.
        same = np.bincount(values[:, i] * 31, minlength=900)
        assert np.sum((same - 128_000 / 900) ** 2) / (128_000 / 900) > 50 * 899


def test_an_element_is_a_function_of_seed_and_index(base):
    one, again, other = (stacked.load("other", seed=s) for s in (3, 3, 4))
    several = one.take(np.array([70_000, 5, 70_000]))
    np.testing.assert_array_equal(several["image"][0], again[70_000]["image"])
    np.testing.assert_array_equal(several["image"][2], again[70_000]["image"])
    assert several["label"][1] == again[5]["label"] and again[5]["label"].shape == ()
    rows = np.arange(100)
    assert (one.take(rows)["label"] != other.take(rows)["label"]).mean() > 0.9
    with pytest.raises(IndexError):
        one[128_000]


def test_options_reach_the_base(base):
    train = stacked.load("other", resolution=9, split="train", data_dir="d", seed=5)
    assert base == [
        (
            "other",
            {
                "channels": 1,
                "split": "train",
                "seed": 5,
                "resolution": 9,
                "data_dir": "d",
            },
        )
    ]
    assert len(train) == 128_000 and len(stacked.load("other", split="test")) == 26_000


def test_by_name_with_the_resolution_asked_for():
    source = data.load("stacked:digits", resolution=16, split="test")
    assert source.name == "stacked:digits" and source.shape == (16, 16, 3)
    assert source.base == "digits" and source.spec["label"].names[123] == "123"
    assert data.load("stacked:digits").shape == (32, 32, 3)
    item = source[11]
    assert item["image"].shape == (16, 16, 3) and 0 <= item["label"] < 1000
    singles = data.load("digits", resolution=16, split="test").arrays
    known = {
        x.tobytes(): label
        for x, label in zip(singles["image"], singles["label"], strict=True)
    }
    found = [known[item["image"][..., c].tobytes()] for c in range(3)]
    assert item["label"] == found[0] * 100 + found[1] * 10 + found[2]


def test_of_tfds_the_name_is_passed_whole(monkeypatch):
    asked = []
    held = data.load("digits", resolution=16)

    def load(name, **options):
        asked.append((name, options["resolution"], options["channels"]))
        return held

    monkeypatch.setattr("gans.data.sets.tfds.load", load)
    assert data.load("stacked:tfds:mnist", resolution=16).name == "stacked:tfds:mnist"
    assert asked == [("mnist", 16, 1)]


def test_batches_of_it():
    source = data.load("stacked:digits", resolution=16, channels=3)
    batch = pipeline.batches(source, 8, seed=0)[3]
    assert batch["image"].shape == (8, 16, 16, 3)
    assert batch["image"].dtype == np.uint8 and batch["label"].shape == (8,)
    lo, hi = batch["image"].min(), batch["image"].max()
    assert lo == 0 and 191 < hi <= 255


@pytest.mark.parametrize(
    "name, options, message",
    [
        ("stacked:digits", {"channels": 1}, "stacked:digits has 3 channels, got .*=1"),
        ("stacked:ring8", {}, "ring8 is not a set of labelled images"),
        ("stacked:stacked:digits", {}, "stacked:digits has 3 channels"),
        ("stacked:digits", {"split": "val"}, "digits has no split 'val'"),
        ("stacked:digit", {}, "did you mean digits"),
        ("stacked", {}, "did you mean stacked:NAME"),
    ],
)
def test_what_cannot_be_stacked(name, options, message):
    with pytest.raises(ValueError, match=message):
        data.load(name, **options)
