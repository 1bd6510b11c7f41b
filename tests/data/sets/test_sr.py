"""Pictures and small ones: crops at random, whole pictures, degradations, bad input."""

import numpy as np
import pytest
from PIL import Image

from gans import data
from gans.data import bicubic, pipeline
from gans.data.degraded import Degraded
from gans.data.sets import NoSplit, OptionWanted, sr


@pytest.fixture
def pictures(tmp_path):
    """train/ of two pictures, test/ of one, whose sizes 4 does not divide."""
    random = np.random.default_rng(0)
    for name, size in (
        ("train/x", (41, 53)),
        ("train/y", (90, 66)),
        ("test/z", (39, 50)),
    ):
        path = tmp_path / f"{name}.png"
        path.parent.mkdir(exist_ok=True)
        small = random.integers(0, 256, (size[0] // 3, size[1] // 3, 3), np.uint8)
        Image.fromarray(small).resize(size[::-1]).save(path)
    return tmp_path


def place_of(crop, picture):
    """(row, column) of a crop in a picture."""
    h, w = crop.shape[:2]
    for i in range(picture.shape[0] - h + 1):
        for j in range(picture.shape[1] - w + 1):
            if (picture[i : i + h, j : j + w] == crop).all():
                return i, j
    raise AssertionError("no part of the picture")


def test_a_crop_is_a_part_of_both_pictures(pictures):
    """As if the whole small picture had been made once, to the last border."""
    source = data.load(f"sr:{pictures}", resolution=24)
    # 41x53 holds 1 x 2 squares, 90x66 3 x 2.
    assert len(source) == 8 and source.augmented and source.streamed
    assert source.spec["a"].shape == (6, 6, 3) and source.spec["b"].shape == (24, 24, 3)
    draws = np.random.default_rng(0).integers(2**64, size=8, dtype=np.uint64)
    taken, places = source.take(np.arange(8), draws=(draws,)), set()
    for k, (a, b) in enumerate(zip(taken["a"], taken["b"], strict=True)):
        whole = source.picture(0 if k < 2 else 1)
        height, width = (n - n % 4 for n in whole.shape[:2])
        small = bicubic.resize(whole[:height, :width].astype(np.float32), 0.25)
        small = np.floor(np.clip(small, 0, 255) + 0.5).astype(np.uint8)
        i, j = place_of(b, whole)
        assert i % 4 == j % 4 == 0
        i, j = i // 4, j // 4
        np.testing.assert_array_equal(a, small[i : i + 6, j : j + 6])
        places.add((k // 2, i, j))
    assert len(places) > 5
    # Negative control: without the margin, borders are mirrored.
    alone = bicubic.resize(taken["b"][0], 0.25)
    assert (alone != taken["a"][0]).any()


def test_batches_are_a_function_of_seed_and_row(pictures):
    source = data.load(f"sr:{pictures}", resolution=24)
    both = [pipeline.batches(source, 4, seed=3, flip=True) for _ in range(2)]
    for key, x in both[0][7].items():
        np.testing.assert_array_equal(x, both[1][7][key])
    again = both[0][5], both[0][7]  # two epochs
    assert (again[0]["b"] != again[1]["b"]).any()
    np.testing.assert_array_equal(source[3]["b"], source.take(np.array([3]))["b"][0])


def test_test_pictures_are_whole(pictures):
    source = data.load(f"sr:{pictures}", resolution=24, split="test")
    assert len(source) == 1 and source.names == ["test/z.png"]
    found = source.whole(np.array([0]))
    picture = np.asarray(Image.open(pictures / "test/z.png"))[:36, :48]
    np.testing.assert_array_equal(found["b"][0], picture)
    np.testing.assert_array_equal(found["a"][0], bicubic.resize(picture, 0.25))
    middle = source.take(np.array([0]))
    i, j = place_of(middle["b"][0], picture)
    assert (i, j) == (4, 12) and middle["a"].shape == (1, 6, 6, 3)
    np.testing.assert_array_equal(middle["a"][0], found["a"][0, 1:7, 3:9])


def test_two_folders(pictures):
    name = f"sr:{pictures}/train,{pictures}/test:scale=2"
    assert len(data.load(name, resolution=24)) == 8
    test = data.load(name, resolution=24, split="test")
    assert test.whole(np.array([0]))["b"].shape == (1, 38, 50, 3)
    with pytest.raises(NoSplit, match="no split 'val', only train, test"):
        data.load(name, resolution=24, split="val")
    with pytest.raises(NoSplit, match="no split 'test', only train"):
        data.load(f"sr:{pictures}/train", resolution=24, split="test")


def test_the_embedded_photographs():
    train, test = (data.load("sr:photos", resolution=64, split=x) for x in data_splits)
    assert len(train) == 33 and len(test) == 2
    assert test.whole(np.array([0]))["a"].shape == (1, 106, 52, 3)
    with pytest.raises(NoSplit, match="no split 'val'; it has train, test"):
        data.load("sr:photos", split="val")


data_splits = ("train", "test")


def test_grey_among_colour_becomes_colour(pictures):
    Image.fromarray(np.full((40, 40), 9, np.uint8)).save(pictures / "train/grey.png")
    source = data.load(f"sr:{pictures}", resolution=24)
    assert source.picture(0).shape == (40, 40, 3)
    grey = data.load(f"sr:{pictures}", resolution=24, channels=1)
    assert grey.take(np.arange(2))["a"].shape == (2, 6, 6, 1)


@pytest.mark.parametrize(
    "options, resolution, message",
    [
        ("", 40, "test/z.png is 50x39, smaller than a crop of 40x40; leave it out"),
        ("", 30, "resolution=30 are not a multiple of scale=4"),
        (":scale=5", 24, "scale='5' is not 1 or 2 or 3 or 4 or 8"),
        (":jpeg=0..90", 24, "jpeg=0..90: wanted numbers from 1 to 100"),
        (":blur=a..2", 24, "blur='a..2' is not a number or LOW..HIGH"),
        (":jpg=30", 24, "option 'jpg' is not one of .*; did you mean 'jpeg'"),
    ],
)
def test_what_cannot_be(pictures, options, resolution, message):
    with pytest.raises(ValueError, match=message):
        data.load(f"sr:{pictures}{options}", resolution=resolution, split="test")


def test_a_corrupt_file_is_named_or_left_out(pictures):
    (pictures / "train/bad.png").write_bytes(b"no picture")
    with pytest.raises(OptionWanted, match="cannot read .*bad.png"):
        data.load(f"sr:{pictures}", resolution=24)
    source = data.load(f"sr:{pictures}", resolution=24, skip_corrupt=True)
    assert len(source) == 8 and source.names == ["train/x.png", "train/y.png"]


@pytest.mark.parametrize(
    "options", [":blur=2", ":noise=20", ":jpeg=20", ":blur=1..2:noise=1..9:jpeg=30..60"]
)
def test_degradations(pictures, options):
    plain = data.load(f"sr:{pictures}", resolution=24).take(np.arange(8))
    source = data.load(f"sr:{pictures}{options}", resolution=24)
    taken, again = source.take(np.arange(8)), source.take(np.arange(8))
    np.testing.assert_array_equal(taken["b"], plain["b"])
    np.testing.assert_array_equal(taken["a"], again["a"])
    apart = np.abs(taken["a"].astype(float) - plain["a"]).mean()
    assert 1 < apart < 40
    other = source.take(np.arange(8), draws=(np.arange(8) + 100,))
    assert (other["a"] != taken["a"]).any()


def test_what_degradations_do():
    random = np.random.default_rng(0)
    x = random.integers(0, 256, (80, 80, 1), np.uint8)
    # Blur takes away what varies; noise adds its variance.
    blurred = Degraded(1, blur=(3, 3)).smaller(x, random)
    assert blurred.std() < 0.15 * x.std() and blurred.mean() == pytest.approx(
        x.mean(), 0.02
    )
    grey = np.full((80, 80, 1), 128, np.uint8)
    noisy = Degraded(1, noise=(10, 10)).spoilt(grey, random)
    assert noisy.std() == pytest.approx(10, 0.05)
    assert Degraded(4, blur=(1, 1)).margin == 20 and Degraded(4).margin == 8


def test_scale_of_a_name():
    assert sr.scale_of("sr:x:scale=2", "x:scale=2") == 2
    assert sr.scale_of("sr:x", "x") == 4
