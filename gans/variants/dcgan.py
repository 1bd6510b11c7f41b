"""DCGAN (arXiv 1511.06434): the non-saturating game between convolutional networks.

The paper changed the networks, not the game: see `gans/networks/dcgan.py`. Its 64x64
layout has batch norm in the critic, so real and fake go through it as batches of their
own. Deviation: dropout in the critic, and no batch norm, in the 32x32 layout.
"""

from gans.core import GAN
from gans.variants import gan


def build(config, stage: int | None = None) -> GAN:
    """Returns the GAN that `config` describes (see configs/dcgan.py)."""
    return gan.build(config, stage)
