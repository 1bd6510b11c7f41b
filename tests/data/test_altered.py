"""What pictures lose when they are made alike, in numbers."""

import numpy as np
import pytest
from PIL import Image

from gans import data
from gans.data import altered
from gans.data.source import InMemory, Rows, Unpaired


def save(path, size, mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size).save(path)


def test_numbers_worked_out_by_hand():
    # 16x8 loses 64 of 128 pixels, 8x8 none, 4x6 8 of 24: 72 of 216 are a third.
    sizes, in_colour = np.array([[16, 8], [8, 8], [4, 6]]), np.array([1, 0, 1], bool)
    assert altered.fitted(sizes, in_colour, 8, 1) == {
        "median_size": [8, 8],
        "cropped": 2,
        "cut_off": pytest.approx(1 / 3),
        "enlarged": 1,
        "made_grey": 2,
    }
    assert altered.fitted(sizes[1:2], in_colour, 8, 3) == {"median_size": [8, 8]}
    squashed = altered.fitted(sizes, in_colour, 8, 3, squash=True)
    assert squashed == {"median_size": [8, 8], "squashed": 2, "enlarged": 1}
    # Pictures that stay as they are lose nothing.
    assert altered.fitted(sizes, in_colour, None, 3) == {"median_size": [8, 8]}


def test_a_folder_says_what_was_left_out_and_what_was_changed(tmp_path):
    save(tmp_path / "a.png", (16, 8))
    save(tmp_path / "b.png", (8, 8), "L")
    save(tmp_path / "c.png", (8, 8), "I;16")
    for name in ("x.txt", "y.txt", "z.psd2", "noending"):
        (tmp_path / name).write_text("no picture")
    (tmp_path / "broken.png").write_text("no picture")
    (tmp_path / "again.png").symlink_to(tmp_path / "a.png")
    name = f"folder:{tmp_path}"
    options = {"resolution": 8, "skip_corrupt": True}
    assert data.load(name, channels=1, **options).reading() == {
        "left_out": {".txt": 2, "": 1, ".psd2": 1},
        "links": 1,
        "corrupt": 1,
        "median_size": [8, 8],
        "cropped": 1,
        "cut_off": pytest.approx(0.25),  # 64 of 128 + 64 + 64
        "made_grey": 1,
    }
    assert "made_grey" not in data.load(name, channels=3, **options).reading()


def test_of_very_many_files_some_are_looked_at(tmp_path, monkeypatch):
    for i in range(9):
        save(tmp_path / f"{i}.png", (8 + 8 * (i == 8), 8))
    monkeypatch.setattr(altered, "MOST", 3)  # the first, the middle and the last
    found = data.load(f"folder:{tmp_path}", resolution=8).reading()
    assert found["looked_at"] == 3 and found["cropped"] == 1


def test_arrays(tmp_path):
    np.save(tmp_path / "x.npy", np.full((5, 8, 16, 3), 200, np.uint8))
    name = f"array:{tmp_path / 'x.npy'}"
    found = data.load(name, resolution=12, channels=1).reading()
    assert found == {
        "median_size": [16, 8],
        "cropped": 5,
        "cut_off": 0.5,
        "enlarged": 5,
        "made_grey": 5,
    }
    assert data.load(name).reading() == {"median_size": [16, 8]}


def test_sources_made_of_others_say_what_those_say(tmp_path):
    save(tmp_path / "a.png", (16, 8))
    folder = data.load(f"folder:{tmp_path}", resolution=8)
    plain = InMemory("x", {"image": np.zeros((3, 8, 8, 3), np.uint8)})
    assert plain.reading() == {} and folder.reading()["cropped"] == 1
    assert Rows(folder, np.array([0])).reading() == folder.reading()
    pair = Unpaired("x", {"a": folder, "b": plain})
    assert pair.reading() == {"a": folder.reading()}


@pytest.mark.parametrize("name", ["pairs", "unpaired"])
def test_halves_of_pictures_side_by_side(tmp_path, name):
    for i in range(3):
        save(tmp_path / f"{i}.png", (32, 8))  # two of 16x8
    found = data.load(f"{name}:{tmp_path}", resolution=8).reading()
    one = {"median_size": [16, 8], "cropped": 3, "cut_off": 0.5}
    assert found == (one if name == "pairs" else {"a": one, "b": one})


@pytest.mark.parametrize("task", ["colourise", "edges", "inpaint"])
def test_tasks_say_what_was_done_to_the_originals(tmp_path, task):
    save(tmp_path / "a.png", (64, 32))
    found = data.load(f"{task}:{tmp_path}", resolution=32).reading()
    assert found == {"median_size": [64, 32], "cropped": 1, "cut_off": 0.5}


def test_stacked_digits_are_those_of_their_base():
    source = data.load("stacked:digits", resolution=16)
    assert source.base == "digits" and source.reading() == {}
