"""Wasserstein GAN (arXiv 1701.07875): Algorithm 1.

RMSprop, and weights clipped to [-c, c] by the last link of the critic's optimiser
(`config.critic.optimizer.clip`). As in the authors' code, the critic starts with 100
moves for each of the generator's: during the first `config.warmup` steps.
Deviation: the code's repetition of those 100 moves at each 500th generator move.
"""

from gans.core import GAN
from gans.schedules import every, switch
from gans.variants import gan


def build(config, stage: int | None = None) -> GAN:
    """Returns the GAN that `config` describes (see configs/wgan.py)."""
    return gan.assemble(
        config,
        gan.loss_of(config),
        when=switch(config.warmup, every(100), every(config.n_critic)),
    )
