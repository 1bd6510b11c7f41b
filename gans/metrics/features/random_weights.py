"""A convolutional network of fixed random weights, for images of any kind.

It needs no file and no labels, and is the same on every machine. Networks of random
weights tell distributions of images apart where a network that learnt photographs sees
little (arXiv 2002.09797). Their Frechet distance is not FID.

Plain random layers see mostly brightness: a blur of 2 pixels multiplied the distance
of 64x64 photographs by 1.7, here by 45. Here each of four scales (the image, its half,
its quarter, and 16x16) goes through two layers: 3x3 filters whose weights sum to 0,
absolute values, their averages over 2x2, divided by the image's own mean, and filters
again.
Features are the logarithms of the mean activations of all filters, as in a scattering
transform (arXiv 1203.1513) whose wavelets are random, and the image at 4x4.
"""

from __future__ import annotations

import hashlib

import jax.numpy as jnp
import numpy as np
from jax import Array

from gans.layers.conv import conv
from gans.metrics.features.extractor import Extractor, to_rgb
from gans.metrics.features.resize import resize

SEED = 0
SCALES, WIDTH, GRID, COARSE = 4, 10, 4, 16
SMALLEST = 4  # pixels, of the shorter side
FLOOR, FLOOR_2 = 0.01, 0.1  # of activations: less is not seen


def weights() -> dict[str, np.ndarray]:
    """Returns {"SCALE/LAYER": filters [3, 3, I, O]}, of norm 1 and of sum 0.

    NumPy guarantees that the stream of `RandomState` never changes.
    """
    draw = np.random.RandomState(SEED)
    found = {}
    for scale in range(SCALES):
        for layer, n_in in enumerate((3, WIDTH)):
            w = draw.standard_normal((3, 3, n_in, WIDTH))
            w -= w.mean((0, 1), keepdims=True)
            w /= np.sqrt((w**2).sum((0, 1, 2), keepdims=True))
            # Rounded, so that a machine that sums in another order has the same.
            found[f"{scale}/{layer}"] = (np.round(w * 4096) / 4096).astype(np.float32)
    return found


def make() -> Extractor:
    """Returns the extractor "random": "features" [B, 128] of images of any size.

    Floats in 0 .. 255 are taken as uint8 are.
    """
    filters = weights()
    sha256 = hashlib.sha256(b"".join(w.tobytes() for w in filters.values()))
    protocol = {
        "weights": sha256.hexdigest(),
        "resize": "none",
        "scale": "x/127.5-1",
        "features": "128: mean activations at four scales, and 4x4 pixels",
    }
    return Extractor("random", _apply, filters, protocol)


def _apply(filters, images):
    x = to_rgb(images).astype(jnp.float32) / 127.5 - 1
    at_4x4 = resize(x, GRID, GRID, "antialias")
    found = [at_4x4.reshape(len(x), -1)]
    coarse = resize(x, COARSE, COARSE, "antialias")
    for scale in range(SCALES):
        seen = coarse if scale == SCALES - 1 else x
        h = jnp.abs(conv(seen, filters[f"{scale}/0"]))
        mean = h.mean((1, 2), keepdims=True)
        found.append(jnp.log(mean[:, 0, 0] + FLOOR))
        h = jnp.abs(conv(_half(h / (mean + FLOOR)), filters[f"{scale}/1"]))
        found.append(jnp.log(h.mean((1, 2)) + FLOOR_2))
        if min(x.shape[1:3]) >= 2 * SMALLEST:
            x = _half(x)
    # Half of all, as a standard deviation of pixels is about half of their range.
    return {"features": jnp.concatenate(found, axis=-1) / 2}


def _half(x: Array) -> Array:
    """Means over 2x2 pixels: [B, H, W, C] -> [B, H // 2, W // 2, C]."""
    b, h, w, c = x.shape
    h, w = h // 2, w // 2
    return x[:, : 2 * h, : 2 * w].reshape(b, h, 2, w, 2, c).mean((2, 4))
