"""Conditional GANs: concatenation (arXiv 1411.1784) or projection (arXiv 1802.05637).

The option `condition` of each network chooses for itself: "concat" embeds the label and
appends it to the input; "projection" is conditional batch norm (gain 1 + gamma) in the
generator, and in the discriminator the inner product of the label's embedding with the
features. Both are in `gans/layers/conditional.py`. In each update real and fake
examples share the labels of the batch, so the classes come in the data's own
proportions. Updates are those of `gans/variants/gan.py`. Deviation: the second paper
draws the labels of fake examples independently of the batch's.
"""

import functools

import jax.numpy as jnp
from jax import Array

from gans import build as parts
from gans.core import GAN, length
from gans.data.spec import Spec, label_field
from gans.game import Game


def build(config: parts.Config, spec: Spec, stage: int = 0) -> GAN:
    """Returns the GAN that `config` describes (see configs/cgan.py).

    Raises ValueError if the data has no labels or a network no condition.
    """
    label = label_field(spec)
    if label is None:
        raise ValueError(
            f"a conditional GAN needs labels, and the data has only {', '.join(spec)}; "
            "folders of images get their labels from the names of sub-folders"
        )
    for role in ("generator", "discriminator"):
        if config[role].get("condition") is None:
            raise ValueError(f"{role}: a conditional GAN needs condition, got None")
    game = parts.game(config, spec)
    return game.gan(
        inputs=functools.partial(inputs, game=game, n_classes=spec[label].n_classes),
        outputs={"sample": functools.partial(sample, game=game)},
    )


def inputs(
    key: Array, batch: dict[str, Array], *, game: Game, n_classes: int
) -> dict[str, Array]:
    """Returns {"z": [n, latent] of N(0, 1), label: [n]}, the classes in turn."""
    label = jnp.arange(length(batch), dtype=jnp.int32) % n_classes
    return game.inputs(key, batch) | {game.label: label}


def sample(nets, inputs: dict[str, Array], key: Array, *, game: Game):
    """Returns the generator's output [n, ...], and the labels [n] it was made for."""
    return game.sample(nets, inputs, key) | {game.label: inputs[game.label]}
