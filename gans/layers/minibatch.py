"""Features of a whole batch, which show a discriminator that its examples are alike."""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
from flax import linen as nn
from jax import Array

from gans import names


class MinibatchStdDev(nn.Module):
    """x [B, N] -> [B, N + 1], or [B, H, W, C] -> [B, H, W, C + 1]: a constant appended.

    Section 3 of arXiv 1710.10196: the standard deviation over the batch of each feature
    at each position, averaged over features and positions. As in the authors' code,
    1e-8 is added to the variances: derivatives exist where examples are equal.

    `group`: None uses the whole batch, as in the paper. The authors' code uses 4: the
    batch is split into B / group groups, each of every (B / group)-th example, and each
    group has its own constant. A batch smaller than `group` is one group.

    Raises ValueError if `group` does not divide a larger B.
    """

    group: int | None = None

    @nn.compact
    def __call__(self, x: Array) -> Array:
        b = len(x)
        group = min(self.group or b, b)
        if b % group:
            raise ValueError(f"MinibatchStdDev: group={group} does not divide {b}")
        h = x.astype(jnp.promote_types(x.dtype, jnp.float32))
        variance = h.reshape(group, b // group, -1).var(axis=0)
        constants = jnp.sqrt(variance + 1e-8).mean(axis=1)  # [B / group]
        constants = jnp.tile(constants, group).reshape(b, *(1,) * (x.ndim - 1))
        more = jnp.broadcast_to(constants, (*x.shape[:-1], 1))
        return jnp.concatenate([x, more.astype(x.dtype)], axis=-1)


class MinibatchDiscrimination(nn.Module):
    """x [B, N] -> [B, N + n_kernels], how close the other examples are to each.

    Section 3.2 of arXiv 1606.03498: a tensor T [N, n_kernels, n_dims] maps each example
    to n_kernels rows; a feature is the sum over the other examples j of
    exp(-|row_i - row_j|_1). The paper's sum includes j = i, a constant 1, which the
    authors' code leaves out, as does this one. Deviation: their code normalises the
    columns of T and adds a bias; here T starts with columns of norm about 1.
    """

    n_kernels: int = 100
    n_dims: int = 5

    @nn.compact
    def __call__(self, x: Array) -> Array:
        init = nn.initializers.variance_scaling(
            1.0, "fan_in", "normal", in_axis=0, out_axis=(1, 2)
        )
        shape = (x.shape[-1], self.n_kernels, self.n_dims)
        t = self.param("tensor", init, shape).astype(x.dtype)
        rows = jnp.einsum("bn,nkd->dbk", x, t)
        rows = rows.astype(jnp.promote_types(x.dtype, jnp.float32))
        # A loop over dimensions, with the kernels last, is 2 times (256 examples) to 8
        # times (64) as fast on a CPU as a sum over a last axis of five.
        distance = 0.0  # [B, B, n_kernels]
        for row in rows:
            apart = row[:, None] - row[None]
            # |apart| with derivative 0 at 0. That of jnp.abs is 1, which would push
            # equal examples apart, in an order that depends on the batch.
            distance += apart * jnp.sign(apart)
        others = 1 - jnp.eye(len(x), dtype=rows.dtype)
        closeness = (others[:, :, None] * jnp.exp(-distance)).sum(axis=1)
        return jnp.concatenate([x, closeness.astype(x.dtype)], axis=-1)


MINIBATCH = {"stddev": MinibatchStdDev, "discrimination": MinibatchDiscrimination}


def with_minibatch(x: Array, minibatch: str | Mapping[str, Any] | None) -> Array:
    """x [B, N] -> [B, N + M], the features of the layer of that name appended.

    `minibatch` is a name of `MINIBATCH`, the path of your own layer (see `gans.names`),
    or {"name": NAME, **options}, for example {"name": "discrimination", "n_kernels":
    16}. None returns x itself. Call it inside a compact module: it creates a layer of
    that name.

    Raises ValueError for an unknown name or option.
    """
    if minibatch is None:
        return x
    name, layer, options = find(minibatch)
    return layer(name=names.last(name), **options)(x)


def find(
    minibatch: str | Mapping[str, Any],
) -> tuple[str, type[nn.Module], dict[str, Any]]:
    """Returns the name, the layer and the options of `minibatch`: see `with_minibatch`.

    Raises ValueError for an unknown name or option, and for sizes below 1.
    """
    name, options = names.named(minibatch, "minibatch")
    layer = names.pick(name, MINIBATCH, "minibatch, if not None")
    names.wanted(layer, type, "minibatch", name, "a module of Flax")
    known = names.options_of(layer)
    own = {x: known[x] for x in known if x not in ("name", "parent")}
    names.typed(own, options, f"minibatch {name}")
    for option, value in options.items():
        if isinstance(value, int) and not 1 <= value <= 1_000_000:
            raise ValueError(f"minibatch {name}: {option}={value} is not in [1, 1e6]")
    return name, layer, options
