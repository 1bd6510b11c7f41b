"""Batch normalisation (arXiv 1502.03167), with gains per class where asked for."""

from typing import Any

import jax.numpy as jnp
from flax import linen as nn
from jax import Array

from gans.layers.norms import Norm, Place


class BatchNorm(nn.Module):
    """Batch normalisation, with a gain and a bias per class where `n_classes` is set.

    x [B, ..., C] -> [B, ..., C]. In training the statistics are those of the batch (of
    the whole batch, however many devices share it), and `batch_stats` keeps their
    running average; otherwise that average is used. Per class (arXiv 1610.07629, as in
    arXiv 1802.05637) the gain is 1 + gamma[label], with gamma and beta from 0.

    Raises ValueError if `n_classes` is set and no label is given.
    """

    n_classes: int | None = None
    scale_init: nn.initializers.Initializer = nn.initializers.ones_init()
    momentum: float = 0.9
    epsilon: float = 1e-5
    dtype: Any = None

    @nn.compact
    def __call__(self, x: Array, label: Array | None = None, *, train: bool) -> Array:
        affine = self.n_classes is None
        x = nn.BatchNorm(
            use_running_average=not train,
            momentum=self.momentum,
            epsilon=self.epsilon,
            use_scale=affine,
            use_bias=affine,
            scale_init=self.scale_init,
            dtype=self.dtype,
            name="batch",
        )(x)
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


def _apply(x, label, place: Place):
    norm = BatchNorm(
        place.n_classes, place.gain_init, dtype=place.dtype, name=place.name
    )
    return norm(x, label, train=place.train)


NORM = Norm(_apply, mixes_batch=True, per_class=True)
