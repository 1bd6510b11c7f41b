"""SRResNet, the generator of SRGAN (arXiv 1609.04802, section 2.1.1 and figure 4)."""

import math
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
from flax import linen as nn
from jax import Array

from gans import names
from gans.layers import Layers, saved
from gans.layers.conv import Conv
from gans.layers.shuffle import factors, of_torch, pixel_shuffle

OUTPUTS = {"tanh": jnp.tanh, "linear": lambda x: x}


class Generator(nn.Module):
    """Images [B, H, W, C_in] in [-1, 1] -> images [B, scale * H, scale * W, C] float32.

    A 9x9 convolution and PReLU, residual blocks of two 3x3 convolutions with a norm
    after each and a PReLU between them, one more convolution with a norm, to which the
    result of the first is added, shuffles of pixels, each after a 3x3 convolution and
    before a PReLU, and a 9x9 convolution. What is given is brought to [0, 1] first, as
    in section 3.2. The images are around [-1, 1], of "tanh" within it.

    Deviation: there are biases before norms, too, as in the counts of parameters that
    are quoted.

    Attributes:
      shape: (H, W, C) of the images that it is trained to make; of it, C counts.
      scale: how many times larger images become: 1, 2, 3, 4 or 8.
      width: channels.
      blocks: 16 in the paper.
      output: "tanh", as in most implementations, or "linear"; the paper names none.
      layers: how layers are made; kernels start from "lecun", slopes at 0.25.
    """

    shape: tuple[int, int, int]
    scale: int = 4
    width: int = 64
    blocks: int = 16
    output: str = "tanh"
    layers: Layers = Layers(norm="batch")

    slots = ("norm", "kernel_init", "dtype")

    @nn.compact
    def __call__(self, x: Array, *, train: bool) -> Array:
        output = OUTPUTS[names.check(self.output, OUTPUTS, "output")]
        make = self.layers.factory(self, train, kernel_init="lecun")

        def conv(h, features, size, name):
            return make(Conv, features, (size, size), name=name)(h)

        def prelu(h, name):
            return nn.PReLU(negative_slope_init=0.25, name=f"{name}_prelu")(h)

        def normed(h, name):
            return make.norm(conv(h, self.width, 3, name), f"{name}_norm")

        h, n = make.begin((x + 1) / 2)
        h = h.astype(self.layers.dtype)
        first = h = prelu(conv(h, self.width, 9, "in"), "in")
        for i in range(self.blocks):
            r = prelu(normed(h, f"block{i}_conv1"), f"block{i}")
            h = h + normed(r, f"block{i}_conv2")
        h = first + normed(h, "middle")
        for i, factor in enumerate(factors(self.scale)):
            h = conv(h, self.width * factor**2, 3, f"up{i}")
            h = prelu(pixel_shuffle(h, factor), f"up{i}")
        h = make(Conv, self.shape[-1], (9, 9), gain=1, name="out")(h)[n:]
        return output(h.astype(jnp.promote_types(h.dtype, jnp.float32)))


def from_torch(state: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns (options of `Generator`, variables) of an SRResNet of PyTorch.

    Args:
      state: its state dict, in the order of its modules: arrays, kernels [O, I, K, K],
        one slope [1] in each PReLU.

    Two popular ones are such: of leftthomas/SRGAN (images from 0 to 1, half of ours
    plus 1/2) and of sgrvinod's tutorial, whose low images are otherwise normalised.

    Raises ValueError, naming what it found, if it is none.
    """
    slopes = [x for k, x in state.items() if k.endswith("weight") and x.shape == (1,)]
    layers = saved.layers({k: x for k, x in state.items() if x.shape != (1,)})
    shapes = [layer.shape for layer in layers]
    n, width = len(layers), shapes[0][0] if layers else 0
    ups = [shape[0] for shape in shapes if shape[0] > width]
    blocks = (n - 3 - len(ups)) // 2
    sides = [shape[-1] for shape in shapes]
    if sides != [9, *[3] * (n - 2), 9] or len(slopes) != 1 + blocks + len(ups):
        raise ValueError(f"not an SRResNet: its kernels are {shapes}")
    by = [math.isqrt(up // width) for up in ups]
    names = ["in", *(f"block{i}_conv{j}" for i in range(blocks) for j in (1, 2))]
    names += ["middle", *(f"up{i}" for i in range(len(ups))), "out"]
    options = {
        "scale": math.prod(by),
        "width": width,
        "blocks": blocks,
        "norm": saved.norm(layers[1]) if layers[1].norm else None,
    }
    norms = [f"{name}_norm" for name in names]
    variables = saved.variables(layers, names, norms, range(n))
    params = variables["params"]
    for i, factor in enumerate(by):
        up = params[f"up{i}"]
        params[f"up{i}"] = {k: of_torch(x, factor) for k, x in up.items()}
    of = [
        "in",
        *(f"block{i}" for i in range(blocks)),
        *(f"up{i}" for i in range(len(by))),
    ]
    for name, slope in zip(of, slopes, strict=True):
        params[f"{name}_prelu"] = {"negative_slope": slope.reshape(())}
    return options, variables


of_data = saved.of_larger
