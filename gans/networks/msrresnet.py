"""SRResNet without batch norm, as EDSR (arXiv 1707.02921) and ESRGAN's authors have it.

Batch norm takes away the range of features that a picture of another contrast needs,
and memory. The layout is that of BasicSR's "MSRResNet".
"""

import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array

from gans.layers import Layers, saved
from gans.layers.conv import Conv
from gans.layers.initial import a_tenth_of_he
from gans.layers.shuffle import factors, of_torch, pixel_shuffle


class Generator(nn.Module):
    """Images [B, H, W, C] in [-1, 1] -> images [B, scale * H, scale * W, C] float32.

    A 3x3 convolution, residual blocks of two with ReLU between them, shuffles of
    pixels, each after a convolution, and two more convolutions. LeakyReLU of slope 0.1
    stands between all that are outside the blocks. The result is added to the images,
    enlarged bilinearly. Layers see images in [0, 1]; what is made is around [-1, 1].

    Attributes:
      shape: (H, W, C) of the images that it is trained to make; of it, C counts.
      scale: how many times larger images become: 1, 2, 3, 4 or 8.
      width: channels.
      blocks: 16; 32 in the large EDSR.
      residual: by which the result of a block is multiplied, 0.1 in the large EDSR.
      layers: how layers are made; kernels start from "lecun", those of the blocks from
        a tenth of "he".
    """

    shape: tuple[int, int, int]
    scale: int = 4
    width: int = 64
    blocks: int = 16
    residual: float = 1.0
    layers: Layers = Layers()

    slots = ("kernel_init", "dtype")

    @nn.compact
    def __call__(self, x: Array, *, train: bool) -> Array:
        make = self.layers.factory(self, train, kernel_init="lecun")
        small = {} if self.layers.kernel_init else {"kernel_init": a_tenth_of_he}

        def conv(h, features, name, **options):
            return make(Conv, features, (3, 3), name=name, **options)(h)

        def active(h):
            return jax.nn.leaky_relu(h, 0.1)

        h = active(conv(((x + 1) / 2).astype(self.layers.dtype), self.width, "in"))
        for i in range(self.blocks):
            r = jax.nn.relu(conv(h, self.width, f"block{i}_conv1", **small))
            h = h + self.residual * conv(r, self.width, f"block{i}_conv2", **small)
        for i, factor in enumerate(factors(self.scale)):
            h = conv(h, self.width * factor**2, f"up{i}")
            h = active(pixel_shuffle(h, factor))
        h = active(conv(h, self.width, "last", **small))
        h = conv(h, self.shape[-1], "out", gain=1, **small)
        size = *h.shape[:3], x.shape[-1]
        base = jax.image.resize(x, size, "linear", antialias=False)
        # Twice: from [0, 1] to [-1, 1].
        return base + 2 * h.astype(jnp.promote_types(h.dtype, jnp.float32))


def from_torch(state: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns (options of `Generator`, variables) of BasicSR's MSRResNet.

    Args:
      state: its state dict, in the order of its modules: arrays, kernels [O, I, 3, 3].

    Raises ValueError, naming what it found, if it is none.
    """
    layers = saved.layers(state)
    shapes = [layer.shape for layer in layers]
    n, width = len(layers), shapes[0][0] if layers else 0
    ups = [shape[0] for shape in shapes if shape[0] > width]
    blocks = (n - 3 - len(ups)) // 2
    same = (width, width, 3, 3)
    body = shapes[1 : 1 + 2 * blocks]
    ends = [shape[-1] for shape in shapes[:1] + shapes[-2:]]
    known = blocks > 0 and n == 3 + len(ups) + 2 * blocks and shapes[-2] == same
    if not known or ends != [3] * 3 or set(body) != {same} or layers[1].norm:
        raise ValueError(f"not BasicSR's MSRResNet: its kernels are {shapes}")
    by = [math.isqrt(up // width) for up in ups]
    names = ["in", *(f"block{i}_conv{j}" for i in range(blocks) for j in (1, 2))]
    names += [*(f"up{i}" for i in range(len(ups))), "last", "out"]
    options = {"scale": math.prod(by), "width": width, "blocks": blocks}
    variables = saved.variables(layers, names, names, range(n))
    for i, factor in enumerate(by):
        up = variables["params"][f"up{i}"]
        variables["params"][f"up{i}"] = {k: of_torch(x, factor) for k, x in up.items()}
    return options, variables


of_data = saved.of_larger
