"""Penalties on the gradient of a discriminator with respect to its input.

They are without their weights, and one number per example; the caller takes the mean.
A discriminator takes x [B, ...] to logits [B], each a function of its own example.
Where a logit depends on the rest of the batch, none of these means anything.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array

from gans.sharding import split

Discriminate = Callable[[Array], Array]


def gradient_penalty(
    discriminate: Discriminate,
    real: Array,
    fake: Array,
    key: Array,
    *,
    one_sided: bool = False,
    target: float = 1.0,
) -> Array:
    """Squared distance of the gradient's norm from 1, between real and fake examples.

    Algorithm 1, lines 6 and 7, of arXiv 1704.00028 (weight 10): the gradient is taken
    at one point per example, drawn uniformly on the line from its real to its fake
    partner; the norm is over all axes of an example. `one_sided` (section 4 there)
    leaves norms below 1 alone. With `target` it is that of norm / target from 1
    (arXiv 1710.10196, appendix A.2: 750).

    Args:
      discriminate: x [B, ...] -> logits [B].
      real: [B, ...], images in [-1, 1].
      fake: [B, ...].
      key: draws the B mixing weights.

    Returns: [B] float32.
    """
    excess = gradient_norms(discriminate, _between(real, fake, key)) / target - 1
    return (jnp.maximum(excess, 0) if one_sided else excess) ** 2


def dragan(
    discriminate: Discriminate, real: Array, key: Array, *, scale: float = 0.5
) -> Array:
    """Squared distance of the gradient's norm from 1, around real examples.

    Section 2.3 of arXiv 1705.07215 (weight 10, the norm's target k = 1). The points
    are those of its authors' code, not the paper's Gaussian ones: real [B, ...] plus a
    share U(0, 1) per example of noise `scale` * std(real) * U(0, 1) per number, which
    is never negative; the deviation is that of all numbers of the batch.
    Returns: [B] float32.
    """
    key_noise, key = jax.random.split(key)
    shares = split(jax.random.uniform(key_noise, real.shape))
    noise = scale * jnp.std(_wide(real)) * shares
    return (gradient_norms(discriminate, _between(real, real + noise, key)) - 1) ** 2


def r1(discriminate: Discriminate, real: Array) -> Array:
    """Half the squared gradient norm at real data [B, ...]: [B] float32.

    Equation 9 of arXiv 1801.04406, whose weight is gamma (10 there).
    """
    return 0.5 * _squared_norms(discriminate, real)


def r2(discriminate: Discriminate, fake: Array) -> Array:
    """Half the squared gradient norm at generated data [B, ...]: [B] float32.

    Equation 10 of arXiv 1801.04406, whose weight is gamma.
    """
    return 0.5 * _squared_norms(discriminate, fake)


def zero_centred(
    discriminate: Discriminate, real: Array, fake: Array, key: Array
) -> Array:
    """Squared gradient norm between real and fake [B, ...]: [B] float32.

    0-GP of arXiv 1902.03984, section 5 (weight 100), at points drawn as in
    `gradient_penalty`.
    """
    return _squared_norms(discriminate, _between(real, fake, key))


def _between(a, b, key):
    """A point on the line from each example of a to its partner in b."""
    alpha = jax.random.uniform(key, (len(a),) + (1,) * (a.ndim - 1))
    return a + alpha * (b - a)


def gradient_norms(discriminate: Discriminate, x: Array) -> Array:
    """Euclidean norms [B] float32 of d discriminate(x)[i] / d x[i], for x [B, ...]."""
    squares = _squared_norms(discriminate, x)
    # The root has no derivative at 0: a constant one gets the subgradient 0, not NaN.
    flat = squares == 0
    return jnp.where(flat, 0.0, jnp.sqrt(jnp.where(flat, 1.0, squares)))


def _squared_norms(discriminate, x):
    grads = jax.grad(lambda x: _wide(discriminate(x)).sum())(x)
    return jnp.sum(jnp.square(_wide(grads)).reshape(len(x), -1), axis=1)


def _wide(x):
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))
