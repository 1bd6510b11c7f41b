"""The shared game: the losses in it, what is differentiated, and that it learns."""

import dataclasses
import functools
import importlib

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from experiments import config as configs
from gans import core, data
from gans.data import pipeline
from gans.game import discriminate, generate
from gans.losses import adversarial
from gans.metrics.scores import modes

KEY = jax.random.key(0)


def ready(config):
    game = configs.build(config)
    return game, jax.jit(functools.partial(core.init, game))(KEY)


def batch_of(config, n=8):
    x = jnp.tanh(jax.random.normal(KEY, (n, *config.shape)))
    return {"image": x} if len(config.shape) == 3 else {"point": x}


@pytest.mark.parametrize("name", ["minimax", "non_saturating", "hinge"])
def test_the_losses_are_those_of_the_logits(tiny, name):
    config = tiny("gan", "circle", loss=name, dtype="float32")
    game, state = ready(config)
    batch, nets = batch_of(config), core.bind(game, state, train=True)
    loss = adversarial.make(name)

    key_g, key_d = jax.random.split(KEY)
    fake, *_ = generate(nets["g"], 8, None, key_g, config.latent)
    on_real, on_fake = nets["d"](batch["point"], None), nets["d"](fake, None)

    found, _ = game.updates[0].loss(nets, batch, KEY, state)
    np.testing.assert_allclose(
        found, adversarial.total(loss.discriminator(on_real, on_fake)), rtol=1e-5
    )
    found, _ = game.updates[1].loss(nets, batch, KEY, state)
    np.testing.assert_allclose(
        found, adversarial.total(loss.generator(on_fake)), rtol=1e-5
    )
    other = adversarial.make("least_squares").discriminator(on_real, on_fake)
    other = adversarial.total(other)
    assert not np.isclose(found, other)


def test_one_pass_for_real_and_fake_changes_no_number(tiny):
    """Spectral norm included: its sigma does not depend on the batch."""
    config = tiny("sngan")
    game, state = ready(config)
    d = core.bind(game, state, train=True)["d"]
    real, fake = jax.random.normal(KEY, (2, 4, *config.shape))
    on_real, on_fake, stats = jax.jit(
        lambda real, fake: discriminate(d, real, fake, None, KEY)
    )(real, fake)
    alone = jax.jit(d.mutate)
    np.testing.assert_allclose(on_real, alone(real)[0], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(on_fake, alone(fake)[0], rtol=1e-4, atol=1e-6)
    apart = alone(real)[1]
    for a, b in zip(jax.tree.leaves(stats), jax.tree.leaves(apart), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5)


def test_batch_norm_in_the_discriminator_sees_real_and_fake_apart(tiny):
    config = tiny("dcgan", "folder")
    game, state = ready(config)
    d = core.bind(game, state, train=True)["d"]
    real, fake = jax.random.normal(KEY, (2, 4, *config.shape)) * jnp.array(
        [1.0, 3.0]
    ).reshape(2, 1, 1, 1, 1)
    on_real, on_fake, stats = jax.jit(
        lambda real, fake: discriminate(d, real, fake, None, KEY)
    )(real, fake)
    alone = jax.jit(d.mutate)
    np.testing.assert_allclose(on_real, alone(real)[0], rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(on_fake, alone(fake)[0], rtol=1e-3, atol=1e-5)
    # Together they would share statistics, and the numbers would differ.
    together = alone(jnp.concatenate([real, fake]))[0]
    assert not np.allclose(on_real, together[:4], rtol=1e-3, atol=1e-5)
    # The running statistics are those of real data.
    kept = alone(real)[1]["batch_stats"]
    for a, b in zip(
        jax.tree.leaves(stats["batch_stats"]), jax.tree.leaves(kept), strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-6)


def test_the_discriminator_s_update_does_not_differentiate_the_generator(tiny):
    """The same numbers as with an explicit stop_gradient, and no backward pass of g."""
    config = tiny("wgan_gp")
    game = configs.build(config)
    state = jax.jit(functools.partial(core.init, game))(KEY)

    def stopped(nets, batch, key, state):
        g = dataclasses.replace(
            nets["g"], params=jax.lax.stop_gradient(nets["g"].params)
        )
        return game.updates[0].loss({**nets, "g": g}, batch, key, state)

    explicit = dataclasses.replace(game.updates[0], loss=stopped)
    batch = batch_of(config, 4)
    costs = []
    for update in (game.updates[0], explicit):
        play = jax.jit(functools.partial(core.play, game, update))
        compiled = play.lower(state, batch, KEY).compile()
        costs.append(compiled.cost_analysis()["flops"])
    assert costs[0] == costs[1]


def train(config, n):
    """n steps in one scanned call; returns the state and the game."""
    source = data.load(config.data)
    config = configs.resolve(config, source)
    game = configs.build(config)
    dataset = pipeline.batches(source, config.batch_size, seed=0)
    step = core.make_step(game)
    batches = jax.tree.map(lambda *x: np.stack(x), *(dataset[i] for i in range(n)))

    @jax.jit
    def run(state, batches):
        return jax.lax.scan(
            lambda s, b: step(s, dataset.prepare(b), KEY), state, batches
        )[0]

    return run(jax.jit(functools.partial(core.init, game))(KEY), batches), game, source


def points(game, state, n=2000):
    inputs = game.inputs(jax.random.key(5), {"": jnp.zeros(n)})
    return np.asarray(core.sample(game, state, inputs, KEY)["point"])


def test_gan_learns_the_ring():
    config = importlib.import_module("configs.gan").get_config("circle")
    state, game, source = train(config, 3000)
    found = modes.measure(points(game, state), source)
    assert found["high_quality"] > 0.75, found
    assert found["sectors"] >= 24, found
    # Untrained, it does not have it.
    first = jax.jit(functools.partial(core.init, game))(KEY)
    found = modes.measure(points(game, first), source)
    assert found["high_quality"] < 0.2


@pytest.mark.slow
def test_wgan_gp_finds_all_eight_modes():
    config = importlib.import_module("configs.wgan_gp").get_config("ring8")
    state, game, source = train(config, 4000)
    sample = points(game, state)
    distance = np.linalg.norm(sample[:, None] - source.modes[None], axis=-1)
    share = np.bincount(distance.argmin(1), minlength=8) / len(sample)
    assert share.min() > 0.04, share  # of 0.125
    assert np.median(distance.min(1)) < 0.25


def test_learning_rates_are_each_players_own(tiny):
    config = tiny("gan", "circle")
    sgd = {"name": "sgd", "schedule": "constant"}
    config.generator.optimizer = {**sgd, "learning_rate": 0.0}
    config.discriminator.optimizer = {**sgd, "learning_rate": 0.1}
    game, state = ready(config)
    after, _ = jax.jit(core.make_step(game))(state, batch_of(config), KEY)
    moved = optax.tree.norm(
        jax.tree.map(lambda a, b: a - b, after.params, state.params)["d"]
    )
    assert moved > 0
    for a, b in zip(
        jax.tree.leaves(after.params["g"]),
        jax.tree.leaves(state.params["g"]),
        strict=True,
    ):
        np.testing.assert_array_equal(a, b)
