"""Equalised learning rate: kernels have standard deviation 1 and are scaled in use."""

import math

import jax
import numpy as np
from flax import linen as nn
from jax import Array

from gans.layers.conv import ConvTranspose


class Equalised(nn.Module):
    """Wraps a layer (Dense, Conv, Embed ...), whose kernel it draws from N(0, 1).

    x [B, ...] -> layer(x), with every parameter of two or more axes times
    gain / sqrt(fan_in), section 4.1 of arXiv 1710.10196. Adam's steps do not depend on
    the size of gradients, so they then change every kernel by the same fraction.
    `fan_in` is the number of terms in the sum of an output, without the taps that
    strides skip; for an embedding it is the number of features. `gain` is sqrt(2)
    before a ReLU and 1 in the last layer.
    """

    layer: nn.Module
    gain: float = 2**0.5

    @nn.compact
    def __call__(self, x: Array) -> Array:
        return nn.map_variables(
            lambda layer, x: layer(x),
            "params",
            trans_in_fn=lambda variables: jax.tree.map(self._scaled, variables),
            init=self.is_initializing(),
        )(self.layer, x)

    def _scaled(self, w):
        if w.ndim < 2:
            return w
        if self.is_initializing():  # what it returns then is what gets stored
            return jax.random.normal(self.make_rng("params"), w.shape, w.dtype)
        return w * (self.gain / math.sqrt(_fan_in(self.layer, w.shape)))


def _fan_in(layer, shape):
    if isinstance(layer, nn.Embed):
        return shape[-1]
    n = math.prod(shape[:-1])
    if isinstance(layer, ConvTranspose):
        n /= np.prod(np.broadcast_to(layer.strides or 1, len(shape) - 2))
    return n
