"""LSGAN's targets."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import config as configs
from gans import core
from gans.losses.adversarial import total


def test_the_targets_reach_the_losses(tiny):
    config = tiny("lsgan", targets=(-1.0, 1.0, 0.0))
    game = configs.build(config)
    loss = game.updates[0].loss.__self__.loss

    def discriminator(real, fake):
        return total(loss.discriminator(real, fake))

    # 0.5 (2 - 1)^2 + 0.5 (3 + 1)^2 = 8.5; the generator: 0.5 (3 - 0)^2 = 4.5.
    assert discriminator(jnp.array([2.0]), jnp.array([3.0])) == 8.5
    assert total(loss.generator(jnp.array([3.0]))) == 4.5
    # A discriminator that says b on real and a on fake has nothing to gain.
    at_rest = jax.grad(discriminator, (0, 1))(jnp.array([1.0]), jnp.array([-1.0]))
    np.testing.assert_array_equal(at_rest, 0)
    assert isinstance(game, core.GAN)


def test_three_targets(tiny):
    with pytest.raises(ValueError, match="LSGAN needs three, a, b, c"):
        configs.build(tiny("lsgan", targets=(0.0, 1.0)))


def test_another_loss_is_another_variant(tiny):
    with pytest.raises(
        ValueError, match="loss of LSGAN: must be 'least_squares', got 'hinge'"
    ):
        configs.build(tiny("lsgan", loss="hinge"))
