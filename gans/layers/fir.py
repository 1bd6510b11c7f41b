"""Resampling with a low-pass filter, alone and with a neighbouring convolution.

Operators of StyleGAN2 (arXiv 1912.04958) and ADA (2006.06676, appendix B): all are
linear, and so are their derivatives, by the project's convolutions.

A filter is not folded into the kernel of the convolution beside it: 3x3 then becomes
6x6, and both with their gradients take a CPU 1.4 (128 to 64 channels at 256x256) to 4
times as long (128 to 128 at 8x8).
"""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from gans.layers.conv import conv, conv_transpose

# The filter of StyleGAN2 along each axis.
TAPS = (1 / 8, 3 / 8, 3 / 8, 1 / 8)

Taps = Sequence[float] | np.ndarray
Pair = int | tuple[int, int]
Pads = int | tuple[int, int] | tuple[tuple[int, int], tuple[int, int]]


def upfirdn(
    x: Array,
    f: Taps,
    *,
    up: Pair = 1,
    down: Pair = 1,
    pad: Pads = 0,
    gain: float = 1.0,
    flip: bool = False,
) -> Array:
    """Upsamples with zeros, filters, and keeps every `down`-th pixel.

    up - 1 zeros follow each pixel, zeros are padded, the filter is convolved with that
    where it fits, and rows and columns 0, down, 2 down ... are kept.

    Args:
      x: [B, H, W, C].
      f: numbers [k, l], or [k] for the same filter along both axes.
      up, down: factors, of both axes or (y, x).
      pad: of all sides, or (y, x), or ((before, after), (before, after)); negative
        values crop.
      gain: a factor of the result.
      flip: correlates with `f` in place of convolving.

    Returns [B, (H up + before + after - k) // down + 1, ..., C], of the dtype of x.
    Raises ValueError for a filter of another shape, and where nothing is left.
    """
    f = np.asarray(f, np.float64)
    if f.ndim not in (1, 2):
        raise ValueError(f"upfirdn: f {f.shape} must have one axis or two")
    up, down = _pair(up), _pair(down)
    pads = [_pair(p) for p in _pair(pad)]
    f = f if flip else np.flip(f)
    if len(f) < 8 and up == (1, 1):
        # One pass over the image takes two thirds of the time of two.
        f = np.outer(f, f) if f.ndim == 1 else f
    if f.ndim == 2:
        return _along(x, f * gain, up, down, pads)
    gain = np.sign(gain) * abs(gain) ** 0.5, abs(gain) ** 0.5
    x = _along(x, f[:, None] * gain[0], (up[0], 1), (down[0], 1), [pads[0], (0, 0)])
    return _along(x, f[None] * gain[1], (1, up[1]), (1, down[1]), [(0, 0), pads[1]])


def upsample(
    x: Array,
    f: Taps = TAPS,
    up: Pair = 2,
    *,
    pad: Pads = 0,
    gain: float = 1.0,
    flip: bool = False,
) -> Array:
    """x [B, H, W, C] -> [B, up H, up W, C]; the mean is kept where f sums to 1.

    `pad` is added to the padding that gives that size. The others: see `upfirdn`.
    """
    up = _pair(up)
    pads = [
        (p0 + (k + u - 1) // 2, p1 + (k - u) // 2)
        for k, u, (p0, p1) in _axes(f, up, pad)
    ]
    gain = gain * up[0] * up[1]
    return upfirdn(x, f, up=up, pad=pads, gain=gain, flip=flip)


def downsample(
    x: Array,
    f: Taps = TAPS,
    down: Pair = 2,
    *,
    pad: Pads = 0,
    gain: float = 1.0,
    flip: bool = False,
) -> Array:
    """x [B, H, W, C] -> [B, H / down, W / down, C].

    `pad` is added to the padding that gives that size. The others: see `upfirdn`.
    """
    down = _pair(down)
    pads = [
        (p0 + (k - d + 1) // 2, p1 + (k - d) // 2)
        for k, d, (p0, p1) in _axes(f, down, pad)
    ]
    return upfirdn(x, f, down=down, pad=pads, gain=gain, flip=flip)


def blur(
    x: Array,
    f: Taps = TAPS,
    *,
    pad: Pads = 0,
    gain: float = 1.0,
    flip: bool = False,
) -> Array:
    """x [B, H, W, C] -> the same shape, filtered.

    `pad` is added to the padding that gives that size. The others: see `upfirdn`.
    """
    pads = [(p0 + k // 2, p1 + (k - 1) // 2) for k, _, (p0, p1) in _axes(f, 1, pad)]
    return upfirdn(x, f, pad=pads, gain=gain, flip=flip)


def upsample_conv(x: Array, w: Array, f: Taps = TAPS) -> Array:
    """Doubles x by zeros between its pixels, correlates with w, filters with gain 4.

    x [B, H, W, I], w [K, L, I, O] of odd size -> [B, 2H, 2W, O]. A 1x1 convolution is
    applied before the zeros.
    """
    if w.shape[:2] == (1, 1):
        return upsample(conv(x, w), f)
    y = conv_transpose(x, w, strides=2, padding=[k - 1 for k in w.shape[:2]])
    axes = zip(_shape(f), w.shape, strict=False)
    pads = [((n + 1) // 2 - k // 2, n // 2 - k // 2) for n, k in axes]
    return upfirdn(y, f, pad=pads, gain=4)


def downsample_conv(x: Array, w: Array, f: Taps = TAPS) -> Array:
    """Filters x, correlates with w, and keeps every second row and column.

    x [B, 2H, 2W, I], w [K, L, I, O] of odd size -> [B, H, W, O]. A 1x1 convolution is
    applied after the others.
    """
    if w.shape[:2] == (1, 1):
        return conv(downsample(x, f), w)
    axes = zip(_shape(f), w.shape, strict=False)
    pads = [((n - 1) // 2 + k // 2, (n - 2) // 2 + k // 2) for n, k in axes]
    return conv(upfirdn(x, f, pad=pads), w, strides=2, padding="VALID")


def _along(x, f, up, down, pads):
    """x correlated with f [k, l]."""
    channels = x.shape[-1]
    w = jnp.broadcast_to(
        jnp.asarray(f, x.dtype)[..., None, None], (*f.shape, 1, channels)
    )
    options = {"feature_group_count": channels}
    if down == (1, 1) and up != (1, 1):
        # Zeros follow each pixel, the last one included.
        pads = [
            (before, after + u - 1) for (before, after), u in zip(pads, up, strict=True)
        ]
        return conv_transpose(x, w, strides=up, padding=pads, **options)
    if up != (1, 1):
        each = [(0, u - 1, u - 1) for u in up]
        x = lax.pad(x, jnp.zeros((), x.dtype), [(0, 0, 0), *each, (0, 0, 0)])
    return conv(x, w, strides=down, padding=pads, **options)


def _axes(f, factor, pad):
    """(taps, factor, pads) along y and x."""
    return zip(_shape(f), _pair(factor), map(_pair, _pair(pad)), strict=True)


def _shape(f):
    shape = np.shape(f)
    return shape * 2 if len(shape) == 1 else shape


def _pair(value):
    return (value, value) if isinstance(value, int) else tuple(value)
