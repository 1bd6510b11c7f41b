"""Equalised learning rate: kernels of deviation 1, scaled where they are used."""

import math

import jax
import numpy as np
from flax import linen as nn
from jax import Array

from gans.layers.conv import ConvTranspose


class Equalised(nn.Module):
    """Wraps a layer (Dense, Conv, Embed ...), whose kernel it draws from N(0, 1).

    x [B, ...] -> layer(x), with every parameter of two or more axes times
    gain / sqrt(fan_in), section 4.1 of arXiv 1710.10196: a step of Adam, whose size
    does not depend on that of the gradients, is then the same share of every kernel.
    `fan_in` is how many numbers an output is a sum of: strided taps that it does not
    meet are not counted, and a row of an embedding weighs so many features. `gain` is
    sqrt(2) before a ReLU; the last layer has 1.
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
