"""Class numbers []: int32 from 0 on."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jax import Array

from gans.data.kinds import point

AXES = ()
DTYPES = (np.integer,)
RANGE = None
MIRRORED = False
PLACELESS = True
CLASSES = True
flip = point.flip


def decode(x: Array) -> Array:
    """Integers [...] to int32 [...]."""
    return jnp.asarray(x, jnp.int32)


def encode(x: np.ndarray) -> np.ndarray:
    """Integers [...] to int32 [...]."""
    return np.asarray(x, np.int32)
