"""Layers of StyleGAN (arXiv 1812.04948, 1912.04958), with equalised learning rates.

Parameters are drawn from N(0, 1) and scaled in use, section 4.1 of arXiv 1710.10196,
with gain 1: that of the activation comes after it.
"""

import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array

from gans.layers.conv import conv
from gans.layers.modulated import modulated_conv

_NORMAL = nn.initializers.normal(1.0)


# By name, with the gain that follows.
ACTIVATIONS: dict[str, tuple[Callable[[Array], Array], float]] = {
    "linear": (lambda x: x, 1.0),
    "relu": (jax.nn.relu, 2**0.5),
    "lrelu": (functools.partial(jax.nn.leaky_relu, negative_slope=0.2), 2**0.5),
    "tanh": (jnp.tanh, 1.0),
    "sigmoid": (jax.nn.sigmoid, 1.0),
    "elu": (jax.nn.elu, 1.0),
    "selu": (jax.nn.selu, 1.0),
    "softplus": (jax.nn.softplus, 1.0),
    "swish": (jax.nn.swish, 2**0.5),
}


def bias_act(
    x: Array,
    bias: Array | None = None,
    act: str = "linear",
    *,
    gain: float = 1.0,
    clamp: float | None = None,
) -> Array:
    """Adds the bias, activates, multiplies, and clamps to [-clamp, clamp].

    x [B, ..., C], bias [C] -> the shape and dtype of x, computed in float32 or better.
    `gain` is a factor beside the activation's own.
    """
    function, own = ACTIVATIONS[act]
    h = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    if bias is not None:
        h = h + bias
    h = function(h) * (own * gain)
    return (h if clamp is None else jnp.clip(h, -clamp, clamp)).astype(x.dtype)


def normalised(x: Array) -> Array:
    """x [B, N] / sqrt(mean of x^2 + 1e-8)."""
    return x * jax.lax.rsqrt(jnp.mean(jnp.square(x), axis=1, keepdims=True) + 1e-8)


class LinearEqualised(nn.Module):
    """x [B, N] -> [B, features], in the dtype of x.

    Parameters: `kernel` [N, features], from N(0, 1) / multiplier, used times
    multiplier / sqrt(N); `bias` [features], used times multiplier.

    Attributes:
      multiplier: of the learning rate: a step of Adam changes what is used by as much.
      act: a name of `ACTIVATIONS`.
      bias_init: the first value of the bias, or of each feature's.
      std: a factor of the first kernel.
    """

    features: int
    multiplier: float = 1.0
    act: str = "linear"
    bias_init: float | tuple[float, ...] = 0.0
    std: float = 1.0

    @nn.compact
    def __call__(self, x: Array) -> Array:
        init = nn.initializers.normal(self.std / self.multiplier)
        kernel = self.param("kernel", init, (x.shape[-1], self.features))
        bias_init = nn.initializers.constant(jnp.asarray(self.bias_init))
        bias = self.param("bias", bias_init, (self.features,))
        scale = self.multiplier / math.sqrt(x.shape[-1])
        y = x @ (kernel * scale).astype(x.dtype)
        return bias_act(y, bias * self.multiplier, self.act)


class ConvEqualised(nn.Module):
    """x [B, H, W, I] -> [B, *Y, features]: convolution, bias, activation, clamp.

    Parameters: `kernel` [*size, I, features], used times 1 / sqrt(fan-in), and `bias`.

    Attributes:
      operation: (x, kernel) -> y; may resample.
      act, gain: see `bias_act`.
      clamp: before the gain.
    """

    features: int
    size: tuple[int, int]
    operation: Callable[[Array, Array], Array] = conv
    use_bias: bool = True
    act: str = "lrelu"
    gain: float = 1.0
    clamp: float | None = None

    @nn.compact
    def __call__(self, x: Array) -> Array:
        shape = (*self.size, x.shape[-1], self.features)
        kernel = self.param("kernel", _NORMAL, shape)
        zeros = nn.initializers.zeros
        bias = self.param("bias", zeros, shape[-1:]) if self.use_bias else None
        kernel = kernel / math.sqrt(math.prod(shape[:-1]))
        y = self.operation(x, kernel.astype(x.dtype))
        return bias_act(y, bias, self.act, gain=self.gain, clamp=_times(self))


class Mapping(nn.Module):
    """z [B, L] and labels [B], either of them or both -> w [B, features].

    Appendix C of arXiv 1812.04948, with the authors' second form of labels (code of
    arXiv 2006.06676): z and a linear embedding of the label, each normalised, are
    concatenated, and go through `depth` dense layers with multiplier 0.01. With
    `together` it is their first form: an embedding as long as z, whose learning rate is
    not equalised, and z are normalised together.
    """

    features: int
    depth: int
    n_classes: int | None = None
    dtype: Any = jnp.float32
    together: bool = False

    @nn.compact
    def __call__(self, z: Array | None, label: Array | None) -> Array:
        parts = [] if z is None else [z.astype(self.dtype)]
        if self.n_classes is not None:
            if label is None:
                raise ValueError(f"n_classes={self.n_classes}, but no label is given")
            one_hot = jax.nn.one_hot(label, self.n_classes, dtype=self.dtype)
            if self.together:
                shape = (self.n_classes, parts[0].shape[1])
                parts.append(one_hot @ self.param("embed", _NORMAL, shape))
            else:
                embed = LinearEqualised(self.features, name="embed")
                parts.append(embed(one_hot))
        if self.together:
            h = normalised(jnp.concatenate(parts, axis=1))
        else:
            h = jnp.concatenate([*map(normalised, parts)], axis=1)
        for i in range(self.depth):
            h = LinearEqualised(self.features, 0.01, "lrelu", name=f"fc{i}")(h)
        return h


class StyledConv(nn.Module):
    """x [B, H, W, I], w [B, N] -> [B, *Y, features]: a layer of the synthesis network.

    Figure 2d of arXiv 1912.04958: modulated 3x3 convolution, noise, bias, leaky ReLU.
    Parameters: `kernel`, `bias`, `noise_strength` [], and `affine`, the dense layer
    from w to the style. Noise [B, *Y, 1] or [*Y, 1] has one strength for all channels.
    """

    features: int
    operation: Callable[[Array, Array], Array] = conv
    gain: float = 1.0
    clamp: float | None = None

    @nn.compact
    def __call__(self, x: Array, w: Array, noise: Array | None) -> Array:
        channels = x.shape[-1]
        style = LinearEqualised(channels, bias_init=1.0, name="affine")(w)
        kernel = self.param("kernel", _NORMAL, (3, 3, channels, self.features))
        zeros = nn.initializers.zeros
        strength = self.param("noise_strength", zeros, ())
        bias = self.param("bias", zeros, (self.features,))
        y = modulated_conv(x, kernel, style, operation=self.operation)
        if noise is not None:
            y = y + noise * strength
        y = bias_act(y, bias, "lrelu", gain=self.gain, clamp=_times(self))
        return y.astype(x.dtype)


class ToImage(nn.Module):
    """x [B, H, W, I], w [B, N] -> [B, H, W, features], linear.

    A modulated 1x1 convolution without demodulation, whose styles are scaled by
    1 / sqrt(I). Parameters: `kernel`, `bias` and `affine`.
    """

    features: int
    clamp: float | None = None

    @nn.compact
    def __call__(self, x: Array, w: Array) -> Array:
        channels = x.shape[-1]
        style = LinearEqualised(channels, bias_init=1.0, name="affine")(w)
        kernel = self.param("kernel", _NORMAL, (1, 1, channels, self.features))
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        style = style / math.sqrt(channels)
        y = modulated_conv(x, kernel, style, demodulate=False)
        return bias_act(y, bias, clamp=self.clamp)


def truncated(ws: Array, average: Array, psi: Array) -> Array:
    """ws [B, N, D], towards the average [D]: average + psi (ws - average), psi [B].

    Appendix B of arXiv 1812.04948.
    """
    return average + psi[:, None, None] * (ws - average)


def _times(layer):
    """Clamps of a layer are given before its gain."""
    return None if layer.clamp is None else layer.clamp * layer.gain
