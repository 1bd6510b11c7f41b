"""Resampling by two, alone and folded into the kernel of a neighbouring convolution.

Folding is exact and keeps the parameters; a 3x3 layer needs 4 of 9 multiplications.
"""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
from flax import linen as nn
from jax import Array

from gans.layers.conv import apply_kernel, conv, conv_transpose


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


def upsample_conv(x: Array, w: Array) -> Array:
    """conv(upsample(x), w), at the cost of a transposed convolution.

    x [B, H, W, I], w [K, L, I, O] -> [B, 2H, 2W, O], padded like "SAME". Neighbouring
    taps multiply the same pixel of x: 3x3 becomes 4x4 with strides 2, and an output
    depends on 4 of its taps. A 1x1 convolution is applied before upsampling instead.
    """
    if w.shape[:2] == (1, 1):
        return upsample(conv(x, w))
    # After dilation, the pixel 2i stands for itself and its repetition at 2i + 1.
    pads = [((k + 1) // 2, k - (k - 1) // 2) for k in w.shape[:2]]
    return conv_transpose(x, _doubled(w), strides=2, padding=pads)


def conv_downsample(x: Array, w: Array) -> Array:
    """downsample(conv(x, w)), at the cost of a convolution with strides 2.

    x [B, 2H, 2W, I], w [K, L, I, O] -> [B, H, W, O], padded like "SAME". The mean over
    four 3x3 windows is one 4x4 window. A 1x1 convolution is applied afterwards instead.

    Raises ValueError for an odd height or width.
    """
    if w.shape[:2] == (1, 1):
        return conv(downsample(x), w)
    height, width = x.shape[1:3]
    if height % 2 or width % 2:
        raise ValueError(
            f"conv_downsample: height and width must be even, got {height}x{width}"
        )
    pads = [((k - 1) // 2, k // 2) for k in w.shape[:2]]
    return conv(x, _doubled(w) / 4, strides=2, padding=pads)


class _Folded(nn.Module):
    features: int
    kernel_size: Sequence[int]
    use_bias: bool = True
    dtype: Any = None
    param_dtype: Any = jnp.float32
    kernel_init: nn.initializers.Initializer = nn.linear.default_kernel_init
    bias_init: nn.initializers.Initializer = nn.initializers.zeros_init()

    @nn.compact
    def __call__(self, x: Array) -> Array:
        shape = (*self.kernel_size, x.shape[-1], self.features)
        return apply_kernel(self, self.operation, x, shape)


class UpsampleConv(_Folded):
    """`Conv` of `upsample`, with the fields and parameters of that `Conv`, folded.

    x [B, H, W, I] -> [B, 2H, 2W, features].
    """

    operation = staticmethod(upsample_conv)


class ConvDownsample(_Folded):
    """`downsample` of `Conv`, with the fields and parameters of that `Conv`, folded.

    x [B, 2H, 2W, I] -> [B, H, W, features]. Raises ValueError for odd heights, widths.
    """

    operation = staticmethod(conv_downsample)


def _doubled(w):
    """[K, L, I, O] -> [K + 1, L + 1, I, O], the sum of w at the four corners."""
    for axis in (0, 1):
        pads = [[(0, 0)] * 4, [(0, 0)] * 4]
        pads[0][axis], pads[1][axis] = (0, 1), (1, 0)
        w = jnp.pad(w, pads[0]) + jnp.pad(w, pads[1])
    return w
