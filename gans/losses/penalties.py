"""Penalties on a critic's gradient with respect to its input, without their weights.

A critic takes x [B, ...] to logits [B], each a function of its own example. A critic
that looks at the batch has no such gradient, and none of these means anything for it.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array

Critic = Callable[[Array], Array]


def gradient_penalty(
    critic: Critic, real: Array, fake: Array, key: Array, *, one_sided: bool = False
) -> Array:
    """Mean squared distance of the critic's gradient norm from 1.

    Algorithm 1, lines 6 and 7, of arXiv 1704.00028 (weight 10): the gradient is taken
    at one point per example, drawn uniformly on the line from its real to its fake
    partner; the norm is over all axes of an example. `one_sided` (section 4 there)
    leaves norms below 1 alone.

    Args:
      critic: x [B, ...] -> logits [B].
      real: [B, ...], images in [-1, 1].
      fake: [B, ...].
      key: draws the B mixing weights.

    Returns: [] float32.
    """
    excess = gradient_norms(critic, _between(real, fake, key)) - 1
    return jnp.mean((jnp.maximum(excess, 0) if one_sided else excess) ** 2)


def dragan(critic: Critic, real: Array, key: Array, *, scale: float = 0.5) -> Array:
    """Mean squared distance of the gradient norm from 1 around the real data.

    Section 2.3 of arXiv 1705.07215 (weight 10, the norm's target k = 1). The points
    are those of its authors' code, not the paper's Gaussian ones: real [B, ...] plus a
    share U(0, 1) per example of noise `scale` * std(real) * U(0, 1) per number, which
    is never negative; the deviation is that of all numbers of the batch.
    Returns: [] float32.
    """
    key_noise, key = jax.random.split(key)
    noise = scale * jnp.std(_wide(real)) * jax.random.uniform(key_noise, real.shape)
    return jnp.mean(
        (gradient_norms(critic, _between(real, real + noise, key)) - 1) ** 2
    )


def r1(critic: Critic, real: Array) -> Array:
    """Half the mean squared gradient norm at real data [B, ...]: [] float32.

    Equation 9 of arXiv 1801.04406, whose weight is gamma (10 there).
    """
    return 0.5 * jnp.mean(_squared_norms(critic, real))


def r2(critic: Critic, fake: Array) -> Array:
    """Half the mean squared gradient norm at generated data [B, ...]: [] float32.

    Equation 10 of arXiv 1801.04406, whose weight is gamma.
    """
    return 0.5 * jnp.mean(_squared_norms(critic, fake))


def zero_centred(critic: Critic, real: Array, fake: Array, key: Array) -> Array:
    """Mean squared gradient norm between real and fake [B, ...]: [] float32.

    0-GP of arXiv 1902.03984, section 5 (weight 100), at points drawn as in
    `gradient_penalty`.
    """
    return jnp.mean(_squared_norms(critic, _between(real, fake, key)))


def _between(a, b, key):
    """A point on the line from each example of a to its partner in b."""
    alpha = jax.random.uniform(key, (len(a),) + (1,) * (a.ndim - 1))
    return a + alpha * (b - a)


def gradient_norms(critic: Critic, x: Array) -> Array:
    """Euclidean norms [B] float32 of d critic(x)[i] / d x[i], for x [B, ...]."""
    squares = _squared_norms(critic, x)
    # The root has no derivative at 0: a flat critic gets the subgradient 0, not NaN.
    flat = squares == 0
    return jnp.where(flat, 0.0, jnp.sqrt(jnp.where(flat, 1.0, squares)))


def _squared_norms(critic, x):
    grads = jax.grad(lambda x: _wide(critic(x)).sum())(x)
    return jnp.sum(jnp.square(_wide(grads)).reshape(len(x), -1), axis=1)


def _wide(x):
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))
