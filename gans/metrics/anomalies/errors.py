"""How far a reconstruction is from the series: at a step, around it, or in shape.

arXiv 2009.07769, section IV-A.
"""

import jax
import jax.numpy as jnp
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

AROUND = 10  # steps of which an area, or a shape, is compared


def rolling_mean(x: np.ndarray, window: int) -> np.ndarray:
    """Returns the mean of the `window` values around each, as many as there are.

    Of an even number one more lies before than after. Args: x [N]; returns [N].
    """
    start, stop = _around(len(x), window)
    sums = np.concatenate([[0.0], np.cumsum(x)])
    return (sums[stop] - sums[start]) / (stop - start)


def _around(n, window):
    """Slices [start, stop) of the steps around each of n, both [n]."""
    stop = np.arange(n) + (window - 1) // 2 + 1
    return np.maximum(stop - window, 0), np.minimum(stop, n)


def point(x: np.ndarray, made: np.ndarray) -> np.ndarray:
    """Returns the absolute difference at each step. Args: x, made [N]; returns [N]."""
    return np.abs(x - made)


def area(x: np.ndarray, made: np.ndarray, window: int = AROUND) -> np.ndarray:
    """Returns the difference of the areas under both around each step.

    By the trapezoidal rule, of the `window` steps as in `rolling_mean`. Args: x, made
    [N]; returns [N].
    """
    start, stop = _around(len(x), window)
    difference = np.asarray(x, float) - made
    trapezoids = (difference[1:] + difference[:-1]) / 2
    sums = np.concatenate([[0.0], np.cumsum(trapezoids)])
    return np.abs(sums[stop - 1] - sums[start])


def dtw(x: np.ndarray, made: np.ndarray, window: int = AROUND) -> np.ndarray:
    """Returns the distance of both around each step by dynamic time warping.

    The square root of the least sum of squared differences along a path that warps one
    window into the other; the windows have an odd number of steps, `window` or one
    more, and zeros beyond the ends. As in the reference implementation, the distance
    around step t is stored at t + window // 2, and the first window // 2 values and the
    last window // 2 + 1 are 0. Args: x, made [N]; returns [N].
    """
    half, n = window // 2, len(x)
    size = 2 * half + 1
    found = np.zeros(n)
    if n > size:
        x, made = (
            sliding_window_view(np.pad(np.asarray(a, float), half), size)[: n - size]
            for a in (x, made)
        )
        with jax.enable_x64(True):
            found[half : half + n - size] = _dtw(x.T, made.T)
    return found


@jax.jit
def _dtw(x, y):
    """Distances [N] of columns: x, y [size, N].

    One anti-diagonal of the table of all windows after another: the cells (i, k - i) of
    diagonal k need those of k - 1 and k - 2 alone.
    """
    size, n = x.shape
    outside = jnp.full((size - 1, n), jnp.inf)
    turned = jnp.concatenate([outside, y[::-1], outside])
    edge = jnp.full((1, n), jnp.inf)

    def diagonal(carry, k):
        last, second = carry
        others = jax.lax.dynamic_slice_in_dim(turned, 2 * size - 2 - k, size)
        # From the cells beside, above, and across.
        above, across = (jnp.concatenate([edge, c[:-1]]) for c in (last, second))
        before = jnp.minimum(jnp.minimum(last, above), across)
        before = jnp.where(k == 0, 0.0, before)
        return ((x - others) ** 2 + before, last), None

    none = jnp.full((size, n), jnp.inf)
    (last, _), _ = jax.lax.scan(diagonal, (none, none), jnp.arange(2 * size - 1))
    return jnp.sqrt(last[-1])


ERRORS = {"point": point, "area": area, "dtw": dtw}


def smoothed(kind: str, x: np.ndarray, made: np.ndarray, window: int) -> np.ndarray:
    """Returns the error of ERRORS, its mean over `window` steps and over the channels.

    Args: x, made [N, C]; returns [N]. Raises KeyError for an unknown kind.
    """
    each = [
        rolling_mean(ERRORS[kind](a, b), window)
        for a, b in zip(x.T, made.T, strict=True)
    ]
    return np.mean(each, axis=0)
