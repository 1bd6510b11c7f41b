"""What networks that grow share: their resolutions, and the weight of the newest.

Figure 2 of arXiv 1710.10196.
"""

import jax.numpy as jnp
from flax import linen as nn
from jax import Array


def sides(shape: tuple[int, ...], first: int = 4) -> list[int]:
    """Returns `first`, twice that ... up to the resolution of a shape (H, W, C).

    Raises ValueError for a shape that is not square, or not a power of two from there.
    """
    height, width = shape[:2]
    n = max(height, 1).bit_length() - first.bit_length() + 1
    if n < 1 or not height == width == first * 2 ** (n - 1):
        raise ValueError(
            f"images of {height}x{width}; accepted are squares of {first}, "
            f"{2 * first}, {4 * first} or a larger power of two"
        )
    return [first * 2**i for i in range(n)]


def channels(module: nn.Module, side: int) -> int:
    """Returns min(channel_base / side, channel_max) of a module, at least 1.

    Raises ValueError where nothing is left.
    """
    n = min(module.channel_base // side, module.channel_max)
    if n < 1:
        raise ValueError(
            f"channel_base={module.channel_base} and channel_max={module.channel_max} "
            f"leave no channels at {side}x{side} pixels; accepted are at least {side} "
            "and 1"
        )
    return n


def alpha_of(module: nn.Module) -> Array:
    """Returns the weight [] of a module's newest layers, inside its compact method.

    It is the variable "alpha" of the collection "fade"; 1 while it is made.
    """
    return module.variable("fade", "alpha", jnp.ones, ()).value


def mixed(old: Array, new: Array, alpha: Array) -> Array:
    """old [B, H, W, C] + alpha [] (new [B, H, W, C] - old)."""
    return old + alpha.astype(new.dtype) * (new - old)
