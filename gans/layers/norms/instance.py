"""Instance normalisation (arXiv 1607.08022): each image and channel by itself."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array, lax

from gans.layers.norms import Norm, Place


class InstanceNorm(nn.Module):
    """x [B, ..., C] -> [B, ..., C], of mean 0 and variance 1 per example and channel.

    The variance is the biased one, and training and sampling are the same. With
    `affine` there are a gain and a bias per channel: what batch norm is in training, at
    a batch of one. On a map of one position the result is 0, or the bias. Raises
    ValueError for x without positions, [B, C].
    """

    affine: bool = False
    scale_init: nn.initializers.Initializer = nn.initializers.ones_init()
    epsilon: float = 1e-5
    dtype: Any = None

    @nn.compact
    def __call__(self, x: Array) -> Array:
        if x.ndim < 3:
            raise ValueError(
                f"instance norm needs maps [B, ..., C], got features of {x.shape}"
            )
        wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
        y = standardised(wide, self.epsilon)
        if self.affine:
            scale = self.param("scale", self.scale_init, x.shape[-1:])
            bias = self.param("bias", nn.initializers.zeros_init(), x.shape[-1:])
            y = y * scale + bias
        return y.astype(self.dtype or x.dtype)


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def standardised(x: Array, epsilon: float) -> Array:
    """Returns (x - mean) / sqrt(variance + epsilon), per example and channel.

    x [B, ..., C]. The squares are of differences from the mean, because in float32 the
    mean of squares hides a variance that is much smaller.
    """
    return _standardised(x, epsilon)[0]


def _standardised(x, epsilon):
    centred = x - _mean(x)
    factor = lax.rsqrt(_mean(lax.square(centred)) + epsilon)
    return centred * factor, factor


def _mean(x):
    return x.mean(tuple(range(1, x.ndim - 1)), keepdims=True)


@standardised.defjvp
def _(epsilon, primals, tangents):
    # Autodiff would also differentiate the mean of the centred x, which is always 0.
    (x,), (dx,) = primals, tangents
    y, factor = _standardised(x, epsilon)
    return y, factor * (dx - _mean(dx) - y * _mean(y * dx))


def _apply(x, label, place: Place, *, affine: bool):
    norm = InstanceNorm(affine, place.gain_init, dtype=place.dtype, name=place.name)
    return norm(x)


NORM = Norm(_apply, {"affine": False})
