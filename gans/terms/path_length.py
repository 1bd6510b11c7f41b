"""Path length regularisation of a generator with a mapping network."""

import jax
import jax.numpy as jnp
from jax import Array

from gans.core import Bound
from gans.losses import regularisers
from gans.sharding import split
from gans.terms.base import Context, Term, at_least_0


def path_length(
    weight: float = 2.0, every: int = 4, decay: float = 0.01, shrink: int = 2
) -> Term:
    """StyleGAN2, arXiv 1912.04958, equation 4: steps in w change images by as much.

    The lengths' running mean, from 0, takes in the share `decay` of each new mean
    before it is used, and passes on the gradient of that share. The batch is `shrink`
    times as small, with latents of its own and the style mixing of the generator's
    passes. All this is the authors' code, which in this pass also moves the average of
    w: here it stays.
    """
    at_least_0(decay, "path_length: decay", below=1)
    if not (isinstance(shrink, int) and shrink >= 1):
        raise ValueError(f"path_length: shrink={shrink!r} must be at least 1")

    def value(c: Context):
        n = max(len(c.z) // shrink, 1)
        key_w, key_noise, key_y = jax.random.split(c.key, 3)
        z, label = c.z[:n], None if c.label is None else c.label[:n]
        ws = mixed(c.net, z, label, key_w)

        def synthesis(ws):
            return c.net(ws, method="synthesis", key=key_noise)

        lengths = regularisers.path_lengths(synthesis, ws, key_y)
        mean = c.memory + decay * (jnp.mean(lengths) - c.memory)
        return jnp.mean((lengths - mean) ** 2), jax.lax.stop_gradient(mean)

    return Term(
        name="path_length",
        value=value,
        weight=weight,
        every=every,
        memory=lambda params: jnp.zeros(()),
        about=("generator",),
        of_styles=True,
        kinds=("image",),
    )


def mixed(g: Bound, z: Array, label: Array | None, key: Array) -> Array:
    """The styles ws [B, n_ws, w_dim] of z [B, L], mixed as in the generator's passes.

    Style mixing (arXiv 1812.04948, section 3.1): with the generator's probability, the
    layers from one on, the same for the whole batch, get the styles of other z.
    """
    key_z, key_coin, key_cut = jax.random.split(key, 3)
    ws = g(z, label, method="mapping")
    if not g.module.mixing:
        return ws
    others = g(split(jax.random.normal(key_z, z.shape)), label, method="mapping")
    n = ws.shape[1]
    cut = jax.random.randint(key_cut, (), 1, n)
    cut = jnp.where(jax.random.bernoulli(key_coin, g.module.mixing), cut, n)
    return jnp.where(jnp.arange(n)[:, None] < cut, ws, others)
