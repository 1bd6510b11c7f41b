"""How far an image is from the one that it should be: L1, PSNR and SSIM, of pairs.

All are of images x and y, [B, H, W, C] in grey levels 0 .. 255 (uint8, or floats), and
give [B]: a number for each pair. They are pure and can be traced. Differences of large
numbers need float64, which JAX has only where `jax.enable_x64` says so.
"""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jax import Array

WINDOW, SIGMA = 11, 1.5  # of SSIM
K1, K2, LEVELS = 0.01, 0.03, 255.0


def l1(x: Array, y: Array) -> Array:
    """Returns the mean absolute difference [B] of x and y [B, H, W, C], in levels."""
    x, y = _floats(x, y)
    return jnp.abs(x - y).mean((1, 2, 3))


def psnr(x: Array, y: Array) -> Array:
    """Returns 10 log10(255^2 / MSE) [B] of x and y [B, H, W, C], in dB.

    It is infinite for equal images.
    """
    x, y = _floats(x, y)
    return 10 * jnp.log10(LEVELS**2 / ((x - y) ** 2).mean((1, 2, 3)))


def ssim(x: Array, y: Array) -> Array:
    """Returns the structural similarity [B] of x and y [B, H, W, C], H and W >= 11.

    Wang et al., IEEE TIP 13(4), 2004, equation 13: a Gaussian window of 11x11 and sigma
    1.5, only where it lies inside the image, biased moments, and the mean over
    positions and channels. Raises ValueError for smaller images.
    """
    if min(x.shape[1:3]) < WINDOW:
        raise ValueError(
            f"ssim: the images are {x.shape[2]}x{x.shape[1]}, smaller than its window "
            f"of {WINDOW}x{WINDOW}"
        )
    x, y = _floats(x, y)
    c1, c2 = (K1 * LEVELS) ** 2, (K2 * LEVELS) ** 2
    mean_x, mean_y = _blurred(x), _blurred(y)
    var_x = _blurred(x * x) - mean_x**2
    var_y = _blurred(y * y) - mean_y**2
    cov = _blurred(x * y) - mean_x * mean_y
    likeness = (2 * mean_x * mean_y + c1) * (2 * cov + c2)
    likeness /= (mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2)
    return likeness.mean((1, 2, 3))


def cropped(x: Array, pixels: int) -> Array:
    """Returns images [B, H, W, C] without so many pixels at each side."""
    return x[:, pixels : x.shape[1] - pixels, pixels : x.shape[2] - pixels]


def luma(x: Array) -> Array:
    """Returns the Y [B, H, W, 1], in 16 .. 235, of RGB levels [B, H, W, 3].

    ITU-R BT.601, as in MATLAB's rgb2ycbcr, not rounded; grey images are taken for RGB
    of three equal channels.
    """
    (x,) = _floats(x)
    weights = np.array([65.481, 128.553, 24.966])
    if x.shape[-1] == 1:
        weights = weights.sum(keepdims=True)
    return 16 + (x * weights / LEVELS).sum(-1, keepdims=True)


def _floats(*images):
    """In the widest floats that there are: float64 under `jax.enable_x64`."""
    return tuple(jnp.asarray(x, jnp.result_type(float)) for x in images)


def _blurred(x):
    """[B, H, W, C] -> [B, H - 10, W - 10, C]: the means within the window."""
    at = np.arange(WINDOW) - WINDOW // 2
    weights = np.exp(-(at**2) / (2 * SIGMA**2))
    weights /= weights.sum()
    height, width = x.shape[1] - WINDOW + 1, x.shape[2] - WINDOW + 1
    x = sum(w * x[:, i : i + height] for i, w in enumerate(weights))
    return sum(w * x[:, :, i : i + width] for i, w in enumerate(weights))
