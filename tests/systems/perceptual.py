"""A frozen network from a file: features that the generator is to match.

The file is config.features, an .npz of the network's kernel.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn

from configs import presets
from gans.core import GAN, Net, Out, Update, length


class Features(nn.Module):
    """x [B, ...] -> [B, 32]."""

    @nn.compact
    def __call__(self, x, *, train):
        return nn.tanh(
            nn.Dense(32, use_bias=False, name="layer")(x.reshape(len(x), -1))
        )


class Generator(nn.Module):
    """z [B, 4] -> images [B, 16, 16, 1] in [-1, 1]."""

    @nn.compact
    def __call__(self, z, *, train):
        h = nn.relu(nn.Dense(32)(z))
        return jnp.tanh(nn.Dense(256)(h)).reshape(-1, 16, 16, 1)


def generator_loss(nets, batch, key, state):
    fake = nets["g"](jax.random.normal(key, (length(batch), 4)))
    real = nets["features"](batch["image"]).mean(0)
    return jnp.sum((nets["features"](fake).mean(0) - real) ** 2), Out()


def build(config, spec, stage=0):
    kernel = np.load(config["features"])["kernel"]
    z = jax.ShapeDtypeStruct((1, 4), jnp.float32)
    x = jax.ShapeDtypeStruct((1, *spec["image"].shape), jnp.float32)
    given = {"params": {"layer": {"kernel": kernel}}}
    return GAN(
        nets={
            "g": Net(Generator(), (z,), optax.adam(1e-3)),
            "features": Net(Features(), (x,), given=given),
        },
        updates=(Update("g", ("g",), generator_loss),),
        inputs=lambda key, batch: {"z": jax.random.normal(key, (length(batch), 4))},
        outputs={"sample": lambda nets, inputs, key: {"image": nets["g"](inputs["z"])}},
    )


def get_config():
    config = presets.run("systems.perceptual", "own", {"own": {"data": "digits"}})
    config.resolution, config.channels = 16, 1
    config.batch_size, config.steps = 8, 12
    config.features = ""
    return config
