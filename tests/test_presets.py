"""The presets for a few hundred images, in every config that has them."""

import functools
import importlib
import types

import jax
import jax.numpy as jnp
import pytest

from experiments import config as configs
from gans import core
from gans.data.spec import Field

WITH = ("cgan", "dcgan", "lsgan", "sngan", "wgan_gp")


def resolved(variant, side, n_classes=None):
    config = importlib.import_module(f"configs.{variant}").get_config("folder_small")
    spec = {"image": Field("image", (side, side, 3), "uint8")}
    if variant == "cgan":
        n_classes = 2
        spec["label"] = Field("label", (), "int32", n_classes)
    source = types.SimpleNamespace(
        spec=spec, shape=(side, side, 3), n_classes=n_classes
    )
    configs.check(config)
    return configs.resolve(config, source)


def first_state(config):
    gan = configs.build(config)
    return gan, jax.eval_shape(functools.partial(core.init, gan), jax.random.key(0))


@pytest.mark.parametrize("variant", WITH)
def test_few_images_have_a_preset_that_a_cpu_can_train(variant):
    config = resolved(variant, 64)
    assert config.batch_size <= 32 and 1_000 <= config.steps <= 10_000
    assert 0 < config.evaluate_every <= config.steps // 3
    assert "memorisation" in config.metrics and config.flip
    assert config.augment == ("diff_augment",)
    gan, state = first_state(config)
    for name in "gd":
        assert sum(x.size for x in jax.tree.leaves(state.params[name])) < 500_000
    batch = {"image": jnp.zeros((config.batch_size, 64, 64, 3))}
    if config.n_classes:
        batch["label"] = jnp.zeros((config.batch_size,), jnp.int32)
    after, _ = jax.eval_shape(core.make_step(gan), state, batch, jax.random.key(1))
    assert jax.tree.structure(after) == jax.tree.structure(state)


@pytest.mark.parametrize("side", [32, 128])
def test_its_networks_take_another_resolution(side):
    gan, state = first_state(resolved("dcgan", side))
    out = jax.eval_shape(
        functools.partial(core.sample, gan),
        state,
        {"z": jnp.zeros((2, 64))},
        jax.random.key(0),
    )
    assert out["image"].shape == (2, side, side, 3)
