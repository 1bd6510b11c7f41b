"""Whether the numbers of a state are finite."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array

from gans import core


def parts(state: core.State) -> dict[str, Array]:
    """{"params/g": [] bool, ...}: whether every number of it is finite."""
    found = {}
    for field in ("params", "stats", "opt", "ema", "aux"):
        for name, tree in getattr(state, field).items():
            floats = [
                x for x in jax.tree.leaves(tree) if jnp.issubdtype(x.dtype, jnp.inexact)
            ]
            checks = [jnp.isfinite(x).all() for x in floats]
            found[f"{field}/{name}"] = jnp.array(checks, bool).all()
    return found


def whole(state: core.State) -> Array:
    """Whether every number of a state is finite: [] bool."""
    return jnp.stack([*parts(state).values()]).all()
