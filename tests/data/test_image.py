"""Pictures of every mode, to numbers worked out by hand."""

import numpy as np
import pytest
from PIL import Image

from gans.data.image import fit


def grey(values):
    return Image.fromarray(np.asarray(values, np.uint8))


def test_size_and_values_stay_without_resolution():
    values = [[0, 10, 20], [30, 40, 255]]
    np.testing.assert_array_equal(fit(grey(values), None, 1)[..., 0], values)
    colour = fit(grey(values), None, 3)
    assert colour.shape == (2, 3, 3) and colour.dtype == np.uint8
    np.testing.assert_array_equal(colour, np.repeat(np.array(values)[..., None], 3, 2))


def test_colour_to_grey_is_luma():
    # ITU-R 601: 0.299 R + 0.587 G + 0.114 B; pure red 76.2, green 149.7, blue 29.1.
    row = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]]], np.uint8)
    np.testing.assert_array_equal(
        fit(Image.fromarray(row), None, 1)[0, :, 0], [76, 150, 29]
    )


def test_centre_square_is_cut_before_resizing():
    # 4 high and 12 wide: columns 4..7 are the centre, all else is white.
    values = np.full((4, 12), 255)
    values[:, 4:8] = 100
    assert (fit(grey(values), 4, 1) == 100).all()
    assert (fit(grey(values), 2, 1) == 100).all()
    assert (fit(grey(values.T), 8, 1) == 100).all()


def test_shrinking_is_antialiased():
    # One-pixel stripes of 0 and 255 have mean 127.5; picking pixels gives 0 or 255.
    stripes = np.tile([0, 255], (64, 32))
    inner = fit(grey(stripes), 8, 1)[:, 1:-1]
    assert np.abs(inner.astype(int) - 127.5).max() < 6
    nearest = np.asarray(grey(stripes).resize((8, 8), Image.Resampling.NEAREST))
    assert np.abs(nearest[:, 1:-1].astype(int) - 127.5).min() > 100


def test_sixteen_bits_are_scaled_not_clipped():
    # 65535 / 257 = 255 exactly, so v * 257 stands for the 8-bit v.
    wide = (np.arange(256, dtype=np.uint16) * 257).reshape(16, 16)
    expected = np.arange(256).reshape(16, 16)
    np.testing.assert_array_equal(fit(Image.fromarray(wide), None, 1)[..., 0], expected)
    np.testing.assert_array_equal(
        fit(Image.fromarray(wide.astype(np.int32)), None, 3)[..., 1], expected
    )


def test_transparency_lies_on_white():
    # alpha 0 -> white; alpha 51 = 20 % of red on white: G = B = 0.8 * 255 = 204.
    pixels = np.array([[[9, 9, 9, 0], [255, 0, 0, 51], [1, 2, 3, 255]]], np.uint8)
    got = fit(Image.fromarray(pixels), None, 3)
    np.testing.assert_allclose(
        got[0], [[255, 255, 255], [255, 204, 204], [1, 2, 3]], atol=1
    )


def test_palette_and_one_bit():
    palette = Image.new("P", (2, 1))
    palette.putpalette([10, 20, 30, 200, 100, 50])
    palette.putpixel((1, 0), 1)
    np.testing.assert_array_equal(
        fit(palette, None, 3)[0], [[10, 20, 30], [200, 100, 50]]
    )
    palette.info["transparency"] = 0
    np.testing.assert_array_equal(
        fit(palette, None, 3)[0], [[255, 255, 255], [200, 100, 50]]
    )
    bits = Image.fromarray(np.array([[True, False]]))
    np.testing.assert_array_equal(fit(bits, None, 1)[0, :, 0], [255, 0])


def test_exif_orientation():
    # Orientation 6: the stored picture is to be turned a quarter clockwise.
    image = grey([[1, 2], [3, 4]])
    image.getexif()[0x0112] = 6
    np.testing.assert_array_equal(fit(image, None, 1)[..., 0], [[3, 1], [4, 2]])


def test_floats_are_grey_from_0_to_1():
    floats = Image.fromarray(np.array([[0, 0.5, 1]], np.float32))
    np.testing.assert_array_equal(fit(floats, None, 1)[0, :, 0], [0, 128, 255])


@pytest.mark.parametrize(
    "values", [np.float32([[0, 200]]), np.int32([[0, 70000]]), np.int32([[-1, 5]])]
)
def test_numbers_outside_the_range_are_refused(values):
    with pytest.raises(
        ValueError, match=r"pixels \(mode [IF]\) are in .*; wanted \[0, "
    ):
        fit(Image.fromarray(values))


def test_the_picture_itself_stays():
    image = grey([[1, 2], [3, 4]])
    image.getexif()[0x0112] = 6
    fit(image, None, 1)
    np.testing.assert_array_equal(fit(image, None, 1)[..., 0], [[3, 1], [4, 2]])
