"""Optimisers by name, and the optax links that GANs need."""

import jax
import jax.numpy as jnp
import optax

from gans.names import check

NAMES = ("adam", "adamw", "rmsprop", "sgd", "lion", "adabelief")
SCHEDULES = ("constant", "linear", "cosine")


def make(
    name: str,
    *,
    learning_rate: float,
    n_updates: int,
    schedule: str = "constant",
    warmup: int = 0,
    clip: float | None = None,
    **options,
) -> optax.GradientTransformation:
    """Returns an optimiser of optax.

    Args:
      name: one of `NAMES`.
      learning_rate: its highest value.
      n_updates: how often the player will move; `schedule` ends there.
      schedule: "constant", or to 0 by "linear" or "cosine".
      warmup: updates over which the learning rate rises linearly from 0.
      clip: weights stay in [-clip, clip] after each update (see `clip_weights`).
      **options: passed to optax (b1, b2, decay, momentum, weight_decay ...).

    Raises ValueError for an unknown name or schedule.
    """
    check(name, NAMES, "optimizer.name")
    check(schedule, SCHEDULES, "optimizer.schedule")
    n = max(n_updates - warmup, 1)
    rate = {
        "constant": optax.constant_schedule(learning_rate),
        "linear": optax.linear_schedule(learning_rate, 0.0, n),
        "cosine": optax.cosine_decay_schedule(learning_rate, n),
    }[schedule]
    if warmup:
        rise = optax.linear_schedule(0.0, learning_rate, warmup)
        rate = optax.join_schedules([rise, rate], [warmup])
    tx = getattr(optax, name)(rate, **options)
    return tx if clip is None else optax.chain(tx, clip_weights(clip))


def lazy_adam(
    learning_rate: float, b1: float, b2: float, every: int
) -> optax.GradientTransformation:
    """Adam for a player that also makes a lazy move each `every` steps.

    Its time constants are those of one move per step (StyleGAN2, arXiv 1912.04958,
    appendix B): with c = every / (every + 1), the rate is c lr, the betas b ** c.
    """
    c = every / (every + 1)
    return optax.adam(c * learning_rate, b1=b1**c, b2=b2**c)


def clip_weights(limit: float) -> optax.GradientTransformation:
    """Last link of a chain: parameters end in [-limit, limit].

    WGAN's Lipschitz constraint (arXiv 1701.07875, Algorithm 1, line 7).
    """

    def update(updates, params):
        return jax.tree.map(
            lambda u, p: jnp.clip(p + u, -limit, limit) - p, updates, params
        )

    return optax.stateless(update)


def clip_singular_values(limit: float) -> optax.GradientTransformation:
    """Last link of a chain: singular values of each kernel end at most `limit`.

    TGAN's Lipschitz constraint (arXiv 1611.06624, section 3.3). A kernel [..., I, O]
    counts as the matrix [... I, O]; arrays of fewer than two axes pass unchanged.
    """

    def clip(u, p):
        if p.ndim < 2:
            return u
        w = (p + u).reshape(-1, p.shape[-1])
        left, s, right = jnp.linalg.svd(w, full_matrices=False)
        return ((left * jnp.minimum(s, limit)) @ right).reshape(p.shape) - p

    return optax.stateless(lambda updates, params: jax.tree.map(clip, updates, params))
