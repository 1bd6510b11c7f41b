"""Generative Adversarial Nets (arXiv 1406.2661), and the game that most variants share.

Deviations from the paper: Adam for momentum SGD, ReLU for maxout. The generator's loss
is a choice: minimax (equation 1) or non-saturating (section 3).

The batch's labels, where it has any, go to both networks in both moves; networks that
are not conditional ignore them.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from gans import networks, optim
from gans.core import GAN, Bound, Net, Out, Update
from gans.losses import adversarial
from gans.schedules import every, ramp_up


def discriminator_loss(nets, batch, key, state, *, loss, latent):
    """Algorithm 1, the inner loop: one batch of noise against one of data.

    The generator is bound, not trained, in this move: no gradient flows through it.
    """
    real, label = data(batch)
    key_g, key_d = jax.random.split(key)
    fake = generate(nets["g"], len(real), label, key_g, latent)[0]
    on_real, on_fake, stats = judge(nets["d"], real, fake, label, key_d)
    metrics = {"real": on_real.mean(), "fake": on_fake.mean()}
    return loss.critic(on_real, on_fake), Out(metrics, stats={"d": stats})


def generator_loss(nets, batch, key, state, *, loss, latent):
    """Algorithm 1, the outer loop: one batch of noise."""
    real, label = data(batch)
    key_g, key_d = jax.random.split(key)
    fake, stats = generate(nets["g"], len(real), label, key_g, latent)
    return loss.generator(nets["d"](fake, label, key=key_d)), Out(stats={"g": stats})


def data(batch: dict[str, Array]) -> tuple[Array, Array | None]:
    """Returns the batch's images [B, H, W, C] or points [B, 2], and labels [B]."""
    return batch["image"] if "image" in batch else batch["point"], batch.get("label")


def generate(
    g: Bound, n: int, label: Array | None, key: Array, latent: int
) -> tuple[Array, Any]:
    """Returns n samples [n, ...] from z [n, latent] of N(0, 1), and g's new stats."""
    key_z, key_dropout = jax.random.split(key)
    return g.mutate(jax.random.normal(key_z, (n, latent)), label, key=key_dropout)


def judge(
    d: Bound, real: Array, fake: Array, label: Array | None, key: Array
) -> tuple[Array, Array, Any]:
    """Returns logits [B] of real and of fake [B, ...], and the critic's new stats.

    Both go through the critic together, which saves half the passes, unless it has
    batch statistics: then each is a batch of its own (arXiv 1511.06434), and the
    running statistics are those of real data.
    """
    if "batch_stats" in d.stats:
        key_real, key_fake = jax.random.split(key)
        on_real, stats = d.mutate(real, label, key=key_real)
        return on_real, d(fake, label, key=key_fake), stats
    both = jnp.concatenate([real, fake])
    labels = None if label is None else jnp.concatenate([label, label])
    logits, stats = d.mutate(both, labels, key=key)
    return *jnp.split(logits, [len(real)]), stats


def build(config, stage: int | None = None) -> GAN:
    """Returns the GAN that `config` describes (see configs/gan.py for its keys)."""
    return assemble(config, adversarial.make(config.loss))


def assemble(config, loss: adversarial.Adversarial, when=None) -> GAN:
    """Returns the game of `g` against `d` under `loss`.

    `when` says at which steps the generator moves; None: every config.n_critic.
    """
    moves = {"loss": loss, "latent": config.latent}
    return GAN(
        nets=players(config),
        updates=(
            Update("d", ("d",), functools.partial(discriminator_loss, **moves)),
            Update(
                "g",
                ("g",),
                functools.partial(generator_loss, **moves),
                when=when or every(config.n_critic),
            ),
        ),
        latents=functools.partial(latents, latent=config.latent),
        sample=sample,
    )


def latents(key: Array, n: int, *, latent: int) -> dict[str, Array]:
    """Returns {"z": [n, latent]} of N(0, 1)."""
    return {"z": jax.random.normal(key, (n, latent))}


def sample(nets: dict[str, Bound], inputs: dict[str, Array]) -> Array:
    """Returns the generator's output for inputs["z"] [n, latent]."""
    return nets["g"](inputs["z"], inputs.get("label"))


def players(config) -> dict[str, Net]:
    """Returns the networks `g` (with its average) and `d` of a config."""
    shape, dtype = tuple(config.shape), jnp.dtype(config.dtype)
    z = jax.ShapeDtypeStruct((1, config.latent), jnp.float32)
    x = jax.ShapeDtypeStruct((1, *shape), jnp.float32)
    label = jax.ShapeDtypeStruct((1,), jnp.int32) if config.n_classes else None
    shared = {"n_classes": config.n_classes, "dtype": dtype}
    g = networks.make("Generator", shape=shape, **shared, **options(config.generator))
    d = networks.make("Critic", **shared, **options(config.critic))
    tx_g = optimiser(config.generator, config.steps // config.n_critic)
    tx_d = optimiser(config.critic, config.steps)
    return {
        "g": Net(g, (z, label), tx_g, ema=ramp_up(config.ema)),
        "d": Net(d, (x, label), tx_d),
    }


def options(player) -> dict[str, Any]:
    """Returns the part of a player's config that is for its network."""
    return {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in player.items()
        if name != "optimizer"
    }


def optimiser(player, n_updates: int):
    """Returns the optax optimiser of a player that will move `n_updates` times."""
    return optim.make(n_updates=max(n_updates, 1), **player.optimizer)
