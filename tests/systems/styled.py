"""Mapping and synthesis, noise, mixing, lazy path length with a running mean.

StyleGAN2's shape (arXiv 1912.04958). Path length has an update of its own, every second
step, and keeps its mean in `state.aux`: it is a term with a memory.
"""

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn

from configs import presets
from gans import terms
from gans.core import GAN, Net, Out, Update, length
from gans.schedules import every


class Generator(nn.Module):
    """z [B, 4] -> w [B, 6] (mapping) -> images [B, 16, 16, 1] (synthesis)."""

    streams = ("noise",)

    def setup(self):
        self.to_w = [nn.Dense(6), nn.Dense(6)]
        self.first = self.param("const", nn.initializers.normal(1.0), (8, 8, 8))
        self.styles = [nn.Dense(8), nn.Dense(8)]
        self.convs = [nn.Dense(8), nn.Dense(8)]
        self.strength = self.param("noise", nn.initializers.constant(0.1), (2,))
        self.out = nn.Dense(1)
        self.mean_w = self.variable("mean_w", "w", jnp.zeros, (6,))

    def mapping(self, z, *, train):
        w = z
        for layer in self.to_w:
            w = nn.leaky_relu(layer(w), 0.2)
        if train and not self.is_initializing():
            self.mean_w.value = 0.99 * self.mean_w.value + 0.01 * w.mean(0)
        return w

    def synthesis(self, w, *, train):
        """w [B, 2, 6], one for each layer."""
        h = jnp.broadcast_to(self.first, (len(w), *self.first.shape))
        for i, (style, conv) in enumerate(zip(self.styles, self.convs, strict=True)):
            h = conv(h * (1 + style(w[:, i])[:, None, None]))
            noise = jax.random.normal(self.make_rng("noise"), h.shape[:3])
            h = nn.leaky_relu(h + self.strength[i] * noise[..., None], 0.2)
            h = h.repeat(2, 1).repeat(2, 2) if i == 0 else h
        return jnp.tanh(self.out(h))

    def __call__(self, z, *, train):
        w = self.mapping(z, train=train)
        return self.synthesis(jnp.stack([w, w], axis=1), train=train)


class Discriminator(nn.Module):
    """x [B, 16, 16, 1] -> logits [B]."""

    @nn.compact
    def __call__(self, x, *, train):
        h = nn.leaky_relu(nn.Dense(16)(x.reshape(len(x), -1)), 0.2)
        return nn.Dense(1)(h)[:, 0]


def mixed(g, key, n):
    """w [n, 2, 6] of which half have another second style, and g's new stats."""
    key_1, key_2, key_coin = jax.random.split(key, 3)
    z1, z2 = (jax.random.normal(k, (n, 4)) for k in (key_1, key_2))
    w1, stats = g.mutate(z1, method="mapping")
    w2 = g(z2, method="mapping")
    coin = jax.random.bernoulli(key_coin, 0.5, (n, 1))
    return jnp.stack([w1, jnp.where(coin, w2, w1)], axis=1), stats


def discriminator_loss(nets, batch, key, state):
    key_w, key_noise = jax.random.split(key)
    w, _ = mixed(nets["g"], key_w, length(batch))
    fake = nets["g"](w, method="synthesis", key=key_noise)
    on_real, on_fake = nets["d"](batch["image"]), nets["d"](fake)
    return jnp.mean(nn.softplus(-on_real)) + jnp.mean(nn.softplus(on_fake)), Out()


def generator_loss(nets, batch, key, state):
    key_w, key_noise = jax.random.split(key)
    w, stats = mixed(nets["g"], key_w, length(batch))
    fake = nets["g"](w, method="synthesis", key=key_noise)
    return jnp.mean(nn.softplus(-nets["d"](fake))), Out(stats={"g": stats})


def path_length(c):
    """Equation 4, against a running mean."""
    key_w, key_noise, key_y = jax.random.split(c.key, 3)
    w, _ = mixed(c.net, key_w, len(c.real))

    def projected(w):
        x = c.net(w, method="synthesis", key=key_noise)
        return jnp.sum(x * jax.random.normal(key_y, x.shape)) / 16

    slopes = jax.grad(projected)(w)
    lengths = jnp.sqrt(jnp.mean(jnp.sum(slopes**2, axis=2), axis=1))
    mean = c.memory + 0.01 * (lengths.mean() - c.memory)
    return jnp.mean((lengths - mean) ** 2), jax.lax.stop_gradient(mean)


PATH = terms.Term(
    name="path_length",
    value=path_length,
    weight=2.0,
    every=2,
    memory=lambda params: jnp.zeros(()),
    about=("generator",),
)


def path_length_loss(nets, batch, key, state):
    context = terms.Context(
        name="g", net=nets["g"], step=state.step, real=batch["image"]
    )
    value, found, aux = terms.lazy(PATH, context, key, state.aux)
    found, aux = jax.lax.stop_gradient((found, aux))
    return value, Out({"value": found}, aux=aux)


def sample(nets, inputs, key):
    return {"image": nets["g"](inputs["z"], key=key)}


def build(config, spec, stage=0):
    z = jax.ShapeDtypeStruct((1, 4), jnp.float32)
    x = jax.ShapeDtypeStruct((1, *spec["image"].shape), jnp.float32)
    adam = optax.adam(1e-3, b1=0.0)
    return GAN(
        nets={
            "g": Net(Generator(), (z,), adam, ema=0.9),
            "d": Net(Discriminator(), (x,), adam),
        },
        updates=(
            Update("d", ("d",), discriminator_loss),
            Update("g", ("g",), generator_loss),
            Update("g_path", ("g",), path_length_loss, when=every(PATH.every)),
        ),
        inputs=lambda key, batch: {"z": jax.random.normal(key, (length(batch), 4))},
        outputs={"sample": sample},
        aux={terms.slot(PATH, "g"): jnp.zeros(())},
    )


def get_config():
    config = presets.run("systems.styled", "own", {"own": {"data": "digits"}})
    config.resolution, config.channels = 16, 1
    config.batch_size, config.steps = 8, 12
    return config
