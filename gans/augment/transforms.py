"""Random transforms of images, each of one example at a time.

Each is differentiable with respect to its input, because the generator learns through
it. Every example draws its own numbers from `key`; one key does the same to any two
batches of one shape. The zeros that translation and cutout put in are mid-grey, because
images are in [-1, 1].
"""

import jax
import jax.numpy as jnp
from jax import Array, lax


def brightness(x: Array, key: Array) -> Array:
    """x [B, H, W, C] -> x + U(-0.5, 0.5), not clipped (arXiv 2006.10738, section 4)."""
    return x + _uniform(x, key, -0.5, 0.5)


def saturation(x: Array, key: Array) -> Array:
    """Distances from each pixel's mean over channels, times U(0, 2) (2006.10738).

    x [B, H, W, C] -> [B, H, W, C], not clipped; the identity where C is 1.
    """
    mean = jnp.mean(x, axis=3, keepdims=True)
    return mean + _uniform(x, key, 0.0, 2.0) * (x - mean)


def contrast(x: Array, key: Array) -> Array:
    """Distances from each image's mean, times U(0.5, 1.5) (arXiv 2006.10738).

    x [B, H, W, C] -> [B, H, W, C], not clipped.
    """
    mean = jnp.mean(x, axis=(1, 2, 3), keepdims=True)
    return mean + _uniform(x, key, 0.5, 1.5) * (x - mean)


def translation(x: Array, key: Array) -> Array:
    """Shifts each image by whole pixels, up to 1/8 of its size (rounded) either way.

    x [B, H, W, C] in [-1, 1] -> the same; what comes in at the edges is 0. As published
    (arXiv 2006.10738) that is a zero of [-1, 1], mid-grey, and not black.
    """
    most = [(n + 4) // 8 for n in x.shape[1:3]]
    starts = jax.random.randint(key, (len(x), 2), 0, 2 * jnp.array(most) + 1)
    padded = jnp.pad(x, [(0, 0), *((n, n) for n in most), (0, 0)])

    # On a CPU, products with shift matrices, sums over shifts and gathers along an axis
    # are slower; a loop over the images is faster, but cannot be split over devices.
    def cut(image, start):
        return lax.dynamic_slice(image, (*start, 0), x.shape[1:])

    return jax.vmap(cut)(padded, starts)


def cutout(x: Array, key: Array) -> Array:
    """Sets a rectangle of half the height and half the width (rounded up) to 0.

    x [B, H, W, C] -> [B, H, W, C]. Its centre is uniform over the whole image, so that
    it may lie partly outside (arXiv 2006.10738 and its published code); the zeros are
    mid-grey in [-1, 1].
    """
    inside = True
    for axis, key_axis in zip((1, 2), jax.random.split(key), strict=True):
        n = x.shape[axis]
        side = (n + 1) // 2
        # An even side has its centre between two pixels: one place more.
        places = n + 1 - side % 2
        start = jax.random.randint(key_axis, (len(x), 1, 1, 1), 0, places) - side // 2
        index = lax.broadcasted_iota(jnp.int32, (1, *x.shape[1:3], 1), axis)
        inside &= (start <= index) & (index < start + side)
    return jnp.where(inside, 0, x)


def _uniform(x, key, low, high):
    """[B, 1, 1, 1] draws for the images x [B, H, W, C]."""
    draws = jax.random.uniform(key, (len(x), 1, 1, 1), jnp.float32, low, high)
    return draws.astype(x.dtype)


TRANSFORMS = {
    "color": (brightness, saturation, contrast),
    "translation": (translation,),
    "cutout": (cutout,),
}
