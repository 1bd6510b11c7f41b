"""Multilayer perceptrons, for 2-D points and for small images."""

import math
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array

from gans.layers.conditional import embed_label


class Generator(nn.Module):
    """z [B, L] -> [B, *shape] float32; images (three axes) end in tanh.

    With condition="concat" an embedding of the label joins z (arXiv 1411.1784).
    """

    shape: tuple[int, ...]
    widths: tuple[int, ...] = (128, 128)
    condition: str | None = None
    n_classes: int | None = None
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, z: Array, label: Array | None = None, *, train: bool) -> Array:
        h = embed_label(z, label, self.condition, self.n_classes, ("concat",))
        for i, width in enumerate(self.widths):
            h = nn.Dense(width, dtype=self.dtype, name=f"dense{i}")(h)
            h = jax.nn.relu(h)
        out = nn.Dense(math.prod(self.shape), dtype=self.dtype, name="out")(h)
        out = out.astype(jnp.float32).reshape(-1, *self.shape)
        return jnp.tanh(out) if len(self.shape) == 3 else out


class Critic(nn.Module):
    """x [B, *shape] -> logits [B] float32; hidden layers sown in `features`."""

    widths: tuple[int, ...] = (128, 128)
    slope: float = 0.0
    dropout: float = 0.0
    condition: str | None = None
    n_classes: int | None = None
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Array, label: Array | None = None, *, train: bool) -> Array:
        h = x.reshape(len(x), -1)
        h = embed_label(h, label, self.condition, self.n_classes, ("concat",))
        for i, width in enumerate(self.widths):
            h = nn.Dense(width, dtype=self.dtype, name=f"dense{i}")(h)
            h = jax.nn.leaky_relu(h, self.slope)
            self.sow("features", f"hidden{i}", h)
            h = nn.Dropout(self.dropout, deterministic=not train)(h)
        return nn.Dense(1, dtype=self.dtype, name="out")(h)[:, 0].astype(jnp.float32)
