"""cGAN: both ways of conditioning hear the label, in both networks."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import config as configs
from gans import core
from gans.data import spec as specs

KEY = jax.random.key(0)


@pytest.fixture(scope="module", params=["concat", "projection"])
def game(request, tiny):
    config = tiny("cgan")
    for player in (config.generator, config.discriminator):
        player.condition = request.param
    game = configs.build(config)
    state = jax.jit(functools.partial(core.init, game))(KEY)
    # Conditional gains start equal for all classes: give every parameter some noise.
    random = np.random.default_rng(0)
    noisy = jax.tree.map(
        lambda p: p + np.float32(0.1) * random.normal(size=p.shape).astype(p.dtype),
        jax.device_get(state.params),
    )
    return game, state.replace(params=noisy), config


def test_the_label_changes_what_each_network_says(game):
    game, state, config = game
    z = jnp.ones((3, config.latent))
    x = jnp.ones((3, *config.shape))
    labels = jnp.array([0, 0, 1])

    @jax.jit
    def said(state):
        nets = core.bind(game, state, train=False)
        return nets["g"](z, labels), nets["d"](x, labels)

    samples, logits = said(state)
    np.testing.assert_allclose(samples[0], samples[1], rtol=1e-5)
    assert not np.allclose(samples[0], samples[2], rtol=1e-3)
    np.testing.assert_allclose(logits[0], logits[1], rtol=1e-5)
    assert not np.allclose(logits[0], logits[2], rtol=1e-3)


def test_latents_take_the_classes_in_turn(game):
    game, _, _ = game
    inputs = game.inputs(KEY, {"": jnp.zeros(7)})
    np.testing.assert_array_equal(inputs["label"], [0, 1, 2, 0, 1, 2, 0])


def test_a_label_may_have_any_name(tiny):
    config = tiny("cgan")
    spec = specs.from_json(config.spec.to_dict())
    spec["digit"] = spec.pop("label")
    config.spec = specs.to_json(spec)
    gan = configs.build(config)
    inputs = jax.eval_shape(gan.inputs, KEY, specs.blank(spec, 4))
    assert set(inputs) == {"z", "digit"}
    state = jax.eval_shape(functools.partial(core.init, gan), KEY)
    sample = functools.partial(core.sample, gan)
    assert set(jax.eval_shape(sample, state, inputs, KEY)) == {"image", "digit"}


def test_data_without_labels_is_rejected(tiny):
    with pytest.raises(ValueError, match="needs labels, and the data has only image"):
        configs.build(tiny("cgan", n_classes=None))


def test_networks_without_a_condition_are_rejected(tiny):
    config = tiny("cgan")
    config.discriminator.condition = None
    with pytest.raises(
        ValueError, match="discriminator: a conditional GAN needs condition"
    ):
        configs.build(config)


def test_samples_come_with_their_labels(game):
    game, state, config = game
    average = {"params": state.params["g"], "stats": state.stats["g"]}
    state = state.replace(ema={"g": average})
    inputs = game.inputs(KEY, {"image": jnp.zeros((7, 1))})
    found = core.sample(game, state, inputs, KEY)
    assert found["image"].shape == (7, *config.shape)
    np.testing.assert_array_equal(found["label"], inputs["label"])
    # Another label makes another image of the same latent.
    turned = inputs | {"label": (inputs["label"] + 1) % 3}
    others = core.sample(game, state, turned, KEY)["image"]
    assert np.abs(others - found["image"]).max() > 1e-3
