"""r_v of arXiv 2006.06676, equation 1, with a discriminator that is the mean pixel."""

import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from ml_collections import ConfigDict

from experiments.evaluation import evaluators
from gans import core
from gans.core import GAN, Net
from gans.data.source import InMemory


class Mean(nn.Module):
    @nn.compact
    def __call__(self, x, label=None, *, train):
        return self.param("scale", nn.initializers.ones, ()) * x.mean((1, 2, 3))


def grey(level, n):
    images = np.full((n, 2, 2, 1), level, np.uint8)
    return InMemory("grey", {"image": images}, {"image": "image"})


def made(n, value, sizes=(3, 5)):
    """A setting of n samples at most, all of this value, in batches of unlike size."""
    plan = types.SimpleNamespace(n=n, size=3)
    return types.SimpleNamespace(
        place="config.metrics",
        config=ConfigDict({"data": "grey"}),
        samplers=types.SimpleNamespace(test=grey(204, 5)),
        field=lambda *_: "image",
        plan=lambda output: plan,
        samples=lambda *_: (
            {"image": np.full((b, 2, 2, 1), value, np.float32)} for b in sizes
        ),
    )


def test_where_held_out_images_are():
    x = jax.ShapeDtypeStruct((1, 2, 2, 1), jnp.float32)
    gan = GAN({"d": Net(Mean(), (x, None))}, (), lambda *_: {}, {})
    state = core.init(gan, jax.random.key(0))
    source, make = grey(255, 9), evaluators.module("overfitting").make
    setting = made(8, -1.0)
    found = make(gan, source.spec, source, setting=setting)(state)
    # Training images are 1, samples -1, test images 204 / 127.5 - 1 = 0.6: 0.4 of the
    # way of 2. There are five test images, so five of each are taken.
    wanted = {"overfitting": 0.2, "train": 1.0, "test": 0.6, "fake": -1.0}
    for name, value in wanted.items():
        name = name if name == "overfitting" else f"overfitting/{name}"
        assert found[name].value == pytest.approx(value, abs=1e-6), name
    assert found["overfitting"].protocol == {"n": 5}

    setting.samplers.test = None
    with pytest.raises(ValueError, match="needs held-out images, and grey has no test"):
        make(gan, source.spec, source, setting=setting)
    setting.samplers.test, other = grey(0, 5), GAN({}, (), lambda *_: {}, {})
    with pytest.raises(ValueError, match='needs one discriminator "d"'):
        make(other, source.spec, source, setting=setting)
