"""Pixel norm: by hand, at zero, in half precision."""

import jax
import jax.numpy as jnp
import numpy as np

from gans.layers.norms.pixel import PixelNorm


def images(*shape, seed=0):
    return 2 * np.random.default_rng(seed).normal(size=shape).astype(np.float32) + 1


def test_pixel_norm_by_hand_and_at_zero():
    # (3, 4): mean square 12.5. The 1e-8 keeps black pixels black.
    x = jnp.array([[[[3.0, 4.0], [0.0, 0.0]]]])
    y, grads = jax.value_and_grad(lambda x: PixelNorm().apply({}, x)[0, 0, 1, 0])(x)
    assert y == 0 and np.isfinite(grads).all()
    y = PixelNorm().apply({}, x)
    np.testing.assert_allclose(
        y[0, 0], [[3 / np.sqrt(12.5), 4 / np.sqrt(12.5)], [0, 0]], rtol=1e-6
    )
    # Of a few channels, the mean and not the sum: unit mean square, not unit length.
    h = images(4, 3, 3, 5)
    np.testing.assert_allclose((PixelNorm().apply({}, h) ** 2).mean(-1), 1, rtol=1e-5)
    half = PixelNorm().apply({}, jnp.asarray(h, jnp.bfloat16))
    assert half.dtype == jnp.bfloat16
    np.testing.assert_allclose(
        np.float32(half), PixelNorm().apply({}, h), rtol=2**-6, atol=1e-3
    )
