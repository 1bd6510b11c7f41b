"""Resampling by two: nearest-neighbour enlargement and mean pooling."""

import jax.numpy as jnp
from jax import Array


def upsample(x: Array) -> Array:
    """x [B, H, W, C] -> [B, 2H, 2W, C], each position repeated 2x2."""
    b, h, w, c = x.shape
    x = jnp.broadcast_to(x[:, :, None, :, None], (b, h, 2, w, 2, c))
    return x.reshape(b, 2 * h, 2 * w, c)


def downsample(x: Array) -> Array:
    """x [B, 2H, 2W, C] -> [B, H, W, C], the mean of each 2x2 block.

    Raises ValueError for an odd height or width.
    """
    b, h, w, c = x.shape
    if h % 2 or w % 2:
        raise ValueError(f"downsample: height and width must be even, got {h}x{w}")
    return x.reshape(b, h // 2, 2, w // 2, 2, c).mean(axis=(2, 4))
