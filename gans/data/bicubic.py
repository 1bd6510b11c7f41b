"""Bicubic resampling as super-resolution has it: that of MATLAB's `imresize`.

Keys' kernel with a = -0.5, stretched when a picture shrinks, so that it is antialiased;
borders are mirrored with the edge pixel repeated; weights add to 1. Other libraries
differ: Pillow and PyTorch at borders, OpenCV everywhere.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import numpy as np
import scipy.sparse


def resize(
    x: np.ndarray, scale: float | None = None, size: Sequence[int] | None = None
) -> np.ndarray:
    """Returns a picture x [H, W, C] of another size, of the type of x.

    Args:
      x: uint8, which is rounded (halves up) and clipped at the end; or floats, which
        are not.
      scale: the sides become ceil(scale * H) and ceil(scale * W).
      size: (height, width), instead of a scale.

    Raises ValueError unless exactly one of `scale` and `size` is given and positive.
    """
    if (scale is None) == (size is None):
        raise ValueError(f"bicubic: wanted a scale or a size, got {scale}, {size}")
    if min(size or (scale,)) <= 0:
        raise ValueError(f"bicubic: scale={scale}, size={size} must be positive")
    scales = (
        (scale,) * 2
        if size is None
        else (n / m for n, m in zip(size, x.shape[:2], strict=True))
    )
    made = x.astype(np.promote_types(x.dtype, np.float32))
    lengths = [math.ceil(scale * n) for n in x.shape[:2]] if size is None else size
    ways = [
        (s, axis, n) for axis, (s, n) in enumerate(zip(scales, lengths, strict=True))
    ]
    for s, axis, n in sorted(ways):  # the smaller scale first
        made = _along(made, axis, matrix(x.shape[axis], n, s))
    if x.dtype == np.uint8:
        return np.floor(np.clip(made, 0, 255) + 0.5).astype(np.uint8)
    return made.astype(x.dtype)


@functools.lru_cache(maxsize=64)
def matrix(length: int, n: int, scale: float) -> scipy.sparse.csr_array:
    """Returns the weights [n, length] of `length` pixels in each of n pixels.

    scale: of the coordinates, which is n / length but for rounding of n.
    """
    stretch = min(scale, 1.0)
    # The centre of each pixel in the coordinates of x, whose pixels are 0, 1, ...
    at = (np.arange(n) + 0.5) / scale - 0.5
    width = 4 / stretch
    taps = np.floor(at - width / 2)[:, None] + np.arange(math.ceil(width) + 2)
    weights = _cubic(stretch * (at[:, None] - taps))
    weights /= weights.sum(1, keepdims=True)
    place = taps.astype(int) % (2 * length)  # mirrored at both ends, again and again
    place = np.minimum(place, 2 * length - 1 - place)
    rows = np.repeat(np.arange(n), taps.shape[1])
    entries = weights.ravel(), (rows, place.ravel())
    return scipy.sparse.coo_array(entries, (n, length)).tocsr()


def _along(x, axis, weights):
    """weights [n, length] times the axis of x [H, W, C] that has that length."""
    moved = np.moveaxis(x, axis, 0)
    made = weights.astype(x.dtype) @ moved.reshape(len(moved), -1)
    return np.moveaxis(made.reshape(-1, *moved.shape[1:]), 0, axis)


def _cubic(x):
    """Keys' kernel with a = -0.5 at distances x [...]."""
    x = np.abs(x)
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return np.where(x <= 1, near, np.where(x < 2, far, 0.0))
