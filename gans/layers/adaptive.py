"""Layers of StyleGAN's first synthesis network (arXiv 1812.04948, figure 1b)."""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array

from gans.layers.norms.instance import standardised
from gans.layers.styled import LinearEqualised


class AdaptiveLayer(nn.Module):
    """x [B, H, W, I], w [B, N] -> [B, *Y, features]: convolution and AdaIN.

    Convolution with an equalised learning rate (arXiv 1710.10196, gain sqrt(2)), noise
    with a strength for each channel, bias, leaky ReLU; then each map is normalised and
    gets the scale 1 + a and the bias b, where `affine` makes (a, b) of w (equation 1).
    Parameters: `kernel`, `noise_strength` and `bias` [features], and `affine`.

    Attributes:
      operation: (x, kernel) -> y, may resample; None: there is no convolution.
    """

    features: int
    operation: Callable[[Array, Array], Array] | None

    @nn.compact
    def __call__(self, x: Array, w: Array, noise: Array | None) -> Array:
        dtype, zeros = x.dtype, nn.initializers.zeros
        if self.operation is not None:
            shape = (3, 3, x.shape[-1], self.features)
            kernel = self.param("kernel", nn.initializers.normal(1.0), shape)
            kernel = kernel * math.sqrt(2 / math.prod(shape[:-1]))
            x = self.operation(x, kernel.astype(dtype))
        x = x.astype(jnp.promote_types(dtype, jnp.float32))
        strength = self.param("noise_strength", zeros, (self.features,))
        bias = self.param("bias", zeros, (self.features,))
        x = x if noise is None else x + noise * strength
        x = standardised(jax.nn.leaky_relu(x + bias, 0.2), 1e-8)
        style = LinearEqualised(2 * self.features, name="affine")(w)[:, None, None]
        scale, shift = jnp.split(style, 2, axis=-1)
        return (x * (1 + scale) + shift).astype(dtype)
