"""WGAN-GP, Improved Training of Wasserstein GANs (arXiv 1704.00028): Algorithm 1.

The critic's loss is Wasserstein's with `gradient_penalty`, of config.critic.penalties
(line 7: at one point between each real example and its fake partner, weight 10). In the
log "d/gap" is the estimate of the distance. Deviation: none. The penalty asks for a
critic that sees one example at a time, so batch norm in it is refused (section 4).
"""

from gans import names
from gans.core import GAN
from gans.variants import gan


def build(config, stage: int | None = None) -> GAN:
    """Returns the GAN that `config` describes (see configs/wgan_gp.py).

    Raises ValueError without the penalty, or if the critic's logits depend on a batch.
    """
    penalties = config.critic.penalties
    given = [names.parse(spec, "config.critic.penalties")[0] for spec in penalties]
    if "gradient_penalty" not in given:
        raise ValueError(
            f"config.critic.penalties={penalties!r}: WGAN-GP needs gradient_penalty"
        )
    return gan.build(config, stage)
