"""The weights on which an output of a model depends."""

from __future__ import annotations

import hashlib

import jax
import numpy as np
from jax import Array

from experiments.sampling.sampler import Sampler, used
from gans import core


def of(sampler: Sampler, state: core.State) -> dict[str, Array]:
    """Returns them by name: {"ema/g/params/out/kernel": array, ...}."""
    shapes = jax.eval_shape(lambda x: x, state)
    keys = jax.eval_shape(lambda: jax.random.split(jax.random.key(0), 2))
    traced = jax.make_jaxpr(sampler.traced_each)(shapes, sampler.input_shapes(), keys)
    leaves = jax.tree_util.tree_leaves_with_path(state)
    return {
        jax.tree_util.keystr(path, simple=True, separator="/"): x
        for (path, x), is_used in zip(leaves, used(traced.jaxpr), strict=False)
        if is_used
    }


def put(state: core.State, weights: dict[str, Array]) -> core.State:
    """Returns the state with `weights` in it, by name; may be traced."""

    def one(path, x):
        return weights.get(jax.tree_util.keystr(path, simple=True, separator="/"), x)

    return jax.tree_util.tree_map_with_path(one, state)


def digest(weights: dict[str, Array]) -> str:
    """Returns what tells weights from others."""
    found = hashlib.sha256()
    for name, x in sorted(weights.items()):
        found.update(name.encode())
        found.update(np.asarray(x).tobytes())
    return found.hexdigest()[:16]
