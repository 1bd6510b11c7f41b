"""WGAN-GP, Improved Training of Wasserstein GANs (arXiv 1704.00028): Algorithm 1.

Deviation: none. The penalty asks for a critic that sees one example at a time, so a
critic with batch norm is refused (section 4 of the paper).
"""

import dataclasses
import functools

import jax

from gans.core import GAN, Out, Update
from gans.losses import adversarial, penalties
from gans.variants import gan


def critic_loss(nets, batch, key, state, *, loss, latent, weight):
    """Algorithm 1, lines 4 to 8; `loss` is Wasserstein's in the paper."""
    real, label = gan.data(batch)
    key_g, key_d, key_gp = jax.random.split(key, 3)
    fake = gan.generate(nets["g"], len(real), label, key_g, latent)[0]
    on_real, on_fake, stats = gan.judge(nets["d"], real, fake, label, key_d)
    penalty = penalties.gradient_penalty(
        lambda x: nets["d"](x, label, key=key_d), real, fake, key_gp
    )
    metrics = {"wasserstein": on_real.mean() - on_fake.mean(), "gp": penalty}
    value = loss.critic(on_real, on_fake) + weight * penalty
    return value, Out(metrics, stats={"d": stats})


def build(config, stage: int | None = None) -> GAN:
    """Returns the GAN that `config` describes (see configs/wgan_gp.py).

    Raises ValueError if the critic has batch norm.
    """
    if config.critic.get("norm") == "batch":
        raise ValueError(
            "config.critic.norm='batch': the gradient penalty is per example, which "
            "batch norm in the critic makes meaningless; accepted is None"
        )
    base = gan.build(config, stage)
    critic = functools.partial(
        critic_loss,
        loss=adversarial.make(config.loss),
        latent=config.latent,
        weight=config.gp_weight,
    )
    return dataclasses.replace(
        base, updates=(Update("d", ("d",), critic), *base.updates[1:])
    )
