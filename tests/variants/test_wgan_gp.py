"""WGAN-GP: Algorithm 1, put together by hand."""

import functools
import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import config as configs
from gans import core
from gans.game import generate

KEY = jax.random.key(0)


def test_the_critic_s_loss_is_algorithm_1(tiny):
    config = tiny("wgan_gp", "ring8")
    penalty = {"discriminator.penalties": ("gradient_penalty(weight=10)",)}
    config = configs.override(config, penalty)
    game = configs.build(config)
    state = jax.jit(functools.partial(core.init, game))(KEY)
    nets = core.bind(game, state, train=True)
    real = jax.random.normal(KEY, (6, 2))
    value, out = game.updates[0].loss(nets, {"point": real}, KEY, state)

    key_g, _, key_gp = jax.random.split(KEY, 3)
    fake, *_ = generate(nets["g"], 6, None, key_g, config.latent)
    distance = jnp.mean(nets["d"](real)) - jnp.mean(nets["d"](fake))
    terms = []
    for i, a in enumerate(jax.random.uniform(key_gp, (6, 1))):
        x = a * fake[i] + (1 - a) * real[i]
        slope = jax.grad(lambda x: nets["d"](x[None])[0])(x)
        terms.append((jnp.sqrt(jnp.sum(slope**2)) - 1) ** 2)
    penalty = jnp.mean(jnp.array(terms))
    np.testing.assert_allclose(out.metrics["score_gap"], distance, rtol=1e-4)
    np.testing.assert_allclose(out.metrics["gradient_penalty"], penalty, rtol=1e-4)
    np.testing.assert_allclose(value, 10 * penalty - distance, rtol=1e-4)
    assert penalty > 1e-3, "nothing is tested"


def test_batch_norm_in_the_critic_is_rejected(tiny):
    config = tiny("wgan_gp")
    config.discriminator.norm = "batch"
    with pytest.raises(
        ValueError, match="gradient_penalty differentiates each .*norm='batch'"
    ):
        configs.build(config)


def test_it_needs_its_penalty(tiny):
    config = tiny("wgan_gp")
    config.discriminator.penalties = ("r1",)
    with pytest.raises(ValueError, match="needs gradient_penalty"):
        configs.build(config)


def test_the_defaults_are_the_paper_s(tiny):
    config = tiny("wgan_gp", "mnist")
    assert config.discriminator.penalties == (
        {"name": "gradient_penalty", "weight": 10},
    )
    assert config.n_critic == 5
    for player in (config.generator, config.discriminator):
        adam = player.optimizer
        assert (adam.learning_rate, adam.b1, adam.b2) == (1e-4, 0, 0.9)


def test_another_loss_is_another_variant(tiny):
    with pytest.raises(
        ValueError, match="loss of WGAN-GP: must be 'wasserstein', got 'hinge'"
    ):
        configs.build(tiny("wgan_gp", loss="hinge"))


def test_the_algorithm_is_two_hops_from_its_file():
    """What the file imports holds the loss, the penalty and the updates themselves."""
    from gans import game
    from gans.variants import wgan_gp

    assert wgan_gp.wasserstein.__module__ == "gans.losses.adversarial"
    assert wgan_gp.gradient_penalty.__module__ == "gans.terms.gradient_penalties"
    assert "updates=(" in inspect.getsource(wgan_gp.build)
    assert game.Game.discriminator_loss.__module__ == "gans.game"
