"""Images to images in pairs, with dropout also when sampling: pix2pix's shape.

arXiv 1611.07004: the noise of the generator is its dropout.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn

from configs import presets
from gans.core import GAN, Net, Out, Update
from gans.data.source import InMemory
from gans.data.spec import Field
from gans.layers.conv import Conv


class Generator(nn.Module):
    """x [B, H, W, C] -> [B, H, W, C] in [-1, 1]; dropout at all times."""

    @nn.compact
    def __call__(self, x, *, train):
        h = nn.relu(Conv(16, (3, 3))(x))
        h = nn.Dropout(0.5, deterministic=False)(h)
        return jnp.tanh(Conv(x.shape[-1], (3, 3))(h))


class Discriminator(nn.Module):
    """(x, y) [B, H, W, C] each -> logits [B, h, w]."""

    @nn.compact
    def __call__(self, x, y, *, train):
        h = jnp.concatenate([x, y], axis=-1)
        h = nn.leaky_relu(Conv(8, (4, 4), (2, 2))(h), 0.2)
        return Conv(1, (3, 3))(h)[..., 0]


def discriminator_loss(nets, batch, key, state):
    fake = nets["g"](batch["input"], key=key)
    on_real = nets["d"](batch["input"], y=batch["target"])
    on_fake = nets["d"](batch["input"], y=fake)
    value = jnp.mean(nn.softplus(-on_real)) + jnp.mean(nn.softplus(on_fake))
    return value / 2, Out()


def generator_loss(nets, batch, key, state):
    fake = nets["g"](batch["input"], key=key)
    distance = jnp.mean(jnp.abs(fake - batch["target"]))
    fooled = jnp.mean(nn.softplus(-nets["d"](batch["input"], y=fake)))
    return fooled + 100 * distance, Out({"l1": distance})


def translate(nets, inputs, key):
    return {"target": nets["g"](inputs["input"], key=key)}


def build(config, spec, stage=0):
    x = jax.ShapeDtypeStruct((1, *spec["input"].shape), jnp.float32)
    adam = optax.adam(2e-3, b1=0.5)
    return GAN(
        nets={
            "g": Net(Generator(), (x,), adam),
            "d": Net(Discriminator(), (x, x), adam),
        },
        updates=(
            Update("d", ("d",), discriminator_loss),
            Update("g", ("g",), generator_loss),
        ),
        inputs=lambda key, batch: {"input": batch["input"]},
        conditioned_on=("input",),
        outputs={"sample": translate},
    )


def source(*, split="train", seed=0, **_unused):
    """Grey ramps, and the same ramps turned to negatives."""
    n = 24 if split == "train" else 8
    steps = np.arange(8, dtype=np.uint8)
    images = np.stack(
        [np.add.outer(steps * (1 + i % 4), 3 * steps * (i % 7)) for i in range(n)]
    )
    images = images.astype(np.uint8)[..., None]
    field = Field("image", (8, 8, 1), "uint8")
    arrays = {"input": images, "target": 255 - images}
    return InMemory("ramps", arrays, {"input": field, "target": field})


def get_config():
    config = presets.run(
        "systems.paired", "own", {"own": {"data": "python:systems.paired:source"}}
    )
    config.batch_size, config.steps, config.flip = 4, 12, True
    return config
