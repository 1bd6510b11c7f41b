"""Figures that show how training goes, cheap enough to be taken at every update."""

from typing import Any

import flax
import jax
import jax.numpy as jnp
from jax import Array


def scores(on_real: Array, on_fake: Array, boundary: float | None) -> dict[str, Array]:
    """The discriminator's mean scores of both sides, and how often it is right.

    Args:
      on_real: logits [B] of real examples.
      on_fake: logits [B] of generated ones.
      boundary: the logit between the two sides. None where logits have no such zero
        (Wasserstein, relativistic): the midpoint of the two means.

    Returns: [] float32 each,
      score_real, score_fake: the means;
      score_gap: their difference;
      accuracy_real: the share of `on_real` above the boundary, in [0, 1];
      accuracy_fake: the share of `on_fake` below it, in [0, 1];
      sign: the mean sign of on_real - boundary, in [-1, 1]: r_t of arXiv 2006.06676,
        equation 1, near 1 where a discriminator knows its training set by heart.
    """
    on_real, on_fake = on_real.astype(jnp.float32), on_fake.astype(jnp.float32)
    real, fake = on_real.mean(), on_fake.mean()
    middle = (real + fake) / 2 if boundary is None else boundary
    return {
        "score_real": real,
        "score_fake": fake,
        "score_gap": real - fake,
        "accuracy_real": jnp.mean(on_real > middle, dtype=jnp.float32),
        "accuracy_fake": jnp.mean(on_fake < middle, dtype=jnp.float32),
        "sign": jnp.mean(jnp.sign(on_real - middle)),
    }


def diversity(real: Array, fake: Array) -> Array:
    """How far apart generated examples lie, as a share of how far apart real ones do.

    The ratio of the root mean squared Euclidean distances of two examples of one batch:
    about 1 where all is well, 0 where all that is generated is the same.

    Args:
      real: [B, ...].
      fake: [B, ...].

    Returns: [] float32; finite if the real ones are all the same (1 if both are), NaN
      for batches of one example.
    """
    # Squares of spreads below this, such as rounding errors, count as none.
    tiny = 1e-12
    return jnp.sqrt((_spread(fake) + tiny) / (_spread(real) + tiny))


def _spread(x):
    """Half the mean squared distance of two different rows of x [B, ...].

    The mean over all pairs of |x_i - x_j|^2 is twice the sum of the coordinates'
    unbiased variances, which needs no pairs.
    """
    x = x.astype(jnp.float32)
    # Rows that are the same become zeros and so have a spread of 0 without rounding.
    return jnp.sum(jnp.var(x - x[:1], axis=0, ddof=1))


def saturated(fake: Array) -> Array:
    """Returns the share [] float32 of values of `fake` [B, ...] beyond 0.99 or -0.99.

    Of images in [-1, 1], whose generators end in a tanh that has no slope out there.
    """
    return jnp.mean(jnp.abs(fake) > 0.99, dtype=jnp.float32)


def singular_values(params: Any) -> dict[str, Array]:
    """Returns {layer: largest singular value [] float32} of a network's kernels.

    A kernel [..., O] is taken as a matrix [everything else, O], as spectral
    normalisation does (arXiv 1802.05957, section 2.1); the network of a layer that has
    it uses the kernel divided by about this value, and one with an equalised rate the
    kernel times a constant of its own (`gans.layers.equalised`). Biases and scales have
    none. Names are paths joined by "/", without "kernel".

    The value is the root of the largest eigenvalue of the smaller Gram matrix, in
    float32: within 1e-5 of it, relatively, since the largest one loses nothing by being
    squared.
    """
    return {
        "/".join(path[:-1]): _largest(kernel)
        for path, kernel in flax.traverse_util.flatten_dict(params).items()
        if path[-1] == "kernel" and kernel.ndim > 1
    }


def _largest(kernel):
    matrix = kernel.reshape(-1, kernel.shape[-1]).astype(jnp.float32)
    if matrix.shape[0] < matrix.shape[1]:
        matrix = matrix.T
    gram = jnp.matmul(matrix.T, matrix, precision=jax.lax.Precision.HIGHEST)
    return jnp.sqrt(jnp.maximum(jnp.linalg.eigvalsh(gram)[-1], 0))
