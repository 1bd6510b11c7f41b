"""Least Squares GAN (arXiv 1611.04076): targets instead of probabilities.

Equation 2 with targets (a, b, c): a for fake, b for real, and c is what the generator
wants the discriminator to say. (0, 1, 1) is equation 9; (-1, 1, 0) is equation 8, which
minimises the Pearson chi-squared divergence. The updates are those of
`gans/variants/gan.py`. Deviation: the networks are smaller than the paper's.
"""

from gans import build as parts
from gans import names
from gans.core import GAN
from gans.data.spec import Spec
from gans.losses.adversarial import least_squares


def build(config: parts.Config, spec: Spec, stage: int = 0) -> GAN:
    """Returns the GAN that `config` describes (see configs/lsgan.py).

    Raises ValueError unless the targets are three numbers, and for another loss.
    """
    names.check(config["loss"], ("least_squares",), "loss of LSGAN")
    if len(config["targets"]) != 3:
        raise ValueError(f"targets={config['targets']!r}: LSGAN needs three, a, b, c")
    a, b, c = config["targets"]
    return parts.game(config, spec, loss=least_squares(a=a, b=b, c=c)).gan()
