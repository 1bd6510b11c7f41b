"""Samples of a model: its inputs and its outputs."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array

from gans import core


def inputs(gan: core.GAN, key: Array, n: int) -> dict[str, Array]:
    """Returns n inputs of an unconditional model's outputs."""
    return gan.inputs(key, {"": jnp.zeros((n,))})


def sample(gan: core.GAN, state: core.State, given: dict[str, Array]) -> Array:
    """Returns the examples [n, ...] that the model makes of its inputs."""
    made = core.sample(gan, state, given, jax.random.key(0))
    (examples,) = (x for name, x in made.items() if name != "label")
    return examples
