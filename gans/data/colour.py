"""Colours as lightness and two opponents: CIE Lab of sRGB under D65, 2 degrees.

IEC 61966-2-1 (the curve of sRGB), ITU-R BT.709 (its primaries), CIE 15 (Lab).
"""

from __future__ import annotations

import numpy as np

_XYZ = np.array(
    [
        [0.412453, 0.357580, 0.180423],
        [0.212671, 0.715160, 0.072169],
        [0.019334, 0.119193, 0.950227],
    ]
)
_WHITE = np.array([0.95047, 1.0, 1.08883])
_KNEE = 6 / 29
ROWS = 256  # of a large picture are converted at a time


def to_lab(rgb: np.ndarray) -> np.ndarray:
    """Returns L in [0, 100], a and b of sRGB colours [..., 3] in [0, 1]."""
    rgb = np.asarray(rgb, np.float64)
    curved = ((np.maximum(rgb, 0.04045) + 0.055) / 1.055) ** 2.4
    linear = np.where(rgb > 0.04045, curved, rgb / 12.92)
    t = linear @ _XYZ.T / _WHITE
    f = np.where(t > _KNEE**3, np.cbrt(t), t / (3 * _KNEE**2) + 4 / 29)
    x, y, z = np.moveaxis(f, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -1)


def to_rgb(lab: np.ndarray) -> np.ndarray:
    """Returns the sRGB colours [..., 3] in [0, 1] of L, a and b; others are clipped."""
    light, a, b = np.moveaxis(np.asarray(lab, np.float64), -1, 0)
    y = (light + 16) / 116
    f = np.maximum(np.stack([y + a / 500, y, y - b / 200], -1), 0)
    t = np.where(f > _KNEE, f**3, 3 * _KNEE**2 * (f - 4 / 29))
    linear = t * _WHITE @ np.linalg.inv(_XYZ).T
    curved = 1.055 * np.maximum(linear, 0.0031308) ** (1 / 2.4) - 0.055
    return np.clip(np.where(linear > 0.0031308, curved, linear * 12.92), 0, 1)


def with_lightness_of(grey: np.ndarray, colours: np.ndarray) -> np.ndarray:
    """Returns `colours` [H, W, 3] with the lightness of `grey` [H, W, 1], uint8."""
    found = np.empty_like(colours)
    for i in range(0, len(colours), ROWS):
        rows = slice(i, i + ROWS)
        lab = to_lab(colours[rows] / 255)
        lab[..., 0] = to_lab(np.repeat(grey[rows], 3, -1) / 255)[..., 0]
        found[rows] = np.rint(to_rgb(lab) * 255)
    return found
