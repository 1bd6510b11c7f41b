"""Inputs of a synthesis network that can be moved and turned (arXiv 2106.12423)."""

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array

from gans.layers.styled import LinearEqualised


def resampled(x: Array, transform: Array) -> Array:
    """x [H, W, C] seen through a transform [3, 3] or [n, 3, 3] -> [n, H, W, C].

    x is taken as one period of a band-limited signal, the trigonometric polynomial
    through its pixels; the identity leaves it. transform: see `FourierFeatures`.
    """
    height, width, _ = x.shape
    v, u = jnp.meshgrid(_centres(height, height), _centres(width, width), indexing="ij")
    points = jnp.stack([u, v, jnp.ones_like(u)], -1)
    rows_x_y = jnp.reshape(transform, (-1, 3, 3))[:, :2].astype(x.dtype)
    seen = jnp.einsum("nij,hwj->inhw", rows_x_y, points)
    rows, columns = (
        _periodic_sinc(place[..., None] - _centres(size, size), size)
        for place, size in ((seen[1], height), (seen[0], width))
    )
    return jnp.einsum("nhwi,nhwj,ijc->nhwc", rows, columns, x)


def _periodic_sinc(distance, n):
    """The interpolation kernel of n samples in a period of 1."""
    turns = jnp.arange(-((n - 1) // 2), n // 2 + 1)
    return jnp.cos(2 * jnp.pi * distance[..., None] * turns).sum(-1) / n


def _centres(size, rate):
    """Places of the centres of `size` pixels, `rate` of which are 1 long; middle 0."""
    return (jnp.arange(size) + 0.5 - size / 2) / rate


class FourierFeatures(nn.Module):
    """w [B, N] -> x [B, size, size, features]: sines that w moves and turns.

    Section 3.2 and appendix F of arXiv 2106.12423, with the transformed features of
    config H. Places are in sides of the image, the origin is its middle, x runs to the
    right and y down. A dense layer, `transform`, makes a rotation and a translation of
    w, at first none; the sines, mixed by a trained matrix, are taken at
    R(w) T(-t(w)) transform of each place. So a transform [3, 3] or [B, 3, 3] of the
    caller is the inverse of what happens to the image.

    Parameters: `kernel` [features, features], and `transform`. Collection "fourier":
    `frequencies` [features, 2], uniform in the disc of radius `cutoff`, and `phases`
    [features], in turns.

    Attributes:
      features: channels.
      size: pixels along a side.
      rate: pixels along the side of the image, which is smaller than the map.
      cutoff: the largest frequency, in waves along the side of the image.
    """

    features: int
    size: int
    rate: float
    cutoff: float

    @nn.compact
    def __call__(self, w: Array, transform: Array | None = None) -> Array:
        frequencies = self.variable("fourier", "frequencies", self._frequencies).value
        phases = self.variable("fourier", "phases", self._phases).value
        kernel = self.param(
            "kernel", nn.initializers.normal(1.0), (self.features, self.features)
        )
        dense = LinearEqualised(4, std=0.0, bias_init=(1, 0, 0, 0), name="transform")
        moved = _motion(dense(w))
        if transform is not None:
            moved = moved @ jnp.broadcast_to(transform, moved.shape)
        phases = phases + jnp.einsum("ci,bi->bc", frequencies, moved[:, :2, 2])
        waves = jnp.einsum("ci,bij->bcj", frequencies, moved[:, :2, :2])
        length = jnp.linalg.norm(waves, axis=2)
        half = self.rate / 2
        amplitudes = jnp.clip((half - length) / (half - self.cutoff), 0, 1)
        # sin(a + b): sines of rows and of columns, not of every pixel.
        places = 2 * jnp.pi * _centres(self.size, self.rate)[:, None]
        a = (2 * jnp.pi * phases)[:, None] + waves[:, None, :, 0] * places
        b = waves[:, None, :, 1] * places
        sines, cosines = (f(a)[:, None] * amplitudes[:, None, None]
                          for f in (jnp.sin, jnp.cos))  # fmt: skip
        x = sines * jnp.cos(b)[:, :, None] + cosines * jnp.sin(b)[:, :, None]
        return x @ (kernel / self.features**0.5)

    def _frequencies(self):
        # A normal direction, with the radius of a point that is uniform in the disc.
        drawn = jax.random.normal(self.make_rng("params"), (self.features, 2))
        squares = jnp.square(drawn).sum(axis=1, keepdims=True)
        within = jnp.exp(-squares / 4)
        return drawn / jnp.sqrt(squares) * within * self.cutoff

    def _phases(self):
        key = self.make_rng("params")
        return jax.random.uniform(key, (self.features,), minval=-0.5, maxval=0.5)


def _motion(t):
    """[B, 3, 3] of t [B, 4], rotation (not of unit length) and translation."""
    c, s, x, y = (t / jnp.linalg.norm(t[:, :2], axis=1, keepdims=True)).T
    zero, one = jnp.zeros_like(c), jnp.ones_like(c)
    turn = jnp.array([[c, -s, zero], [s, c, zero], [zero, zero, one]])
    move = jnp.array([[one, zero, -x], [zero, one, -y], [zero, zero, one]])
    return jnp.einsum("ijb,jkb->bik", turn, move)
