"""WGAN: clipped weights, and the critic's head start."""

import functools

import jax
import numpy as np
import pytest

from experiments import config as configs
from gans import core

KEY = jax.random.key(0)


def test_the_generator_is_updated_each_100th_then_each_5th_step(tiny):
    game = configs.build(tiny("wgan", warmup=200))
    due = [i for i in range(220) if game.updates[1].when(np.int32(i))]
    assert due == [99, 199, 204, 209, 214, 219]


def test_changes_of_n_critic_come_after_the_warm_up(tiny):
    game = configs.build(tiny("wgan", warmup=100, n_critic_changes=((110, 2),)))
    due = [i for i in range(116) if game.updates[1].when(np.int32(i))]
    assert due == [99, 104, 109, 111, 113, 115]


def test_without_warm_up_it_is_each_5th(tiny):
    game = configs.build(tiny("wgan", warmup=0))
    due = [i for i in range(20) if game.updates[1].when(np.int32(i))]
    assert due == [4, 9, 14, 19]


def test_the_critic_s_weights_are_clipped_and_the_generator_s_are_not(tiny):
    config = tiny("wgan", warmup=0)
    config.discriminator.optimizer.learning_rate = 1.0
    game = configs.build(config)
    state = jax.jit(functools.partial(core.init, game))(KEY)
    step = jax.jit(core.make_step(game))
    batch = {"image": jax.random.normal(KEY, (4, *config.shape))}
    for _ in range(5):
        state, _ = step(state, batch, KEY)
    largest = max(np.abs(p).max() for p in jax.tree.leaves(state.params["d"]))
    np.testing.assert_allclose(largest, 0.01, rtol=1e-5)
    assert max(np.abs(p).max() for p in jax.tree.leaves(state.params["g"])) > 0.02


def test_it_needs_its_loss_and_its_clipping(tiny):
    with pytest.raises(
        ValueError, match="loss of WGAN: must be 'wasserstein', got 'hinge'"
    ):
        configs.build(tiny("wgan", loss="hinge"))
    config = tiny("wgan")
    del config.discriminator.optimizer.clip
    with pytest.raises(ValueError, match="discriminator: WGAN needs clipping: set opt"):
        configs.build(config)
