"""Low-pass filters, and an activation between two of them (arXiv 2106.12423).

Appendices B and C there. Filters are made on the host, in float64.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from gans.layers.fir import Pads, Taps, upfirdn


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
    if up_filter is not None:
        h = upfirdn(h, up_filter, up=up, pad=pad, gain=up**2)
    if slope != 1:
        h = jax.nn.leaky_relu(h, slope)
    h = h if gain == 1 else h * gain
    h = h if clamp is None else jnp.clip(h, -clamp, clamp)
    return h if down_filter is None else upfirdn(h, down_filter, down=down)
