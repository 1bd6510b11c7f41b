"""Volumes of a latent, by 3-D convolutions, as in 3D-GAN (1610.07584, section 3.1).

Sizes by default are the paper's, for 64x64x64; those for 32x32x32 are
widths=(256, 128, 64) and (64, 128, 256).
"""

import math

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array

from gans.layers import Layers
from gans.layers.conditional import check_label, embed_label, label_map
from gans.layers.conv import Conv, ConvTranspose


class Generator(nn.Module):
    """z [B, L] of N(0, 1) -> volumes [B, D, H, W, C] float32 in [-1, 1].

    u = (1 + erf(z / sqrt(2))) / 2, which is uniform in (0, 1) as in the paper, or z as
    it is. A dense layer makes the smallest volume, transposed convolutions (4x4x4,
    stride 2) double it, with norm and ReLU between; then a sigmoid p, and 2 p - 1. No
    biases.

    Attributes:
      shape: (D, H, W, C); D, H and W are multiples of 2 to the power of the number of
        widths.
      widths: channels of the smallest volume and of all but the last convolution.
      uniform: whether latents are made uniform. Their mean of 1/2 is common to all
        examples, and narrow networks learn little else.
      condition: None or "concat": an embedding of the label joins u.
      n_classes: number of classes, if conditional.
      layers: how layers are made; kernels start from "normal".

    Raises ValueError for a shape that is no such multiple.
    """

    shape: tuple[int, int, int, int]
    widths: tuple[int, ...] = (512, 256, 128, 64)
    uniform: bool = True
    condition: str | None = None
    n_classes: int | None = None
    layers: Layers = Layers(norm="batch")

    slots = ("norm", "spectral", "equalised", "kernel_init", "dtype")

    @nn.compact
    def __call__(self, z: Array, label: Array | None = None, *, train: bool) -> Array:
        make = self.layers.factory(self, train, kernel_init="normal")
        z, n = make.begin(z)
        u = _wide(z)
        if self.uniform:
            u = (1 + jax.lax.erf(u / math.sqrt(2))) / 2
        u = embed_label(u, label, self.condition, self.n_classes)
        scale = 2 ** len(self.widths)
        if any(size % scale for size in self.shape[:3]):
            raise ValueError(
                f"widths={self.widths} enlarge by {scale}, which does not divide the "
                f"volume {self.shape[:3]}"
            )
        small = tuple(size // scale for size in self.shape[:3])
        size = math.prod(small) * self.widths[0]
        h = make(nn.Dense, size, use_bias=False, name="dense")(u)
        h = h.reshape(-1, *small, self.widths[0])
        for i, c in enumerate((*self.widths[1:], self.shape[3]), 1):
            h = jax.nn.relu(make.norm(h, f"norm{i - 1}"))
            last = 1 if i == len(self.widths) else 2**0.5
            h = make(
                ConvTranspose,
                c,
                (4, 4, 4),
                (2, 2, 2),
                use_bias=False,
                gain=last,
                name=f"deconv{i}",
            )(h)
        return 2 * jax.nn.sigmoid(_wide(h[n:])) - 1


class Discriminator(nn.Module):
    """Volumes [B, D, H, W, C] in [-1, 1] -> logits [B] float32.

    They become occupancies in [0, 1]. 3-D convolutions (4x4x4, stride 2) with norm and
    LeakyReLU of slope 0.2, then one as large as what is left. With a norm there are no
    biases, as in the paper; without one, each convolution has its own. The activated
    outputs are sown in `features` as hidden0, hidden1 ...

    Attributes:
      widths: channels of each convolution.
      condition: None or "concat" (the label as one more channel).
      n_classes: number of classes, if conditional.
      layers: how layers are made; kernels start from "normal".
    """

    widths: tuple[int, ...] = (64, 128, 256, 512)
    condition: str | None = None
    n_classes: int | None = None
    layers: Layers = Layers(norm="batch")

    slots = ("norm", "spectral", "equalised", "kernel_init", "dropout", "dtype")

    @property
    def mixes_batch(self) -> bool:
        """Whether a logit depends on other examples of its batch."""
        return self.layers.mixes_batch

    @nn.compact
    def __call__(self, x: Array, label: Array | None = None, *, train: bool) -> Array:
        make = self.layers.factory(self, train, kernel_init="normal")
        check_label(label, self.condition, self.n_classes, ("concat",))
        x, n = make.begin(x)
        h = ((1 + x) / 2).astype(self.layers.dtype)
        if self.condition == "concat":
            h = label_map(h, label, self.n_classes)
        bias = self.layers.norm is None
        for i, c in enumerate(self.widths):
            conv = make(Conv, c, (4, 4, 4), (2, 2, 2), use_bias=bias, name=f"conv{i}")
            h = jax.nn.leaky_relu(make.norm(conv(h), f"norm{i}"), 0.2)
            self.sow("features", f"hidden{i}", h[n:])
            h = make.dropout(h, f"dropout{i}")
        out = make(
            Conv,
            1,
            h.shape[1:4],
            padding="VALID",
            use_bias=bias,
            gain=1,
            name="out",
        )
        return _wide(out(h)[n:].reshape(-1))


def _wide(x):
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))
