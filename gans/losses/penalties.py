"""Penalties on a critic's gradient with respect to its input."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array


def gradient_penalty(
    critic: Callable[[Array], Array], real: Array, fake: Array, key: Array
) -> Array:
    """Mean squared distance of the critic's gradient norm from 1.

    Algorithm 1, lines 6 and 7, of arXiv 1704.00028: the gradient is taken at one point
    per example, drawn uniformly on the line from its real to its fake partner; the norm
    is over all axes of an example.

    Args:
      critic: x [B, ...] -> logits [B], each logit a function of its own example.
      real: [B, ...], images in [-1, 1].
      fake: [B, ...].
      key: draws the B mixing weights.

    Returns: [] float32.
    """
    alpha = jax.random.uniform(key, (len(real),) + (1,) * (real.ndim - 1))
    slopes = gradient_norms(critic, real + alpha * (fake - real))
    return jnp.mean((slopes - 1) ** 2)


def gradient_norms(critic: Callable[[Array], Array], x: Array) -> Array:
    """Euclidean norms [B] float32 of d critic(x)[i] / d x[i], for x [B, ...]."""
    grads = jax.grad(lambda x: critic(x).astype(jnp.float32).sum())(x)
    squares = jnp.sum(jnp.square(grads.astype(jnp.float32)).reshape(len(x), -1), axis=1)
    # The root has no derivative at 0: a flat critic gets the subgradient 0, not NaN.
    flat = squares == 0
    return jnp.where(flat, 0.0, jnp.sqrt(jnp.where(flat, 1.0, squares)))
