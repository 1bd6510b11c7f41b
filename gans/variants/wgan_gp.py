"""WGAN-GP, Improved Training of Wasserstein GANs (arXiv 1704.00028): Algorithm 1.

The critic's loss (line 7) is that of Wasserstein, D(fake) - D(real), and `weight` times
the term `gradient_penalty`, at one point between each real example and its fake
partner; the generator's (line 12) is -D(fake). In the log, "d/score_gap" is the
estimate of the distance. The penalty needs a critic that sees one example at a time, so
batch norm in it is rejected (section 4).
Deviations: the critic has no layer norm, which the paper recommends in place of batch
norm; layouts for digits and for the plane are smaller than the paper's, with other
learning rates and, for digits, n_critic = 1.
"""

from gans import build as parts
from gans import names
from gans.core import GAN, Update
from gans.data.spec import Spec
from gans.losses.adversarial import wasserstein
from gans.terms.gradient_penalties import gradient_penalty


def build(config: parts.Config, spec: Spec, stage: int = 0) -> GAN:
    """Returns the GAN that `config` describes (see configs/wgan_gp.py).

    Raises ValueError for another loss, without the penalty, or if the critic's logits
    depend on their batch.
    """
    names.check(config["loss"], ("wasserstein",), "loss of WGAN-GP")
    game = parts.game(config, spec, loss=wasserstein())
    added = [term.name for term in game.terms["d"]]
    if gradient_penalty.__name__ not in added:
        raise ValueError(
            "discriminator: WGAN-GP needs gradient_penalty among its penalties, "
            f"got {added}"
        )
    return game.gan(
        updates=(
            # Lines 2 to 10, once for each batch: loss and penalty, then Adam.
            Update("d", ("d",), game.discriminator_loss),
            # Lines 11 to 12, after n_critic of them.
            Update("g", ("g",), game.generator_loss, game.generator_due),
            *game.lazy_updates,
        )
    )
