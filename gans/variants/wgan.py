"""Wasserstein GAN (arXiv 1701.07875): Algorithm 1.

The critic's loss is the difference of its mean scores (line 5, `wasserstein`). It is
kept Lipschitz by clipping its weights to [-c, c] after each update (line 7), the last
link of its RMSprop: optimizer.clip. As in the authors' code, the first updates of the
generator come after 100 of the critic each: during the first `warmup` steps.
Deviation: the code repeats these 100 updates at each 500th of the generator's.
"""

from gans import build as parts
from gans import names
from gans.core import GAN, Update
from gans.data.spec import Spec
from gans.losses.adversarial import wasserstein


def build(config: parts.Config, spec: Spec, stage: int = 0) -> GAN:
    """Returns the GAN that `config` describes (see configs/wgan.py).

    Raises ValueError for another loss, and without clipping.
    """
    names.check(config["loss"], ("wasserstein",), "loss of WGAN")
    optimiser = config["discriminator"]["optimizer"]
    if names.named(optimiser, "discriminator")[1].get("clip") is None:
        raise ValueError(
            "discriminator: WGAN needs clipping: set optimizer.clip to the paper's c"
        )
    pace = config["n_critic"], config["n_critic_changes"]
    if config["warmup"]:
        pace = (
            100,
            ((config["warmup"], config["n_critic"]), *config["n_critic_changes"]),
        )
    game = parts.game(config, spec, loss=wasserstein(), pace=pace)
    return game.gan(
        updates=(
            # Lines 2 to 8, once for each batch.
            Update("d", ("d",), game.discriminator_loss),
            # Lines 9 to 11, after n_critic of them.
            Update("g", ("g",), game.generator_loss, game.generator_due),
            *game.lazy_updates,
        )
    )
