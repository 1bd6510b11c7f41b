"""Terms on the discriminator's logits."""

import jax
import jax.numpy as jnp
import optax

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


def drift(weight: float = 1e-3, every: int = 1) -> Term:
    """arXiv 1710.10196, appendix A.1: the squared logits of real examples.

    A Wasserstein loss leaves their mean free; this keeps it near 0.
    """

    def value(c):
        return jnp.mean(jnp.square(c.on_real))

    return Term(name="drift", value=value, weight=weight, every=every)


def auxiliary_classifier(weight: float = 1.0, every: int = 1) -> Term:
    """AC-GAN, arXiv 1610.09585: the discriminator tells the classes of examples.

    The cross entropy of its features "classes" [B, n_classes], of fake examples, and in
    its own update of real ones too.
    """

    def cost(c, x):
        logits = c.features(x).get("classes")
        if logits is None or c.label is None:
            raise ValueError(
                "auxiliary_classifier needs labels, and a discriminator that tells "
                "them, as that of pggan with conditional=True does"
            )
        return optax.softmax_cross_entropy_with_integer_labels(logits, c.label).mean()

    def value(c):
        on_fake = cost(c, c.fake)
        return on_fake if c.name == "g" else on_fake + cost(c, c.real)

    about = ("discriminator", "generator")
    return Term(
        name="auxiliary_classifier",
        value=value,
        weight=weight,
        every=every,
        about=about,
    )
