"""Path length regularisation of a generator with a mapping network."""

import jax
import jax.numpy as jnp

from gans.losses import regularisers
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
        ws = c.net(z, label, key_w, method="styles")

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
