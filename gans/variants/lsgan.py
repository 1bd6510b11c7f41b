"""Least Squares GAN (arXiv 1611.04076): targets instead of probabilities.

Equation 2 with `config.targets` = (a, b, c): a for fake, b for real, and c is what the
generator wants the critic to say. (0, 1, 1) is equation 9; (-1, 1, 0) is equation 8,
which minimises the Pearson chi-squared divergence.
"""

from gans.core import GAN
from gans.losses import adversarial
from gans.variants import gan


def build(config, stage: int | None = None) -> GAN:
    """Returns the GAN that `config` describes (see configs/lsgan.py).

    Raises ValueError unless `config.targets` are three numbers, and for another loss.
    """
    if config.loss != "least_squares":
        raise ValueError(
            f"config.loss={config.loss!r}: LSGAN's is least_squares, with "
            "config.targets; the other variants take any"
        )
    if len(config.targets) != 3:
        raise ValueError(f"config.targets={config.targets!r}: three numbers a, b, c")
    a, b, c = config.targets
    return gan.assemble(config, adversarial.least_squares(a=a, b=b, c=c))
