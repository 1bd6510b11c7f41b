"""StyleGAN2, Analyzing and Improving the Image Quality of StyleGAN (arXiv 1912.04958).

A mapping network makes styles w of z, and w scales the input channels of each
convolution of the synthesis network, whose outputs are demodulated (section 2.2). The
loss is non-saturating and logistic, with R1 every 16 updates and path length (equation
4) every 4, each an update of its own (appendix B), style mixing, and an average of the
generator with a half-life in images. With `augment="ada"` it is StyleGAN2-ADA,
Training Generative Adversarial Networks with Limited Data (arXiv 2006.06676), whose
sizes by resolution the presets have. Another loss is accepted, and any stabiliser.

Deviations from the papers and the authors' code:
- The discriminator is updated first in a step, and the lazy terms in the last step of
  their interval; in the code the generator and the first step are first.
- The labels of fake images are those of the batch, not drawn again.
- The average of w moves once a step, in the generator's update. Batches of the
  discriminator's update and of path length leave it as it is.
- That average is itself averaged with the parameters; the code copies it.
- r_t, which ADA's controller follows, counts the logits of the loss, and not again
  those of R1.
- Gradients that are not finite stop the training; the code sets them to 0 or to 1e5.
- Samples are clipped to [-1, 1].
"""

import functools

import jax.numpy as jnp
from jax import Array

from gans import build as parts
from gans.core import GAN, Bound, length
from gans.data.spec import Spec
from gans.game import Batch, Game
from gans.variants import cgan


def build(config: parts.Config, spec: Spec, stage: int = 0) -> GAN:
    """Returns the GAN that `config` describes (see configs/stylegan2.py).

    Raises ValueError for a generator without a mapping network, and if it is to be
    conditional and the data has no labels.
    """
    spec = parts.seen(spec, config["conditional"])
    game = parts.game(config, spec)
    if not hasattr(game.generator, "mapping"):
        raise ValueError(
            f"generator: network={config['generator']['network']!r} has no mapping "
            "network, from z to styles"
        )
    latents = game.inputs
    if game.label is not None:
        n_classes = spec[game.label].n_classes
        latents = functools.partial(cgan.inputs, game=game, n_classes=n_classes)
    return game.gan(
        inputs=functools.partial(inputs, latents=latents),
        outputs={"sample": functools.partial(sample, game=game)},
    )


def inputs(key: Array, batch: Batch, *, latents) -> Batch:
    """Returns {"z", label, "truncation": ones [n]}, the label if it is conditional.

    Styles are w_avg + truncation (w - w_avg): 1 leaves them, 0 is the average image.
    """
    return latents(key, batch) | {"truncation": jnp.ones(length(batch))}


def sample(nets: dict[str, Bound], inputs: Batch, key: Array, *, game: Game) -> Batch:
    """Returns {field: images [n, ...] in [-1, 1]}, and the label they were made for."""
    label, truncation = inputs.get(game.label), inputs["truncation"]
    images = nets["g"](inputs["z"], label, truncation=truncation, key=key)
    made = {game.field: jnp.clip(images, -1.0, 1.0)}
    return made if label is None else made | {game.label: label}
