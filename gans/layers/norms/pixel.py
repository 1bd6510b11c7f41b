"""Normalisation of each pixel over its channels (arXiv 1710.10196, section 4.2)."""

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array

from gans.layers.norms import Norm, Place


class PixelNorm(nn.Module):
    """x [B, ..., C] -> [B, ..., C]: x / sqrt(mean over channels of x^2 + 1e-8).

    Section 4.2 of arXiv 1710.10196; no parameters.
    """

    @nn.compact
    def __call__(self, x: Array) -> Array:
        h = x.astype(jnp.promote_types(x.dtype, jnp.float32))
        squares = jnp.mean(h**2, axis=-1, keepdims=True)
        return (h * jax.lax.rsqrt(squares + 1e-8)).astype(x.dtype)


def _apply(x, label, place: Place):
    return PixelNorm(name=place.name)(x)


NORM = Norm(_apply, excluded=("Discriminator",))
