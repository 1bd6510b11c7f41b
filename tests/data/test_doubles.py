"""What of a test set also stands in the training set."""

import numpy as np
import pytest
from PIL import Image

from gans.data import doubles
from gans.data.sets import NoSplit


def save(path, value, size=(8, 6), **options):
    image = Image.new("RGB", size, (value, 0, 0))
    image.putpixel((1, 2), (9, 9, 9))
    image.save(path, **options)
    return (str(path),)


def unseen(test, train):
    return doubles.unseen(test, train, lambda files: files, "set", "pictures")


@pytest.fixture
def sets(tmp_path):
    train = [save(tmp_path / f"train{i}.png", i) for i in range(6)]
    test = [
        save(tmp_path / "a.png", 3),  # the same bytes
        save(tmp_path / "b.png", 40),
        save(tmp_path / "c.bmp", 4),  # the same pixels
        save(tmp_path / "d.png", 5, compress_level=0),
        save(tmp_path / "e.png", 2, size=(6, 8)),  # not the same shape
    ]
    return test, train


def test_equal_bytes_and_equal_pixels(sets, capsys):
    test, train = sets
    assert unseen(test, train) == [test[1], test[4]]
    said = "set: left out 3 of 5 pictures: also in train\n"
    assert capsys.readouterr().err == said
    # Negative control: a single other pixel.
    with Image.open(test[2][0]) as image:
        image.putpixel((0, 0), (4, 0, 1))
        image.save(test[2][0])
    doubles._found.cache_clear()
    assert test[2] in unseen(test, train)


def test_every_file_of_an_example_must_be_equal(sets):
    test, train = sets
    pairs = [(test[0] + test[2]), (test[0] + test[1]), (test[2] + test[0])]
    known = [train[3] + train[4], train[5] + train[1]]
    assert unseen(pairs, known) == pairs[1:]


def test_large_sets_are_compared_by_bytes_alone(sets, monkeypatch, capsys):
    test, train = sets
    monkeypatch.setattr(doubles, "MOST_PIXELS", 6 * 48 - 1)
    doubles._found.cache_clear()
    assert unseen(test, train) == test[1:]
    said = "left out 1 of 5 pictures: by bytes alone, also in train"
    assert said in capsys.readouterr().err


def test_nothing_is_left(sets):
    test, train = sets
    with pytest.raises(NoSplit, match="set: all 2 pictures also stand in train"):
        unseen([test[0], test[2]], train)


def test_only_what_is_alike_is_decoded(sets, monkeypatch):
    test, train = sets
    doubles._found.cache_clear()
    decoded = []
    monkeypatch.setattr(doubles, "fit", lambda x: decoded.append(x) or np.array(x))
    assert unseen([test[4]], train[:3]) == [test[4]]
    assert len(decoded) == 4  # the shape is turned: it may be upright after all
    small = [save(test[4][0] + ".png", 2, size=(5, 5))]
    assert unseen(small, train) == small and len(decoded) == 4


def test_broken_files_are_no_doubles(sets, tmp_path):
    test, train = sets
    for name in ("x.png", "train_x.png"):
        (tmp_path / name).write_text(f"no picture {name}")
    broken = [(str(tmp_path / "x.png"),)]
    assert unseen(broken, [*train, (str(tmp_path / "train_x.png"),)]) == broken
