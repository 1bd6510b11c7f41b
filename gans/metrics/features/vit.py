"""Vision transformers (arXiv 2010.11929), as DINOv2 and CLIP build theirs.

One network serves both: `Vit` says what differs. Weights have the names

    patch            kernel [P, P, 3, D] as a matrix [P P 3, D]; DINOv2 has a bias [D]
    cls              [D], the token that is read out
    position         [1 + N, D], of that token, then of the grid row by row
    norm_pre         CLIP: scale and bias [D]
    block_I          norm1, qkv [D, 3 D], out [D, D], norm2, fc1 [D, 4 D], fc2 [4 D, D];
                     DINOv2: scale1, scale2 [D]
    norm             scale and bias [D]
    projection       CLIP: kernel [D, E]
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from flax.traverse_util import flatten_dict
from jax import Array

from gans.metrics.features.extractor import Extractor
from gans.metrics.features.squeezenet import match


class Vit(NamedTuple):
    """A vision transformer.

    Attributes:
      patch: side of a patch, in pixels; grid: patches of a side that it was trained
        with, of which there are positions.
      width, depth, heads: D, number of blocks, and of heads of each.
      epsilon: of the layer normalisations.
      activation: of [..., 4 D], inside the blocks.
      layer_scale: whether a block's branches are scaled (arXiv 2103.17239).
      patch_bias: whether patches have a bias; norm_pre: a normalisation before the
        blocks.
      projection: E, to which the features are projected; None: they are not.
      offset: see `positions`.
    """

    patch: int
    grid: int
    width: int
    depth: int
    heads: int
    epsilon: float
    activation: Callable[[Array], Array]
    layer_scale: bool = False
    patch_bias: bool = True
    norm_pre: bool = False
    projection: int | None = None
    offset: float = 0.0


def norm(vit: Vit, name: str) -> nn.LayerNorm:
    """Returns a normalisation of [..., D]; its variances are exact."""
    return nn.LayerNorm(vit.epsilon, use_fast_variance=False, name=name)


class Block(nn.Module):
    """Tokens x [B, T, D] -> [B, T, D]: attention, then two layers, each added to x."""

    vit: Vit

    @nn.compact
    def __call__(self, x: Array) -> Array:
        vit, (b, t, d) = self.vit, x.shape

        def scaled(name, x):
            if not vit.layer_scale:
                return x
            return x * self.param(name, nn.initializers.ones, (d,))

        h = norm(vit, "norm1")(x)
        qkv = nn.Dense(3 * d, name="qkv")(h)
        q, k, v = (y.reshape(b, t, vit.heads, -1) for y in jnp.split(qkv, 3, -1))
        h = jax.nn.dot_product_attention(q, k, v).reshape(b, t, d)
        x = x + scaled("scale1", nn.Dense(d, name="out")(h))
        h = norm(vit, "norm2")(x)
        h = vit.activation(nn.Dense(4 * d, name="fc1")(h))
        return x + scaled("scale2", nn.Dense(d, name="fc2")(h))


class Encoder(nn.Module):
    """Normalised images x [B, H, W, 3] -> the token `cls` [B, D], projected: [B, E].

    H and W are multiples of the patch.
    """

    vit: Vit

    @nn.compact
    def __call__(self, x: Array) -> Array:
        vit, (b, height, width, c) = self.vit, x.shape
        p, d, h, w = vit.patch, vit.width, height // vit.patch, width // vit.patch
        # A convolution whose windows do not overlap is a product of matrices.
        x = x.reshape(b, h, p, w, p, c).transpose(0, 1, 3, 2, 4, 5)
        x = x.reshape(b, h * w, p * p * c)
        x = nn.Dense(d, use_bias=vit.patch_bias, name="patch")(x)
        normal = nn.initializers.normal(0.02)
        cls = self.param("cls", normal, (d,))
        at = self.param("position", normal, (1 + vit.grid**2, d))
        x = jnp.concatenate([jnp.broadcast_to(cls, (b, 1, d)), x], axis=1)
        x = x + positions(at, (h, w), vit.offset)
        if vit.norm_pre:
            x = norm(vit, "norm_pre")(x)
        for i in range(vit.depth):
            x = Block(vit, name=f"block_{i}")(x)
        x = norm(vit, "norm")(x[:, 0])
        if vit.projection is not None:
            x = nn.Dense(vit.projection, use_bias=False, name="projection")(x)
        return x


def positions(at: Array, grid: tuple[int, int], offset: float) -> Array:
    """Position embeddings [N, D], N = 1 + n^2, of a grid n x n for another, h x w.

    The result, [1 + h w, D], is interpolated as torch does (bicubic, a = -0.75, no
    antialiasing, edges repeated), the first apart. offset: what DINOv2's code adds to
    h and w before it works out the ratio to n, 0.1, so that rounding cannot lose a row;
    0 is the exact ratio, which `transformers` takes.
    """
    n = round((len(at) - 1) ** 0.5)
    if grid == (n, n):
        return at
    rows, columns = (
        jnp.asarray(_bicubic(n, to, n / (to + offset)), at.dtype) for to in grid
    )
    cells = at[1:].reshape(n, n, -1)
    exact = jax.lax.Precision.HIGHEST
    cells = jnp.einsum("hy,wx,yxd->hwd", rows, columns, cells, precision=exact)
    return jnp.concatenate([at[:1], cells.reshape(grid[0] * grid[1], -1)])


def _bicubic(size, to, step):
    """Weights [to, size] of Keys' cubic at the centres of `to` pixels `step` apart."""
    at = (np.arange(to) + 0.5) * step - 0.5
    taps = np.floor(at)[:, None].astype(int) + np.arange(-1, 3)
    x, a = np.abs(at[:, None] - taps), -0.75
    near = ((a + 2) * x - (a + 3)) * x**2 + 1
    far = ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
    weights = np.zeros((to, size))
    rows = np.arange(to)[:, None]
    np.add.at(weights, (rows, np.clip(taps, 0, size - 1)), np.where(x < 1, near, far))
    return weights


def from_state(
    vit: Vit, state: Mapping[str, np.ndarray], names: Mapping[str, str], where: str
) -> dict:
    """Returns the variables of `Encoder(vit)` from a state dict of torch's.

    Args:
      state: arrays [...]; what is not needed has been left out.
      names: {name there, without .weight or .bias: name here}; N stands for a number.
        "block_N/query", "key" and "value" are put together.
      where: the file, for errors.

    Raises ValueError with the first name that is missing or unknown, or whose shape is
    wrong.
    """
    x = jax.ShapeDtypeStruct((1, vit.patch, vit.patch, 3), jnp.float32)
    expected = jax.eval_shape(Encoder(vit).init, jax.random.key(0), x)["params"]
    found = {}
    for name, array in state.items():
        module, _, leaf = name.rpartition(".")
        if leaf not in ("weight", "bias"):
            module, leaf = name, ""
        here = names.get(re.sub(r"(?<=\.)\d+(?=\.)", "N", module))
        if here is None:
            raise ValueError(f"{where}: unknown weights {name!r}")
        for number in re.findall(r"(?<=\.)\d+(?=\.)", module):
            here = here.replace("N", number, 1)
        found |= _ours(here, leaf, np.asarray(array))
    for i in range(vit.depth):
        for leaf in ("kernel", "bias"):
            parts = [f"block_{i}/{x}/{leaf}" for x in ("query", "key", "value")]
            if all(x in found for x in parts):
                joined = np.concatenate([found.pop(x) for x in parts], axis=-1)
                found[f"block_{i}/qkv/{leaf}"] = joined
    return {"params": match(found, flatten_dict(expected, sep="/"), where)}


def _ours(name, leaf, x):
    """{name: array} of one tensor, as flax has it."""
    if leaf == "bias":
        return {f"{name}/bias": x}
    if leaf == "" or name == "position":  # a parameter of the module itself
        return {name: x.reshape([n for n in x.shape if n > 1])}
    if x.ndim == 1:
        return {f"{name}/scale": x}
    if x.ndim == 4:  # [D, 3, P, P]
        x = x.transpose(0, 2, 3, 1).reshape(len(x), -1)
    return {f"{name}/kernel": x.T}


def extractor(
    name: str,
    network: Vit,
    preprocess: Callable[[Array], Array],
    variables: Any,
    protocol: dict[str, Any],
) -> Extractor:
    """Returns the extractor of a network; its "features" are those of `Encoder`.

    preprocess: images in 0 .. 255 [B, H, W, 1 or 3] -> [B, H, W, 3], as it was trained.
    """
    encoder = Encoder(network)

    def apply(variables, images):
        return {"features": encoder.apply(variables, preprocess(images))}

    return Extractor(name, apply, variables, protocol)
