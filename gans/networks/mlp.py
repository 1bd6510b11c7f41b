"""Multilayer perceptrons, for 2-D points and for small images."""

import math

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array

from gans.layers import Layers
from gans.layers.conditional import embed_label


class Generator(nn.Module):
    """z [B, L] -> [B, *shape] float32.

    Attributes:
      widths: features of each hidden layer.
      bounded: whether the data are in [-1, 1]; the last layer is then tanh.
      condition: None or "concat": an embedding of the label joins z (arXiv 1411.1784).
      n_classes: number of classes, if conditional.
      layers: how layers are made; kernels start from "lecun".
    """

    shape: tuple[int, ...]
    widths: tuple[int, ...] = (128, 128)
    condition: str | None = None
    n_classes: int | None = None
    layers: Layers = Layers()
    bounded: bool = False

    slots = ("norm", "spectral", "equalised", "kernel_init", "dtype")

    @nn.compact
    def __call__(self, z: Array, label: Array | None = None, *, train: bool) -> Array:
        make = self.layers.factory(self, train, kernel_init="lecun")
        z, n = make.begin(z)
        h = embed_label(z, label, self.condition, self.n_classes, ("concat",))
        for i, width in enumerate(self.widths):
            h = make(nn.Dense, width, name=f"dense{i}")(h)
            h = jax.nn.relu(make.norm(h, f"norm{i}"))
        size = math.prod(self.shape)
        out = make(nn.Dense, size, gain=1, name="out")(h)[n:]
        out = out.astype(jnp.float32).reshape(-1, *self.shape)
        return jnp.tanh(out) if self.bounded else out


class Discriminator(nn.Module):
    """x [B, *shape] -> logits [B] float32; hidden layers sown in `features`.

    Each hidden layer has dropout; the last has batch features (`layers.minibatch`)
    before it. The first layer is never normalised.

    Attributes:
      widths: features of each hidden layer.
      slope: of LeakyReLU; 0 is ReLU.
      condition, n_classes, layers: as in the generator.
    """

    widths: tuple[int, ...] = (128, 128)
    slope: float = 0.0
    condition: str | None = None
    n_classes: int | None = None
    layers: Layers = Layers()

    slots = tuple(Layers.__dataclass_fields__)

    @property
    def mixes_batch(self) -> bool:
        """Whether a logit depends on other examples of its batch."""
        return self.layers.mixes_batch

    @nn.compact
    def __call__(self, x: Array, label: Array | None = None, *, train: bool) -> Array:
        make = self.layers.factory(self, train, kernel_init="lecun")
        x, n = make.begin(x)
        h = x.reshape(len(x), -1)
        h = embed_label(h, label, self.condition, self.n_classes, ("concat",))
        for i, width in enumerate(self.widths):
            h = make(nn.Dense, width, name=f"dense{i}")(h)
            h = make.norm(h, f"norm{i}") if i > 0 else h
            h = jax.nn.leaky_relu(h, self.slope)
            self.sow("features", f"hidden{i}", h[n:])
            if i == len(self.widths) - 1:
                h = make.minibatch(h[n:])
            h = make.dropout(h)
        logits = make(nn.Dense, 1, gain=1, name="out")(h)[:, 0]
        return logits.astype(jnp.float32)
