"""Mapping and synthesis, noise, mixing, lazy path length with a running mean.

StyleGAN2's shape (arXiv 1912.04958), with labels. Path length has an update of its own,
every second step, and keeps its mean in `state.aux`: it is a term with a memory. The
generator is what `experiments.latent_space.generator` asks for.
"""

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn

from configs import presets
from gans import terms
from gans.core import GAN, Net, Out, Update, length
from gans.data.spec import label_field
from gans.schedules import every


class Layer(nn.Module):
    """h [B, H, W, 8], w [B, 6] -> [B, H, W, 8]: a style, a dense layer, noise."""

    @nn.compact
    def __call__(self, h, w, noise):
        style = nn.Dense(8, name="affine")(w)
        h = nn.Dense(8)(h * (1 + style[:, None, None]))
        strength = self.param("strength", nn.initializers.constant(0.1), ())
        return nn.leaky_relu(h + strength * noise[..., None], 0.2)


class Generator(nn.Module):
    """z [B, 4] -> ws [B, 3, 6] (mapping) -> images [B, 16, 16, 1] (synthesis)."""

    n_classes: int | None = None
    mixing: float = 0.5

    streams = ("noise", "mixing")
    n_ws = 3

    def setup(self):
        self.to_w = [nn.Dense(6), nn.Dense(6)]
        if self.n_classes:
            self.embed = nn.Embed(self.n_classes, 6)
        self.first = self.param("const", nn.initializers.normal(1.0), (4, 4, 8))
        self.blocks = [Layer() for _ in range(self.n_ws)]
        self.out = nn.Dense(1)
        self.w_avg = self.variable("style", "w_avg", jnp.zeros, (6,))
        self.planes = [
            self.variable("noise", f"plane{i}", self.normal, (4 * 2**i, 4 * 2**i))
            for i in range(self.n_ws)
        ]

    def normal(self, shape):
        return jax.random.normal(self.make_rng("noise"), shape)

    def w(self, z, label):
        w = z / jnp.sqrt(jnp.mean(z**2, axis=1, keepdims=True) + 1e-8)
        w = nn.leaky_relu(self.to_w[0](w), 0.2)
        if self.n_classes:
            w = w + self.embed(label)
        return jnp.repeat(self.to_w[1](w)[:, None], self.n_ws, axis=1)

    def mapping(self, z, label=None, *, train):
        ws = self.w(z, label)
        if train and self.is_mutable_collection("style") and not self.is_initializing():
            self.w_avg.value += 0.01 * (ws[:, 0].mean(0) - self.w_avg.value)
        return ws

    def styles(self, z, label=None, key=None, *, train):
        ws = self.mapping(z, label, train=train)
        if not (train and self.mixing):
            return ws
        key = self.make_rng("mixing") if key is None else key
        key_z, key_coin = jax.random.split(key)
        other = self.w(jax.random.normal(key_z, z.shape), label)
        mixes = jax.random.bernoulli(key_coin, self.mixing)
        late = jnp.arange(self.n_ws)[:, None] > 0
        return jnp.where(mixes & late, other, ws)

    def synthesis(self, ws, *, train, noise="random"):
        h = jnp.broadcast_to(self.first, (len(ws), *self.first.shape))
        for i, layer in enumerate(self.blocks):
            h = h.repeat(2, 1).repeat(2, 2) if i else h
            plane = self.planes[i].value
            if noise == "random":
                plane = self.normal((len(ws), *plane.shape))
            h = layer(h, ws[:, i], plane * (noise != "none"))
        return self.out(h)

    def __call__(self, z, label=None, *, train, truncation=None):
        ws = self.styles(z, label, train=train)
        if truncation is not None:
            ws = self.w_avg.value + truncation[:, None, None] * (ws - self.w_avg.value)
        return self.synthesis(ws, train=train)


class Discriminator(nn.Module):
    """x [B, 16, 16, 1] -> logits [B]."""

    @nn.compact
    def __call__(self, x, *, train):
        h = nn.leaky_relu(nn.Dense(16)(x.reshape(len(x), -1)), 0.2)
        return nn.Dense(1)(h)[:, 0]


def fakes(g, batch, key):
    """Images of as many z, of the labels of the batch, and g's new stats."""
    key_z, key = jax.random.split(key)
    z = jax.random.normal(key_z, (length(batch), 4))
    return g.mutate(z, batch.get("label"), key=key)


def discriminator_loss(nets, batch, key, state):
    fake, _ = fakes(nets["g"], batch, key)
    on_real, on_fake = nets["d"](batch["image"]), nets["d"](fake)
    return jnp.mean(nn.softplus(-on_real)) + jnp.mean(nn.softplus(on_fake)), Out()


def generator_loss(nets, batch, key, state):
    fake, stats = fakes(nets["g"], batch, key)
    return jnp.mean(nn.softplus(-nets["d"](fake))), Out(stats={"g": stats})


def path_length(c):
    """Equation 4, against a running mean."""
    key_z, key_noise, key_y = jax.random.split(c.key, 3)
    z = jax.random.normal(key_z, (len(c.real), 4))
    ws = c.net(z, c.label, method="mapping")

    def projected(ws):
        x = c.net(ws, method="synthesis", key=key_noise)
        return jnp.sum(x * jax.random.normal(key_y, x.shape)) / 16

    slopes = jax.grad(projected)(ws)
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
        name="g",
        net=nets["g"],
        step=state.step,
        real=batch["image"],
        label=batch.get("label"),
    )
    value, found, aux = terms.lazy(PATH, context, key, state.aux)
    found, aux = jax.lax.stop_gradient((found, aux))
    return value, Out({"value": found}, aux=aux)


def sample(nets, inputs, key):
    z, label = inputs["z"], inputs.get("label")
    return {"image": nets["g"](z, label, truncation=inputs["truncation"], key=key)}


def build(config, spec, stage=0):
    found = label_field(spec)
    n_classes = spec[found].n_classes if found else None
    z = jax.ShapeDtypeStruct((1, 4), jnp.float32)
    label = jax.ShapeDtypeStruct((1,), jnp.int32) if found else None
    x = jax.ShapeDtypeStruct((1, *spec["image"].shape), jnp.float32)
    adam = optax.adam(1e-3, b1=0.0)

    def inputs(key, batch):
        n = length(batch)
        classes = {"label": jnp.arange(n) % n_classes} if found else {}
        z = jax.random.normal(key, (n, 4))
        return {"z": z, "truncation": jnp.ones((n,)), **classes}

    return GAN(
        nets={
            "g": Net(Generator(n_classes), (z, label), adam, ema=0.9),
            "d": Net(Discriminator(), (x,), adam),
        },
        updates=(
            Update("d", ("d",), discriminator_loss),
            Update("g", ("g",), generator_loss),
            Update("g_path", ("g",), path_length_loss, when=every(PATH.every)),
        ),
        inputs=inputs,
        outputs={"sample": sample},
        aux={terms.slot(PATH, "g"): jnp.zeros(())},
    )


def source():
    """The digits, as `config.data` has them."""
    from gans import data

    return data.load("digits", resolution=16)


def get_config():
    config = presets.run("systems.styled", "own", {"own": {"data": "digits"}})
    config.resolution, config.channels = 16, 1
    config.batch_size, config.steps = 8, 12
    return config
