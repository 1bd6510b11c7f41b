"""Discriminators that judge patches of an image (arXiv 1611.07004, section 3.2.2)."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array

from gans.layers import Layers, saved
from gans.layers.conv import Conv
from gans.layers.initial import around_one


class Discriminator(nn.Module):
    """Images [B, H, W, C] in [-1, 1] -> logits [B, h, w] float32, one per patch.

    `n_layers` convolutions of 4x4 with stride 2, then two with stride 1, all padded by
    one. LeakyReLU of slope 0.2 follows all but the last, the norm all but the first and
    the last. A patch is 16, 34, 70, 142 or 286 pixels wide for 1 to 5 layers. With 0
    there are three 1x1 convolutions, and each pixel is judged alone (PixelGAN). The
    activated outputs are sown in `features` as hidden0, hidden1 ...

    Raises ValueError for images that are smaller than the layers need.

    Attributes:
      width: channels after the first layer; they double three times.
      n_layers: how often the map is halved.
      layers: how layers are made; kernels start from "normal", gains from N(1, 0.02).
    """

    width: int = 64
    n_layers: int = 3
    layers: Layers = Layers(norm="instance")

    slots = ("norm", "spectral", "equalised", "kernel_init", "dtype")

    @property
    def mixes_batch(self) -> bool:
        """Whether a logit depends on other examples of its batch."""
        return self.layers.mixes_batch

    @property
    def least(self) -> int:
        """The height and width that images have at least."""
        return 3 * 2**self.n_layers if self.n_layers else 1

    @nn.compact
    def __call__(self, x: Array, *, train: bool) -> Array:
        height, width = x.shape[1:3]
        if min(height, width) < self.least:
            raise ValueError(
                f"patches of n_layers={self.n_layers} need images of at least "
                f"{self.least}x{self.least}, got {height}x{width}"
            )
        make = self.layers.factory(
            self, train, kernel_init="normal", gain_init=around_one
        )
        normed = self.layers.norm is not None
        h, n = make.begin(x)
        h = h.astype(self.layers.dtype)
        size = 4 if self.n_layers else 1
        pads = (((size - 1) // 2,) * 2,) * 2

        def conv(h, features, stride, name, **options):
            sizes = (size, size), (stride, stride), pads
            return make(Conv, features, *sizes, name=name, **options)(h)

        for i in range(max(self.n_layers, 1) + 1):
            stride = 2 if i < self.n_layers else 1
            width, bias = self.width * min(2**i, 8), i == 0 or not normed
            h = conv(h, width, stride, f"conv{i}", use_bias=bias)
            h = make.norm(h, f"norm{i}") if i else h
            h = jax.nn.leaky_relu(h, 0.2)
            self.sow("features", f"hidden{i}", h[n:])
        logits = conv(h, 1, 1, "out", gain=1)[n:, ..., 0]
        return logits.astype(jnp.promote_types(logits.dtype, jnp.float32))


def from_torch(state: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns (options of `Discriminator`, variables) of the authors' PyTorch one.

    Args:
      state: the state dict of its `netD`, in the order of its modules: arrays, kernels
        [O, I, K, K].

    Biases before a norm are left out, because the norm removes them.

    Raises ValueError, naming what it found, if it is none.
    """
    layers = saved.layers(state)
    n, shapes = len(layers), [layer.shape for layer in layers]
    sizes = {shape[-1] for shape in shapes}
    if n < 3 or sizes not in ({1}, {4}) or shapes[-1][0] != 1 or sizes == {1} and n > 3:
        what = "a patch discriminator of the authors of pix2pix"
        raise ValueError(f"not {what}: its kernels are {shapes}")
    norm = saved.norm(layers[1])
    options = {
        "width": shapes[0][0],
        "n_layers": n - 2 if sizes == {4} else 0,
        "norm": norm,
    }
    names = [*(f"conv{i}" for i in range(n - 1)), "out"]
    norms = [f"norm{i}" for i in range(n)]
    biased = range(n) if norm is None else (0, n - 1)
    return options, saved.variables(layers, names, norms, biased)
