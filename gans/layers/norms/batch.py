"""Batch normalisation (arXiv 1502.03167), with gains per class where asked for."""

import math
from typing import Any

import jax.numpy as jnp
from flax import linen as nn
from jax import Array

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
      bias: whether there is one, beside the gain.

    Raises ValueError if `n_classes` is set and no label is given.
    """

    n_classes: int | None = None
    scale_init: nn.initializers.Initializer = nn.initializers.ones_init()
    momentum: float = 0.9
    epsilon: float = 1e-5
    dtype: Any = None
    running: bool = True
    unbiased: bool = False
    bias: bool = True

    @nn.compact
    def __call__(self, x: Array, label: Array | None = None, *, train: bool) -> Array:
        affine = self.n_classes is None
        options = {
            "epsilon": self.epsilon,
            "use_scale": affine,
            "use_bias": affine and self.bias,
            "scale_init": self.scale_init,
            "dtype": self.dtype,
            "name": "batch",
        }
        if train or self.running:
            norm = nn.BatchNorm(not train, momentum=self.momentum, **options)
            keep = train and self.unbiased and not self.is_initializing()
            before = norm.get_variable("batch_stats", "var") if keep else None
            x = norm(x)
            if keep:
                self._unbias(norm, before, math.prod(x.shape[:-1]))
        else:  # the statistics of a batch are those of one large image
            one = nn.InstanceNorm(**options)(x.reshape(1, -1, x.shape[-1]))
            x = one.reshape(x.shape)
        if affine:
            return x
        if label is None:
            raise ValueError("BatchNorm with n_classes needs labels, got label=None")
        shape = (self.n_classes, x.shape[-1])
        gamma = self.param("gamma", nn.initializers.zeros_init(), shape)[label]
        axes = tuple(range(1, x.ndim - 1))
        x = x * (1 + jnp.expand_dims(gamma, axes).astype(x.dtype))
        if not self.bias:
            return x
        beta = self.param("beta", nn.initializers.zeros_init(), shape)[label]
        return x + jnp.expand_dims(beta, axes).astype(x.dtype)

    def _unbias(self, norm, before, n):
        """Multiplies what a batch of n numbers added to the average by n / (n - 1)."""
        after = norm.get_variable("batch_stats", "var")
        added = (after - self.momentum * before) / max(n - 1, 1)
        norm.put_variable("batch_stats", "var", after + added)


def _apply(x, label, place: Place, **options):
    norm = BatchNorm(
        place.n_classes, place.gain_init, dtype=place.dtype, name=place.name, **options
    )
    return norm(x, label, train=place.train)


NORM = Norm(
    _apply,
    {"running": True, "unbiased": False, "bias": True, "epsilon": 1e-5},
    mixes_batch=True,
    per_class=True,
)
