"""SNGAN, Spectral Normalization for GANs (arXiv 1802.05957).

The critic's layers keep the power iteration's vectors in the collection `spectral`: one
iteration per critic move. In the generator's move the same iteration is made and
dropped. The loss is a choice: hinge (equations 16, 17) or non-saturating.
"""

from gans.core import GAN
from gans.variants import gan


def build(config, stage: int | None = None) -> GAN:
    """Returns the GAN that `config` describes (see configs/sngan.py).

    Raises ValueError if the critic is not spectrally normalised.
    """
    if not config.critic.get("spectral"):
        raise ValueError("SNGAN needs config.critic.spectral=True")
    return gan.build(config, stage)
