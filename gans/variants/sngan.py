"""SNGAN, Spectral Normalization for GANs (arXiv 1802.05957): Algorithm 1.

Each kernel of the discriminator is divided by its largest singular value, estimated by
one power iteration per update (`spectral`, see `gans/layers`). The vectors of the
iteration are statistics of the discriminator: its update keeps them, the generator's
makes the same iteration and drops it. Updates are those of `gans/variants/gan.py`; the
loss is a choice, hinge (equations 16 and 17) or non-saturating. Deviation: the digits
preset is smaller than the paper's networks and has n_critic = 1.
"""

from gans import build as parts
from gans.core import GAN
from gans.data.spec import Spec

NETWORKS = {"discriminator": {"spectral": True}}


def build(config: parts.Config, spec: Spec, stage: int = 0) -> GAN:
    """Returns the GAN that `config` describes (see configs/sngan.py).

    Raises ValueError if the config turns spectral normalisation off.
    """
    return parts.game(config, spec, sets=NETWORKS).gan()
