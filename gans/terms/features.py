"""Terms on the discriminator's hidden layers."""

import jax

from gans.losses import matching
from gans.terms.base import Term


def feature_matching(
    weight: float = 1.0, every: int = 1, moments: int = 1, alone: bool = True
) -> Term:
    """arXiv 1606.03498, section 3.1: the generator matches the means of features.

    It replaces the adversarial loss unless `alone` is False. With moments=2 it matches
    variances too (GFMN, arXiv 1904.02762).
    """
    if moments not in (1, 2):
        raise ValueError(f"feature_matching: moments={moments} must be 1 or 2")
    distance = (matching.feature_matching, matching.moment_matching)[moments - 1]

    def value(c):
        real = jax.lax.stop_gradient(c.features(c.real))
        return distance(real, c.features(c.fake))

    return Term(
        name="feature_matching",
        value=value,
        weight=weight,
        every=every,
        about=("generator",),
        replaces=alone,
    )
