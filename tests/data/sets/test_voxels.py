"""Volumes of arrays, binvox and meshes, and solids made of digits."""

import hashlib
import sys

import numpy as np
import pytest

from gans import data
from gans.data import solids, volumes
from gans.data.sets import NoSplit, OptionWanted

DIGEST = "128abd2063ff"  # of numbers that draw solids


def corner(side=6):
    """A solid without symmetry: three arms of 5, 3 and 2 voxels: uint8 [x, y, z]."""
    x = np.zeros((side,) * 3, np.uint8)
    x[:5, 0, 0] = x[0, :3, 0] = x[0, 0, :2] = 1
    return x


def binvox(path, x):
    """As P. Min's program writes it: runs along y, then z, then x."""
    flat = x.transpose(0, 2, 1).ravel()
    runs = b"".join(bytes([value, 1]) for value in flat)
    shape = " ".join(map(str, x.shape))
    header = f"#binvox 1\ndim {shape}\ntranslate 0 0 0\nscale 1\ndata\n"
    path.write_bytes(header.encode() + runs)


def box(path, size=(4, 2, 1)):
    """An OFF file of a box of that size along x, y and z, at a corner."""
    corners = np.indices((2, 2, 2)).reshape(3, -1).T * size
    faces = "0 1 3 2/4 6 7 5/0 4 5 1/2 3 7 6/0 2 6 4/1 5 7 3".split("/")
    lines = ["OFF", "8 6 0", *(" ".join(map(str, c)) for c in corners)]
    path.write_text("\n".join([*lines, *(f"4 {face}" for face in faces)]) + "\n")


def test_digits_are_the_same_for_ever():
    source = data.load("voxels:digits", resolution=16)
    assert source.spec["voxels"].shape == (16, 16, 16, 1) and len(source) == 2874
    assert source.spec["label"].names == tuple("0123456789")
    numbers = np.array([solids._numbers(i, 1) for i in (0, 7)])
    digest = hashlib.sha256(numbers.tobytes()).hexdigest()
    assert digest.startswith(DIGEST), digest
    test = data.load("voxels:digits", resolution=16, split="test")
    assert len(test) == 720
    with pytest.raises(NoSplit, match="no split 'validation'; it has train, test"):
        data.load("voxels:digits", split="validation")


def test_a_plate_is_the_digit_from_the_front():
    picture = np.zeros((16, 16), bool)
    picture[2:14, 5:8] = picture[12:14, 5:12] = True  # an L
    plate = solids._turned(picture, 0.25, 0.0)
    np.testing.assert_array_equal(plate.any(0), picture)
    assert plate.any((1, 2)).sum() == 4
    turned = solids._turned(picture, 0.25, np.pi / 3)
    np.testing.assert_array_equal(turned.any((0, 2)), picture.any(1))
    assert turned.any((1, 2)).sum() > 4 and turned.any((0, 1)).sum() < 10


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.float32])
def test_arrays_become_bytes_in_a_cube(tmp_path, dtype, capsys):
    x = np.zeros((3, 30, 28, 30), dtype)
    x[:, 0, 1, 2] = 1
    np.save(tmp_path / "x.npy", x)
    source = data.load(f"voxels:{tmp_path}/x.npy", resolution=32)
    assert source.spec["voxels"].shape == (32, 32, 32, 1) and len(source) == 3
    taken = source.take(np.arange(3))["voxels"]
    assert np.argwhere(taken[1]).tolist() == [[1, 3, 3, 0]] and taken.max() == 255
    said = capsys.readouterr().err
    assert "30x28x30 voxels are padded with empty voxels to 32x32x32" in said


def test_larger_ones_are_reduced_by_blocks(tmp_path, capsys):
    x = np.zeros((2, 8, 8, 8, 1), np.uint8)
    x[0, 7, 0, 3] = 1
    np.savez(tmp_path / "x.npz", voxels=x, label=["b", "a"])
    source = data.load(f"voxels:{tmp_path}/x.npz", resolution=4)
    taken = source.take(np.arange(2))
    assert np.argwhere(taken["voxels"][0]).tolist() == [[3, 0, 1, 0]]
    assert taken["label"].tolist() == [1, 0]
    assert "8x8x8 voxels are reduced to 4x4x4" in capsys.readouterr().err
    with pytest.raises(
        ValueError, match="8x8x8 do not fit into resolution=6; accepted"
    ):
        data.load(f"voxels:{tmp_path}/x.npz", resolution=6)
    none = data.load(f"voxels:{tmp_path}/x.npz:classes=no", resolution=8)
    assert [*none.spec] == ["voxels"]


def test_an_npz_has_a_test_split(tmp_path):
    x = np.eye(4, dtype=bool)[None, None].repeat(4, 1).repeat(3, 0)
    np.savez(tmp_path / "x.npz", x_train=x, x_test=x[:1])
    assert len(data.load(f"voxels:{tmp_path}/x.npz")) == 3
    assert len(data.load(f"voxels:{tmp_path}/x.npz", split="test")) == 1


@pytest.mark.parametrize("up", volumes.TURNS)
def test_what_points_up_is_turned_and_not_mirrored(up):
    x = corner()
    turned = volumes.upright(x, up)
    axis, low = "xyz".index(up[-1]), up[0] == "-"
    # The arm along that axis points up (towards H = 0), or down.
    down = np.moveaxis(turned, 1, -1).any((0, 1))
    along = x.any(tuple({0, 1, 2} - {axis}))
    np.testing.assert_array_equal(down if low else down[::-1], along)
    # A rotation: right, up and towards the viewer are a right-handed frame, as x, y and
    # z are; away, down and right are a left-handed one.
    matrix = np.zeros((3, 3))
    for row, (source, back) in enumerate(volumes.TURNS[up]):
        matrix[row, source] = -1 if back else 1
    assert np.linalg.det(matrix) == -1


def test_folders_of_binvox_have_classes(tmp_path):
    for name in ("chair", "table"):
        (tmp_path / name).mkdir()
        binvox(tmp_path / name / "0.binvox", corner())
    source = data.load(f"voxels:{tmp_path}", resolution=8)
    taken = source.take(np.array([1]))
    assert taken["label"].tolist() == [1]
    expected = volumes.fit(volumes.upright(corner() * np.uint8(255), "y"), 8)
    np.testing.assert_array_equal(taken["voxels"][0, ..., 0], expected)
    (tmp_path / "chair" / "1.binvox").write_bytes(b"#binvox 1\ndim 2 2 2\ndata\n\1\3")
    with pytest.raises(OptionWanted, match="1.binvox: it holds 3 voxels; its header"):
        data.load(f"voxels:{tmp_path}", resolution=8)
    assert len(data.load(f"voxels:{tmp_path}", resolution=8, skip_corrupt=True)) == 2


def test_meshes_are_filled_and_as_large_as_fits(tmp_path):
    pytest.importorskip("trimesh", reason="trimesh (extra meshes) is not installed")
    box(tmp_path / "box.off")
    x = data.load(f"voxels:{tmp_path}", resolution=16).take(np.array([0]))["voxels"][0]
    found = [np.ptp(np.argwhere(x[..., 0])[:, axis]) + 1 for axis in range(3)]
    # z is up in OFF: 16 voxels wide (x), a quarter as high, half as deep.
    assert found[2] == 16 and abs(found[1] - 4) <= 1 and abs(found[0] - 8) <= 1
    inside = x[8, 8, 8, 0]
    shell = data.load(f"voxels:{tmp_path}:fill=no", resolution=16)
    assert inside == 255 and shell.take(np.array([0]))["voxels"][0, 8, 8, 8, 0] == 0
    with pytest.raises(OptionWanted, match="holds meshes, which have no size"):
        data.load(f"voxels:{tmp_path}")


def test_meshes_need_a_package_that_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "trimesh", None)
    box(tmp_path / "box.off")
    with pytest.raises(ValueError, match=r"pip install jax-gans\[meshes\]"):
        data.load(f"voxels:{tmp_path}", resolution=8)


@pytest.mark.parametrize(
    "array, message",
    [
        (np.zeros((4, 4, 4)), r"one volume\? x\[None\] makes a set of it; wanted vol"),
        (np.zeros((2, 4, 4)), r"shape \(2, 4, 4\): .*wanted volumes \[N, D, H, W\]"),
        (np.zeros((2, 4, 4, 4, 3)), r"\(2, 4, 4, 4, 3\): wanted volumes"),
        (np.full((2, 4, 4, 4), np.nan), "example 0 holds NaN or infinity"),
        (np.full((2, 4, 4, 4), 3.7), "can be read in several ways"),
    ],
)
def test_other_arrays_are_refused(tmp_path, array, message):
    np.save(tmp_path / "x.npy", array)
    with pytest.raises(ValueError, match=message):
        data.load(f"voxels:{tmp_path}/x.npy")


def test_folders_without_volumes(tmp_path):
    (tmp_path / "a.txt").touch()
    with pytest.raises(FileNotFoundError, match="no volumes, only 1 .txt; wanted vol"):
        data.load(f"voxels:{tmp_path}")
    with pytest.raises(ValueError, match="up='w' is not x or -x or y"):
        data.load(f"voxels:{tmp_path}:up=w")
