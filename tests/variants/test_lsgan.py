"""LSGAN's targets."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gans import core
from gans.variants import lsgan


def test_the_targets_reach_the_losses(tiny):
    config = tiny("lsgan", targets=(-1.0, 1.0, 0.0))
    game = lsgan.build(config)
    loss = game.updates[0].loss.keywords["game"].loss
    # 0.5 (2 - 1)^2 + 0.5 (3 + 1)^2 = 8.5; the generator: 0.5 (3 - 0)^2 = 4.5.
    assert float(loss.critic(jnp.array([2.0]), jnp.array([3.0]))) == 8.5
    assert float(loss.generator(jnp.array([3.0]))) == 4.5
    # A critic that says b on real and a on fake has nothing to gain.
    at_rest = jax.grad(loss.critic, (0, 1))(jnp.array([1.0]), jnp.array([-1.0]))
    np.testing.assert_array_equal(at_rest, 0)
    assert isinstance(game, core.GAN)


def test_three_targets(tiny):
    with pytest.raises(ValueError, match="three numbers a, b, c"):
        lsgan.build(tiny("lsgan", targets=(0.0, 1.0)))


def test_another_loss_is_another_variant(tiny):
    with pytest.raises(ValueError, match="config.loss='hinge': LSGAN's is least_sq"):
        lsgan.build(tiny("lsgan", loss="hinge"))
