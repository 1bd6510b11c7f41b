"""A small 3-D classifier of clips, for features that see motion as well as content.

It learns the data's own labels, if there are any, on clips as they are, and to tell
from these what has been done to others in time (self-supervision after arXiv
1603.08561, and after 2004.06130 for speed): a frame that stands still, frames in random
order, motion at half the speed, and a cut to another clip in the middle. All these
consist of real frames, so that only motion tells them apart.

Its Frechet distance is no FVD, whose network has learnt Kinetics (arXiv 1812.01717); it
compares runs on one data set, with one trained classifier, and nothing beyond.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array

from gans.metrics.classifiers.volumetric import Learner

ALTERED = ("still", "shuffled", "slow", "cut")


def altered(clips: Array, labels: Array, n_classes: int, key: Array):
    """Returns clips [B, T, H, W, C] of which half are altered, and classes [B]; traced.

    Those as they are keep their labels; the classes of ALTERED come after them.
    """
    key_kind, key_order = jax.random.split(key)
    b, t = clips.shape[:2]
    # -1, ..., -1, 0, ..., 3: as they are with probability 1/2.
    kind = jax.random.randint(key_kind, (b,), 0, 2 * len(ALTERED)) - len(ALTERED)
    kind = jnp.maximum(kind, -1)
    times = jnp.arange(t)
    shuffled = jax.vmap(lambda k: jax.random.permutation(k, t))(
        jax.random.split(key_order, b)
    )
    whole = jnp.broadcast_to(times, (b, t))
    orders = [whole, whole * 0, shuffled, whole // 2, whole]
    order = jnp.stack(orders, 1)[jnp.arange(b), kind + 1]
    other = (jnp.arange(b)[:, None] + ((kind == 3)[:, None] & (times >= t // 2))) % b
    return clips[other, order], jnp.where(kind < 0, labels, n_classes + kind)


LEARNER = Learner("motion", "video", "clips", ALTERED, altered, (4, 8))
