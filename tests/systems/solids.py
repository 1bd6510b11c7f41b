"""Clips and voxels: the same game over data of four axes, by the kind of its field."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn

from configs import presets
from gans.core import GAN, Net, Out, Update, length
from gans.data.source import InMemory
from gans.data.spec import Field, main_field


class Generator(nn.Module):
    """z [B, 4] -> [B, *shape] in [-1, 1]."""

    shape: tuple

    @nn.compact
    def __call__(self, z, *, train):
        h = nn.relu(nn.Dense(32)(z))
        return jnp.tanh(nn.Dense(int(np.prod(self.shape)))(h)).reshape(-1, *self.shape)


class Discriminator(nn.Module):
    """x [B, ...] -> logits [B]."""

    @nn.compact
    def __call__(self, x, *, train):
        h = nn.leaky_relu(nn.Dense(16)(x.reshape(len(x), -1)), 0.2)
        return nn.Dense(1)(h)[:, 0]


def build(config, spec, stage=0):
    name = main_field(spec)
    shape = spec[name].shape
    z = jax.ShapeDtypeStruct((1, 4), jnp.float32)
    x = jax.ShapeDtypeStruct((1, *shape), jnp.float32)

    def fakes(nets, batch, key):
        return nets["g"](jax.random.normal(key, (length(batch), 4)))

    def discriminator_loss(nets, batch, key, state):
        on_real, on_fake = nets["d"](batch[name]), nets["d"](fakes(nets, batch, key))
        return jnp.mean(nn.relu(1 - on_real)) + jnp.mean(nn.relu(1 + on_fake)), Out()

    def generator_loss(nets, batch, key, state):
        return -jnp.mean(nets["d"](fakes(nets, batch, key))), Out()

    return GAN(
        nets={
            "g": Net(Generator(shape), (z,), optax.adam(1e-3), ema=0.9),
            "d": Net(Discriminator(), (x,), optax.adam(1e-3)),
        },
        updates=(
            Update("d", ("d",), discriminator_loss),
            Update("g", ("g",), generator_loss),
        ),
        inputs=lambda key, batch: {"z": jax.random.normal(key, (length(batch), 4))},
        outputs={"sample": lambda nets, inputs, key: {name: nets["g"](inputs["z"])}},
    )


def clips(*, split="train", seed=0, **_unused):
    """A bright bar that moves to the right: uint8 [6, 8, 8, 3]."""
    video = np.zeros((12, 6, 8, 8, 3), np.uint8)
    for i in range(12):
        for t in range(6):
            video[i, t, :, (i + t) % 8] = 255
    return InMemory(
        "bars", {"clip": video}, {"clip": Field("video", video.shape[1:], "uint8")}
    )


def cubes(*, split="train", seed=0, **_unused):
    """Boxes of several sizes: uint8 [8, 8, 8, 1], 0 or 255."""
    voxels = np.zeros((12, 8, 8, 8, 1), np.uint8)
    for i in range(12):
        side = 2 + i % 5
        voxels[i, :side, :side, :side] = 255
    spec = {"solid": Field("voxels", voxels.shape[1:], "uint8")}
    return InMemory("boxes", {"solid": voxels}, spec)


def get_config(preset="clips"):
    config = presets.run(
        "systems.solids", "own", {"own": {"data": f"python:systems.solids:{preset}"}}
    )
    config.batch_size, config.steps = 4, 12
    return config
