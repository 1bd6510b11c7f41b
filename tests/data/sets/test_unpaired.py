"""Two sets that do not correspond, in every layout."""

import pathlib

import numpy as np
import pytest
from PIL import Image

from gans import data
from gans.data import pipeline
from gans.data.sets import NoSplit, OptionWanted, unpaired
from gans.data.source import Unpaired

YOSEMITE = pathlib.Path(__file__).parents[4] / "shared/data/summer2winter_128"


def flat(path, value, size=(8, 8)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", size, value).save(path)


def load(root, **options):
    return data.load(f"unpaired:{root}", **options)


def values(source):
    """The grey values of A and of B."""
    taken = {k: source.sources[k].take(np.arange(source.length_of(k))) for k in "ab"}
    return [taken[k]["image"][:, 0, 0, 0].tolist() for k in "ab"]


@pytest.mark.parametrize(
    "a, b",
    [
        ("trainA", "trainB"),
        ("traina", "trainb"),
        ("A", "B"),
        ("A/train", "B/train"),
        ("train/a", "train/b"),
    ],
)
def test_layouts(tmp_path, a, b, capsys):
    for i in range(3):
        flat(tmp_path / a / f"{i}.png", i)
    for i in range(2):
        flat(tmp_path / b / f"x{i}.jpg", 100 + i)
    source = load(tmp_path)
    assert isinstance(source, Unpaired) and source.groups == (("a",), ("b",))
    assert source.lengths == (3, 2) and source.spec["a"].shape == (8, 8, 3)
    assert values(source) == [[0, 1, 2], [100, 101]]
    assert f"A is {a}/ (3), B is {b}/ (2)" in capsys.readouterr().err
    with pytest.raises(NoSplit, match="no split 'test', only train"):
        load(tmp_path, split="test")


def test_two_paths(tmp_path, capsys):
    for i in range(3):
        flat(tmp_path / "summer" / "rome" / f"{i}.png", i)
    flat(tmp_path / "winter" / "0.png", 100)
    name = f"{tmp_path}/summer,{tmp_path}/winter"
    assert values(load(name, channels=1)) == [[0, 1, 2], [100]]
    assert f"A is {tmp_path}/summer/ (3), B is" in capsys.readouterr().err
    flat(tmp_path / "winter" / "test" / "5.png", 105)
    flat(tmp_path / "summer" / "test" / "5.png", 5)
    with pytest.raises(NoSplit):  # no pictures called train
        load(name)
    flat(tmp_path / "summer" / "train" / "6.png", 6)
    flat(tmp_path / "winter" / "train" / "6.png", 106)
    assert values(load(name)) == [[6], [106]]
    assert values(load(name, split="test")) == [[5], [105]]


def test_pairs_can_be_read_as_unpaired(tmp_path):
    for i in range(6):
        image = Image.new("L", (16, 8), i)
        image.paste(100 + i, (8, 0, 16, 8))
        image.save(tmp_path / f"{i}.png")
    source = load(tmp_path)
    assert source.lengths == (6, 6) and source.spec["b"].shape == (8, 8, 3)
    assert values(source) == [list(range(6)), list(range(100, 106))]
    # A and B have their own orders, in which each comes once.
    for seed in (0, 1):
        batch = pipeline.batches(source, 6, seed=seed)[0]
        a, b = (batch[k][:, 0, 0, 0].tolist() for k in "ab")
        assert sorted(a) == values(source)[0] and sorted(b) == values(source)[1]
        assert [x + 100 for x in a] != b


def test_a_side_without_pictures(tmp_path):
    flat(tmp_path / "trainA" / "1.png", 1)
    with pytest.raises(ValueError, match="'train' has no side B, only trainA/; wanted"):
        load(tmp_path)
    flat(tmp_path / "testB" / "1.png", 2)
    with pytest.raises(ValueError, match="'test' has no side A, only testB/; wanted"):
        load(tmp_path, split="test")


def test_sizes(tmp_path):
    flat(tmp_path / "A" / "1.png", 1)
    flat(tmp_path / "B" / "1.png", 1, (9, 8))
    with pytest.raises(OptionWanted, match="pictures of several sizes"):
        load(tmp_path)
    assert load(tmp_path, resolution=4).spec["b"].shape == (4, 4, 3)


def test_corrupt_files(tmp_path, capsys):
    for name in ("A/1.png", "A/2.png", "B/1.png"):
        flat(tmp_path / name, 1)
    (tmp_path / "A/1.png").write_text("no picture")
    with pytest.raises(OptionWanted, match="cannot read .*A/1.png"):
        load(tmp_path, resolution=4)
    assert load(tmp_path, resolution=4, skip_corrupt=True).lengths == (1, 1)
    assert "left out 1 of 2 files" in capsys.readouterr().err


def test_test_pictures_that_stand_in_train_are_left_out(tmp_path, capsys):
    for i in range(3):
        flat(tmp_path / f"trainA/{i}.png", i)
        flat(tmp_path / f"trainB/{i}.png", 100 + i)
    for name, value in (("A/x", 0), ("A/y", 9), ("B/x", 102), ("B/y", 0), ("B/z", 8)):
        flat(tmp_path / f"test{name}.png", value)
    flat(tmp_path / "testA/z.bmp", 1)  # equal pixels
    # The last of B was trained on as A.
    assert values(load(tmp_path, split="test")) == [[9], [8]]
    said = capsys.readouterr().err
    assert "left out 2 of 3 pictures A of the split 'test': also in train" in said
    assert "left out 2 of 3 pictures B of the split 'test': also in train" in said


def test_streamed_is_the_same_set(tmp_path, monkeypatch):
    for i in range(5):
        flat(tmp_path / f"A/{i}.png", i)
        flat(tmp_path / f"B/{i % 3}.png", 100 + i)
    held = load(tmp_path, resolution=4)
    monkeypatch.setattr(unpaired, "hold", lambda source: source)
    streamed = load(tmp_path, resolution=4)
    assert streamed.streamed and not held.streamed and streamed.spec == held.spec
    one, other = (pipeline.batches(x, 3, seed=1, flip=True) for x in (held, streamed))
    for step in range(4):
        for key, x in one[step].items():
            np.testing.assert_array_equal(x, other[step][key])


@pytest.mark.slow
@pytest.mark.skipif(not YOSEMITE.exists(), reason="there is no ../shared/data")
def test_yosemite(capsys):
    # By SHA256SUMS 26 of testA stand in trainA and one in trainB; 15 and one of testB.
    source = load(YOSEMITE, resolution=16, split="test")
    said = capsys.readouterr().err
    for side, n, left_out in (("A", 309, 27), ("B", 238, 16)):
        assert f"left out {left_out} of {n} pictures {side} of the split 'test'" in said
    assert source.lengths == (309 - 27, 238 - 16)
