"""The convolutional networks of GAN-CLS and GAN-INT-CLS (arXiv 1605.05396).

Both are given a vector t of the text, which a dense layer compresses (section 4.1). As
in the authors' code, more than in the paper's figure 2, there is a residual block of a
1x1 and two 3x3 convolutions on the smallest maps. Of 64 pixels they are the authors';
of 16, 32, 128 ... they have fewer or more doublings. Deviation: convolutions have
biases, which the authors' code sets to 0 in every step.
"""

import math

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array

from gans.layers import Layers
from gans.layers.conv import Conv, ConvTranspose
from gans.layers.initial import around_one

SLOPE = 0.2


def _doublings(side: int) -> int:
    """From 4 pixels to `side`; ValueError for one that is not such a power of two."""
    n = round(math.log2(side)) - 2 if side > 0 else 0
    if n < 2 or 4 << n != side:
        raise ValueError(
            f"network='text' has images of 16, 32, 64, 128 ... pixels, not {side}"
        )
    return n


def _residual(make, h, name, slope):
    """h [B, H, W, C] and a block of three convolutions, a quarter as wide inside."""
    inner, r = h.shape[-1] // 4 or 1, h
    for i, (c, size) in enumerate(((inner, 1), (inner, 3), (h.shape[-1], 3))):
        r = jax.nn.leaky_relu(r, slope) if i else r
        r = make(Conv, c, (size, size), name=f"{name}_{i}")(r)
        r = make.norm(r, f"{name}_n{i}")
    return h + r


class Generator(nn.Module):
    """z [B, L] and the text t [B, E] -> images [B, *shape] float32 in [-1, 1].

    Attributes:
      shape: (H, W, C), H = W.
      width: channels of the largest hidden map; smaller ones have twice as many each.
      text: features to which t is compressed.
      residual: whether the two smallest maps have a residual block.
      layers: how layers are made; kernels start from "normal".
    """

    shape: tuple[int, int, int]
    width: int = 128
    text: int = 128
    residual: bool = True
    layers: Layers = Layers(norm="batch")

    slots = ("norm", "spectral", "equalised", "kernel_init", "dtype")

    @nn.compact
    def __call__(self, z: Array, t: Array, *, train: bool) -> Array:
        make = self.layers.factory(
            self, train, kernel_init="normal", gain_init=around_one
        )
        n = _doublings(self.shape[0])
        t = jax.nn.leaky_relu(make(nn.Dense, self.text, name="text")(t), SLOPE)
        h = jnp.concatenate([z, t.astype(z.dtype)], axis=-1)
        h, r = make.begin(h)
        h = make(
            ConvTranspose,
            self.width << (n - 1),
            (4, 4),
            padding="VALID",
            name="deconv0",
        )(h[:, None, None])
        h = make.norm(h, "norm0")
        h = _residual(make, h, "residual0", 0.0) if self.residual else h
        for i in range(1, n):
            c = self.width << (n - 1 - i)
            h = make(ConvTranspose, c, (4, 4), (2, 2), name=f"deconv{i}")(
                jax.nn.relu(h)
            )
            h = make.norm(h, f"norm{i}")
            if self.residual and i == 1:
                h = _residual(make, h, "residual1", 0.0)
        h = jax.nn.relu(h)
        h = make(ConvTranspose, self.shape[-1], (4, 4), (2, 2), gain=1, name="out")(h)
        return jnp.tanh(h[r:].astype(jnp.float32))


class Discriminator(nn.Module):
    """Images [B, H, W, C] in [-1, 1] and the text t [B, E] -> logits [B] float32.

    As in the authors' code the last two convolutions before a block have a norm and no
    activation. The activated maps are sown in `features` as hidden0, hidden1 ...

    Attributes:
      width: channels of the largest map; smaller ones have twice as many each.
      text: features to which t is compressed, copied to each place of the 4x4 map.
      residual: whether the smallest map has a residual block.
      layers: how layers are made; kernels start from "normal".
    """

    width: int = 64
    text: int = 128
    residual: bool = True
    layers: Layers = Layers(norm="batch")

    slots = tuple(Layers.__dataclass_fields__)

    @property
    def mixes_batch(self) -> bool:
        """Whether a logit depends on other examples of its batch."""
        return self.layers.mixes_batch

    @nn.compact
    def __call__(self, x: Array, t: Array, *, train: bool) -> Array:
        make = self.layers.factory(
            self, train, kernel_init="normal", gain_init=around_one
        )
        n = _doublings(x.shape[1])
        h = x.astype(self.layers.dtype)
        for i in range(n):
            h = make(Conv, self.width << i, (4, 4), (2, 2), name=f"conv{i}")(h)
            h = make.norm(h, f"norm{i}") if i else h
            if i == 0 or i < n - 1 - self.residual:
                h = jax.nn.leaky_relu(h, SLOPE)
                self.sow("features", f"hidden{i}", h)
        h = _residual(make, h, "residual", SLOPE) if self.residual else h
        h = jax.nn.leaky_relu(h, SLOPE)
        self.sow("features", f"hidden{n - 1}", h)
        t = make.norm(make(nn.Dense, self.text, name="text")(t), "text_norm")
        t = jax.nn.leaky_relu(t, SLOPE)[:, None, None]
        t = jnp.broadcast_to(t, (*h.shape[:-1], self.text)).astype(h.dtype)
        c = h.shape[-1]
        h = make(Conv, c, (1, 1), name="joined")(jnp.concatenate([h, t], axis=-1))
        h = jax.nn.leaky_relu(make.norm(h, "joined_norm"), SLOPE)
        h = make.minibatch(h.reshape(len(h), -1))
        logits = make(nn.Dense, 1, gain=1, name="out")(make.dropout(h))[:, 0]
        return logits.astype(jnp.float32)
