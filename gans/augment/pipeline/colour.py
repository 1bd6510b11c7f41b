"""Colour transformations: one affine map of the colours of each image."""

import jax.numpy as jnp
import numpy as np
from jax import Array

from gans.augment.pipeline.transform import Transform, normal, uniform

LUMA = np.array([1, 1, 1, 0]) / np.sqrt(3)
CHANNELS = (1, 3)  # of the images whose colours can be changed


def matrix(values: dict[str, Array], fired: dict[str, Array]) -> Array:
    """The matrix [B, 4, 4] of the transformations that have `fired` [B], in order.

    It maps (red, green, blue, 1). values: [B] as drawn, of the names in `TRANSFORMS`
    that are to be used.
    """
    found = eye = jnp.eye(4)
    for name, transform in TRANSFORMS.items():
        if name in values:
            one = jnp.where(
                fired[name][:, None, None], transform.made(values[name]), eye
            )
            found = jnp.matmul(one, found, precision="highest")
    return found


def recolour(x: Array, matrix: Array) -> Array:
    """x [B, H, W, 3 or 1] changed by the matrices [B, 4, 4] -> the same shape.

    Of a grey image the three colours are the same, and their mean is kept (appendix B.3
    of arXiv 2006.06676).
    """
    colours = matrix[:, :3]
    if x.shape[3] == 1:
        colours = jnp.mean(colours, axis=1)[:, None, None, :]
        return x * colours[..., :3].sum(-1, keepdims=True) + colours[..., 3:]
    colours = colours[:, None, None]
    return (colours[..., :3] * x[..., None, :]).sum(-1) + colours[..., 3]


# --- the transformations, each from a value [B] to a matrix [B, 4, 4] ------------------


def _diagonal(by):
    """Colours times `by` [B]."""
    return by[:, None, None] * jnp.diag(jnp.array([1.0, 1, 1, 0])) + jnp.diag(
        jnp.array([0.0, 0, 0, 1])
    )


def _brightness(u):
    to = jnp.zeros((4, 4)).at[:3, 3].set(1)
    return jnp.eye(4) + 0.2 * u[:, None, None] * to


def _lumaflip(u):
    return jnp.eye(4) - 2 * jnp.floor(2 * u)[:, None, None] * np.outer(LUMA, LUMA)


def _hue(u):
    """A rotation about the axis of luma, by Rodrigues' formula."""
    angle = np.pi * (2 * u - 1)[:, None, None]
    axis = np.outer(LUMA, LUMA)
    a = LUMA[0]
    cross = np.array([[0, -a, a, 0], [a, 0, -a, 0], [-a, a, 0, 0], [0, 0, 0, 0]])
    last = np.diag([0, 0, 0, 1])
    across = np.eye(4) - axis - last
    return axis + last + jnp.cos(angle) * across + jnp.sin(angle) * cross


def _saturation(u):
    axis = np.outer(LUMA, LUMA)
    last = np.diag([0, 0, 0, 1])
    return axis + last + (np.eye(4) - axis - last) * (2**u)[:, None, None]


# In this order.
TRANSFORMS = {
    "brightness": Transform(normal, _brightness),
    "contrast": Transform(normal, lambda u: _diagonal(2 ** (0.5 * u))),
    "lumaflip": Transform(uniform, _lumaflip),
    "hue": Transform(uniform, _hue),
    "saturation": Transform(normal, _saturation),
}
OF_COLOUR = ("hue", "saturation")  # which do nothing to grey images
