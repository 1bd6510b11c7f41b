"""Conditional GANs: concatenation (arXiv 1411.1784) or projection (arXiv 1802.05637).

`config.generator.condition` and `config.critic.condition` choose, each for itself:
"concat" embeds the label and appends it to the input; "projection" is conditional batch
norm (gain 1 + gamma) in the generator, and in the critic the inner product of the
label's embedding with the features. In each move real and fake examples share the
labels of the batch, so the classes come in the data's own proportions. Deviation: the
second paper draws the labels of fake examples on their own.
"""

import dataclasses
import functools

import jax.numpy as jnp
from jax import Array

from gans.core import GAN, length
from gans.variants import gan


def build(config, stage: int | None = None) -> GAN:
    """Returns the GAN that `config` describes (see configs/cgan.py).

    Raises ValueError if the data has no labels or a network no condition.
    """
    if not config.n_classes:
        raise ValueError(
            f"cGAN needs labels, and data={config.data!r} has none; folders of images "
            "get theirs from the names of sub-folders"
        )
    for player in ("generator", "critic"):
        if config[player].get("condition") is None:
            raise ValueError(f"cGAN needs config.{player}.condition, got None")
    draw = functools.partial(latents, latent=config.latent, n_classes=config.n_classes)
    return dataclasses.replace(gan.build(config, stage), inputs=draw)


def latents(
    key: Array, batch: dict[str, Array], *, latent: int, n_classes: int
) -> dict[str, Array]:
    """Returns {"z": [n, latent] of N(0, 1), "label": [n]}, the classes in turn."""
    label = jnp.arange(length(batch)) % n_classes
    return gan.latents(key, batch, latent=latent) | {"label": label}
