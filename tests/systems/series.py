"""A time series with an encoder: reconstructions, and scores of windows.

TadGAN's shape (arXiv 2009.07769): encoder, generator, a discriminator of windows.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn

from configs import presets
from gans.core import GAN, Net, Out, Update, length
from gans.data.source import InMemory
from gans.data.spec import Field

T, LATENT = 16, 3


class Dense(nn.Module):
    """x [B, ...] -> [B, *shape]."""

    shape: tuple

    @nn.compact
    def __call__(self, x, *, train):
        h = nn.tanh(nn.Dense(16)(x.reshape(len(x), -1)))
        return nn.Dense(int(np.prod(self.shape)))(h).reshape(-1, *self.shape)


def discriminator_loss(nets, batch, key, state):
    z = jax.random.normal(key, (length(batch), LATENT))
    on_real, on_fake = nets["c"](batch["series"]), nets["c"](nets["g"](z))
    return jnp.mean((on_real - 1) ** 2) + jnp.mean(on_fake**2), Out()


def generator_loss(nets, batch, key, state):
    z = jax.random.normal(key, (length(batch), LATENT))
    fooled = jnp.mean((nets["c"](nets["g"](z)) - 1) ** 2)
    again = nets["g"](nets["e"](batch["series"]))
    error = jnp.mean((again - batch["series"]) ** 2)
    return fooled + 10 * error, Out({"reconstruction": error})


def reconstruct(nets, inputs, key):
    return {"series": nets["g"](nets["e"](inputs["series"]))}


def score(nets, inputs, key):
    error = reconstruct(nets, inputs, key)["series"] - inputs["series"]
    return {"score": jnp.abs(error).mean((1, 2)) - nets["c"](inputs["series"])[:, 0]}


def build(config, spec, stage=0):
    x = jax.ShapeDtypeStruct((1, *spec["series"].shape), jnp.float32)
    z = jax.ShapeDtypeStruct((1, LATENT), jnp.float32)
    adam = optax.adam(1e-3)
    return GAN(
        nets={
            "e": Net(Dense((LATENT,)), (x,), adam),
            "g": Net(Dense(spec["series"].shape), (z,), adam),
            "c": Net(Dense((1,)), (x,), adam),
        },
        updates=(
            Update("c", ("c",), discriminator_loss),
            Update("g", ("e", "g"), generator_loss),
        ),
        inputs=lambda key, batch: {
            "series": batch["series"],
            "z": jax.random.normal(key, (length(batch), LATENT)),
        },
        conditioned_on=("series",),
        outputs={
            "sample": lambda nets, inputs, key: {"series": nets["g"](inputs["z"])},
            "reconstruct": reconstruct,
            "score": score,
        },
    )


def source(*, split="train", seed=0, **_unused):
    """Sines of random phase, in windows of two channels."""
    random = np.random.default_rng(seed)
    phase = random.uniform(0, 6, (40, 1, 2))
    series = np.sin(np.arange(T)[None, :, None] / 2 + phase).astype(np.float32)
    field = Field("series", (T, 2), "float32")
    return InMemory("sines", {"series": series}, {"series": field})


def get_config():
    config = presets.run(
        "systems.series", "own", {"own": {"data": "python:systems.series:source"}}
    )
    config.batch_size, config.steps = 8, 12
    return config
