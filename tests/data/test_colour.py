"""Lab colours: known values, the authors' conversions, and back."""

import pathlib

import jax
import numpy as np
import pytest

from gans.data import colour

LAB = (
    pathlib.Path(__file__).parents[3]
    / "shared/reference/parity/image_translation/lab_colour.npz"
)


def test_known_colours():
    # White, black, middle grey (L = 116 cbrt(0.2140) - 16), and sRGB's red, all of them
    # in CIE's own tables to two places.
    rgb = np.array([[1, 1, 1], [0, 0, 0], [0.5, 0.5, 0.5], [1, 0, 0]])
    expected = [[100, 0, 0], [0, 0, 0], [53.39, 0, 0], [53.24, 80.09, 67.20]]
    np.testing.assert_allclose(colour.to_lab(rgb), expected, atol=0.01)


def test_there_and_back():
    rgb = np.random.default_rng(0).random((50, 40, 3))
    np.testing.assert_allclose(colour.to_rgb(colour.to_lab(rgb)), rgb, atol=1e-6)
    assert (colour.to_rgb(np.array([50.0, 300.0, -300.0])) <= 1).all()


def test_the_lightness_is_kept():
    random = np.random.default_rng(0)
    grey = random.integers(60, 200, (700, 5, 1), np.uint8)
    colours = np.full((700, 5, 3), (130, 110, 90), np.uint8)
    unit = [np.float32(x / 127.5 - 1) for x in (grey, colours)]
    found = colour.with_lightness_of(*unit)
    assert found.dtype == np.float32 and found.shape == colours.shape
    traced = jax.jit(colour.with_lightness_of)(*unit)
    np.testing.assert_allclose(traced, found, atol=1e-5)
    lab = colour.to_lab((found + 1) / 2)
    given = colour.to_lab(grey.repeat(3, -1) / 255)
    np.testing.assert_allclose(lab[..., 0], given[..., 0], atol=1e-3)
    np.testing.assert_allclose(
        lab[..., 1:],
        np.broadcast_to(colour.to_lab(colours / 255)[..., 1:], (700, 5, 2)),
        atol=1e-3,
    )


@pytest.mark.skipif(not LAB.exists(), reason="there is no ../shared/reference")
def test_against_the_authors():
    kept = np.load(LAB)
    lab = colour.to_lab(kept["image"] / 255)
    np.testing.assert_allclose(lab, kept["lab"], atol=1e-4 * np.abs(kept["lab"]).max())
    # Their networks see L / 50 - 1 and ab / 110.
    light, ab = kept["L"][0], np.moveaxis(kept["ab"], 0, -1)
    np.testing.assert_allclose(lab[..., 0] / 50 - 1, light, atol=1e-4)
    np.testing.assert_allclose(lab[..., 1:] / 110, ab, atol=1e-4)
    for name, rgb in (("ab", "rgb_back"), ("ab_out_of_gamut", "rgb_out_of_gamut")):
        ab = np.moveaxis(kept[name], 0, -1).astype(np.float64)
        found = np.concatenate([(light[..., None] + 1.0) * 50, ab * 110], -1)
        error = np.abs(colour.to_rgb(found) * 255 - kept[rgb]).max()
        assert error < 1e-4 * 255, name
    # Negative control: L of the luma of bytes is another number.
    luma = kept["image"] @ np.array([0.299, 0.587, 0.114]) / 255
    assert np.abs(luma * 2 - 1 - light).max() > 0.02
