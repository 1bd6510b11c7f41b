"""DCGAN (arXiv 1511.06434): the non-saturating game between convolutional networks.

The paper changed the networks (section 3): strided convolutions for pooling, no hidden
dense layers, batch norm except in the generator's last and the discriminator's first
layer, ReLU in the generator, LeakyReLU in the discriminator. They are in
`gans/networks/dcgan.py`; configs/dcgan.py has the paper's 64x64 layout and its Adam
(section 4). Loss and updates are those of `gans/variants/gan.py`. With batch norm in
the discriminator, real and fake go through it as batches of their own.
Deviation: dropout and no batch norm in the discriminator of the smaller layouts.
"""

from gans import build as parts
from gans.core import GAN
from gans.data.spec import Spec

NETWORKS = {"generator": {"network": "dcgan"}, "discriminator": {"network": "dcgan"}}


def build(config: parts.Config, spec: Spec, stage: int = 0) -> GAN:
    """Returns the GAN that `config` describes (see configs/dcgan.py).

    Raises ValueError for networks of another kind.
    """
    return parts.game(config, spec, sets=NETWORKS).gan()
