"""The residual generator of CycleGAN (arXiv 1703.10593, section 7.2), after Johnson."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array

from gans import names
from gans.layers import Layers, saved
from gans.layers.conv import Conv, ConvTranspose
from gans.layers.initial import around_one

PADDINGS = {"reflect": "REFLECT", "zero": "SAME"}


class Generator(nn.Module):
    """Images [B, H, W, C_in] -> images [B, H, W, C] float32 in [-1, 1].

    A 7x7 convolution, two of 3x3 with stride 2, residual blocks of two 3x3 convolutions
    without an activation after the sum, two transposed ones of 3x3, and a 7x7 one with
    tanh. All but the last are followed by the norm, all but the second of a block by
    ReLU. Dropout, off by default, is between the two convolutions of a block.

    H and W are multiples of `multiple`, and at least 8. Raises ValueError for others.

    Attributes:
      shape: (H, W, C) of the images that it is trained to make; of it, C counts.
      width: channels after the first layer; they double twice.
      blocks: 9 for 256x256 in the paper, 6 for 128x128.
      padding: in the blocks, "reflect" (the paper) or "zero". The 7x7 convolutions
        reflect, those with strides pad zeros.
      layers: how layers are made; kernels start from "normal", gains from N(1, 0.02).
    """

    shape: tuple[int, int, int]
    width: int = 64
    blocks: int = 9
    padding: str = "reflect"
    layers: Layers = Layers(norm="instance")

    slots = ("norm", "spectral", "equalised", "kernel_init", "dropout", "dtype")
    multiple = 4  # what heights and widths must be multiples of

    @nn.compact
    def __call__(self, x: Array, *, train: bool) -> Array:
        padding = PADDINGS[names.check(self.padding, PADDINGS, "padding")]
        height, width = x.shape[1:3]
        if height % self.multiple or width % self.multiple:
            raise ValueError(
                f"a translator takes multiples of {self.multiple}, got images of "
                f"{height}x{width}"
            )
        make = self.layers.factory(
            self, train, kernel_init="normal", gain_init=around_one
        )
        bias = self.layers.norm is None

        def conv(h, features, size, name, strides=(1, 1), padding="REFLECT"):
            layer = make(
                Conv, features, size, strides, padding, use_bias=bias, name=name
            )
            return make.norm(layer(h), f"{name}_norm")

        h, n = make.begin(x)
        h = h.astype(self.layers.dtype)
        h = jax.nn.relu(conv(h, self.width, (7, 7), "in"))
        for i in (1, 2):
            pads = ((1, 1), (1, 1))
            h = conv(h, self.width * 2**i, (3, 3), f"down{i}", (2, 2), pads)
            h = jax.nn.relu(h)
        for i in range(self.blocks):
            name, features = f"block{i}", h.shape[-1]
            r = conv(h, features, (3, 3), f"{name}_conv1", padding=padding)
            r = make.dropout(jax.nn.relu(r), f"{name}_dropout")
            h = h + conv(r, features, (3, 3), f"{name}_conv2", padding=padding)
        for i in (2, 1):
            up = make(
                ConvTranspose,
                self.width * 2 ** (i - 1),
                (3, 3),
                (2, 2),
                ((1, 2), (1, 2)),
                use_bias=bias,
                transpose_kernel=True,
                name=f"up{i}",
            )
            h = jax.nn.relu(make.norm(up(h), f"up{i}_norm"))
        last = make(Conv, self.shape[-1], (7, 7), padding="REFLECT", gain=1, name="out")
        h = last(h)[n:]
        return jnp.tanh(h.astype(jnp.promote_types(h.dtype, jnp.float32)))


def from_torch(state: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns (options of `Generator`, variables) of the authors' PyTorch generator.

    Args:
      state: the state dict of its `netG`, in the order of its modules: arrays, kernels
        [O, I, K, K] and transposed ones [I, O, K, K].

    Biases before a norm are left out, because the norm removes them. Zero padding in
    the blocks, and dropout, show in the numbers of the modules.

    Raises ValueError, naming what it found, if it is none.
    """
    layers = saved.layers(state)
    n = len(layers)
    shapes = [layer.shape for layer in layers]
    sizes = [7, 3, 3, *[3] * (n - 6), 3, 3, 7]
    if n < 6 or n % 2 or [s[-1] for s in shapes] != sizes:
        what = "a residual generator of the authors of CycleGAN"
        raise ValueError(f"not {what}: its kernels are {shapes}")
    blocks = (n - 6) // 2
    names = ["in", "down1", "down2"]
    names += [f"block{i}_conv{j}" for i in range(blocks) for j in (1, 2)]
    names += ["up2", "up1", "out"]
    # In a block: [padding,] convolution, norm, ReLU, [dropout, padding,] convolution.
    at = [int(layer.name.rpartition(".")[2]) for layer in layers[3:5]] if blocks else []
    options = {
        "width": shapes[0][0],
        "blocks": blocks,
        "norm": saved.norm(layers[0]),
        "padding": "zero" if at and at[0] == 0 else "reflect",
    }
    if at and at[1] - at[0] == (4 if at[0] == 0 else 5):
        options["dropout"] = 0.5
    norms = [f"{name}_norm" for name in names]
    biased = range(n) if options["norm"] is None else (n - 1,)
    ups = (n - 3, n - 2)
    return options, saved.variables(layers, names, norms, biased, ups)


def of_data(options: Mapping[str, Any], variables: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what `from_torch`'s results say of the data.

    {"given": channels of the images that it takes, "shape": [None, None, C] of those it
    makes}: it takes any size.
    """
    params = variables["params"]
    given = params["in"]["kernel"].shape[-2]
    return {"given": given, "shape": (None, None, len(params["out"]["bias"]))}
