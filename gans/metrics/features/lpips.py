"""LPIPS v0.1: a perceptual distance of two images. Zhang et al., arXiv 1801.03924.

`from_pth` takes weights from torchvision's ImageNet models (the trunk) and from the
LPIPS authors' small files (the heads, which were fitted to exactly those trunks: on
any other trunk, the Caffe SqueezeNet of `squeezenet.py` included, it is not LPIPS).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from flax.traverse_util import flatten_dict, unflatten_dict
from jax import Array

from gans.layers.conv import Conv
from gans.metrics.features.extractor import Extractor, to_rgb
from gans.metrics.features.squeezenet import Fire, match, max_pool
from gans.names import check

# What the authors put before the trunks; their own constants, for images in [-1, 1].
SHIFT = (-0.030, -0.088, -0.188)
SCALE = (0.458, 0.448, 0.450)


class Net(NamedTuple):
    """A trunk as data: the i-th of `layers` is torchvision's `features.i`.

    A layer is a module or function, and its arguments. After those in `taps` stands a
    head; `channels` is what it sees.
    """

    layers: tuple[tuple[Any, ...], ...]
    taps: tuple[int, ...]
    channels: tuple[int, ...]


def pool(x: Array, size: int, ceil: bool) -> Array:
    """Maxima [B, h, w, C] of x [B, H, W, C], as `squeezenet.max_pool`, as a layer."""
    return max_pool(x, size, ceil=ceil)


def conv(features: int, size: int, stride: int = 1, padding: int = 1) -> tuple:
    """Returns a convolution and the ReLU that stands after each one, as layers."""
    return (Conv, features, (size, size), stride, padding), (nn.relu,)


NETS = {
    "vgg": Net(
        layers=(
            *(2 * conv(64, 3)),
            (pool, 2, False),
            *(2 * conv(128, 3)),
            (pool, 2, False),
            *(3 * conv(256, 3)),
            (pool, 2, False),
            *(3 * conv(512, 3)),
            (pool, 2, False),
            *(3 * conv(512, 3)),
        ),
        taps=(3, 8, 15, 22, 29),
        channels=(64, 128, 256, 512, 512),
    ),
    "alex": Net(
        layers=(
            *conv(64, 11, stride=4, padding=2),
            (pool, 3, False),
            *conv(192, 5, padding=2),
            (pool, 3, False),
            *conv(384, 3),
            *conv(256, 3),
            *conv(256, 3),
        ),
        taps=(1, 4, 7, 9, 11),
        channels=(64, 192, 384, 256, 256),
    ),
    "squeeze": Net(
        layers=(
            *conv(64, 3, stride=2, padding=0),
            (pool, 3, True),
            (Fire, 16),
            (Fire, 16),
            (pool, 3, True),
            (Fire, 32),
            (Fire, 32),
            (pool, 3, True),
            (Fire, 48),
            (Fire, 48),
            (Fire, 64),
            (Fire, 64),
        ),
        taps=(1, 4, 7, 9, 10, 11, 12),
        channels=(64, 128, 256, 384, 384, 512, 512),
    ),
}


class Trunk(nn.Module):
    """x [B, H, W, 3] -> the output [B, H', W', C] of each of the net's `taps`."""

    net: Net

    @nn.compact
    def __call__(self, x: Array) -> list[Array]:
        taps = []
        for i, (layer, *arguments) in enumerate(self.net.layers):
            if isinstance(layer, type):
                x = layer(*arguments, name=f"features.{i}")(x)
            else:
                x = layer(x, *arguments)
            if i in self.net.taps:
                taps.append(x)
        return taps


def from_pth(
    net: str, trunk: dict[str, np.ndarray], heads: dict[str, np.ndarray]
) -> dict:
    """Returns variables for `distance` from the arrays of two state dicts.

    Args:
      net: "vgg" (VGG16), "alex" (AlexNet) or "squeeze" (SqueezeNet 1.1).
      trunk: of torchvision's model: "features.0.weight" [O, I, H, W], "features.0.bias"
        [O] ..., in fire modules "features.3.squeeze.weight" ...; its classifier is not
        used.
      heads: of the LPIPS file: "lin0.model.1.weight" [1, C, 1, 1] ...

    Raises ValueError for another `net`, and with the first name that is missing or
    unknown, or whose shape is wrong.
    """
    spec = NETS[check(net, NETS, "net")]
    lins = {
        f"lin{i}.model.1.weight": jax.ShapeDtypeStruct((1, c, 1, 1), jnp.float32)
        for i, c in enumerate(spec.channels)
    }
    found = match(heads, lins, f"lpips, heads of {net}")
    return {
        "trunk": of_torchvision(spec, trunk, f"lpips, trunk {net}"),
        "heads": [found[name].reshape(-1) for name in lins],
    }


def of_torchvision(net: Net, state: dict[str, np.ndarray], where: str) -> dict:
    """Returns the parameters of a `Trunk` from torchvision's state dict of the network.

    state: "features.0.weight" [O, I, H, W], "features.0.bias" [O] ...;
    the classifier is not used.

    Raises ValueError, with `where`, as `from_pth`.
    """
    x = jax.ShapeDtypeStruct((1, 64, 64, 3), jnp.float32)
    tree = jax.eval_shape(Trunk(net).init, jax.random.key(0), x)["params"]
    ours = flatten_dict(tree, sep="/")
    expected = {_torch_name(name): _channels_first(ours[name]) for name in ours}
    kept = {k: v for k, v in state.items() if not k.startswith("classifier.")}
    weights = match(kept, expected, where)
    weights = {name: _channels_last(weights[_torch_name(name)]) for name in ours}
    return unflatten_dict(weights, sep="/")


def _torch_name(name):
    """features.3/squeeze1x1/kernel -> features.3.squeeze.weight."""
    name = name.replace("squeeze1x1", "squeeze").replace("kernel", "weight")
    return name.replace("/", ".")


def _channels_first(spec):
    """The shape [H, W, I, O] as [O, I, H, W]."""
    shape = (
        spec.shape if len(spec.shape) == 1 else [spec.shape[i] for i in (3, 2, 0, 1)]
    )
    return jax.ShapeDtypeStruct(tuple(shape), spec.dtype)


def _channels_last(w):
    return w if w.ndim == 1 else w.transpose(2, 3, 1, 0)


def check_range(x: Array) -> None:
    """Checks that images [B, H, W, C] are floats in [-1, 1].

    Raises ValueError for other numbers or dtypes. Images in [0, 1] pass: they could be
    bright ones in [-1, 1], but LPIPS of them is wrong. Not for use inside `jax.jit`.
    """
    if not jnp.issubdtype(x.dtype, jnp.floating):
        raise ValueError(f"lpips: images are {x.dtype}, accepted are floats in [-1, 1]")
    low, high = float(jnp.min(x)), float(jnp.max(x))
    if not -1 <= low <= high <= 1:  # not so for NaN either
        raise ValueError(
            f"lpips: images range over [{low:g}, {high:g}], accepted is [-1, 1]; "
            "from 0..255 it is x / 127.5 - 1"
        )


def distance(net: str, variables: dict, x: Array, y: Array) -> Array:
    """LPIPS of images x and y, [B, H, W, 1 or 3] floats in [-1, 1] -> [B].

    Equation 1 of the paper, with its "lin" heads: at each tap, features are scaled to
    unit length at every position; the weighted sum of their squared differences is
    averaged over the positions, and summed over the taps. Images out of range give a
    number too: `check_range` is for the caller. Pure, jittable and differentiable, also
    where all features of a position are zero.

    net, variables: as for `from_pth`, and what it returned.
    """
    total = 0.0
    taps = zip(*(_unit_taps(net, variables, z) for z in (x, y)), strict=True)
    for (a, b), head in zip(taps, variables["heads"], strict=True):
        total += jnp.sum((a - b) ** 2 * head, axis=-1).mean(axis=(1, 2))
    return total


def _unit_taps(net, variables, x):
    x = (to_rgb(x) - jnp.array(SHIFT)) / jnp.array(SCALE)
    taps = Trunk(NETS[net]).apply({"params": variables["trunk"]}, x)
    return [_unit(h) for h in taps]


def _unit(h):
    # The root has no gradient at 0, but there no ReLU before it lets one pass.
    return h / (jnp.sqrt(jnp.sum(h**2, axis=-1, keepdims=True)) + 1e-10)


def make(net: str, variables: dict, *, sha256: dict[str, str]) -> Extractor:
    """Returns the extractor "lpips_vgg" ..., whose squared distances are LPIPS.

    "features" [B, D] of images uint8 [B, H, W, 1 or 3], at their own size: all taps
    side by side, weighted such that |f(x) - f(y)|^2 = `distance`. So LPIPS between all
    pairs of N images costs N passes. D grows with H W: 2.2 million for VGG at 64x64.

    net, variables: as for `from_pth`, and what it returned. sha256: of the files, as
    {"trunk": ..., "heads": ...}, for the protocol.
    """

    def apply(variables, images):
        taps = _unit_taps(net, variables, images / 127.5 - 1)
        weighted = [
            h * jnp.sqrt(head / (h.shape[1] * h.shape[2]))
            for h, head in zip(taps, variables["heads"], strict=True)
        ]
        flat = [h.reshape(len(h), -1) for h in weighted]
        return {"features": jnp.concatenate(flat, axis=-1)}

    protocol = {
        "weights": sha256,
        "resize": "none",
        "scale": "x/127.5-1",
        "features": "all taps, weighted",
    }
    return Extractor(f"lpips_{check(net, NETS, 'net')}", apply, variables, protocol)
