"""Inception-v3 as FID knows it: TensorFlow's graph of 2015, whose weights still serve.

The network of "Rethinking the Inception Architecture" (arXiv 1512.00567), whose figures
are cited below, with that release's own ways: 1008 classes, no auxiliary head, averages
that leave the padding out, and in the last block a maximum where the paper averages.
Layers are named as in pytorch-fid's conversion of the weights. Batch normalisations are
folded into the convolutions before them.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax import Array, lax

from gans.layers.conv import Conv
from gans.metrics.features.extractor import Extractor, to_rgb
from gans.metrics.features.resize import resize

SIZE = 299
CLASSES = 1008
EPSILON = 1e-3  # of the batch normalisations; PyTorch's default is 1e-5
# Each resize of `gans.metrics.features.resize` goes with the scale of its own
# implementation: x becomes (x - half) / half.
HALF = {"tf": 128.0, "pytorch": 127.5, "clean": 128.0}


class Unit(NamedTuple):
    """A convolution with a bias, followed by ReLU unless switched off."""

    name: str
    features: int
    kernel: tuple[int, int] = (1, 1)
    strides: int = 1
    padding: str = "SAME"
    rectified: bool = True


class Block(NamedTuple):
    """Chains of steps from one input, their results side by side in channels."""

    prefix: str
    chains: tuple[tuple, ...]


class Tap(NamedTuple):
    """The mean over all pixels here is a feature."""

    name: str


def _windows(combine: Callable, x: Array, strides: int = 1) -> Array:
    """`combine` over each window of 3x3 pixels: slices, faster than reduce_window."""
    for axis in (1, 2):
        n = (x.shape[axis] - 3) // strides * strides + 1
        thirds = (lax.slice_in_dim(x, i, i + n, strides, axis) for i in range(3))
        x = functools.reduce(combine, thirds)
    return x


def _around(x, value):
    return jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=value)


def _halve(x):
    return _windows(jnp.maximum, x, strides=2)


def _maximum(x):
    return _windows(jnp.maximum, _around(x, -jnp.inf))


def _average(x):
    counts = _windows(jnp.add, _around(jnp.ones((1, *x.shape[1:3], 1), x.dtype), 0))
    return _windows(jnp.add, _around(x, 0)) / counts


def _averaged(features):
    """A 1x1 unit of averages; in this order there are fewer channels to average."""
    return Unit("branch_pool", features, rectified=False), _average, nn.relu


def _block_a(name, pooled):
    """35x35: figure 5, with the 5x5 kernel of figure 4."""
    return Block(
        f"{name}.",
        (
            (Unit("branch1x1", 64),),
            (Unit("branch5x5_1", 48), Unit("branch5x5_2", 64, (5, 5))),
            (
                Unit("branch3x3dbl_1", 64),
                Unit("branch3x3dbl_2", 96, (3, 3)),
                Unit("branch3x3dbl_3", 96, (3, 3)),
            ),
            _averaged(pooled),
        ),
    )


def _block_b(name):
    """35x35 to 17x17: figure 10."""
    return Block(
        f"{name}.",
        (
            (Unit("branch3x3", 384, (3, 3), 2, "VALID"),),
            (
                Unit("branch3x3dbl_1", 64),
                Unit("branch3x3dbl_2", 96, (3, 3)),
                Unit("branch3x3dbl_3", 96, (3, 3), 2, "VALID"),
            ),
            (_halve,),
        ),
    )


def _block_c(name, inner):
    """17x17: figure 6."""
    return Block(
        f"{name}.",
        (
            (Unit("branch1x1", 192),),
            (
                Unit("branch7x7_1", inner),
                Unit("branch7x7_2", inner, (1, 7)),
                Unit("branch7x7_3", 192, (7, 1)),
            ),
            (
                Unit("branch7x7dbl_1", inner),
                Unit("branch7x7dbl_2", inner, (7, 1)),
                Unit("branch7x7dbl_3", inner, (1, 7)),
                Unit("branch7x7dbl_4", inner, (7, 1)),
                Unit("branch7x7dbl_5", 192, (1, 7)),
            ),
            _averaged(192),
        ),
    )


def _block_d(name):
    """17x17 to 8x8: figure 10, with the kernels of figure 6."""
    return Block(
        f"{name}.",
        (
            (
                Unit("branch3x3_1", 192),
                Unit("branch3x3_2", 320, (3, 3), 2, "VALID"),
            ),
            (
                Unit("branch7x7x3_1", 192),
                Unit("branch7x7x3_2", 192, (1, 7)),
                Unit("branch7x7x3_3", 192, (7, 1)),
                Unit("branch7x7x3_4", 192, (3, 3), 2, "VALID"),
            ),
            (_halve,),
        ),
    )


def _block_e(name, pool):
    """8x8: figure 7; `pool` is the chain of the last branch."""

    def fork(unit):
        pair = Unit(f"{unit}a", 384, (1, 3)), Unit(f"{unit}b", 384, (3, 1))
        return Block("", tuple((unit,) for unit in pair))

    return Block(
        f"{name}.",
        (
            (Unit("branch1x1", 320),),
            (Unit("branch3x3_1", 384), fork("branch3x3_2")),
            (
                Unit("branch3x3dbl_1", 448),
                Unit("branch3x3dbl_2", 384, (3, 3)),
                fork("branch3x3dbl_3"),
            ),
            pool,
        ),
    )


NETWORK = (
    Unit("Conv2d_1a_3x3", 32, (3, 3), 2, "VALID"),
    Unit("Conv2d_2a_3x3", 32, (3, 3), 1, "VALID"),
    Unit("Conv2d_2b_3x3", 64, (3, 3)),
    _halve,
    Tap("64"),
    Unit("Conv2d_3b_1x1", 80),
    Unit("Conv2d_4a_3x3", 192, (3, 3), 1, "VALID"),
    _halve,
    Tap("192"),
    _block_a("Mixed_5b", 32),
    _block_a("Mixed_5c", 64),
    _block_a("Mixed_5d", 64),
    _block_b("Mixed_6a"),
    _block_c("Mixed_6b", 128),
    _block_c("Mixed_6c", 160),
    _block_c("Mixed_6d", 160),
    _block_c("Mixed_6e", 192),
    Tap("768"),
    _block_d("Mixed_7a"),
    _block_e("Mixed_7b", _averaged(192)),
    _block_e("Mixed_7c", (_maximum, Unit("branch_pool", 192))),
    Tap("2048"),
)


class Inception(nn.Module):
    """x [B, 299, 299, 3] in about [-1, 1] -> its six taps.

    They are "64", "192", "768" and "2048" [B, D], means over all pixels of as many
    channels; "logits" [B, 1008], and without their bias "logits_unbiased" [B, 1008].
    """

    @nn.compact
    def __call__(self, x: Array) -> dict[str, Array]:
        taps = {}

        def run(x, steps, prefix=""):
            for step in steps:
                match step:
                    case Unit(name, features, kernel, strides, padding, rectified):
                        name = prefix + name
                        layer = Conv(features, kernel, strides, padding, name=name)
                        x = nn.relu(layer(x)) if rectified else layer(x)
                    case Block():
                        at = prefix + step.prefix
                        x = jnp.concatenate([run(x, c, at) for c in step.chains], -1)
                    case Tap(name):
                        taps[name] = x.mean((1, 2))
                    case _:
                        x = step(x)
            return x

        run(x, NETWORK)
        features = taps["2048"]
        unbiased = nn.Dense(CLASSES, use_bias=False, name="fc")(features)
        bias = self.param("fc_bias", nn.initializers.zeros, (CLASSES,))
        return taps | {"logits_unbiased": unbiased, "logits": unbiased + bias}


@functools.cache
def pth_shapes() -> Mapping[str, tuple[int, ...]]:
    """The shape of each of the 472 tensors of pytorch-fid's file, by name."""
    x = jax.ShapeDtypeStruct((1, SIZE, SIZE, 3), jnp.float32)
    params = jax.eval_shape(Inception().init, jax.random.key(0), x)["params"]
    fc, fc_bias = params.pop("fc"), params.pop("fc_bias")
    shapes = {}
    for name, layer in params.items():
        *kernel, i, o = layer["kernel"].shape
        shapes[f"{name}.conv.weight"] = (o, i, *kernel)
        for part in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"{name}.bn.{part}"] = (o,)
    shapes["fc.weight"] = fc["kernel"].shape[::-1]
    shapes["fc.bias"] = fc_bias.shape
    return shapes


def from_pth(arrays: Mapping[str, np.ndarray], dtype: Any = np.float32) -> dict:
    """The variables of `Inception` from the tensors of pytorch-fid's weights file.

    arrays: [...] by the names and with the shapes of `pth_shapes`; any others are
    ignored (`num_batches_tracked`). Batch normalisations are folded in float64, then
    all is cast to `dtype`.

    Raises ValueError with the first name that is missing or whose shape is wrong.
    """
    for name, shape in pth_shapes().items():
        found = arrays[name].shape if name in arrays else "missing"
        if found != shape:
            raise ValueError(f"Inception: weights {name!r} {found}, accepted: {shape}")
    wide = {name: np.asarray(arrays[name], np.float64) for name in pth_shapes()}
    params = {"fc": {"kernel": wide["fc.weight"].T}, "fc_bias": wide["fc.bias"]}
    for name in wide:
        layer = name.removesuffix(".conv.weight")
        if layer != name:
            gain, beta, mean, variance = (
                wide[f"{layer}.bn.{part}"]
                for part in ("weight", "bias", "running_mean", "running_var")
            )
            gain = gain / np.sqrt(variance + EPSILON)
            kernel = wide[name].transpose(2, 3, 1, 0) * gain
            params[layer] = {"kernel": kernel, "bias": beta - mean * gain}
    return {"params": jax.tree.map(lambda x: x.astype(dtype), params)}


def preprocess(images: Array, method: str, dtype: Any = jnp.float32) -> Array:
    """Images uint8 [B, H, W, 1 or 3] as `Inception` takes them [B, 299, 299, 3].

    method: "tf", "pytorch" or "clean", see `gans.metrics.features.resize` and `HALF`.
    Raises ValueError for other shapes and dtypes of images.
    """
    if images.dtype != jnp.uint8 or images.ndim != 4 or images.shape[-1] not in (1, 3):
        raise ValueError(
            f"Inception: images are {images.dtype} {list(images.shape)}, accepted are "
            "uint8 [B, H, W, 1 or 3]"
        )
    x = resize(to_rgb(images).astype(dtype), SIZE, SIZE, method)
    return (x - HALF[method]) / HALF[method]


def make(variables: Any, *, resize: str = "tf", sha256: str) -> Extractor:
    """The extractor of FID and IS: "features" [B, 2048] and "logits" [B, 1008].

    The logits are those without the bias, as the Inception Score of all implementations
    has them. variables: of `from_pth`; sha256: the weights file's, in hexadecimal.
    resize: the resize and scale of "tf" (FID's original code, torch-fidelity),
    "pytorch" (pytorch-fid) or "clean" (clean-fid).

    Raises ValueError for another resize.
    """
    if resize not in HALF:
        raise ValueError(f"make: resize={resize!r}, accepted are {list(HALF)}")
    variables = jax.tree.map(jnp.asarray, variables)

    def apply(variables, images):
        dtype = variables["params"]["fc_bias"].dtype
        taps = Inception().apply(variables, preprocess(images, resize, dtype))
        return {
            "features": taps["2048"].astype(jnp.float32),
            "logits": taps["logits_unbiased"].astype(jnp.float32),
        }

    protocol = {
        "weights": sha256,
        "resize": f"{SIZE}x{SIZE} {resize}",
        "scale": f"(x-{HALF[resize]:g})/{HALF[resize]:g}",
        "features": "2048, averaged",
    }
    return Extractor("inception", apply, variables, protocol)
