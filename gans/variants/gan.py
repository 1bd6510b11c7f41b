"""Generative Adversarial Nets (arXiv 1406.2661): Algorithm 1.

The discriminator's loss is the cross-entropy of real and generated examples. The
generator's is a choice: minimax (equation 1) or non-saturating (section 3). Any other
loss, and any stabiliser, is accepted: this variant is the base of comparisons.
Deviations: Adam for momentum SGD, ReLU for maxout, no dropout unless configured.
"""

from gans import build as parts
from gans.core import GAN, Update
from gans.data.spec import Spec


def build(config: parts.Config, spec: Spec, stage: int = 0) -> GAN:
    """Returns the GAN that `config` describes (see configs/gan.py).

    Raises ValueError for an unknown name or option, and for incompatible parts.
    """
    game = parts.game(config, spec)
    return game.gan(
        updates=(
            # The inner loop: k = n_critic of these, each of a batch of its own ...
            Update("d", ("d",), game.discriminator_loss),
            # ... for one of these.
            Update("g", ("g",), game.generator_loss, game.generator_due),
            *game.lazy_updates,
        )
    )
