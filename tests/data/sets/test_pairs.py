"""Pairs in every layout, and what is said of those that are none."""

import pathlib

import numpy as np
import pytest
from PIL import Image

from gans import data
from gans.data import pipeline
from gans.data.sets import NoSplit, OptionWanted, pairs
from gans.data.source import InMemory, Streamed

FACADES = pathlib.Path(__file__).parents[4] / "shared/data/facades"


def flat(path, value, size=(8, 8), mode="L", **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, value).save(path, **options)


def side_by_side(path, a, b, size=(8, 8)):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new("L", (2 * size[0], size[1]), a)
    image.paste(b, (size[0], 0, 2 * size[0], size[1]))
    image.save(path)


def values(source):
    """The grey values (A, B) of every pair."""
    taken = source.take(np.arange(len(source)))
    assert taken["a"].dtype == taken["b"].dtype == np.uint8
    for x in taken.values():
        assert (x == x[:, :1, :1, :1]).all()
    return [tuple(int(taken[k][i, 0, 0, 0]) for k in "ab") for i in range(len(source))]


def load(root, **options):
    return data.load(f"pairs:{root}", **options)


@pytest.mark.parametrize(
    "a, b",
    [
        ("A/{}.png", "B/{}.png"),
        ("a/{}.png", "b/{}.png"),
        ("A/train/{}.png", "B/train/{}.png"),
        ("train/A/{}.png", "train/B/{}.png"),
        ("trainA/{}.png", "trainB/{}.bmp"),  # endings differ
        ("train_a/deep/{}.png", "train_b/deep/{}.PNG"),
        ("Training A/{}.png", "Training B/{}.png"),
    ],
)
def test_folders_of_equal_names(tmp_path, a, b, capsys):
    for i in (10, 2):
        flat(tmp_path / a.format(i), i)
        flat(tmp_path / b.format(i), 100 + i)
    source = load(tmp_path)
    assert source.groups == (("a", "b"),) and source.spec["b"].kind == "image"
    assert source.spec["a"].shape == source.spec["b"].shape == (8, 8, 3)
    assert values(source) == [(10, 110), (2, 102)]  # in the order of the paths
    said = capsys.readouterr().err
    folder = a.partition("/{")[0].removesuffix("/deep")
    assert f": train: A is {folder}/ (2), B is" in said
    with pytest.raises(NoSplit, match="no split 'test', only train"):
        load(tmp_path, split="test")


@pytest.mark.parametrize("folder", ["", "train/", "Train/rainy/"])
def test_side_by_side(tmp_path, folder, capsys):
    for i in (1, 2):
        side_by_side(tmp_path / f"{folder}{i}.png", i, 100 + i)
    source = load(tmp_path, channels=1)
    assert source.spec["a"].shape == source.spec["b"].shape == (8, 8, 1)
    assert values(source) == [(1, 101), (2, 102)]
    said = capsys.readouterr().err
    where = "in " + folder.partition("/")[0] + "/ " if folder else ""
    assert f": train: side by side {where}(2), left A, right B\n" in said


def test_two_paths(tmp_path):
    for i in (1, 2):
        flat(tmp_path / "photos" / f"{i}.png", i)
        flat(tmp_path / "maps" / f"{i}.png", 100 + i)
    name = f"{tmp_path}/photos,{tmp_path}/maps"
    assert values(load(name)) == [(1, 101), (2, 102)]
    # One path to both would be cut into halves.
    with pytest.raises(ValueError, match=r"equal names: if .* say pairs:.*/maps,.*/ph"):
        load(tmp_path)
    flat(tmp_path / "photos" / "3.png", 3)
    assert len(load(tmp_path)) == 5
    with pytest.raises(ValueError, match="not of the form PATH_A,PATH_B"):
        load("one,two,three")
    with pytest.raises(FileNotFoundError, match="[^,]/map: there is no such folder"):
        load(f"{tmp_path}/photos,{tmp_path}/map")
    comma = tmp_path / "a,b"
    side_by_side(comma / "1.png", 1, 101)
    assert values(load(comma)) == [(1, 101)]


def test_splits(tmp_path, capsys):
    for split, i in (("train", 1), ("val", 2), ("test", 3)):
        side_by_side(tmp_path / split / f"{i}.png", i, 100 + i)
    side_by_side(tmp_path / "cover.png", 9, 9)
    for split, i in (("train", 1), ("val", 2), ("test", 3)):
        assert values(load(tmp_path, split=split)) == [(i, 100 + i)]
    assert "not read, outside these folders: 1 (cover.png)" in capsys.readouterr().err
    (tmp_path / "test/3.png").unlink()
    assert values(load(tmp_path, split="test")) == [(2, 102)]  # of val
    said = "train: side by side in train/ (1), left A, right B; test: side by side in "
    assert said + "val/ (1), left A, right B\n" in capsys.readouterr().err
    for kind in ("trainA", "trainB", "valA", "valB", "testA", "testB"):
        flat(tmp_path / "apart" / kind / "1.png", len(kind) + 10 * (kind[-1] == "B"))
    assert values(load(tmp_path / "apart", split="test")) == [(5, 15)]
    assert values(load(tmp_path / "apart", split="val")) == [(4, 14)]


def test_a_picture_without_a_partner_is_named(tmp_path, capsys):
    for i in range(8):
        flat(tmp_path / "A" / f"{i}.png", i)
    flat(tmp_path / "B" / "7.jpg", 7)
    flat(tmp_path / "B" / "x.jpg", 8)
    with pytest.raises(OptionWanted) as caught:
        load(tmp_path)
    said = (
        "8 of 10 pictures of the split 'train' have no partner: A/0, A/1, A/2, A/3, "
        "A/4, ... (wanted B/0.* beside A/0.png)"
    )
    assert said in str(caught.value) and caught.value.option == "skip_corrupt"
    assert len(load(tmp_path, skip_corrupt=True)) == 1
    assert f"left out: {said}" in capsys.readouterr().err
    (tmp_path / "B" / "7.jpg").unlink()
    for skip in (False, True):  # there would be nothing left
        with pytest.raises(ValueError, match="9 of 9 .* have no partner") as caught:
            load(tmp_path, skip_corrupt=skip)
        assert not isinstance(caught.value, OptionWanted)
    for path in (tmp_path / "B").iterdir():
        path.unlink()
    with pytest.raises(ValueError, match="'train' has no side B, only A/; wanted pict"):
        load(tmp_path, skip_corrupt=True)


def test_two_of_one_name(tmp_path):
    for name in ("A/1.png", "A/1.bmp", "B/1.png"):
        flat(tmp_path / name, 1)
    with pytest.raises(ValueError, match="two .* called '1': A/1.bmp and A/1.png"):
        load(tmp_path)


def test_sizes_of_a_pair(tmp_path, capsys):
    flat(tmp_path / "A/1.png", 1, (32, 16))
    flat(tmp_path / "B/1.png", 2, (8, 4))
    assert values(load(tmp_path, resolution=4)) == [(1, 2)]
    assert "in some pairs A and B differ in size" in capsys.readouterr().err
    with pytest.raises(OptionWanted, match="several sizes .*A/1.png is 32x16.*8x4"):
        load(tmp_path)
    flat(tmp_path / "B/1.png", 2, (16, 16))
    with pytest.raises(ValueError, match=r"B/1.png: it is 16x16, its .*A/1.png is 32x"):
        load(tmp_path, resolution=4)
    assert values(load(f"{tmp_path}:fit=squash", resolution=4)) == [(1, 2)]
    flat(tmp_path / "A/2.png", 1)
    flat(tmp_path / "B/2.png", 2)
    source = load(tmp_path, resolution=4, skip_corrupt=True)
    assert len(source) == 1 and "left out 1 of 2 files" in capsys.readouterr().err


def test_an_odd_width_is_named(tmp_path):
    flat(tmp_path / "1.png", 1, (9, 4))
    with pytest.raises(
        ValueError, match="1.png: it is 9x4, and pictures side by side have .*PATH_A,"
    ):
        load(tmp_path, resolution=4)


def test_one_crop_for_both(tmp_path):
    # A ramp across 24 x 8 pixels: the centre square is columns 8 to 15 of each half.
    ramp = np.tile(np.arange(24, dtype=np.uint8), (8, 1))
    Image.fromarray(np.hstack([ramp, ramp + 100])).save(tmp_path / "1.png")
    pair = load(tmp_path, resolution=8, channels=1)[0]
    np.testing.assert_array_equal(pair["a"][..., 0], ramp[:, 8:16])
    np.testing.assert_array_equal(pair["b"][..., 0], ramp[:, 8:16] + 100)
    squashed = load(f"{tmp_path}:fit=squash", resolution=8, channels=1)[0]
    assert squashed["a"].min() <= 1 and squashed["a"].max() >= 22


def test_modes_and_orientation(tmp_path):
    flat(tmp_path / "A/1.png", 200 * 257, mode="I;16")
    flat(tmp_path / "B/1.png", (9, 9, 9, 0), mode="RGBA")
    assert values(load(tmp_path)) == [(200, 255)]
    # Stored upright, black above white; orientation 8 turns it counter-clockwise, so
    # that black comes to the left.
    image, exif = Image.new("L", (8, 16), 255), Image.Exif()
    image.paste(0, (0, 0, 8, 8))
    exif[0x0112] = 8
    (tmp_path / "turned").mkdir()
    image.save(tmp_path / "turned/1.png", exif=exif)
    assert values(load(tmp_path / "turned")) == [(0, 255)]


def test_test_pairs_that_stand_in_train_are_left_out(tmp_path, capsys):
    for i in range(4):
        side_by_side(tmp_path / f"train/{i}.png", i, 100 + i)
    side_by_side(tmp_path / "test/x.png", 1, 101)  # equal bytes
    side_by_side(tmp_path / "test/y.bmp", 2, 102)  # equal pixels
    side_by_side(tmp_path / "test/z.png", 3, 102)
    assert values(load(tmp_path, split="test")) == [(3, 102)]
    said = capsys.readouterr().err
    assert "left out 2 of 3 pairs of the split 'test': also in train" in said
    (tmp_path / "test/z.png").unlink()
    with pytest.raises(NoSplit, match="all 2 pairs of the split 'test' also stand in"):
        load(tmp_path, split="test")
    for split in ("train", "test"):
        for side, value in (("A", 5), ("B", 6 if split == "train" else 7)):
            flat(tmp_path / "apart" / split / side / "1.png", value)
    assert values(load(tmp_path / "apart", split="test")) == [(5, 7)]  # B is another


def test_streamed_is_the_same_set(tmp_path, monkeypatch):
    for i in range(5):
        side_by_side(tmp_path / f"{i}.png", i, 100 + i)
    held = load(tmp_path, resolution=4)
    monkeypatch.setattr(pairs, "hold", lambda source: source)
    streamed = load(tmp_path, resolution=4)
    assert isinstance(held, InMemory) and isinstance(streamed, Streamed)
    assert streamed.spec == held.spec
    one, other = (pipeline.batches(x, 3, seed=1, flip=True) for x in (held, streamed))
    for step in range(4):
        for key, x in one[step].items():
            np.testing.assert_array_equal(x, other[step][key])


def test_two_orders_of_the_data(tmp_path):
    for i in range(6):
        side_by_side(tmp_path / f"{i}.png", i, 100 + i)
    source = load(tmp_path)
    orders = []
    for seed in (0, 1):
        batches = pipeline.batches(source, 2, seed=seed)
        taken = [batches[step] for step in range(3)]
        a, b = (np.concatenate([x[k][:, 0, 0, 0] for x in taken]) for k in "ab")
        np.testing.assert_array_equal(a + 100, b)  # pairs stay pairs
        assert sorted(a.tolist()) == list(range(6))
        orders.append(a.tolist())
    assert orders[0] != orders[1]


def test_corrupt_files(tmp_path, capsys):
    for i in range(3):
        flat(tmp_path / f"A/{i}.png", i)
        flat(tmp_path / f"B/{i}.png", 100 + i)
    (tmp_path / "B/1.png").write_text("no picture")
    with pytest.raises(OptionWanted, match="cannot read .*B/1.png"):
        load(tmp_path, resolution=4)
    assert values(load(tmp_path, resolution=4, skip_corrupt=True)) == [
        (0, 100),
        (2, 102),
    ]
    assert "left out 1 of 3" in capsys.readouterr().err


def test_nothing_to_read(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere: there is no such folder"):
        load(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match="holds nothing; wanted pictures"):
        load(tmp_path)
    with pytest.raises(ValueError, match="'fti' is not one of fit, range; did you mea"):
        load(f"{tmp_path}:fti=squash")
    with pytest.raises(ValueError, match="fit='square' is not crop or squash"):
        load(f"{tmp_path}:fit=square")


@pytest.mark.skipif(not FACADES.exists(), reason="there is no ../shared/data/facades")
def test_facades(capsys):
    test = load(FACADES, resolution=32, split="test")
    assert len(test) == 106 and "left out" not in capsys.readouterr().err
    # Labels (B) are of pure colours, photographs (A) are not.
    taken = test.take(np.arange(106))
    a, b = ((x.max(-1).astype(int) - x.min(-1)).mean() for x in taken.values())
    assert b > 2 * a
