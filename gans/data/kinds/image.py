"""Images [H, W, C]: float32 in [-1, 1], stored as they are or as uint8 in 0..255."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jax import Array

AXES = ("H", "W", "C")
DTYPES = (np.uint8, np.float32)
RANGE = (-1.0, 1.0)
MIRRORED = True
CLASSES = False


# 1 / 127.5 in two parts. A number of 8 bits times the first, of 16, is exact, so that
# their sum is rounded once, with or without fused multiply-adds.
_COARSE = float(np.round(2.0**22 / 127.5) / 2.0**22)
_FINE = 1 / 127.5 - _COARSE


def decode(x: Array) -> Array:
    """uint8 [...] in 0..255 to float32 [...] in [-1, 1]; floats stay as they are.

    The bits are those of x / 127.5 - 1 in IEEE arithmetic, as numpy has it. Written so,
    XLA would multiply by a rounded 1 / 127.5: 205 of the 256 values would differ.
    """
    if x.dtype != jnp.uint8:
        return jnp.asarray(x, jnp.float32)
    x = x.astype(jnp.float32)
    return (x * _COARSE + x * _FINE) - 1


def encode(x: np.ndarray) -> np.ndarray:
    """Floats [...] in [-1, 1] to uint8 [...]: rounded, and clipped beyond the range.

    The inverse of `decode` on all of its 256 values. Raises TypeError for integers,
    such as what it returns.
    """
    x = np.asarray(x)
    if x.dtype.kind in "iub":
        raise TypeError(f"encode wants floats in [-1, 1], got {x.dtype}")
    scaled = (x.astype(np.float32) + 1) * 127.5
    return np.clip(np.rint(scaled), 0, 255).astype(np.uint8)


def flip(x: Array, coins: Array) -> Array:
    """Mirrors left and right: x [B, ..., W, C] where coins [B] are true."""
    coins = coins.reshape(-1, *[1] * (x.ndim - 1))
    return jnp.where(coins, x[..., ::-1, :], x)


def opaque(x: np.ndarray) -> np.ndarray:
    """Images [..., C] without their opacity, which is the last of 2 or 4 channels."""
    return x[..., :-1] if x.shape[-1] in (2, 4) else x
