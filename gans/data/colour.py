"""Colours as lightness and two opponents: CIE Lab of sRGB under D65, 2 degrees.

IEC 61966-2-1 (the curve of sRGB), ITU-R BT.709 (its primaries), CIE 15 (Lab). Arrays of
NumPy give such of NumPy, those of JAX give JAX's, also when traced.
"""

from __future__ import annotations

from typing import Any

import numpy as np

_XYZ = np.array(
    [
        [0.412453, 0.357580, 0.180423],
        [0.212671, 0.715160, 0.072169],
        [0.019334, 0.119193, 0.950227],
    ]
)
_WHITE = np.array([0.95047, 1.0, 1.08883])
_RGB = np.linalg.inv(_XYZ)
_KNEE = 6 / 29


def to_lab(rgb: Any) -> Any:
    """Returns L in [0, 100], a and b of sRGB colours [..., 3], floats in [0, 1]."""
    xp = rgb.__array_namespace__()
    curved = ((xp.maximum(rgb, 0.04045) + 0.055) / 1.055) ** 2.4
    linear = xp.where(rgb > 0.04045, curved, rgb / 12.92)
    t = _times(_XYZ, linear) / _WHITE
    f = xp.where(t > _KNEE**3, xp.cbrt(t), t / (3 * _KNEE**2) + 4 / 29)
    x, y, z = xp.moveaxis(f, -1, 0)
    return xp.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -1)


def to_rgb(lab: Any) -> Any:
    """Returns the sRGB colours [..., 3] in [0, 1] of L, a and b; others are clipped."""
    xp = lab.__array_namespace__()
    light, a, b = xp.moveaxis(lab, -1, 0)
    y = (light + 16) / 116
    f = xp.maximum(xp.stack([y + a / 500, y, y - b / 200], -1), 0)
    t = xp.where(f > _KNEE, f**3, 3 * _KNEE**2 * (f - 4 / 29))
    linear = _times(_RGB, t * _WHITE)
    curved = 1.055 * xp.maximum(linear, 0.0031308) ** (1 / 2.4) - 0.055
    return xp.clip(xp.where(linear > 0.0031308, curved, linear * 12.92), 0, 1)


def with_lightness_of(grey: Any, colours: Any) -> Any:
    """Returns `colours` [..., 3] with the lightness of `grey` [..., 1], in [-1, 1]."""
    xp = colours.__array_namespace__()
    lab, given = to_lab((colours + 1) / 2), to_lab((grey.repeat(3, -1) + 1) / 2)
    kept = xp.concatenate([given[..., :1], lab[..., 1:]], -1)
    return (2 * to_rgb(kept) - 1).astype(colours.dtype)


def _times(matrix, x):
    """A matrix times vectors [..., 3]; not as a product, which GPUs would round."""
    return (x[..., None, :] * matrix).sum(-1)
