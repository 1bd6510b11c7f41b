"""Adversarial losses: pairs of functions of the critic's logits.

Every loss takes logits [B] (no sigmoid applied) and returns a [] float32 to minimise.
"""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array

from gans.names import check


@dataclasses.dataclass(frozen=True)
class Adversarial:
    """critic(real_logits [B], fake_logits [B]) and generator(fake_logits [B])."""

    critic: Callable[[Array, Array], Array]
    generator: Callable[[Array], Array]


def _pair(critic, generator):
    """The two losses, of logits taken to float32 first."""

    def in_float32(loss):
        return lambda *logits: loss(*(jnp.asarray(x, jnp.float32) for x in logits))

    return Adversarial(in_float32(critic), in_float32(generator))


def _log_loss(real, fake):
    """-log D(x) - log(1 - D(G(z))), with D = sigmoid(logits)."""
    return jnp.mean(jax.nn.softplus(-real)) + jnp.mean(jax.nn.softplus(fake))


def minimax() -> Adversarial:
    """Equation 1 of arXiv 1406.2661: the generator minimises log(1 - D(G(z)))."""
    return _pair(_log_loss, lambda fake: -jnp.mean(jax.nn.softplus(fake)))


def non_saturating() -> Adversarial:
    """Section 3 of arXiv 1406.2661: the generator maximises log D(G(z))."""
    return _pair(_log_loss, lambda fake: jnp.mean(jax.nn.softplus(-fake)))


def least_squares(a: float = 0.0, b: float = 1.0, c: float = 1.0) -> Adversarial:
    """Equation 2 of arXiv 1611.04076: targets a (fake), b (real), c (generator)."""
    return _pair(
        lambda real, fake: (
            0.5 * jnp.mean((real - b) ** 2) + 0.5 * jnp.mean((fake - a) ** 2)
        ),
        lambda fake: 0.5 * jnp.mean((fake - c) ** 2),
    )


def hinge() -> Adversarial:
    """Equations 16 and 17 of arXiv 1802.05957."""
    return _pair(
        lambda real, fake: (
            jnp.mean(jax.nn.relu(1 - real)) + jnp.mean(jax.nn.relu(1 + fake))
        ),
        lambda fake: -jnp.mean(fake),
    )


def wasserstein() -> Adversarial:
    """Equation 2 of arXiv 1701.07875, for a critic kept 1-Lipschitz by other means."""
    return _pair(
        lambda real, fake: jnp.mean(fake) - jnp.mean(real),
        lambda fake: -jnp.mean(fake),
    )


LOSSES = {
    f.__name__: f for f in (minimax, non_saturating, least_squares, hinge, wasserstein)
}


def make(name: str, **options) -> Adversarial:
    """Returns the loss of that name; raises ValueError for an unknown one."""
    return LOSSES[check(name, LOSSES, "loss")](**options)
