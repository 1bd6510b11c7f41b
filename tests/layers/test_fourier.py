"""Inputs that can be moved and turned."""

import jax
import jax.numpy as jnp
import numpy as np

from gans.layers import fourier


def transform(angle=0.0, x=0.0, y=0.0):
    c, s = np.cos(angle), np.sin(angle)
    return jnp.array([[[c, -s, x], [s, c, y], [0, 0, 1]]])


def test_resampled_by_whole_pixels_and_quarter_turns():
    x = np.random.default_rng(0).normal(size=(4, 4, 3)).astype(np.float32)

    def seen(**kwargs):
        return fourier.resampled(jnp.asarray(x), transform(**kwargs))[0]

    assert np.allclose(seen(), x, atol=1e-5)
    # The place to the right is seen: the image moves to the left.
    assert np.allclose(seen(x=0.25), np.roll(x, -1, axis=1), atol=1e-5)
    assert np.allclose(seen(y=0.5), np.roll(x, -2, axis=0), atol=1e-5)
    # At (x, y) = (1, 0) the place (0, 1) is seen: what was below is now on the right.
    assert np.allclose(seen(angle=np.pi / 2), np.rot90(x), atol=1e-5)


def test_resampled_by_half_a_pixel_is_a_wave_between_its_pixels():
    places = (np.arange(8) + 0.5) / 8
    wave = np.sin(2 * np.pi * places)[None, :, None] * np.ones((8, 1, 1))
    half = fourier.resampled(jnp.asarray(wave, jnp.float32), transform(x=1 / 16))[0]
    expected = np.sin(2 * np.pi * (places + 1 / 16))
    assert np.allclose(half[3, :, 0], expected, atol=1e-5)


def test_features_are_those_of_another_place():
    """One pixel to the right, in a map of 16 pixels a side."""
    module = fourier.FourierFeatures(8, 20, 16, 2.0)
    w = jnp.zeros((1, 3))
    variables = module.init(jax.random.key(0), w)
    x, right = (module.apply(variables, w, transform(x=x)) for x in (0, 1 / 16))
    assert x.shape == (1, 20, 20, 8)
    assert np.allclose(right[:, :, :-1], x[:, :, 1:], atol=1e-5)
    frequencies = variables["fourier"]["frequencies"]
    assert np.linalg.norm(frequencies, axis=1).max() <= 2
