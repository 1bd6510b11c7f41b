"""Convolutions whose input channels are scaled by a style (arXiv 1912.04958)."""

from collections.abc import Callable

import jax.numpy as jnp
from jax import Array, lax

from gans.layers.conv import conv


def modulated_conv(
    x: Array,
    w: Array,
    style: Array,
    *,
    demodulate: bool = True,
    operation: Callable[[Array, Array], Array] = conv,
) -> Array:
    """Convolves each image with its own kernel, w times its style.

    Equations 1 and 3 of arXiv 1912.04958: an image's kernel is style[i] w[..., i, o],
    and with `demodulate` divided by its norm over i and taps, with 1e-8 added to its
    square. Computed with scaled images in place of scaled kernels, which is the same:
    the input is multiplied by the style, and the output divided by the norm. Kernels of
    their own, as groups, take a CPU 1.2 (2 images) to 11 times as long (16), gradients
    included; a single image takes 0.7 to 0.9.

    In 16 bits, styles and norms stay in float32, and the style and each output's kernel
    are first divided by their largest absolute values, which the norm cancels.

    Args:
      x: [B, H, W, I], of the dtype of the computation.
      w: [K, L, I, O].
      style: [B, I].
      operation: a map (x, w) -> y [B, *Y, O] that is linear in the channels of x; may
        resample.

    Returns [B, *Y, O], of the dtype of x.
    """
    wide = jnp.promote_types(x.dtype, jnp.float32)
    w, style = w.astype(wide), style.astype(wide)
    if demodulate and x.dtype != wide:
        fan_in = w.size // w.shape[-1]
        w = w / (fan_in**0.5 * jnp.abs(w).max(axis=(0, 1, 2)))
        style = style / jnp.abs(style).max(axis=1, keepdims=True)
    y = operation((x * style[:, None, None]).astype(x.dtype), w.astype(x.dtype))
    if demodulate:
        squares = jnp.square(style) @ jnp.square(w).sum(axis=(0, 1))  # [B, O]
        y = (y * lax.rsqrt(squares + 1e-8)[:, None, None]).astype(x.dtype)
    return y
