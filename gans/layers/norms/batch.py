"""Batch normalisation (arXiv 1502.03167), with gains per class where asked for."""

import math
from typing import Any

import jax.numpy as jnp
from flax import linen as nn
from jax import Array, lax

from gans.layers.norms import Norm, Place


class BatchNorm(nn.Module):
    """Batch normalisation, with a gain and a bias per class where `n_classes` is set.

    x [B, ..., C] -> [B, ..., C]. In training the statistics are those of the batch (of
    the whole batch, however many devices share it), and `batch_stats` keeps their
    running average. Per class (arXiv 1610.07629, as in arXiv 1802.05637) the gain is
    1 + gamma[label], with gamma and beta from 0.

    Attributes:
      running: whether the running average is used outside training; otherwise the
        statistics of the batch are, as the authors of pix2pix sample.
      unbiased: whether the average is of unbiased variances, as in PyTorch.

    Raises ValueError if `n_classes` is set and no label is given.
    """

    n_classes: int | None = None
    scale_init: nn.initializers.Initializer = nn.initializers.ones_init()
    momentum: float = 0.9
    epsilon: float = 1e-5
    dtype: Any = None
    running: bool = True
    unbiased: bool = False

    @nn.compact
    def __call__(self, x: Array, label: Array | None = None, *, train: bool) -> Array:
        affine = self.n_classes is None
        x = _Standardised(
            affine,
            self.scale_init,
            self.momentum,
            self.epsilon,
            self.dtype,
            self.running,
            self.unbiased,
            name="batch",
        )(x, train=train)
        if affine:
            return x
        if label is None:
            raise ValueError("BatchNorm with n_classes needs labels, got label=None")
        shape = (self.n_classes, x.shape[-1])
        gamma = self.param("gamma", nn.initializers.zeros_init(), shape)[label]
        beta = self.param("beta", nn.initializers.zeros_init(), shape)[label]
        axes = tuple(range(1, x.ndim - 1))
        gamma, beta = (jnp.expand_dims(t, axes).astype(x.dtype) for t in (gamma, beta))
        return x * (1 + gamma) + beta


class _Standardised(nn.Module):
    affine: bool
    scale_init: nn.initializers.Initializer
    momentum: float
    epsilon: float
    dtype: Any
    running: bool
    unbiased: bool

    @nn.compact
    def __call__(self, x, *, train):
        shape, axes = x.shape[-1:], tuple(range(x.ndim - 1))
        kept_mean = self.variable("batch_stats", "mean", jnp.zeros, shape)
        kept_variance = self.variable("batch_stats", "var", jnp.ones, shape)
        if self.affine:
            scale = self.param("scale", self.scale_init, shape)
            bias = self.param("bias", nn.initializers.zeros_init(), shape)
        if self.running and not train:
            mean, variance = kept_mean.value, kept_variance.value
        else:
            wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
            mean, square = wide.mean(axes), lax.square(wide).mean(axes)
            variance = jnp.maximum(0.0, square - lax.square(mean))
        if train and not self.is_initializing():
            n = math.prod(x.shape[:-1])
            correction = n / (n - 1) if self.unbiased and n > 1 else None
            self._keep(kept_mean, mean)
            self._keep(kept_variance, variance, correction)
        factor = lax.rsqrt(variance + self.epsilon)
        y = (x - mean) * (factor * scale) + bias if self.affine else (x - mean) * factor
        return y.astype(self.dtype or x.dtype)

    def _keep(self, kept, new, factor=None):
        new = new if factor is None else factor * new
        kept.value = self.momentum * kept.value + (1 - self.momentum) * new


def _apply(x, label, place: Place, *, running: bool, unbiased: bool):
    norm = BatchNorm(
        place.n_classes,
        place.gain_init,
        dtype=place.dtype,
        running=running,
        unbiased=unbiased,
        name=place.name,
    )
    return norm(x, label, train=place.train)


NORM = Norm(
    _apply, {"running": True, "unbiased": False}, mixes_batch=True, per_class=True
)
