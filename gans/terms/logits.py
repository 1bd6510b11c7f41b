"""Terms on the discriminator's logits."""

import jax
import jax.numpy as jnp

from gans.losses import regularisers
from gans.losses.adversarial import total
from gans.terms.base import Term, at_least_0


def lecam(weight: float = 0.3, every: int = 1, decay: float = 0.99) -> Term:
    """arXiv 2104.03310: distances from running means of the logits.

    The means are those of the updates before, from 0. Deviation: the authors' code adds
    the term after a warm-up only.
    """
    at_least_0(decay, "lecam: decay", below=1)

    def value(c):
        means = c.memory
        now = {"real": jnp.mean(c.on_real), "fake": jnp.mean(c.on_fake)}
        costs = regularisers.lecam(c.on_real, c.on_fake, means["real"], means["fake"])
        new = jax.tree.map(lambda a, b: decay * a + (1 - decay) * b, means, now)
        return total(costs), new

    def memory(params):
        return {"real": jnp.zeros(()), "fake": jnp.zeros(())}

    return Term(name="lecam", value=value, weight=weight, every=every, memory=memory)
