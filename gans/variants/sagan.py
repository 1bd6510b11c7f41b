"""SAGAN, Self-Attention GANs (arXiv 1805.08318).

Self-attention in both networks, whose gain gamma starts at 0 (equations 1 to 3,
`gans/layers/attention.py`), spectral normalisation in both (section 4.1), and, by the
config, the hinge loss (equation 4) and two learning rates, 1e-4 and 4e-4 (TTUR, section
4.2). Updates are those of `gans/variants/gan.py`. Deviations: ResNets of SNGAN's size
for small images; labels are optional, by `condition="projection"`, where the paper's
networks are conditional.
"""

from gans import build as parts
from gans.core import GAN
from gans.data.spec import Spec

NETWORKS = {"generator": {"spectral": True}, "discriminator": {"spectral": True}}


def build(config: parts.Config, spec: Spec, stage: int = 0) -> GAN:
    """Returns the GAN that `config` describes (see configs/sagan.py).

    Raises ValueError if spectral normalisation or attention is turned off.
    """
    for role in NETWORKS:
        if not config[role].get("attention"):
            raise ValueError(
                f"{role}: SAGAN needs attention, the side of the maps that get it"
            )
    return parts.game(config, spec, sets=NETWORKS).gan()
