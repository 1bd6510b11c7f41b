"""Wasserstein GAN (arXiv 1701.07875): Algorithm 1.

RMSprop, and weights clipped to [-c, c] by the last link of the critic's optimiser
(`config.critic.optimizer.clip`). As in the authors' code, the critic starts with 100
moves for each of the generator's: during the first `config.warmup` steps.
Deviation: the code's repetition of those 100 moves at each 500th generator move.
"""

from gans.core import GAN
from gans.variants import gan


def build(config, stage: int | None = None) -> GAN:
    """Returns the GAN that `config` describes (see configs/wgan.py)."""
    pace = config.n_critic, config.n_critic_changes
    if config.warmup:
        pace = 100, ((config.warmup, config.n_critic), *config.n_critic_changes)
    return gan.assemble(config, gan.loss_of(config), pace)
