"""ESRGAN's generator: residual dense blocks in residual blocks (arXiv 1809.00219)."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array

from gans.layers import Layers, saved
from gans.layers.conv import Conv
from gans.layers.initial import a_tenth_of_he
from gans.layers.resample import UpsampleConv

DENSE = 3  # dense blocks in each residual block
CONVS = 5  # convolutions in each of those


class Generator(nn.Module):
    """Images [B, H, W, C_in] in [-1, 1] -> images [B, scale * H, scale * W, C] float32.

    Section 3.1 and figure 4: in a dense block each 3x3 convolution sees what all before
    it have made. LeakyReLU of slope 0.2 follows all but the first and last layer, and
    but the last of each block. Images are enlarged by repeating pixels before a
    convolution, twice each time. Layers see images in [0, 1], without batch norm; what
    is made is around [-1, 1].

    Attributes:
      shape: (H, W, C) of the images that it is trained to make; of it, C counts.
      scale: how many times larger images become: 1, 2, 4 or 8.
      width: channels.
      growth: channels that a convolution adds in a dense block.
      blocks: 23 in the paper.
      residual: by which the results of blocks, inner and outer, are multiplied.
      layers: how layers are made; kernels start from "lecun", those of the blocks from
        a tenth of "he", as in the paper's "smaller initialization".

    Raises ValueError for another scale.
    """

    shape: tuple[int, int, int]
    scale: int = 4
    width: int = 64
    growth: int = 32
    blocks: int = 23
    residual: float = 0.2
    layers: Layers = Layers()

    slots = ("kernel_init", "dtype")

    @nn.compact
    def __call__(self, x: Array, *, train: bool) -> Array:
        if self.scale not in (1, 2, 4, 8):
            raise ValueError(f"scale={self.scale!r}: rrdb accepts 1, 2, 4 and 8")
        make = self.layers.factory(self, train, kernel_init="lecun")
        small = {} if self.layers.kernel_init else {"kernel_init": a_tenth_of_he}

        def conv(h, features, name, cls=Conv, **options):
            return make(cls, features, (3, 3), name=name, **options)(h)

        def active(h):
            return jax.nn.leaky_relu(h, 0.2)

        def dense(h, name):
            seen = h
            for i in range(CONVS - 1):
                new = active(conv(seen, self.growth, f"{name}_conv{i}", **small))
                seen = jnp.concatenate([seen, new], -1)
            last = conv(seen, self.width, f"{name}_conv{CONVS - 1}", **small)
            return h + self.residual * last

        first = h = conv(((x + 1) / 2).astype(self.layers.dtype), self.width, "in")
        for i in range(self.blocks):
            r = h
            for j in range(DENSE):
                r = dense(r, f"block{i}_dense{j}")
            h = h + self.residual * r
        h = first + conv(h, self.width, "middle")
        for i in range(self.scale.bit_length() - 1):
            h = active(conv(h, self.width, f"up{i}", UpsampleConv))
        h = conv(active(conv(h, self.width, "last")), self.shape[-1], "out", gain=1)
        return 2 * h.astype(jnp.promote_types(h.dtype, jnp.float32)) - 1


def from_torch(state: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns (options of `Generator`, variables) of BasicSR's RRDBNet.

    Args:
      state: its state dict, in the order of its modules: arrays, kernels [O, I, 3, 3].
        Those of x2 and x1, which see images of folded pixels, are not read.

    Raises ValueError, naming what it found, if it is none.
    """
    layers = saved.layers(state)
    shapes = [layer.shape for layer in layers]
    n, width = len(layers), shapes[0][0] if layers else 0
    blocks = (n - 6) // (DENSE * CONVS)
    growth = shapes[1][0] if n > 6 else 0
    inner = [(growth, width + i * growth, 3, 3) for i in range(CONVS - 1)]
    inner += [(width, width + (CONVS - 1) * growth, 3, 3)]
    same = 4 * [(width, width, 3, 3)]
    if blocks < 1 or shapes[1:-1] != inner * DENSE * blocks + same:
        raise ValueError(f"not BasicSR's RRDBNet of x4: its kernels are {shapes}")
    names = ["in"]
    names += [
        f"block{i}_dense{j}_conv{k}"
        for i in range(blocks)
        for j in range(DENSE)
        for k in range(CONVS)
    ]
    names += ["middle", "up0", "up1", "last", "out"]
    options = {"scale": 4, "width": width, "growth": growth, "blocks": blocks}
    return options, saved.variables(layers, names, names, range(n))


of_data = saved.of_larger
