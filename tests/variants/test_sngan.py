"""SNGAN: one power iteration per update of the discriminator."""

import functools

import jax
import numpy as np
import pytest

from experiments import config as configs
from gans import core

KEY = jax.random.key(0)


def test_u_changes_once_in_the_discriminator_s_update_alone(tiny):
    config = tiny("sngan")
    game = configs.build(config)
    state = jax.jit(functools.partial(core.init, game))(KEY)
    batch = {"image": jax.random.normal(KEY, (4, *config.shape))}
    discriminator, generator = game.updates
    changes, _ = jax.jit(functools.partial(core.play, game, discriminator))(
        state, batch, KEY
    )
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


def test_a_discriminator_without_spectral_norm_is_rejected(tiny):
    config = tiny("sngan")
    config.discriminator.spectral = False
    with pytest.raises(
        ValueError,
        match="discriminator: spectral=False, but this variant has spectral=True",
    ):
        configs.build(config)


def test_the_paper_s_settings(tiny):
    for preset in ("cifar10", "cifar10_cnn"):
        config = tiny("sngan", preset)
        adam = config.discriminator.optimizer
        assert (adam.learning_rate, adam.b1, adam.b2) == (2e-4, 0, 0.9)
        assert (config.loss, config.n_critic) == ("hinge", 5)


def test_the_variant_sets_spectral_norm_by_itself(tiny):
    config = tiny("sngan")
    del config.discriminator.spectral
    assert configs.build(config).nets["d"].module.layers.spectral
