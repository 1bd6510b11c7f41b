"""Resizing of images as the published scores do it, each in its own way.

An FID changes by whole points with the method that resizes images to 299x299 (arXiv
2104.11222). These are the methods of the implementations in use. Each is a linear map
of the columns, then of the rows: a pixel of the result is a weighted sum of a few.
"""

import jax.numpy as jnp
import numpy as np
from jax import Array


def resize(images: Array, height: int, width: int, method: str) -> Array:
    """Resizes images [B, H, W, C], floats in 0 .. 255, to [B, height, width, C].

    Methods, in all of which but the first a pixel's place is its centre, i + 0.5:
      "tf": bilinear between the 2 nearest pixels, placed at i (TensorFlow 1's
        `resize_bilinear`: FID's original code, torch-fidelity).
      "pytorch": bilinear between the 2 nearest pixels (torch's `interpolate` with
        align_corners=False: pytorch-fid).
      "antialias": a triangle that widens with the pixels of the result (torch's
        `interpolate` with antialias=True: torchmetrics).
      "clean": Keys' cubic, which widens likewise, then clipped to 0 .. 255 (PIL's
        BICUBIC on floats: clean-fid, arXiv 2104.11222).

    Raises ValueError for another method.
    """
    if method not in METHODS:
        raise ValueError(f"resize: method={method!r}, accepted are {list(METHODS)}")
    # Columns are costly to pick: they come where there are fewer rows.
    axes = ((1, height), (2, width))
    for axis, to in axes if height < images.shape[1] else axes[::-1]:
        if images.shape[axis] != to:
            taps = METHODS[method](images.shape[axis], to, images.dtype)
            images = _sum(images, axis, *taps)
    return jnp.clip(images, 0, 255) if method == "clean" else images


def _sum(images, axis, pixels, weights):
    """Along `axis`, of each pixels[i, :] the sum with weights[i, :]."""
    shape = [1] * images.ndim
    shape[axis] = -1
    terms = zip(pixels.T, weights.T.astype(images.dtype), strict=True)
    return sum(jnp.take(images, at, axis) * w.reshape(shape) for at, w in terms)


# Methods: (size, to, dtype) -> (pixels, weights), both [to, taps]. The originals work
# out their weights in the images' dtype, PIL in float64; so do these: at 1024 pixels a
# float32 is 6e-5 from the next, which a step of 255 between pixels turns into 0.02.


def _tf(size, to, dtype):
    return _two_taps(np.arange(to, dtype=dtype) * np.float32(size / to), size)


def _pytorch(size, to, dtype):
    scale = np.divide(size, to, dtype=dtype).astype(float)
    at = scale * (np.arange(to) + 0.5) - 0.5  # rounded once, as by a fused operation
    return _two_taps(np.maximum(at, 0).astype(dtype), size)


def _two_taps(at, size):
    low = at.astype(int)
    share = at - low.astype(at.dtype)
    pixels = np.stack([low, np.minimum(low + 1, size - 1)], 1)
    return pixels, np.stack([1 - share, share], 1)


def _antialias(size, to, dtype):
    return _filtered(_triangle, 1, size, to, dtype)


def _clean(size, to, dtype):
    return _filtered(_cubic, 2, size, to, np.dtype(float))


def _filtered(kernel, support, size, to, dtype):
    """`kernel`, which is 0 from `support` on; weights have the sum 1."""
    half = dtype.type(0.5)
    scale = np.divide(size, to, dtype=dtype)
    stretch = np.maximum(scale, dtype.type(1))
    centres = scale * (np.arange(to, dtype=dtype)[:, None] + half)
    first = np.maximum((centres - support * stretch + half).astype(int), 0)
    end = np.minimum((centres + support * stretch + half).astype(int), size)
    pixels = first + np.arange((end - first).max())
    weights = kernel((pixels.astype(dtype) - centres + half) * (1 / stretch))
    weights = np.where(pixels < end, weights, 0)
    return np.minimum(pixels, size - 1), weights / weights.sum(axis=1, keepdims=True)


def _triangle(x):
    return np.maximum(1 - abs(x), 0)


def _cubic(x):
    """Equation 15 of Keys, "Cubic convolution interpolation" (IEEE TASSP 29, 1981)."""
    x = abs(x)
    near, far = (1.5 * x - 2.5) * x**2 + 1, ((2.5 - 0.5 * x) * x - 4) * x + 2
    return np.where(x < 1, near, np.where(x < 2, far, 0))


METHODS = {"tf": _tf, "pytorch": _pytorch, "antialias": _antialias, "clean": _clean}


def at_most(images: Array, side: int) -> Array:
    """Shrinks images [B, H, W, C] to at most `side` pixels, by means of whole blocks.

    Of 1024 pixels, 256 are left of 4x4 means; 300 become 150. Rows and columns at the
    end that fill no block are cut off. Smaller images stay as they are.
    """
    n, height, width, channels = images.shape
    block = -(-max(height, width) // side)
    if block == 1:
        return images
    height, width = height // block, width // block
    x = images[:, : height * block, : width * block]
    return x.reshape(n, height, block, width, block, channels).mean((2, 4))
