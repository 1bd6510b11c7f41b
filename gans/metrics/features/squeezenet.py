"""SqueezeNet v1.1 as a feature extractor: arXiv 1602.07360, in the authors' v1.1.

Not Inception: a Frechet distance on its features is not FID, nor may it be called so.

Weights are a dict of float arrays, as an .npz holds them, for the names

    conv1                                     kernel [3, 3, 3, 64], of BGR images
    fire2 ... fire9 / squeeze1x1              kernel [1, 1, I, S]
    fire2 ... fire9 / expand1x1               kernel [1, 1, S, E]
    fire2 ... fire9 / expand3x3               kernel [3, 3, S, E]
    conv10 (only with the classifying head)   kernel [1, 1, 512, 1000]

each with /kernel (height, width, in, out) and /bias [out]: "fire2/squeeze1x1/kernel",
for example; 50 arrays, 52 with the head. S and E of fire2 ... fire9 are
16 16 32 32 48 48 64 64 and 64 64 128 128 192 192 256 256; a fire module returns 2 E
channels. Kernels that other frameworks store as [out, in, height, width] need
`transpose(2, 3, 1, 0)`. The preprocessing is that of the authors' release for Caffe.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from flax.traverse_util import flatten_dict, unflatten_dict
from jax import Array

from gans.layers.conv import Conv
from gans.metrics.features.extractor import Extractor, to_rgb
from gans.metrics.features.resize import resize

SIZE = 227
MEAN_BGR = (104.0, 117.0, 123.0)
# (name, S) of each fire module, E = 4 S; None is a max pool.
LAYERS = (
    None,
    ("fire2", 16),
    ("fire3", 16),
    None,
    ("fire4", 32),
    ("fire5", 32),
    None,
    ("fire6", 48),
    ("fire7", 48),
    ("fire8", 64),
    ("fire9", 64),
)


def max_pool(x: Array, size: int, *, ceil: bool = False) -> Array:
    """Maxima over windows of `size` with stride 2: [B, H, W, C] -> [B, H', W', C].

    H' = (H - size) / 2 + 1, rounded down; with `ceil` up, so that a last window that
    reaches over the edge counts too.
    """
    pads = [(0, (n - size) % 2 if ceil else 0) for n in x.shape[1:3]]
    return nn.max_pool(x, (size, size), (2, 2), pads)


class Fire(nn.Module):
    """x [B, H, W, I] -> [B, H, W, 8 S] from S = `squeeze` channels (section 3.2)."""

    squeeze: int

    @nn.compact
    def __call__(self, x: Array) -> Array:
        expand = 4 * self.squeeze
        x = nn.relu(Conv(self.squeeze, (1, 1), name="squeeze1x1")(x))
        ones = nn.relu(Conv(expand, (1, 1), name="expand1x1")(x))
        threes = nn.relu(Conv(expand, (3, 3), name="expand3x3")(x))
        return jnp.concatenate([ones, threes], axis=-1)


class SqueezeNet(nn.Module):
    """x [B, H, W, 3], BGR minus `MEAN_BGR` -> {"features" [B, 512], "logits" [B, 1000]}

    "features" are the averages over fire9's output; "logits", the averages over the
    activated last convolution, are there if `head` is true.
    """

    head: bool

    @nn.compact
    def __call__(self, x: Array) -> dict[str, Array]:
        x = nn.relu(Conv(64, (3, 3), 2, "VALID", name="conv1")(x))
        for layer in LAYERS:
            if layer is None:
                x = max_pool(x, 3, ceil=True)
            else:
                name, squeeze = layer
                x = Fire(squeeze, name=name)(x)
        out = {"features": x.mean(axis=(1, 2))}
        if self.head:
            x = nn.relu(Conv(1000, (1, 1), name="conv10")(x))
            out["logits"] = x.mean(axis=(1, 2))
        return out


def from_npz(arrays: dict[str, np.ndarray]) -> dict:
    """Returns the variables of `SqueezeNet`, in float32, from arrays named as above.

    arrays: kernels [H, W, I, O], biases [O]; with "conv10/kernel" there is a head.
    Raises ValueError with the first name that is missing or unknown, or whose shape is
    wrong.
    """
    module = SqueezeNet(head="conv10/kernel" in arrays)
    x = jax.ShapeDtypeStruct((1, SIZE, SIZE, 3), jnp.float32)
    expected = jax.eval_shape(module.init, jax.random.key(0), x)["params"]
    return {"params": match(arrays, flatten_dict(expected, sep="/"), "squeezenet")}


def match(arrays: dict[str, np.ndarray], expected: dict, where: str) -> dict:
    """Returns {"a/b": x [...]} as the tree {"a": {"b": x}} of float32 arrays.

    expected: name -> anything with the `shape` that the array of that name must have.
    Raises ValueError with the first name that is missing or unknown, or whose shape is
    wrong, and with `where`.
    """
    for name, spec in expected.items():
        if name not in arrays:
            raise ValueError(f"{where}: no weights {name!r}, expected {spec.shape}")
        if np.shape(arrays[name]) != spec.shape:
            raise ValueError(
                f"{where}: weights {name!r} have shape {np.shape(arrays[name])}, "
                f"expected {spec.shape}"
            )
    for name in arrays:
        if name not in expected:
            raise ValueError(f"{where}: unknown weights {name!r}")
    tree = {name: jnp.asarray(arrays[name], jnp.float32) for name in expected}
    return unflatten_dict(tree, sep="/")


def preprocess(images: Array) -> Array:
    """Images uint8 [B, H, W, 1 or 3] -> [B, 227, 227, 3], BGR minus `MEAN_BGR`."""
    x = resize(to_rgb(images).astype(jnp.float32), SIZE, SIZE, "antialias")
    return x[..., ::-1] - jnp.array(MEAN_BGR)


def make(variables: dict, *, sha256: str) -> Extractor:
    """Returns the extractor "squeezenet": "features" [B, 512], "logits" [B, 1000].

    variables: of `from_npz`; without a head there are no logits. sha256: of the file
    that the weights came from, for the protocol.
    """
    module = SqueezeNet(head="conv10" in variables["params"])

    def apply(variables, images):
        return module.apply(variables, preprocess(images))

    protocol = {
        "weights": sha256,
        "resize": f"{SIZE}x{SIZE} antialias",
        "scale": "BGR-(104,117,123)",
        "features": "512 of fire9, averaged",
    }
    return Extractor("squeezenet", apply, variables, protocol)
