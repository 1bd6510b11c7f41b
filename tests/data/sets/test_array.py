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


BYTES = np.array([0, 3, 128, 200, 254, 255], np.uint8).reshape(1, 3, 2, 1)


@pytest.mark.parametrize(
    "x",
    [
        BYTES / 255,
        (BYTES / 255).astype(np.float16),
        (BYTES / 127.5 - 1).astype(np.float32),
        BYTES.astype(np.float64),
        BYTES.astype(np.int64),
        BYTES.astype(np.uint16),
        BYTES.astype(np.uint16) * 257,
        np.moveaxis(np.repeat(BYTES, 3, 3), -1, 1) / np.float32(255),
    ],
)
def test_any_range_gives_the_same_bytes(tmp_path, x, capsys):
    source = array.load(save(tmp_path / "a.npz", image=x))
    np.testing.assert_array_equal(source.arrays["image"][..., :1], BYTES)
    assert "values read as " in capsys.readouterr().err


def test_the_range_can_be_said(tmp_path):
    # 0 -> 0, 8 of 16 -> 127.5 rounded to the even 128, 16 -> 255.
    path = save(tmp_path / "a.npz", image=np.array([[[0.0, 8.0], [16.0, 16.0]]]))
    with pytest.raises(ValueError, match=r"from 0 to 16 can be .*:range=0\.\.1 \(or"):
        array.load(path)
    source = array.load(f"{path}:range=0..16")
    assert source.arrays["image"].ravel().tolist() == [0, 128, 255, 255]
    assert source.name == f"array:{path}:range=0..16"
    dark = save(tmp_path / "b.npz", image=np.full((2, 4, 4), 0.25))
    assert (array.load(f"{dark}:range=-1..1").arrays["image"] == 159).all()  # 1.25 / 2
    for wrong, message in (
        ("0..1", "values from 0 to 16 are outside the range 0..1"),
        ("1..0", "not of the form LOW..HIGH"),
        ("1", "not of the form LOW..HIGH"),
    ):
        with pytest.raises(ValueError, match=message):
            array.load(f"{path}:range={wrong}")


@pytest.mark.parametrize(
    "shape, message",
    [
        ((16, 12, 3), r"one picture \[H, W, C\]\? x\[None\]"),
        ((16, 12, 4), r"one picture \[H, W, C\]"),
        ((16, 12), "one grey picture"),
        ((9, 784), r"x.reshape\(-1, 28, 28, 1\) if its rows are images"),
        ((9, 3072), r"x.reshape\(-1, 32, 32, 3\)"),
        ((2, 5, 5, 5), "no axis of colours"),
        ((2, 3, 5, 5, 3), "5 axes"),
    ],
)
def test_what_is_no_set_of_images(tmp_path, shape, message):
    path = save(tmp_path / "a.npz", image=np.zeros(shape, np.uint8))
    with pytest.raises(ValueError, match=message) as error:
        array.load(path)
    assert str(shape) in str(error.value)


def test_channels_first_and_opacity(tmp_path, capsys):
    path = save(tmp_path / "a.npz", x=np.moveaxis(IMAGES, -1, 1))
    np.testing.assert_array_equal(array.load(path).arrays["image"], IMAGES)
    assert "[N, C, H, W]" in capsys.readouterr().err
    clear = np.zeros((2, 5, 6, 4), np.uint8)
    clear[0, ..., 3] = 255
    found = array.load(save(tmp_path / "b.npz", x=clear)).arrays["image"]
    assert found.shape == (2, 5, 6, 3)
    assert (found[0] == 0).all() and (found[1] == 255).all()  # on white


@pytest.mark.parametrize("images", ["images", "image", "x", "X", "x_train", "data"])
@pytest.mark.parametrize("labels", ["labels", "label", "Y", "y_train"])
def test_known_names_of_arrays(tmp_path, images, labels):
    path = save(tmp_path / "a.npz", **{images: IMAGES, labels: [1, 0, 1, 2]})
    source = array.load(path)
    assert source.n_classes == 3 and source.arrays["label"].tolist() == [1, 0, 1, 2]


def test_test_images_are_a_split(tmp_path):
    content = {"x_train": IMAGES, "y_train": [0, 1, 0, 1]}
    path = save(tmp_path / "a.npz", **content, x_test=IMAGES[:2], y_test=[1, 0])
    assert len(array.load(path)) == 4
    test = array.load(path, split="test")
    assert len(test) == 2 and test.arrays["label"].tolist() == [1, 0]


def test_what_is_not_read_is_said(tmp_path, capsys):
    path = save(tmp_path / "a.npz", images=IMAGES, classes=[0, 1, 0, 1])
    assert array.load(path).n_classes is None
    said = f"array:{path}: images from `images`, no labels, not read `classes`"
    assert capsys.readouterr().err.strip() == said
    array.load(path)
    assert not capsys.readouterr().err  # once


def test_classes_are_those_that_occur(tmp_path):
    months = save(tmp_path / "a.npz", x=IMAGES, y=[1, 2, 3, 10])
    source = array.load(months)
    assert source.n_classes == 4 and source.arrays["label"].tolist() == [0, 1, 2, 3]
    assert source.spec["label"].names == ("1", "2", "3", "10")
    pets = save(tmp_path / "b.npz", x=IMAGES, y=["dog", "cat", "dog", "ant"])
    source = array.load(pets)
    assert source.arrays["label"].tolist() == [2, 1, 2, 0]
    assert source.spec["label"].names == ("ant", "cat", "dog")


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
        ({"pictures": IMAGES}, "holds `pictures`; wanted images as one of `image`, "),
        ({"image": IMAGES[0, 0]}, r"shape \(6, 3\)"),
        ({"image": IMAGES[..., :2]}, "C 1, 3 or 4"),
        ({"image": IMAGES[:0]}, r"shape \(0, 6, 6, 3\)"),
        ({"image": IMAGES.astype(complex)}, "complex128; wanted numbers"),
        ({"image": np.linspace(-2.1, 2.6, 32).reshape(2, 4, 4)}, "from -2.1 to 2.6"),
        ({"image": np.linspace(-0.5, 0.5, 32).reshape(2, 4, 4)}, "from -0.5 to 0.5"),
        ({"image": np.full((2, 4, 4), 0.4)}, "several ways; say which"),
        ({"image": np.full((1, 2, 2), np.nan)}, "example 0 holds NaN or infinity$"),
        ({"image": IMAGES, "label": np.arange(3)}, "3 labels for 4 images"),
        ({"image": IMAGES, "label": np.ones(4) / 2}, "label 0.5; wanted integers"),
        ({"image": IMAGES, "label": np.array([0, 1, -1, 0])}, "the label -1; wanted"),
        ({"image": IMAGES, "label": np.ones((4, 2))}, "not one-hot"),
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
