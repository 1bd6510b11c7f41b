"""Image-space corruptions: noise and cutout."""

import jax.numpy as jnp
from jax import Array

from gans.augment.pipeline.transform import Transform, normal, uniform


def add_noise(x: Array, sigma: Array, noise: Array) -> Array:
    """x [B, H, W, C] plus noise [B, H, W, C] of N(0, 1) times sigma [B]."""
    return x + sigma[:, None, None, None] * noise


def cut(x: Array, centre: Array, side: Array) -> Array:
    """x [B, H, W, C] with a rectangle of zeros, mid-grey in [-1, 1].

    centre: its (x, y) [B, 2] as a share of the width and of the height; side: [B], of
    both its sides. What would be outside the image is left out.
    """
    kept = False
    for axis, of in ((2, 0), (1, 1)):
        places = (jnp.arange(x.shape[axis], dtype=x.dtype) + 0.5) / x.shape[axis]
        places = jnp.expand_dims(places, [i for i in range(4) if i != axis])
        far = jnp.abs(places - centre[:, of, None, None, None])
        kept |= far >= side[:, None, None, None] / 2
    return jnp.where(kept, x, 0)


# Their values are made into sigma [B], and into centre [B, 2].
TRANSFORMS = {
    "noise": Transform(normal, lambda u: 0.1 * jnp.abs(u)),
    "cutout": Transform(uniform, lambda u: u, (2,)),
}
SIDE = 0.5  # of the rectangle
