"""The discriminator of SRGAN, laid out like VGG (arXiv 1609.04802, figure 4)."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax import Array

from gans.layers import Layers, saved
from gans.layers.conv import Conv


class Discriminator(nn.Module):
    """Images [B, H, W, C] in [-1, 1] -> logits [B] float32.

    Stages of two convolutions, one of 3x3 with stride 1, one with stride 2; each but
    the very first is followed by the norm, and all by LeakyReLU of slope 0.2. Then a
    dense layer, LeakyReLU, and a dense layer to the logit. The first dense layer is
    made for the size of the crops, unless the map is averaged before it: with
    `average`, images of any size are judged. The activated outputs of the stages are
    sown in `features` as hidden0, hidden1 ...

    Attributes:
      width: channels of the first stage; they double three times.
      stages: 4 in the paper, for 96x96; 5 in ESRGAN's code, for 128x128.
      strided: side of the kernels with stride 2: 3, in ESRGAN's code 4.
      dense: features of the first dense layer: 1024, in ESRGAN's code 100.
      average: whether the map is averaged first.
      bias: whether convolutions before a norm have biases.
      layers: how layers are made; kernels start from "lecun".
    """

    width: int = 64
    stages: int = 4
    strided: int = 3
    dense: int = 1024
    average: bool = False
    bias: bool = True
    layers: Layers = Layers(norm="batch")

    slots = ("norm", "spectral", "equalised", "kernel_init", "dtype")

    @property
    def mixes_batch(self) -> bool:
        """Whether a logit depends on other examples of its batch."""
        return self.layers.mixes_batch

    @nn.compact
    def __call__(self, x: Array, *, train: bool) -> Array:
        make = self.layers.factory(self, train, kernel_init="lecun")
        biased = self.bias or self.layers.norm is None
        h, n = make.begin(x)
        h = h.astype(self.layers.dtype)
        for i in range(self.stages):
            width = self.width * min(2**i, 8)
            for j, size, stride in ((0, 3, 1), (1, self.strided, 2)):
                name, options = f"stage{i}_conv{j}", {"use_bias": biased or i == j == 0}
                sizes = (size, size), (stride, stride), ((1, 1), (1, 1))
                h = make(Conv, width, *sizes, name=name, **options)(h)
                h = make.norm(h, f"{name}_norm") if i or j else h
                h = jax.nn.leaky_relu(h, 0.2)
            self.sow("features", f"hidden{i}", h[n:])
        h = h.mean((1, 2)) if self.average else h.reshape(len(h), -1)
        h = jax.nn.leaky_relu(make(nn.Dense, self.dense, name="dense")(h), 0.2)
        logits = make(nn.Dense, 1, gain=1, name="out")(h)[n:, 0]
        return logits.astype(jnp.promote_types(logits.dtype, jnp.float32))


def from_torch(state: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns (options of `Discriminator`, variables) of SRGAN's of PyTorch.

    Args:
      state: its state dict, in the order of its modules: arrays, kernels [O, I, K, K],
        dense ones [O, I]. Three popular ones are such: of leftthomas/SRGAN (averaged),
        of sgrvinod's tutorial, and BasicSR's.

    Raises ValueError, naming what it found, if it is none.
    """
    state = {k: np.asarray(x) for k, x in state.items()}
    flat = [k for k, x in state.items() if k.endswith("weight") and x.ndim == 2]
    modules = {k.removesuffix("weight") for k in flat}
    dense = [(state[k], state.get(k.replace("weight", "bias"))) for k in flat]
    rest = {k: x for k, x in state.items() if k.rpartition(".")[0] + "." not in modules}
    layers = saved.layers(rest)
    average = not dense
    if average:  # there 1x1 convolutions are the dense layers
        dense = [(x.kernel[..., 0, 0], x.bias) for x in layers[-2:]]
        layers = layers[:-2]
    n, shapes = len(layers), [layer.shape for layer in layers]
    sides = [shape[-1] for shape in shapes]
    if n < 2 or n % 2 or len(dense) != 2 or sides != [3, sides[1]] * (n // 2):
        raise ValueError(f"not a discriminator of SRGAN: its kernels are {shapes}")
    options = {
        "width": shapes[0][0],
        "stages": n // 2,
        "strided": sides[1],
        "dense": len(dense[0][0]),
        "average": average,
        "bias": layers[1].bias is not None,
        "norm": saved.norm(layers[1]),
    }
    names = [f"stage{i}_conv{j}" for i in range(n // 2) for j in (0, 1)]
    biased = range(n) if options["bias"] else (0,)
    variables = saved.variables(layers, names, [f"{x}_norm" for x in names], biased)
    for name, (kernel, bias) in zip(("dense", "out"), dense, strict=True):
        if name == "dense" and not average:  # [O, C * H * W] to [O, H * W * C]
            channels = shapes[-1][0]
            kernel = kernel.reshape(len(kernel), channels, -1).swapaxes(1, 2)
        kernel = kernel.reshape(len(kernel), -1).T
        variables["params"][name] = {"kernel": kernel, "bias": bias}
    return options, variables
