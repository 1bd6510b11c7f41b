"""DCGAN's two layouts, as its config builds them."""

import functools
import importlib
import types

import jax
import pytest

from experiments import config as configs
from gans import core
from gans.data.spec import Field


def shapes(preset, shape):
    config = importlib.import_module("configs.dcgan").get_config(preset)
    spec = {"image": Field("image", shape, "uint8")}
    source = types.SimpleNamespace(spec=spec, shape=shape, n_classes=None)
    config = configs.resolve(config, source)
    game = configs.build(config)
    state = jax.eval_shape(functools.partial(core.init, game), jax.random.key(0))
    return {
        player: {
            name: leaf.shape
            for name, layer in state.params[player].items()
            for key, leaf in jax.tree_util.tree_leaves_with_path(layer)
            if key[-1].key == "kernel"
        }
        for player in "gd"
    }, config


def test_the_paper_s_64x64_layout():
    found, config = shapes("folder", (64, 64, 3))
    assert found["g"] == {
        "dense": (100, 4 * 4 * 1024),
        "deconv1": (4, 4, 1024, 512),
        "deconv2": (4, 4, 512, 256),
        "deconv3": (4, 4, 256, 128),
        "out": (4, 4, 128, 3),
    }
    assert found["d"] == {
        "conv0": (4, 4, 3, 128),
        "conv1": (4, 4, 128, 256),
        "conv2": (4, 4, 256, 512),
        "conv3": (4, 4, 512, 1024),
        "out": (4 * 4 * 1024, 1),
    }
    assert config.batch_size == 128
    adam = config.generator.optimizer
    assert (adam.learning_rate, adam.b1) == (2e-4, 0.5)


def test_the_32x32_layout():
    found, _ = shapes("cifar10", (32, 32, 3))
    assert found["g"] == {
        "dense": (100, 4 * 4 * 256),
        "deconv1": (4, 4, 256, 128),
        "deconv2": (4, 4, 128, 128),
        "deconv3": (4, 4, 128, 128),
        "out": (3, 3, 128, 3),
    }
    assert found["d"] == {
        "conv0": (3, 3, 3, 64),
        "conv1": (3, 3, 64, 128),
        "conv2": (3, 3, 128, 128),
        "conv3": (3, 3, 128, 256),
        "out": (4 * 4 * 256, 1),
    }


def test_networks_of_another_kind_are_rejected(tiny):
    config = tiny("dcgan")
    config.discriminator.network = "mlp"
    with pytest.raises(ValueError, match="discriminator: network='mlp'.*='dcgan'"):
        configs.build(config)
