"""Terms on the parameters of a network."""

import jax
import jax.numpy as jnp

from gans.losses import regularisers
from gans.terms.base import Term

BOTH = ("discriminator", "generator")


def orthogonal(weight: float = 1e-4, every: int = 1, off_diagonal: bool = True) -> Term:
    """arXiv 1809.11096, section 3.1; with the diagonal that of arXiv 1609.07093."""
    return Term(
        name="orthogonal",
        value=lambda c: regularisers.orthogonal(
            c.net.params, off_diagonal=off_diagonal
        ),
        weight=weight,
        every=every,
        about=BOTH,
        of_kernels=True,
    )


def historical(weight: float = 1.0, every: int = 1) -> Term:
    """Historical averaging, arXiv 1606.03498, section 3.3.

    It remembers the mean of the parameters before each of its updates so far.
    """

    def value(c):
        kept, now = c.memory, c.net.params
        mean = regularisers.running_mean(kept["mean"], now, kept["n"])
        new = {"mean": mean, "n": kept["n"] + 1}
        return regularisers.historical(now, kept["mean"]), new

    def memory(params):
        return {"mean": jax.tree.map(jnp.copy, params), "n": jnp.int32(0)}

    return Term(
        name="historical",
        value=value,
        weight=weight,
        every=every,
        memory=memory,
        about=BOTH,
    )
