"""Clips of a latent of the whole clip and one of each frame, as in TGAN (1611.06624).

A temporal generator makes a latent z_t of each frame from z_0, and an image generator a
frame from z_0 and z_t (section 3.2); the discriminator is a 3-D convolutional network.
Sizes by default are the paper's, for 16 frames of 64x64.
"""

import math

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array

from gans.layers import Layers
from gans.layers.conditional import check_label, embed_label, label_map
from gans.layers.conv import Conv, ConvTranspose


class Temporal(nn.Module):
    """z_0 [B, L] -> z_1 ... z_T [B, T, features] in (-1, 1), float32.

    A dense layer to the shortest sequence, then 1-D transposed convolutions (4, stride
    2), with norm and ReLU between, and tanh. In the paper the shortest has one frame.

    Attributes:
      frames: T, a multiple of 2 to the power of the number of widths.
      widths: channels of the shortest sequence and of all but the last convolution.
      features: of each z_t.
      layers: how layers are made.
    """

    frames: int
    widths: tuple[int, ...]
    features: int
    layers: Layers

    slots = ("norm", "spectral", "equalised", "kernel_init", "dtype")

    @nn.compact
    def __call__(self, z: Array, *, train: bool) -> Array:
        make = self.layers.factory(self, train, kernel_init="uniform")
        shortest = _smallest("frames", self.frames, "frame_widths", self.widths, 0)
        h = make(nn.Dense, shortest * self.widths[0], name="dense")(z)
        h = h.reshape(-1, shortest, self.widths[0])
        for i, c in enumerate((*self.widths[1:], self.features), 1):
            h = jax.nn.relu(make.norm(h, f"norm{i - 1}"))
            last = 1 if i == len(self.widths) else 2**0.5
            h = make(ConvTranspose, c, (4,), (2,), gain=last, name=f"deconv{i}")(h)
        return jnp.tanh(_wide(h))


class Generator(nn.Module):
    """z [B, L] of N(0, 1) -> clips [B, T, H, W, C] float32 in [-1, 1].

    z_0 = erf(z / sqrt(2)), which is uniform in (-1, 1) as in the paper. The first layer
    has two branches: z_0 and z_t each pass a dense layer to half the channels of the
    smallest map, with norm and ReLU. Transposed convolutions (4x4, stride 2) with norm
    and ReLU follow, a convolution (3x3) and tanh. That of both branches together is the
    sum of one of each, and z_0's is the same in all frames, so that it is computed once
    a clip. Norms see all frames of the batch.

    Attributes:
      shape: (T, H, W, C); T is a multiple of 2 to the power of the number of
        frame_widths, H and W of 2 to the power of the number of widths less one.
      widths: channels of the smallest map and after each transposed convolution.
      frame_widths: channels of the temporal generator; see `Temporal`.
      frame_latent: features of each z_t.
      condition: None or "concat": an embedding of the label joins z_0 (section 4.5).
      n_classes: number of classes, if conditional.
      layers: how layers are made; kernels start from "uniform".

    Raises ValueError for a shape that is no such multiple.
    """

    shape: tuple[int, int, int, int]
    widths: tuple[int, ...] = (512, 256, 128, 64, 32)
    frame_widths: tuple[int, ...] = (512, 256, 128, 128)
    frame_latent: int = 100
    condition: str | None = None
    n_classes: int | None = None
    layers: Layers = Layers(norm="batch")

    slots = ("norm", "spectral", "equalised", "kernel_init", "dtype")

    @nn.compact
    def __call__(
        self, z: Array, label: Array | None = None, *, train: bool, between: int = 1
    ) -> Array:
        """With between > 1 the latents z_t are interpolated linearly (section 4.4).

        There are then (T - 1) * between + 1 frames, of which every `between`-th is one
        of the T.
        """
        make = self.layers.factory(self, train, kernel_init="uniform")
        z, n = make.begin(z)
        z = jax.lax.erf(_wide(z) / math.sqrt(2))
        z = embed_label(z, label, self.condition, self.n_classes)
        height, width = (
            _smallest(name, size, "widths", self.widths, 1)
            for name, size in zip(("height", "width"), self.shape[1:3], strict=True)
        )
        half, odd = divmod(self.widths[0], 2)
        if odd:
            raise ValueError(
                f"widths={self.widths}: the first is shared by two branches"
            )
        frames = Temporal(
            self.shape[0],
            self.frame_widths,
            self.frame_latent,
            self.layers,
            name="temporal",
        )
        h = 0
        for branch, latent in (
            ("clip", z[:, None]),
            ("frame", interpolated(frames(z, train=train), between)),
        ):
            dense = make(
                nn.Dense, height * width * half, use_bias=False, name=f"dense_{branch}"
            )
            x = jax.nn.relu(make.norm(dense(latent), f"norm_{branch}"))
            x = x.reshape(*x.shape[:2], height, width, half)
            h = h + self._deconv(make, self.widths[1], f"deconv1_{branch}")(x)
        for i, c in enumerate(self.widths[2:], 2):
            h = jax.nn.relu(make.norm(h, f"norm{i - 1}"))
            h = self._deconv(make, c, f"deconv{i}")(h)
        h = jax.nn.relu(make.norm(h, f"norm{len(self.widths) - 1}"))
        h = make(Conv, self.shape[-1], (3, 3), gain=1, name="out")(h)
        return jnp.tanh(_wide(h[n:]))

    def _deconv(self, make, features, name):
        return make(ConvTranspose, features, (4, 4), (2, 2), use_bias=False, name=name)


class Discriminator(nn.Module):
    """Clips [B, T, H, W, C] in [-1, 1] -> logits [B] float32.

    3-D convolutions (4x4x4, stride 2) with LeakyReLU of slope 0.2, the first without a
    norm, then one as large as what is left. Axes of length 1 stay as they are, with
    kernels of length 1. The activated outputs are sown in `features` as hidden0,
    hidden1 ...

    Attributes:
      widths: channels of each convolution.
      condition: None or "concat" (the label as one more channel).
      n_classes: number of classes, if conditional.
      layers: how layers are made; kernels start from "uniform", batch norm has no bias.
    """

    widths: tuple[int, ...] = (64, 128, 256, 512)
    condition: str | None = None
    n_classes: int | None = None
    layers: Layers = Layers(norm={"name": "batch", "bias": False})

    slots = ("norm", "spectral", "equalised", "kernel_init", "dtype")

    @property
    def mixes_batch(self) -> bool:
        """Whether a logit depends on other examples of its batch."""
        return self.layers.mixes_batch

    @nn.compact
    def __call__(self, x: Array, label: Array | None = None, *, train: bool) -> Array:
        make = self.layers.factory(self, train, kernel_init="uniform")
        check_label(label, self.condition, self.n_classes, ("concat",))
        x, n = make.begin(x)
        h = x.astype(self.layers.dtype)
        if self.condition == "concat":
            h = label_map(h, label, self.n_classes)
        for i, c in enumerate(self.widths):
            size = tuple(4 if axis > 1 else 1 for axis in h.shape[1:4])
            strides = tuple(2 if axis > 1 else 1 for axis in h.shape[1:4])
            h = make(Conv, c, size, strides, name=f"conv{i}")(h)
            h = make.norm(h, f"norm{i}") if i > 0 else h
            h = jax.nn.leaky_relu(h, 0.2)
            self.sow("features", f"hidden{i}", h[n:])
        size = h.shape[1:4]
        h = make(Conv, 1, size, padding="VALID", gain=1, name="out")(h)
        return _wide(h[n:].reshape(-1))


def interpolated(z: Array, between: int) -> Array:
    """z [B, T, F] -> [B, (T - 1) * between + 1, F], on lines from each to the next."""
    places = jnp.arange((z.shape[1] - 1) * between + 1) / between
    before = jnp.floor(places).astype(int)
    after = jnp.minimum(before + 1, z.shape[1] - 1)
    share = (places - before)[:, None]
    return z[:, before] * (1 - share) + z[:, after] * share


def _wide(x):
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))


def _smallest(what, size, option, widths, kept):
    """`size`, halved for each width but `kept` of them; ValueError if it cannot be."""
    scale = 2 ** (len(widths) - kept)
    if size % scale:
        raise ValueError(
            f"{option}={widths} enlarge by {scale}, which does not divide the {what} "
            f"{size}"
        )
    return size // scale
