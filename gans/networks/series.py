"""Networks of time series (TadGAN, arXiv 2009.07769, sections IV.A and VI.B).

The generator and the encoder are LSTMs, which run with time as the first axis; the
discriminators are convolutions in time, and dense layers for latents.
"""

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array

from gans.layers import Layers
from gans.layers.conv import Conv
from gans.layers.lstm import Bidirectional


class Generator(nn.Module):
    """z [B, L] -> [B, T, C] float32.

    A dense layer makes a number of each second step, which two bidirectional LSTMs
    follow, the second on each step twice; then a dense layer of each step, and tanh.

    Attributes:
      shape: (T, C).
      width: units of each LSTM in each direction.
      recurrent_dropout: of the LSTMs' outputs, as they see them in the next step.
      layers: how layers are made: kernels start from "glorot"; `dropout` is that of
        the LSTMs' inputs, with a mask that all steps share.
    """

    shape: tuple[int, ...]
    width: int = 64
    recurrent_dropout: float = 0.0
    layers: Layers = Layers()

    slots = ("kernel_init", "dropout", "dtype")

    @nn.compact
    def __call__(self, z: Array, label: Array | None = None, *, train: bool) -> Array:
        make = self.layers.factory(self, train, kernel_init="glorot")
        length, channels = self.shape
        half = -(-length // 2)
        lstm = {
            "dropout": self.layers.dropout,
            "recurrent_dropout": self.recurrent_dropout,
            "dtype": self.layers.dtype,
        }
        h = make(nn.Dense, half, name="dense")(z)  # [B, T / 2]
        h = h.T[..., None]
        h = Bidirectional(self.width, **lstm, name="lstm0")(h, train=train)
        h = Bidirectional(self.width, 2, **lstm, name="lstm1")(h, train=train)
        out = make(nn.Dense, channels, name="out")(h[:length])  # [T, B, C]
        out = out.astype(jnp.promote_types(out.dtype, jnp.float32))
        return jnp.tanh(jnp.moveaxis(out, 0, 1))


class Encoder(nn.Module):
    """x [B, T, C] -> z [B, L] float32: a bidirectional LSTM, and a dense layer.

    Attributes:
      latent: L.
      width: units of the LSTM in each direction.
      layers: how layers are made; kernels start from "glorot".
    """

    latent: int = 20
    width: int = 100
    layers: Layers = Layers()

    slots = ("kernel_init", "dtype")

    @nn.compact
    def __call__(self, x: Array, *, train: bool) -> Array:
        make = self.layers.factory(self, train, kernel_init="glorot")
        h = jnp.moveaxis(x, 1, 0)
        h = Bidirectional(self.width, dtype=self.layers.dtype, name="lstm")(
            h, train=train
        )
        h = jnp.moveaxis(h, 0, 1).reshape(len(x), -1)
        z = make(nn.Dense, self.latent, name="out")(h)
        return z.astype(jnp.promote_types(z.dtype, jnp.float32))


class Discriminator(nn.Module):
    """x [B, T, C] -> logits [B] float32; hidden layers sown in `features`.

    Attributes:
      width: features of each convolution in time.
      depth: how many there are, each of them without padding.
      kernel_size: of each, in steps.
      layers: how layers are made; kernels start from "glorot".

    Raises ValueError for series that are shorter than the convolutions need.
    """

    width: int = 64
    depth: int = 4
    kernel_size: int = 5
    layers: Layers = Layers()

    slots = ("spectral", "equalised", "kernel_init", "dropout", "dtype")
    mixes_batch = False

    @nn.compact
    def __call__(self, x: Array, label: Array | None = None, *, train: bool) -> Array:
        make = self.layers.factory(self, train, kernel_init="glorot")
        least = self.depth * (self.kernel_size - 1) + 1
        if x.shape[1] < least:
            raise ValueError(
                f"depth={self.depth} convolutions of kernel_size={self.kernel_size} "
                f"need at least {least} steps; the series have {x.shape[1]}"
            )
        h = x
        for i in range(self.depth):
            sizes = self.width, self.kernel_size
            h = make(Conv, *sizes, padding="VALID", name=f"conv{i}")(h)
            h = jax.nn.leaky_relu(h, 0.2)
            self.sow("features", f"hidden{i}", h)
            h = make.dropout(h)
        return _logits(make, h)


class LatentDiscriminator(nn.Module):
    """z [B, L] -> logits [B] float32.

    Attributes:
      width: features of each of two dense layers.
      layers: how layers are made; kernels start from "glorot".
    """

    width: int = 20
    layers: Layers = Layers()

    slots = ("spectral", "equalised", "kernel_init", "dropout", "dtype")
    mixes_batch = False

    @nn.compact
    def __call__(self, z: Array, *, train: bool) -> Array:
        make = self.layers.factory(self, train, kernel_init="glorot")
        h = z
        for i in range(2):
            h = make(nn.Dense, self.width, name=f"dense{i}")(h)
            h = make.dropout(jax.nn.leaky_relu(h, 0.2))
        return _logits(make, h)


def _logits(make, h):
    """One number of each example [B, ...]: float32 [B]."""
    logits = make(nn.Dense, 1, gain=1, name="out")(h.reshape(len(h), -1))[:, 0]
    return logits.astype(jnp.promote_types(logits.dtype, jnp.float32))
