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


# --- the transformations, each from a value [B] to a matrix [B, 4, 4] -----------------


def _sum(*terms):
    """The sum of pairs of a factor, a number or [B], and a matrix [4, 4]."""
    return sum(
        jnp.asarray(by)[..., None, None] * jnp.asarray(matrix, jnp.result_type(float))
        for by, matrix in terms
    )


_ALONG = np.outer(LUMA, LUMA)
_LAST = np.diag([0, 0, 0, 1])
_ACROSS = np.eye(4) - _ALONG - _LAST
# The cross product with the axis of luma.
_CROSS = LUMA[0] * np.array([[0, -1, 1, 0], [1, 0, -1, 0], [-1, 1, 0, 0], [0] * 4])
_ALL = np.diag([1, 1, 1, 0])
_TO_ALL = np.outer([1, 1, 1, 0], [0, 0, 0, 1])


def _hue(u):
    """A rotation about the axis of luma, by Rodrigues' formula."""
    angle = np.pi * (2 * u - 1)
    fixed = _ALONG + _LAST
    return _sum((1, fixed), (jnp.cos(angle), _ACROSS), (jnp.sin(angle), _CROSS))


# In this order.
TRANSFORMS = {
    "brightness": Transform(normal, lambda u: _sum((1, np.eye(4)), (0.2 * u, _TO_ALL))),
    "contrast": Transform(normal, lambda u: _sum((1, _LAST), (2 ** (0.5 * u), _ALL))),
    "lumaflip": Transform(
        uniform, lambda u: _sum((1, np.eye(4)), (-2 * jnp.floor(2 * u), _ALONG))
    ),
    "hue": Transform(uniform, _hue),
    "saturation": Transform(
        normal, lambda u: _sum((1, _ALONG + _LAST), (2**u, _ACROSS))
    ),
}
