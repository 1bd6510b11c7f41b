"""Low-pass filters, and an activation between two of them (arXiv 2106.12423).

Appendices B and C there. Filters are made on the host, in float64.
"""

import math

import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from gans.layers import shifts
from gans.layers.fir import Pads, Taps


def kaiser(taps: int, cutoff: float, half_width: float, rate: float) -> np.ndarray:
    """Returns a sinc filter [taps] in a Kaiser window, which sums to 1.

    Appendix C.1 of arXiv 2106.12423. The transition band is cutoff +- half_width;
    frequencies are cycles for each unit of length, which has `rate` samples.
    """
    from scipy.signal import firwin  # takes half a second

    return firwin(taps, cutoff, width=2 * half_width, fs=rate)


def jinc(taps: int, cutoff: float, half_width: float, rate: float) -> np.ndarray:
    """Returns a radially symmetric filter [taps, taps], which sums to 1.

    Appendix C.2 of arXiv 2106.12423: J1(2 pi cutoff r) / (pi r), in the outer product
    of the Kaiser windows of `kaiser`. An even number of taps has none at r = 0.
    """
    from scipy.signal import kaiser_atten, kaiser_beta
    from scipy.special import j1

    along = (np.arange(taps) - (taps - 1) / 2) / rate
    radius = np.hypot(along[:, None], along)
    disc = j1(2 * np.pi * cutoff * radius) / (np.pi * radius)
    beta = kaiser_beta(kaiser_atten(taps, 4 * half_width / rate))
    window = np.kaiser(taps, beta)
    windowed = disc * np.outer(window, window)
    return windowed / windowed.sum()


def filtered_lrelu(
    x: Array,
    bias: Array | None = None,
    up_filter: Taps | None = None,
    down_filter: Taps | None = None,
    *,
    up: int = 1,
    down: int = 1,
    pad: Pads = 0,
    gain: float = math.sqrt(2),
    slope: float = 0.2,
    clamp: float | None = None,
) -> Array:
    """Leaky ReLU at `up` times the rate of x, so that no new frequency folds back.

    Section 3.2 of arXiv 2106.12423: adds the bias, upsamples and filters, activates,
    multiplies by `gain`, clamps to [-clamp, clamp], filters and keeps every `down`-th
    pixel. Differentiable to any order, by JAX's own rules: what is kept for the
    gradient is whether each upsampled value is negative, and whether it is clamped.

    Args:
      x: [B, H, W, C].
      bias: [C].
      up_filter, down_filter: see `upfirdn`; None: no filter.
      pad: around the upsampled x, as in `upfirdn`.

    Returns [B, *Y, C], of the dtype of x, where Y is as of the two `upfirdn`.
    """
    h = x if bias is None else x + bias.astype(x.dtype)
    (top, bottom), (left, right) = map(_pair, _pair(pad))
    sizes = zip(h.shape[1:3], (top + bottom, left + right), strict=True)
    sides = [n * up + p for n, p in sizes]
    n = math.lcm(up, down)  # phases in which the upsampled map is kept
    if up_filter is not None:
        f = np.asarray(up_filter, np.float64)
        f = f * up**f.ndim  # along each axis, or at once
        sides = [s - k + 1 for s, k in zip(sides, _shape(f), strict=True)]
        lows = (top, left)
        h = shifts.split(h, n // up)
        h = _passed(
            h,
            f,
            lambda k, axis: shifts.rising(k, up, lows[axis], n // up),
            (n // up, n),
            [-(-s // n) for s in sides],
        )
    else:
        h = shifts.split(h, n)
    h = tuple(_activated(y, slope, gain, clamp) for y in h)
    if down_filter is None:
        return shifts.joined(h, sides)
    f = np.asarray(down_filter, np.float64)
    sides = [(s - k) // down + 1 for s, k in zip(sides, _shape(f), strict=True)]
    m = n // down
    h = _passed(
        h,
        f,
        lambda k, axis: shifts.falling(k, down, n),
        (n, m),
        [-(-s // m) for s in sides],
    )
    return shifts.joined(h, sides)


def _passed(maps, f, taps, phases, sides):
    """Maps convolved with f [K], along one axis and then the other, or [K, L] at once.

    taps: (length, axis) -> see `shifts.rising`; phases: before and after.
    """
    f = np.flip(f)
    before, after = phases
    if f.ndim == 2:
        moves = taps(f.shape[0], 0), taps(f.shape[1], 1)
        return shifts.shifted_sums(maps, shifts.terms(f, *moves, before), tuple(sides))
    height, width = sides[0], maps[0].shape[2]
    along = shifts.terms(f[:, None], taps(len(f), 0), shifts.still(before), before)
    maps = shifts.shifted_sums(maps, along, (height, width))
    along = shifts.terms(f[None], shifts.still(after), taps(len(f), 1), before)
    return shifts.shifted_sums(maps, along, tuple(sides))


def _activated(x, slope, gain, clamp):
    if slope != 1:
        x = x * jnp.where(x < 0, slope * gain, gain).astype(x.dtype)
    elif gain != 1:
        x = x * gain
    return x if clamp is None else lax.clamp(*_limits(x, clamp))


def _limits(x, clamp):
    limit = jnp.asarray(clamp, x.dtype)
    return -limit, x, limit


def _pair(value):
    return (value, value) if isinstance(value, int) else tuple(value)


def _shape(f):
    return f.shape * 2 if f.ndim == 1 else f.shape
