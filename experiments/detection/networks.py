"""A trained model applied to all windows of a signal."""

from __future__ import annotations

from collections.abc import Callable

import jax
import numpy as np

from experiments.detection.detection import Merged, merge
from gans import core
from gans.data.signals import windows

OUTPUTS = ("reconstruct", "score")
_BATCH = 256  # windows at once


def check(gan: core.GAN, name: str) -> None:
    """Raises ValueError for a model without the outputs that detection needs."""
    missing = [x for x in OUTPUTS if x not in gan.outputs]
    if missing:
        raise ValueError(
            f"{name} has no output {' and no '.join(missing)}, which detection needs; "
            f"its outputs are {', '.join(gan.outputs)}"
        )


def applier(gan: core.GAN, size: int) -> Callable[[core.State, np.ndarray], Merged]:
    """Returns a function (state, scaled values [N, C]) -> `Merged`.

    The averaged networks reconstruct all windows of `size` steps; dropout is off. It is
    compiled once, whatever N.
    """

    @jax.jit
    def apply(state, x, key):
        keys = jax.random.split(key)
        inputs = gan.inputs(keys[0], {"series": x})
        made, said = (
            core.sample(gan, state, inputs, keys[1], output) for output in OUTPUTS
        )
        return made["series"], said["score"]

    def applied(state, values):
        rows = windows(values.astype(np.float32), size)
        n, made, critic = len(rows), [], []
        for start in range(0, n, _BATCH):
            chosen = np.minimum(np.arange(start, start + _BATCH), n - 1)
            part = apply(state, rows[chosen], jax.random.key(0))
            made.append(np.asarray(part[0]))
            critic.append(np.asarray(part[1]))
        return merge(np.concatenate(made)[:n], np.concatenate(critic)[:n])

    return applied
