"""Terms that want equal answers for inputs that are nearly equal."""

import jax
import jax.numpy as jnp

from gans import augment
from gans.losses import regularisers
from gans.sharding import split
from gans.terms.base import Context, Term, at_least_0


def consistency(
    weight: float = 10.0, every: int = 1, policy: tuple[str, ...] = ("translation",)
) -> Term:
    """CR-GAN, arXiv 1910.12027: of real images.

    Deviation: the images are shifted (see `gans.augment`), but not flipped too.
    """
    transform = augment.make("diff_augment", policy=policy)

    def value(c):
        shifted = transform.apply(c.real, c.key, c.step)
        return _distance(c.on_real, c.discriminate(shifted))

    return Term(
        name="consistency",
        value=value,
        weight=weight,
        every=every,
        kinds=transform.kinds,
    )


def balanced_consistency(
    weight: float = 10.0, every: int = 1, policy: tuple[str, ...] = ("translation",)
) -> Term:
    """bCR, arXiv 2002.04724, algorithm 1: of real and of generated images alike."""
    transform = augment.make("diff_augment", policy=policy)

    def value(c):
        keys = jax.random.split(c.key)
        shifted = [
            transform.apply(x, key, c.step)
            for x, key in zip((c.real, c.fake), keys, strict=True)
        ]
        on_real, on_fake = c.both(*shifted)
        return _distance(c.on_real, on_real) + _distance(c.on_fake, on_fake)

    return Term(
        name="balanced_consistency",
        value=value,
        weight=weight,
        every=every,
        kinds=transform.kinds,
    )


def latent_consistency(
    weight: float = 5.0, every: int = 1, sigma: float = 0.03
) -> Term:
    """zCR's discriminator, arXiv 2002.04724, algorithm 2: of G(z) and G(z + noise)."""
    at_least_0(sigma, "latent_consistency: sigma")

    def value(c):
        near = c.discriminate(_neighbours(c, sigma), as_fake=True)
        return _distance(c.on_fake, near)

    return Term(
        name="latent_consistency",
        value=value,
        weight=weight,
        every=every,
        of_latents=True,
    )


def latent_diversity(weight: float = 0.5, every: int = 1, sigma: float = 0.03) -> Term:
    """zCR's generator, arXiv 2002.04724, algorithm 2: G(z) and G(z + noise) apart."""
    at_least_0(sigma, "latent_diversity: sigma")

    def value(c):
        return jnp.mean(regularisers.latent_diversity(c.fake, _neighbours(c, sigma)))

    return Term(
        name="latent_diversity",
        value=value,
        weight=weight,
        every=every,
        about=("generator",),
        of_latents=True,
    )


def _distance(logits, others):
    return jnp.mean(regularisers.consistency(logits, others))


def _neighbours(c: Context, sigma):
    key_noise, key_dropout = jax.random.split(c.key)
    noise = split(jax.random.normal(key_noise, c.z.shape))
    return split(c.generate(c.z + sigma * noise, key_dropout))
