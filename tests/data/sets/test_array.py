"""Arrays of the user, right and wrong."""

import numpy as np
import pytest

from gans.data.sets import array

IMAGES = np.arange(4 * 6 * 6 * 3).reshape(4, 6, 6, 3).astype(np.uint8)


def save(path, **content):
    np.savez(path, **content)
    return str(path)


def test_npz_with_labels(tmp_path):
    path = save(tmp_path / "a.npz", image=IMAGES, label=np.array([0, 2, 1, 2]), more=1)
    source = array.load(path)
    np.testing.assert_array_equal(source.arrays["image"], IMAGES)
    np.testing.assert_array_equal(source.arrays["label"], [0, 2, 1, 2])
    assert source.arrays["label"].dtype == np.int32
    assert source.n_classes == 3 and source.shape == (6, 6, 3)


def test_npy_of_grey_images(tmp_path):
    np.save(tmp_path / "a.npy", IMAGES[..., 0])
    source = array.load(str(tmp_path / "a.npy"))
    assert source.shape == (6, 6, 1) and source.n_classes is None
    np.testing.assert_array_equal(source.arrays["image"], IMAGES[..., :1])


def test_floats_are_brought_to_bytes(tmp_path):
    # -1 -> 0, 0 -> 127.5 rounded to the even 128, 1 -> 255.
    path = save(tmp_path / "a.npz", image=np.array([[[-1.0, 0.0, 1.0]]], np.float32))
    assert array.load(path)[0]["image"].ravel().tolist() == [0, 128, 255]


def test_size_and_channels(tmp_path):
    flat = np.repeat(np.array([10, 200], np.uint8), 8 * 12).reshape(2, 8, 12)
    path = save(tmp_path / "a.npz", image=flat)
    source = array.load(path, resolution=4, channels=3)
    assert source.shape == (4, 4, 3)
    assert (source[0]["image"] == 10).all() and (source[1]["image"] == 200).all()
    assert array.load(path, resolution=8).shape == (8, 8, 1)  # the centre square
    assert array.load(path, channels=3).shape == (8, 12, 3)


@pytest.mark.parametrize(
    "content, message",
    [
        ({"pictures": IMAGES}, "holds pictures; wanted `image`"),
        ({"image": IMAGES[0, 0]}, r"shape \(6, 3\)"),
        ({"image": IMAGES[..., :2]}, "C 1 or 3"),
        ({"image": IMAGES[:0]}, r"shape \(0, 6, 6, 3\)"),
        ({"image": IMAGES.astype(np.int64)}, "int64; wanted uint8"),
        ({"image": IMAGES.astype(np.float32)}, r"in \[0.0, 255.0\]"),
        ({"image": np.full((1, 2, 2), np.nan)}, "nan"),
        ({"image": IMAGES, "label": np.arange(3)}, "4 integers"),
        ({"image": IMAGES, "label": np.ones(4)}, "float64"),
        ({"image": IMAGES, "label": np.array([0, 1, -1, 0])}, "from 0 on"),
    ],
)
def test_wrong_contents(tmp_path, content, message):
    path = save(tmp_path / "a.npz", **content)
    with pytest.raises(ValueError, match=message) as error:
        array.load(path)
    assert path in str(error.value)


def test_no_file_no_array_no_split(tmp_path):
    with pytest.raises(FileNotFoundError, match="none.npy.*wanted an .npy or .npz"):
        array.load(str(tmp_path / "none.npy"))
    (tmp_path / "text.npy").write_text("hello")
    with pytest.raises(ValueError, match="text.npy is not a readable"):
        array.load(str(tmp_path / "text.npy"))
    np.save(tmp_path / "a.npy", IMAGES)
    with pytest.raises(ValueError, match="only 'train'"):
        array.load(str(tmp_path / "a.npy"), split="test")
