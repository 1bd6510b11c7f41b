"""SAGAN, Self-Attention GANs (arXiv 1805.08318).

Self-attention in both networks with gamma from 0 (equations 1 to 3), spectral norm in
both, hinge loss (equation 4), and two learning rates: 1e-4 and 4e-4 (TTUR).
Deviations: ResNets of SNGAN's size for small images; labels are optional, by
`condition="projection"` (the paper's networks are conditional).
"""

from gans.core import GAN
from gans.variants import sngan


def build(config, stage: int | None = None) -> GAN:
    """Returns the GAN that `config` describes (see configs/sagan.py).

    Raises ValueError unless both networks have spectral norm and attention.
    """
    for player in ("generator", "critic"):
        for option in ("spectral", "attention"):
            if not config[player].get(option):
                raise ValueError(f"SAGAN needs config.{player}.{option}")
    return sngan.build(config, stage)
