"""Points [D]: floats of any range, decoded to float32. They have no mirror image."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jax import Array

AXES = ("D",)
DTYPES = (np.floating,)
RANGE = None
MIRRORED = False
CLASSES = False


def decode(x: Array) -> Array:
    """Numbers [...] to float32 [...]."""
    return jnp.asarray(x, jnp.float32)


def encode(x: np.ndarray) -> np.ndarray:
    """Numbers [...] to float32 [...]."""
    return np.asarray(x, np.float32)


def flip(x: Array, coins: Array) -> Array:
    """Returns x [B, ...] as it is."""
    return x
