import os

import numpy as np
import pytest
from PIL import Image

from experiments.sampling import pictures
from experiments.sampling.pictures import point


def levels(*values, side=64, channels=1):
    """Flat images [N, side, side, channels]."""
    return np.ones((len(values), side, side, channels)) * np.reshape(
        values, (-1, 1, 1, 1)
    )


def test_grid_places_images_row_by_row():
    picture = pictures.grid(levels(-1, 1, 0.2), columns=2)
    # Two tiles of 64 and one gap of 2 each way.
    assert picture.shape == (130, 130, 1) and picture.dtype == np.uint8
    assert (picture[:64, :64] == 0).all()
    assert (picture[:64, 66:] == 255).all()
    assert (picture[66:, :64] == 153).all()  # (0.2 + 1) * 127.5
    assert (picture[64:66] == 128).all() and (picture[:, 64:66] == 128).all()
    assert (picture[66:, 66:] == 128).all()  # no fourth image


@pytest.mark.parametrize("n, rows, columns", [(1, 1, 1), (5, 2, 3), (64, 8, 8)])
def test_grid_is_nearly_square_by_default(n, rows, columns):
    picture = pictures.grid(levels(*[0.0] * n, channels=3))
    assert picture.shape == (66 * rows - 2, 66 * columns - 2, 3)


@pytest.mark.parametrize(
    "side, tile", [(8, 64), (28, 56), (32, 64), (33, 33), (100, 100)]
)
def test_grid_enlarges_small_images_by_an_integer(side, tile):
    image = np.random.default_rng(0).uniform(-1, 1, (1, side, side, 3))
    picture = pictures.grid(image)
    assert picture.shape == (tile, tile, 3)
    factor = tile // side
    expected = np.rint((image[0] + 1) * 127.5)
    for i in range(factor):
        np.testing.assert_array_equal(picture[i::factor, i::factor], expected)


def test_grid_of_an_oblong_image():
    picture = pictures.grid(np.zeros((2, 16, 32, 1)), columns=1)
    assert picture.shape == (2 * 32 + 2, 64, 1)


def test_grid_shows_what_is_out_of_range_or_no_number():
    picture = pictures.grid(levels(-7, 7, np.nan), columns=3)
    assert picture[0, 0] == 0 and picture[0, 66] == 255 and picture[0, 132] == 128


@pytest.mark.parametrize("shape", [(0, 8, 8, 1), (8, 8, 1)])
def test_grid_names_a_wrong_shape(shape):
    with pytest.raises(ValueError, match=r"\[N, H, W, C\]"):
        pictures.grid(np.zeros(shape))
    with pytest.raises(ValueError, match="got 0"):
        pictures.grid(np.zeros((1, 8, 8, 1)), columns=0)


@pytest.mark.parametrize("channels, mode", [(1, "L"), (3, "RGB"), (4, "RGBA")])
def test_save_png_keeps_every_value(tmp_path, channels, mode):
    image = np.random.default_rng(0).integers(0, 256, (5, 7, channels), np.uint8)
    pictures.save_png(tmp_path / "x.png", image)
    read = Image.open(tmp_path / "x.png")
    assert read.mode == mode
    np.testing.assert_array_equal(np.array(read).reshape(image.shape), image)
    assert os.listdir(tmp_path) == ["x.png"]


def test_save_png_rejects_floats_and_odd_channels(tmp_path):
    for image in (np.zeros((4, 4, 1)), np.zeros((4, 4, 2), np.uint8)):
        with pytest.raises(ValueError, match=f"got {image.dtype}"):
            pictures.save_png(tmp_path / "x.png", image)


def red(picture):
    """Pixels [h, w] that are clearly red."""
    r, g, b = np.moveaxis(picture[70:].astype(int), -1, 0)  # below the legend
    return (r - g > 60) & (r - b > 60)


def test_scatter_draws_points_where_they_are(tmp_path):
    angle = np.linspace(0, 2 * np.pi, 200)
    real = np.stack([np.cos(angle), np.sin(angle)], 1)
    fake = np.full((50, 2), 0.5)
    path = tmp_path / "x.png"
    picture = point.scatter(path, real, fake, modes=np.zeros((1, 2)))
    assert picture.shape == (640, 640, 3) and picture.dtype == np.uint8
    np.testing.assert_array_equal(np.array(Image.open(path)), picture)
    rows, columns = np.nonzero(red(picture))
    assert len(rows)
    # (0.5, 0.5) is right of and above the middle.
    assert columns.min() > 320 and rows.max() + 70 < 320


def test_scatter_takes_its_limits_from_the_real_points(tmp_path):
    real = np.random.default_rng(0).normal(size=(100, 2))
    near, far = np.zeros((50, 2)), np.full((50, 2), 1e6)
    far[0] = np.nan
    shown = point.scatter(tmp_path / "x.png", real, near)
    hidden = point.scatter(tmp_path / "y.png", real, far)
    assert red(shown).any() and not red(hidden).any()


def test_pictures_that_will_be_drawn_again_are_dropped(tmp_path):
    folder = tmp_path / "samples"
    folder.mkdir()
    kept = ["step_00000000.png", "step_00000010.png", "step_00000010_a_to_b.png"]
    kept += ["mine.png", "step_by_step.png", "step_last.txt.tmp"]
    later = ["step_00000020.png", "step_00000020_a_to_b.webp"]
    # Those of a process that was killed while it wrote them.
    halves = ["step_00000010.png.tmp", "step_00000020_a_to_b.webp.tmp"]
    assert pictures.latest(folder) is None
    for name in (*kept, *later, *halves):
        (folder / name).touch()
    assert pictures.latest(folder).name == "step_00000020.png"
    pictures.drop(folder, 10)
    assert sorted(x.name for x in folder.iterdir()) == sorted(kept)
    assert pictures.latest(folder).name == "step_00000010.png"
