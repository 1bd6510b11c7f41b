"""SNGAN: one power iteration per critic move."""

import functools

import jax
import numpy as np
import pytest

from gans import core
from gans.variants import sngan

KEY = jax.random.key(0)


def test_u_moves_once_in_the_critic_s_move_and_not_in_the_generator_s(tiny):
    config = tiny("sngan")
    game = sngan.build(config)
    state = jax.jit(functools.partial(core.init, game))(KEY)
    batch = {"image": jax.random.normal(KEY, (4, *config.shape))}
    critic, generator = game.updates
    changes, _ = jax.jit(functools.partial(core.play, game, critic))(state, batch, KEY)
    u = state.stats["d"]["spectral"]["out"]["kernel/u"]
    w = np.asarray(state.params["d"]["out"]["layer"]["kernel"])
    v = w @ u / np.linalg.norm(w @ u)
    expected = v @ w / np.linalg.norm(v @ w)
    found = changes["stats"]["d"]["spectral"]["out"]["kernel/u"]
    np.testing.assert_allclose(found, expected, rtol=1e-5)

    changes, _ = jax.jit(functools.partial(core.play, game, generator))(
        state, batch, KEY
    )
    assert set(changes["stats"]) == {"g"}


def test_a_critic_without_spectral_norm_is_refused(tiny):
    config = tiny("sngan")
    config.critic.spectral = False
    with pytest.raises(ValueError, match="config.critic.spectral=True"):
        sngan.build(config)


def test_the_paper_s_settings(tiny):
    for preset in ("cifar10", "cifar10_cnn"):
        config = tiny("sngan", preset)
        adam = config.critic.optimizer
        assert (adam.learning_rate, adam.b1, adam.b2) == (2e-4, 0, 0.9)
        assert (config.loss, config.n_critic) == ("hinge", 5)
