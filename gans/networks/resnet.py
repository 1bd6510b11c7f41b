"""Residual networks of WGAN-GP, SNGAN and SAGAN for 32x32 images and similar sizes.

Table 4 of arXiv 1802.05957 (appendix B.4) and figure 7 there: pre-activation blocks,
resampling inside the blocks, and no normalisation of activations in the discriminator.
"""

import functools

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array

from gans.layers import Layers
from gans.layers.attention import SelfAttention
from gans.layers.conditional import check_label, embed_label, label_map
from gans.layers.conv import Conv
from gans.layers.resample import ConvDownsample, UpsampleConv


class Generator(nn.Module):
    """z [B, L] -> images [B, *shape] float32 in [-1, 1].

    A dense layer to the smallest map, blocks that double it, norm, ReLU, a 3x3
    convolution, tanh.

    Attributes:
      shape: (H, W, C).
      widths: channels of the smallest map and of each block.
      attention: side of the map at which self-attention is inserted, or None.
      condition: None, "concat" (arXiv 1411.1784) or, with a norm that has gains per
        class, "projection" (arXiv 1802.05637).
      n_classes: number of classes, if conditional.
      layers: how layers are made; kernels start from "glorot".
    """

    shape: tuple[int, int, int]
    widths: tuple[int, ...] = (256, 256, 256, 256)
    attention: int | None = None
    condition: str | None = None
    n_classes: int | None = None
    layers: Layers = Layers(norm="batch")

    slots = ("norm", "spectral", "equalised", "kernel_init", "dtype")

    @nn.compact
    def __call__(self, z: Array, label: Array | None = None, *, train: bool) -> Array:
        n_classes = self.n_classes if self.condition == "projection" else None
        make = self.layers.factory(
            self, train, kernel_init="glorot", n_classes=n_classes
        )
        linear = functools.partial(make, gain=1)
        z, n = make.begin(z)
        known = ("concat", "projection") if self.layers.per_class else ("concat",)
        h = embed_label(z, label, self.condition, self.n_classes, known)

        def activate(h, name):
            return jax.nn.relu(make.norm(h, name, label))

        height, width = _smallest(self.shape, len(self.widths) - 1)
        h = make(nn.Dense, height * width * self.widths[0], name="dense")(h)
        h = h.reshape(-1, height, width, self.widths[0])
        sides = {i: height * 2**i for i in range(1, len(self.widths))}
        attended = _first(self.attention, sides)
        for i, features in enumerate(self.widths[1:], 1):
            skip = linear(UpsampleConv, features, (1, 1), name=f"block{i}_skip")(h)
            h = activate(h, f"block{i}_norm1")
            h = make(UpsampleConv, features, (3, 3), name=f"block{i}_conv1")(h)
            h = activate(h, f"block{i}_norm2")
            h = make(Conv, features, (3, 3), name=f"block{i}_conv2")(h) + skip
            if i == attended:
                h = SelfAttention(functools.partial(linear, nn.Dense))(h)
        h = activate(h, "norm")
        h = linear(Conv, self.shape[-1], (3, 3), name="out")(h)
        return jnp.tanh(h[n:].astype(jnp.float32))


class Discriminator(nn.Module):
    """Images [B, H, W, C] in [-1, 1] -> logits [B] float32.

    Blocks, ReLU, global pooling, a dense layer. The output of each block is sown in
    `features` as hidden0, hidden1 ... Batch features (`layers.minibatch`) and dropout
    apply to the pooled features. There is no slot for a norm.

    Attributes:
      widths: channels of each block.
      n_down: how many blocks, from the first, halve the map.
      pool: over positions, "sum" (SNGAN) or "mean" (WGAN-GP).
      attention: side of the map at which self-attention is inserted, or None.
      condition: None, "concat" (the label as one more channel) or "projection".
      n_classes: number of classes, if conditional.
      layers: how layers are made; kernels start from "glorot".
    """

    widths: tuple[int, ...] = (128, 128, 128, 128)
    n_down: int = 2
    pool: str = "sum"
    attention: int | None = None
    condition: str | None = None
    n_classes: int | None = None
    layers: Layers = Layers()

    slots = ("spectral", "equalised", "kernel_init", "minibatch", "dropout", "dtype")

    @property
    def mixes_batch(self) -> bool:
        """Whether a logit depends on other examples of its batch."""
        return self.layers.mixes_batch

    @nn.compact
    def __call__(self, x: Array, label: Array | None = None, *, train: bool) -> Array:
        if self.pool not in ("sum", "mean"):
            raise ValueError(f"pool={self.pool!r} is neither 'sum' nor 'mean'")
        make = self.layers.factory(self, train, kernel_init="glorot")
        linear = functools.partial(make, gain=1)
        known = ("concat", "projection")
        check_label(label, self.condition, self.n_classes, known)
        h = x.astype(self.layers.dtype)
        if self.condition == "concat":
            h = label_map(h, label, self.n_classes)
        n_halved = [min(i + 1, self.n_down) for i in range(len(self.widths))]
        sides = {i: x.shape[1] // 2**n for i, n in enumerate(n_halved)}
        attended = _first(self.attention, sides)
        for i, features in enumerate(self.widths):
            conv = ConvDownsample if i < self.n_down else Conv
            skip = h
            if i < self.n_down or h.shape[-1] != features:
                skip = linear(conv, features, (1, 1), name=f"block{i}_skip")(h)
            # The first block sees the image itself: no activation before it.
            h = h if i == 0 else jax.nn.relu(h)
            h = make(Conv, features, (3, 3), name=f"block{i}_conv1")(h)
            h = jax.nn.relu(h)
            h = make(conv, features, (3, 3), name=f"block{i}_conv2")(h) + skip
            if i == attended:
                h = SelfAttention(functools.partial(linear, nn.Dense))(h)
            self.sow("features", f"hidden{i}", h)
        h = getattr(jnp, self.pool)(jax.nn.relu(h), axis=(1, 2))
        h = make.dropout(make.minibatch(h))
        logits = linear(nn.Dense, 1, name="out")(h)[:, 0]
        if self.condition == "projection":
            v = linear(nn.Embed, self.n_classes, h.shape[-1], name="label")(label)
            logits = logits + jnp.sum(v * h, axis=-1)
        return logits.astype(jnp.float32)


def _first(side, sides):
    """The first block whose output has that side; None for None."""
    if side is None:
        return None
    for block, found in sides.items():
        if found == side:
            return block
    raise ValueError(
        f"attention={side}: no block has a map of that side: {list(sides.values())}"
    )


def _smallest(shape, n_up):
    height, width = shape[:2]
    if height % 2**n_up or width % 2**n_up:
        raise ValueError(
            f"{n_up} doubling blocks do not divide the resolution {height}x{width}"
        )
    return height // 2**n_up, width // 2**n_up
