"""Multilayer perceptrons, for 2-D points and for small images."""

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array

from gans.layers.conditional import embed_label
from gans.layers.minibatch import with_minibatch
from gans.layers.norm import layer_maker, norm_maker
from gans.layers.virtual import with_reference


class Generator(nn.Module):
    """z [B, L] -> [B, *shape] float32; images (three axes) end in tanh.

    Attributes:
      norm: of hidden layers: None, "batch", "pixel" or "virtual" (see `networks`).
      spectral: spectral normalisation of every kernel (arXiv 1802.05957).
      equalised: equalised learning rate of every kernel (arXiv 1710.10196).
      condition: None or "concat": an embedding of the label joins z (arXiv 1411.1784).
    """

    shape: tuple[int, ...]
    widths: tuple[int, ...] = (128, 128)
    norm: str | None = None
    n_reference: int = 64
    spectral: bool = False
    equalised: bool = False
    condition: str | None = None
    n_classes: int | None = None
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, z: Array, label: Array | None = None, *, train: bool) -> Array:
        z, n = with_reference(self, z, train)
        normalise = norm_maker(self, ("batch", "pixel", "virtual"), train)
        make = functools.partial(
            layer_maker(train, spectral=self.spectral, equalised=self.equalised),
            dtype=self.dtype,
        )
        h = embed_label(z, label, self.condition, self.n_classes, ("concat",))
        for i, width in enumerate(self.widths):
            h = make(nn.Dense, width, name=f"dense{i}")(h)
            h = jax.nn.relu(normalise(h, f"norm{i}"))
        size = math.prod(self.shape)
        out = make(nn.Dense, size, gain=1, name="out")(h)[n:]
        out = out.astype(jnp.float32).reshape(-1, *self.shape)
        return jnp.tanh(out) if len(self.shape) == 3 else out


class Critic(nn.Module):
    """x [B, *shape] -> logits [B] float32; hidden layers sown in `features`.

    Attributes:
      slope: of LeakyReLU; 0 is ReLU.
      dropout: share of each hidden layer dropped in training; then pass `key`.
      norm: None, "batch" or "virtual"; the first layer is never normalised.
      spectral, equalised, condition: as in the generator.
      minibatch: None, "stddev" or "discrimination": joins the last hidden layer, before
        its dropout.
    """

    widths: tuple[int, ...] = (128, 128)
    slope: float = 0.0
    dropout: float = 0.0
    norm: str | None = None
    n_reference: int = 64
    spectral: bool = False
    equalised: bool = False
    minibatch: str | None = None
    condition: str | None = None
    n_classes: int | None = None
    dtype: Any = jnp.float32

    @property
    def mixes_batch(self) -> bool:
        """Whether a logit depends on other examples of its batch."""
        return self.norm == "batch" or self.minibatch is not None

    @nn.compact
    def __call__(self, x: Array, label: Array | None = None, *, train: bool) -> Array:
        x, n = with_reference(self, x, train)
        normalise = norm_maker(self, ("batch", "virtual"), train)
        make = functools.partial(
            layer_maker(train, spectral=self.spectral, equalised=self.equalised),
            dtype=self.dtype,
        )
        h = x.reshape(len(x), -1)
        h = embed_label(h, label, self.condition, self.n_classes, ("concat",))
        for i, width in enumerate(self.widths):
            h = make(nn.Dense, width, name=f"dense{i}")(h)
            h = normalise(h, f"norm{i}") if i > 0 else h
            h = jax.nn.leaky_relu(h, self.slope)
            self.sow("features", f"hidden{i}", h[n:])
            if i == len(self.widths) - 1:
                h = with_minibatch(h[n:], self.minibatch)
            h = nn.Dropout(self.dropout, deterministic=not train)(h)
        logits = make(nn.Dense, 1, gain=1, name="out")(h)[:, 0]
        return logits.astype(jnp.float32)
