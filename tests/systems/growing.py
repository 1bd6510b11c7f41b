"""Three stages of growing resolution and falling batch, with fade-in: PGGAN's shape.

arXiv 1710.10196: the networks have all resolutions from the start, so that one
checkpoint format serves every stage.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn

from configs import presets
from gans import data
from gans.core import GAN, Net, Out, Update
from gans.data.source import InMemory
from gans.data.spec import Field
from gans.stages import Stage

SIDES = (4, 8, 16)


def up(x):
    """x [B, H, W, C] -> [B, 2 H, 2 W, C]."""
    return x.repeat(2, 1).repeat(2, 2)


def down(x):
    """x [B, H, W, C] -> [B, H / 2, W / 2, C]."""
    n, h, w, c = x.shape
    return x.reshape(n, h // 2, 2, w // 2, 2, c).mean((2, 4))


class Generator(nn.Module):
    """z [B, L] -> images [B, side, side, 1], the last doubling faded in by alpha."""

    stage: int

    @nn.compact
    def __call__(self, z, alpha, *, train):
        h = nn.Dense(16 * 8, name="first")(z).reshape(-1, 4, 4, 8)
        image = nn.Dense(1, name="to_image0")(h)
        for i in range(1, self.stage + 1):
            h = nn.leaky_relu(nn.Dense(8, name=f"block{i}")(up(h)), 0.2)
            new = nn.Dense(1, name=f"to_image{i}")(h)
            weight = alpha if i == self.stage else 1.0
            image = (1 - weight) * up(image) + weight * new
        return jnp.tanh(image)


class Discriminator(nn.Module):
    """images [B, side, side, 1] -> logits [B]."""

    stage: int

    @nn.compact
    def __call__(self, x, alpha, *, train):
        h = nn.Dense(8, name=f"from_image{self.stage}")(x)
        for i in range(self.stage, 0, -1):
            h = down(nn.leaky_relu(nn.Dense(8, name=f"block{i}")(h), 0.2))
            if i == self.stage:
                old = nn.Dense(8, name=f"from_image{i - 1}")(down(x))
                h = (1 - alpha) * old + alpha * h
        return nn.Dense(1, name="out")(h.reshape(len(h), -1))[:, 0]


def alpha_of(state, start, steps):
    return jnp.clip((state.step - start) / (steps / 2), 0.0, 1.0)


def generate(nets, batch, key, alpha):
    n = len(batch["image"])
    return nets["g"](jax.random.normal(key, (n, 4)), alpha=alpha)


def discriminator_loss(nets, batch, key, state, *, alpha):
    a = alpha(state)
    fake = generate(nets, batch, key, a)
    on_real, on_fake = nets["d"](batch["image"], alpha=a), nets["d"](fake, alpha=a)
    value = jnp.mean(nn.softplus(-on_real)) + jnp.mean(nn.softplus(on_fake))
    return value, Out({"alpha": a})


def generator_loss(nets, batch, key, state, *, alpha):
    a = alpha(state)
    return jnp.mean(
        nn.softplus(-nets["d"](generate(nets, batch, key, a), alpha=a))
    ), Out()


def stages(config, spec):
    """Resolutions 4, 8 and 16, with batches of 8, 4 and 2."""
    field = spec["image"]
    return tuple(
        Stage(
            steps=config["steps"] // 3,
            batch_size=8 >> i,
            spec={"image": Field("image", (side, side, 1), field.dtype)},
            reset_optimisers=i > 0,
        )
        for i, side in enumerate(SIDES)
    )


def build(config, spec, stage=0):
    side = SIDES[stage]
    x = jax.ShapeDtypeStruct((1, side, side, 1), jnp.float32)
    z = jax.ShapeDtypeStruct((1, 4), jnp.float32)
    a = jax.ShapeDtypeStruct((), jnp.float32)
    steps = config["steps"] // 3
    alpha = functools.partial(alpha_of, start=stage * steps, steps=steps)
    return GAN(
        nets={
            "g": Net(Generator(stage), (z, a), optax.adam(1e-3), ema=0.9),
            "d": Net(Discriminator(stage), (x, a), optax.adam(1e-3)),
        },
        updates=(
            Update("d", ("d",), functools.partial(discriminator_loss, alpha=alpha)),
            Update("g", ("g",), functools.partial(generator_loss, alpha=alpha)),
        ),
        inputs=lambda key, batch: {
            "z": jax.random.normal(key, (len(next(iter(batch.values()))), 4))
        },
        outputs={
            "sample": lambda nets, inputs, key: {
                "image": nets["g"](inputs["z"], alpha=jnp.float32(1))
            }
        },
    )


def source(*, resolution=None, split="train", seed=0, **_unused):
    """Digits, at the resolution of the stage."""
    digits = data.load("digits", resolution=resolution or SIDES[-1], split=split)
    images = digits.take(np.arange(len(digits)))["image"]
    field = Field("image", images.shape[1:], "uint8")
    return InMemory("digits", {"image": images}, {"image": field})


def get_config():
    config = presets.run(
        "systems.growing", "own", {"own": {"data": "python:systems.growing:source"}}
    )
    config.batch_size, config.steps = 8, 18
    return config
