"""Virtual batch normalisation: by a reference batch, fixed once (arXiv 1606.03498).

The network runs on [reference, x], which `with_reference` makes of its input x, and
drops the first rows of its result.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array

from gans.layers.norms import Norm, Place


class VirtualBatchNorm(nn.Module):
    """x [R + B, ..., C] -> the same shape; the first R = n_reference are the reference.

    Section 3.5 of arXiv 1606.03498, with the weights of the authors' code. An example
    is normalised per channel by weighted averages of the mean and the mean of squares:
    those of the reference batch have weight R / (R + 1), those of its own positions
    1 / (R + 1). Reference examples use the statistics of the reference alone. A gain
    and a bias follow. Statistics are float32, and gradients flow through them.
    """

    n_reference: int
    scale_init: nn.initializers.Initializer = nn.initializers.ones_init()
    epsilon: float = 1e-5
    dtype: Any = None

    @nn.compact
    def __call__(self, x: Array) -> Array:
        n, axes = self.n_reference, tuple(range(1, x.ndim - 1))
        scale = self.param("scale", self.scale_init, x.shape[-1:])
        bias = self.param("bias", nn.initializers.zeros_init(), x.shape[-1:])
        h = x.astype(jnp.promote_types(x.dtype, jnp.float32))
        own_mean = h.mean(axis=axes, keepdims=True)  # [R + B, 1 ..., C]
        own_var = h.var(axis=axes, keepdims=True)
        mean, var = own_mean[:n].mean(axis=0), own_var[:n].mean(axis=0)
        var = var + own_mean[:n].var(axis=0)
        share = jnp.where(jnp.arange(len(x)) < n, 0, 1 / (n + 1))
        share = share.reshape(-1, *(1,) * (x.ndim - 1)).astype(h.dtype)
        # The variance of the mixture, without the difference of two large squares.
        apart = own_mean - mean
        mean = mean + share * apart
        var = (1 - share) * var + share * own_var + share * (1 - share) * apart**2
        y = (h - mean) * jax.lax.rsqrt(var + self.epsilon) * scale + bias
        return y.astype(self.dtype or x.dtype)


def with_reference(
    module: nn.Module, x: Array, train: bool, *, n_reference: int
) -> tuple[Array, int]:
    """x [B, ...] -> ([reference, x] [R + B, ...], R), with R = n_reference.

    The module's collection `reference` holds `x` [R, ...] and `filled` [], both zero at
    first. The first training pass whose stats are stored makes its first R examples the
    reference, as the network saw them (a discriminator: augmented), and sets `filled`
    to 1; the reference then stays as it is. Before that, a pass uses its own first R
    examples, repeated if it has fewer. Their gradient is stopped, so that no example
    ever receives gradients from the output of another.

    `filled` is a float because an average of stats (an EMA) that started from zeros
    holds only a share of the reference: `x` is divided by that share.

    Call it inside a compact module with a field `condition`. Raises ValueError if the
    network is conditional, if R < 1, or if a training batch has fewer than R examples.
    """
    n = n_reference
    if module.condition is not None:
        raise ValueError(
            f"norm='virtual' with condition={module.condition!r}: the reference batch "
            "has no labels; accepted is condition=None, or another norm"
        )
    if n < 1:
        raise ValueError(f"n_reference={n}: the reference batch needs an example")
    zeros = functools.partial(jnp.zeros, dtype=jnp.float32)
    filled = module.variable("reference", "filled", zeros, ())
    stored = module.variable("reference", "x", zeros, (n, *x.shape[1:]))
    known, share = filled.value > 0, filled.value
    own = jax.lax.stop_gradient(jnp.resize(x, stored.value.shape)).astype(jnp.float32)
    reference = jnp.where(known, stored.value / jnp.where(known, share, 1), own)
    fill = train and module.is_mutable_collection("reference")
    if fill and not module.is_initializing():
        if len(x) < n:
            raise ValueError(
                f"norm='virtual' with n_reference={n}: the batch has {len(x)} examples"
            )
        stored.value = jnp.where(known, stored.value, own)
        filled.value = jnp.where(known, share, 1)
    return jnp.concatenate([reference.astype(x.dtype), x]), n


def _apply(x, label, place: Place, *, n_reference):
    norm = VirtualBatchNorm(
        n_reference, place.gain_init, dtype=place.dtype, name=place.name
    )
    return norm(x)


NORM = Norm(_apply, {"n_reference": 64}, begin=with_reference)
