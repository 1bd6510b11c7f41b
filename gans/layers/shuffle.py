"""Pixel shuffle: channels become pixels (arXiv 1609.05158, equation 4)."""

import numpy as np
from jax import Array


def pixel_shuffle(x: Array, factor: int) -> Array:
    """x [B, H, W, r * r * C] -> [B, r * H, r * W, C], with r = `factor`.

    Channel (i * r + j) * C + c of a pixel becomes channel c of row i, column j within
    it: a pixel's values lie beside each other, unlike in PyTorch (see `of_torch`).
    """
    b, h, w, c = x.shape
    c //= factor**2
    x = x.reshape(b, h, w, factor, factor, c).transpose(0, 1, 3, 2, 4, 5)
    return x.reshape(b, h * factor, w * factor, c)


def of_torch(channels: np.ndarray, factor: int) -> np.ndarray:
    """Returns arrays [..., C * r * r] of a layer before PyTorch's shuffle in our order.

    There channel c * r * r + i * r + j goes to row i and column j.
    """
    *rest, n = channels.shape
    x = channels.reshape(*rest, n // factor**2, factor**2)
    return np.moveaxis(x, -1, -2).reshape(*rest, n)


def factors(scale: int) -> tuple[int, ...]:
    """Returns the factors of the shuffles that enlarge images `scale` times.

    Raises ValueError for a scale other than 1, 2, 3, 4 and 8.
    """
    known = {1: (), 2: (2,), 3: (3,), 4: (2, 2), 8: (2, 2, 2)}
    if scale not in known:
        raise ValueError(f"scale={scale!r}: accepted are 1, 2, 3, 4 and 8")
    return known[scale]
