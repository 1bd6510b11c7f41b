"""A small 3-D classifier of volumes, for features that see their form.

It learns the data's own labels, if there are any, and to tell volumes as they are from
altered ones: upside down, lying on their backs (self-supervision after arXiv
1803.07728), halves of two of them on each other, and such of which a third of all 4x4x4
blocks are emptied. Its Frechet distance compares runs on one data set, with one trained
classifier, and nothing beyond.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array

from gans.metrics.classifiers.volumetric import Learner

ALTERED = ("upside down", "lying", "two halves", "holes")
BLOCK = 4  # voxels


def altered(x: Array, labels: Array, n_classes: int, key: Array):
    """Returns volumes uint8 [B, D, H, W, C], half of them altered, and classes [B].

    Those as they are keep their labels; the classes of ALTERED come after them. Volumes
    lie only where D and H are equal; elsewhere they stand on their heads, turned.
    """
    key_kind, key_holes = jax.random.split(key)
    b, d, h, w, _ = x.shape
    kind = jax.random.randint(key_kind, (b,), 0, 2 * len(ALTERED)) - len(ALTERED)
    kind = jnp.maximum(kind, -1)  # -1, as they are, with probability 1/2
    lying = x.swapaxes(1, 2)[:, ::-1] if d == h else x[:, ::-1, ::-1]
    halves = jnp.where(jnp.arange(h)[:, None, None] < h // 2, x, jnp.roll(x, 1, 0))
    grid = tuple(-(-n // BLOCK) for n in (d, h, w))
    kept = jax.random.bernoulli(key_holes, 2 / 3, (b, *grid, 1))
    for axis in (1, 2, 3):
        kept = kept.repeat(BLOCK, axis)
    holes = x * kept[:, :d, :h, :w]
    forms = jnp.stack([x, x[:, :, ::-1], lying, halves, holes], 1)
    chosen = forms[jnp.arange(b), kind + 1]
    return chosen, jnp.where(kind < 0, labels, n_classes + kind)


LEARNER = Learner("solids", "voxels", "volumes", ALTERED, altered, (8, 8), True)
