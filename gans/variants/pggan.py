"""Progressive Growing of GANs for Improved Quality, Stability, and Variation.

arXiv 1710.10196. The networks begin at 4x4 pixels and grow to the resolution of the
data (section 2, `gans.growing`), with the deviation over the batch in the discriminator
(section 3), equalised learning rates and pixel norm (section 4, `gans.networks.pggan`).
The loss of the presets is that of WGAN-GP with a small drift term (appendix A.1), an
update of each network a step. Any other loss is accepted, and any stabiliser; with
first_resolution=RESOLUTION nothing grows.

Deviations from the paper: the batch deviation is over groups of `group` examples (the
paper: the whole batch, which is a group as large); pooling comes before the activation;
the average begins with a short ramp (`gans.schedules.ramp_up`); fakes have the labels
of the batch. Samples are clipped to [-1, 1]. See also `gans.growing`.
"""

import functools

import jax.numpy as jnp
from jax import Array

from gans import build as parts
from gans import growing
from gans.core import GAN
from gans.data.spec import Spec
from gans.game import Batch, Game
from gans.growing import stages
from gans.variants import cgan

__all__ = ["build", "stages"]


def build(config: parts.Config, spec: Spec, stage: int = 0) -> GAN:
    """Returns the GAN of a stage that `config` describes (see configs/pggan.py).

    Raises ValueError if it is to be conditional and the data has no labels, and for
    what cannot grow.
    """
    return growing.grown(_game, config, spec, stage)


def _game(config, spec):
    spec = parts.seen(spec, config["conditional"])
    game = parts.game(config, spec)
    inputs = game.inputs
    if game.label is not None:
        n_classes = spec[game.label].n_classes
        inputs = functools.partial(cgan.inputs, game=game, n_classes=n_classes)
    outputs = {"sample": functools.partial(sample, game=game)}
    return game.gan(inputs=inputs, outputs=outputs)


def sample(nets, inputs: Batch, key: Array, *, game: Game) -> Batch:
    """Returns {field: images [n, ...] in [-1, 1]}, and the label they were made for."""
    made = game.sample(nets, inputs, key)
    made = {name: jnp.clip(x, -1.0, 1.0) for name, x in made.items()}
    return made if game.label is None else made | {game.label: inputs[game.label]}
