"""Self-attention over the positions of a feature map."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array


class SelfAttention(nn.Module):
    """x [B, H, W, C] -> [B, H, W, C]: x + gamma * attention(x), gamma from 0.

    Section 3 of arXiv 1805.08318, equations 1 to 3: 1x1 maps f, g, h to C / 8 channels,
    softmax over the H W positions attended to, and a 1x1 map v back to C. A 1x1 map is
    a dense layer on each position; `dense(features, name=...)` returns such a layer,
    x -> y, for example a spectrally normalised one.

    Raises ValueError if C < 8.
    """

    dense: Callable[..., Callable[[Array], Array]]

    @nn.compact
    def __call__(self, x: Array) -> Array:
        b, height, width, c = x.shape
        if c < 8:
            raise ValueError(f"SelfAttention: needs at least 8 channels, got {c}")
        flat = x.reshape(b, height * width, c)
        f, g, h = (self.dense(c // 8, name=name)(flat) for name in "fgh")
        scores = jnp.einsum("bjc,bic->bji", g, f).astype(jnp.float32)  # [B, j, i]
        weights = jax.nn.softmax(scores, axis=-1).astype(x.dtype)
        out = self.dense(c, name="v")(jnp.einsum("bji,bic->bjc", weights, h))
        gamma = self.param("gamma", nn.initializers.zeros_init(), ())
        return x + gamma.astype(x.dtype) * out.reshape(x.shape)
