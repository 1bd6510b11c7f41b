"""Images to images without pairs: two generators, two discriminators, a pool.

CycleGAN's shape (arXiv 1703.10593): least squares, cycle consistency, and a pool of
earlier fakes in `state.aux`. Each discriminator also has a term, R1.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn

from configs import presets
from gans import terms
from gans.core import GAN, Net, Out, Update
from gans.data.source import InMemory, Unpaired
from gans.data.spec import Field
from gans.layers.conv import Conv
from gans.terms.gradient_penalties import r1

POOL = 6
R1 = (r1(weight=0.1),)


class Translator(nn.Module):
    """x [B, H, W, C] -> [B, H, W, C] in [-1, 1]."""

    @nn.compact
    def __call__(self, x, *, train):
        h = nn.relu(Conv(8, (3, 3))(x))
        return jnp.tanh(Conv(x.shape[-1], (3, 3))(h))


class Patches(nn.Module):
    """x [B, H, W, C] -> logits [B, h, w]."""

    @nn.compact
    def __call__(self, x, *, train):
        h = nn.leaky_relu(Conv(8, (4, 4), (2, 2))(x), 0.2)
        return Conv(1, (3, 3))(h)[..., 0]


def generator_loss(nets, batch, key, state):
    fake_b, fake_a = nets["g_ab"](batch["a"]), nets["g_ba"](batch["b"])
    fooled = jnp.mean((nets["d_b"](fake_b) - 1) ** 2)
    fooled += jnp.mean((nets["d_a"](fake_a) - 1) ** 2)
    cycle = jnp.mean(jnp.abs(nets["g_ba"](fake_b) - batch["a"]))
    cycle += jnp.mean(jnp.abs(nets["g_ab"](fake_a) - batch["b"]))
    return fooled + 10 * cycle, Out({"cycle": cycle})


def discriminator_loss(nets, batch, key, state, *, side, other):
    """Against fakes of which half come from the pool."""
    fake = nets[f"g_{other}{side}"](batch[other])
    pool = state.aux[f"pool_{side}"]
    key_place, key_coin, key_r1 = jax.random.split(key, 3)
    place = jax.random.randint(key_place, (len(fake),), 0, POOL)
    old = jax.random.bernoulli(key_coin, 0.5, (len(fake), 1, 1, 1))
    shown = jnp.where(old, pool[place], fake)
    name, real = f"d_{side}", batch[side]
    d = nets[name]
    on_real, on_fake = d(real), d(shown)
    value = (jnp.mean((on_real - 1) ** 2) + jnp.mean(on_fake**2)) / 2
    context = terms.Context(
        name=name,
        net=d,
        step=state.step,
        discriminate=lambda x: d(x).mean((1, 2)),
        real=real,
        fake=shown,
    )
    value, found, aux = terms.add(value, R1, context, [key_r1], state.aux)
    metrics = {"score_real": on_real.mean(), "score_fake": on_fake.mean()} | found
    aux |= {f"pool_{side}": pool.at[place].set(fake)}
    metrics, aux = jax.lax.stop_gradient((metrics, aux))
    return value, Out(metrics, aux=aux)


def build(config, spec, stage=0):
    x = {
        name: jax.ShapeDtypeStruct((1, *spec[name].shape), jnp.float32) for name in "ab"
    }
    adam = functools.partial(optax.adam, 2e-3, b1=0.5)
    return GAN(
        nets={
            "g_ab": Net(Translator(), (x["a"],), adam(), ema=0.9),
            "g_ba": Net(Translator(), (x["b"],), adam(), ema=0.9),
            "d_a": Net(Patches(), (x["a"],), adam()),
            "d_b": Net(Patches(), (x["b"],), adam()),
        },
        updates=(
            Update("g", ("g_ab", "g_ba"), generator_loss),
            Update(
                "d_a",
                ("d_a",),
                functools.partial(discriminator_loss, side="a", other="b"),
            ),
            Update(
                "d_b",
                ("d_b",),
                functools.partial(discriminator_loss, side="b", other="a"),
            ),
        ),
        inputs=lambda key, batch: {name: batch[name] for name in "ab"},
        conditioned_on=("a", "b"),
        outputs={
            "a_to_b": lambda nets, inputs, key: {"b": nets["g_ab"](inputs["a"])},
            "b_to_a": lambda nets, inputs, key: {"a": nets["g_ba"](inputs["b"])},
            "cycle_a": lambda nets, inputs, key: {
                "a": nets["g_ba"](nets["g_ab"](inputs["a"]))
            },
            "cycle_b": lambda nets, inputs, key: {
                "b": nets["g_ab"](nets["g_ba"](inputs["b"]))
            },
        },
        aux={f"pool_{name}": jnp.zeros((POOL, *spec[name].shape)) for name in "ab"},
    )


def source(*, split="train", seed=0, **_unused):
    """Dark squares (a) and bright ones (b), of different numbers."""
    random = np.random.default_rng(0 if split == "train" else 1)
    sides = {}
    for name, n, low, high in (("a", 20, 0, 100), ("b", 14, 150, 256)):
        images = random.integers(low, high, (n, 8, 8, 3)).astype(np.uint8)
        spec = {"image": Field("image", (8, 8, 3), "uint8")}
        sides[name] = InMemory(name, {"image": images}, spec)
    return Unpaired("squares", sides)


def get_config():
    config = presets.run(
        "systems.cycle", "own", {"own": {"data": "python:systems.cycle:source"}}
    )
    config.batch_size, config.steps, config.flip = 4, 12, True
    return config
