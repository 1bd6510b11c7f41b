"""Distances between the statistics of two batches of features.

Features are named arrays [B, ...]: a discriminator's hidden layers, of real and of fake
examples. Statistics are taken over the batch alone, and all other axes of a layer are
the coordinates of one vector. Distances are sums, not means, over coordinates and over
layers, so a large layer weighs more. Gradients flow into both sides: who wants the real
ones held stops them. Numbers are float32 (float64 where the features are float64).
"""

from collections.abc import Callable

import jax.numpy as jnp
from jax import Array


def feature_matching(real: dict[str, Array], fake: dict[str, Array]) -> Array:
    """Sum over layers of the squared L2 norm of the difference of the means.

    Section 3.1 of arXiv 1606.03498, there with one layer.

    Args:
      real: {layer: [B, ...]}.
      fake: the same layers of the same shapes, but perhaps of another batch size.

    Returns: []. Raises ValueError where layers or shapes differ.
    """
    return _distance(real, fake, _mean)


def moment_matching(real: dict[str, Array], fake: dict[str, Array]) -> Array:
    """`feature_matching`, and the same distance between the variances.

    The loss of GFMN (section 2 of arXiv 1904.02762): means, and variances (neither
    standard deviations nor covariances), here unbiased, with the divisor B - 1, so that
    batches of two sizes can be compared. Deviation: GFMN averages the moments over
    steps, and takes the features from a frozen network.

    Args: as of `feature_matching`, with B of at least 2.
    Returns: []. Raises ValueError where layers or shapes differ, and for B = 1.
    """
    for side in (real, fake):
        for name, x in side.items():
            if len(x) < 2:
                raise ValueError(f"features {name!r}: no variance of a batch of 1")
    return _distance(real, fake, _mean) + _distance(real, fake, _variance)


def _mean(x):
    return jnp.mean(x, axis=0)


def _variance(x):
    return jnp.var(x, axis=0, ddof=1)


def _distance(real, fake, statistic: Callable[[Array], Array]):
    if real.keys() != fake.keys():
        raise ValueError(f"features of layers {sorted(real)} and {sorted(fake)}")
    total = 0.0
    for name in real:
        x, y = real[name], fake[name]
        if x.shape[1:] != y.shape[1:]:
            raise ValueError(f"features {name!r}: shapes {x.shape} and {y.shape}")
        total += jnp.sum((statistic(_wide(x)) - statistic(_wide(y))) ** 2)
    return total


def _wide(x):
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))
