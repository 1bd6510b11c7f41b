"""Residual networks of WGAN-GP, SNGAN and SAGAN for 32x32 images and their like.

Table 4 of arXiv 1802.05957 (appendix B.4) and figure 7 there: pre-activation blocks, no
normalisation in the critic but the spectral one, resampling inside the blocks.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array

from gans.layers.attention import SelfAttention
from gans.layers.conditional import check_label, embed_label, label_map
from gans.layers.conv import Conv
from gans.layers.initial import initialiser
from gans.layers.minibatch import with_minibatch
from gans.layers.norm import layer_maker, norm_maker
from gans.layers.resample import ConvDownsample, UpsampleConv
from gans.layers.virtual import with_reference


class Generator(nn.Module):
    """z [B, L] -> images [B, *shape] float32 in [-1, 1].

    A dense layer to the smallest map, blocks that double it, norm, ReLU, a 3x3
    convolution, tanh.

    Attributes:
      shape: (H, W, C).
      widths: channels of the smallest map and of each block.
      norm: "batch", "pixel", "virtual" or None (see `networks`).
      spectral: spectral normalisation of every kernel (SAGAN).
      equalised: equalised learning rate of every kernel (arXiv 1710.10196), instead of
        kernel_init.
      attention: side of the map at which self-attention is inserted, or None.
      condition: None, "concat" (arXiv 1411.1784) or, with batch norm, "projection" (it
        is conditional then, arXiv 1802.05637).
    """

    shape: tuple[int, int, int]
    widths: tuple[int, ...] = (256, 256, 256, 256)
    norm: str | None = "batch"
    n_reference: int = 64
    spectral: bool = False
    equalised: bool = False
    attention: int | None = None
    kernel_init: str = "glorot"
    condition: str | None = None
    n_classes: int | None = None
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, z: Array, label: Array | None = None, *, train: bool) -> Array:
        z, n = with_reference(self, z, train)
        n_classes = self.n_classes if self.condition == "projection" else None
        normalise = norm_maker(self, ("batch", "pixel", "virtual"), train, n_classes)
        make = _maker(self, train)
        linear = functools.partial(make, gain=1)
        known = ("concat", "projection") if self.norm == "batch" else ("concat",)
        h = embed_label(z, label, self.condition, self.n_classes, known)

        def activate(h, name):
            return jax.nn.relu(normalise(h, name, label))

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


class Critic(nn.Module):
    """Images [B, H, W, C] in [-1, 1] -> logits [B] float32.

    Blocks, ReLU, global pooling, a dense layer. What each block yields is sown in
    `features` as hidden0, hidden1 ...

    Attributes:
      widths: channels of each block.
      n_down: the first so many blocks halve the map.
      spectral: spectral normalisation of every kernel (SNGAN).
      equalised: as in the generator.
      minibatch: None, "stddev" or "discrimination": joins the pooled features.
      dropout: share of all these dropped in training; then pass `key`.
      pool: over positions, "sum" (SNGAN) or "mean" (WGAN-GP).
      attention: side of the map at which self-attention is inserted, or None.
      condition: None, "concat" (the label as one more channel) or "projection".
    """

    widths: tuple[int, ...] = (128, 128, 128, 128)
    n_down: int = 2
    spectral: bool = False
    equalised: bool = False
    minibatch: str | None = None
    dropout: float = 0.0
    pool: str = "sum"
    attention: int | None = None
    kernel_init: str = "glorot"
    condition: str | None = None
    n_classes: int | None = None
    dtype: Any = jnp.float32

    @property
    def mixes_batch(self) -> bool:
        """Whether a logit depends on other examples of its batch."""
        return self.minibatch is not None

    @nn.compact
    def __call__(self, x: Array, label: Array | None = None, *, train: bool) -> Array:
        if self.pool not in ("sum", "mean"):
            raise ValueError(f"pool={self.pool!r} is neither 'sum' nor 'mean'")
        make = _maker(self, train)
        linear = functools.partial(make, gain=1)
        known = ("concat", "projection")
        check_label(label, self.condition, self.n_classes, known)
        h = x.astype(self.dtype)
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
        h = with_minibatch(h, self.minibatch)
        h = nn.Dropout(self.dropout, deterministic=not train)(h)
        logits = linear(nn.Dense, 1, name="out")(h)[:, 0]
        if self.condition == "projection":
            embed = functools.partial(_weights(self, train), nn.Embed, gain=1)
            v = embed(self.n_classes, h.shape[-1], name="label")(label)
            logits = logits + jnp.sum(v.astype(h.dtype) * h, axis=-1)
        return logits.astype(jnp.float32)


def _first(side, sides):
    """The first block that yields a map of that side; None for None."""
    if side is None:
        return None
    for block, found in sides.items():
        if found == side:
            return block
    raise ValueError(
        f"attention={side}: no block yields a map of that side: {list(sides.values())}"
    )


def _weights(module, train):
    return layer_maker(train, spectral=module.spectral, equalised=module.equalised)


def _maker(module, train):
    return functools.partial(
        _weights(module, train),
        kernel_init=initialiser(module.kernel_init),
        dtype=module.dtype,
    )


def _smallest(shape, n_up):
    height, width = shape[:2]
    if height % 2**n_up or width % 2**n_up:
        raise ValueError(
            f"{n_up} doubling blocks do not divide the resolution {height}x{width}"
        )
    return height // 2**n_up, width // 2**n_up
